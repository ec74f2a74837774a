"""Native steps give what the module gives, for every causal stack."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import torch

from lamina.errors import ConfigError
from lamina.nn.stack import Stack, StackConfig
from lamina.nn.transformer import TransformerConfig
from lamina.ops.cells import CELLS
from lamina.streaming import packed
from lamina.streaming.session import RowSession, digest_of

TOLERANCE = 1e-5
STEPS = 20


def stack_of(**fields: Any) -> Stack:
    """A stack whose weights are far from their start, so that a wrong one would be seen."""
    torch.manual_seed(3)
    stack = Stack(StackConfig(**{"input_size": 7, "hidden_sizes": (13, 40, 24), **fields})).eval()
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return stack


def session_of(stack: Stack, storage: str = "float32", unit: str = "") -> RowSession:
    weights = {name: value.numpy() for name, value in stack.state_dict().items()}
    model = packed.new_model(storage, unit)
    model.finish(packed.pack_stack(model, stack.config.model_dump(mode="json"), weights))
    return RowSession.over(model, max_keys=100, digest=digest_of({}, weights))


def offline(stack: Stack, x: torch.Tensor) -> np.ndarray:
    """The outputs by the reference backend in float64: an independent truth."""
    with torch.no_grad():
        y, _ = stack.double()(x.double(), backend="reference")
    stack.float()
    result: np.ndarray = y.numpy()
    return result


def assert_streams(session: RowSession, stack: Stack, x: torch.Tensor) -> None:
    """Streamed outputs lie within the tolerance of the float64 truth.

    Where the stack itself blows rounding up (layer norm of small differences), they lie within twice what the
    float32 reference differs by, at these inputs or at others a rounding away. Of these there are many, since
    the reference alone differs by 0.7e-5 to 3.1e-5 over 40 roundings of one input (median 1.0e-5).
    """
    with torch.no_grad():
        nearby = [x * (1 + torch.finfo(x.dtype).eps * torch.randn_like(x)) for _ in range(16)]
        blown_up = [
            _gap(stack(at, backend="reference")[0].numpy(), offline(stack, at)) for at in (x, *nearby)
        ]
    assert _gap(streamed(session, x), offline(stack, x)) <= max(TOLERANCE, 2 * max(blown_up))


def _gap(found: np.ndarray, truth: np.ndarray) -> float:
    return float((np.abs(found - truth) / (1 + np.abs(truth))).max())


def streamed(session: RowSession, x: torch.Tensor) -> np.ndarray:
    """Half of the steps one key at a time, half in one call for all keys."""
    keys = [f"row {i}" for i in range(len(x))]
    rows = x.numpy()
    out = []
    for step in range(x.shape[1]):
        if step % 2:
            out.append(session.step_many(np.ascontiguousarray(rows[:, step]), keys))
        else:
            pairs = zip(rows[:, step], keys, strict=True)
            out.append(np.stack([session.step(np.ascontiguousarray(row), key=key) for row, key in pairs]))
    return np.stack(out, axis=1)


@pytest.mark.parametrize("unit", packed.require_native().runnable_units())
@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("residual", packed.RESIDUALS)
@pytest.mark.parametrize("cell", CELLS)
def test_every_causal_stack_streams(cell: str, residual: str, norm: str, unit: str) -> None:
    # gates are of layers of one width
    sizes = (13, 13, 13) if residual == "gated" else (13, 40, 24)
    stack = stack_of(cell=cell, residual=residual, norm=norm, hidden_sizes=sizes)
    x = torch.randn(11, STEPS, 7)
    assert_streams(session_of(stack, unit=unit), stack, x)


def test_every_residual_of_a_stack_streams() -> None:
    assert get_args(StackConfig.model_fields["residual"].annotation) == packed.RESIDUALS


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_streamed_and_offline_outputs_do_not_part_over_100_000_steps(cell: Any) -> None:
    torch.manual_seed(0)
    stack = Stack(StackConfig(cell=cell, input_size=4, hidden_sizes=(16, 12))).eval()
    x = torch.randn(1, 100_000, 4)
    with torch.no_grad():
        y, _ = stack(x)
    step = session_of(stack).step
    found = np.stack([step(row) for row in x[0].numpy()])
    assert _gap(found, y[0].numpy()) <= TOLERANCE


@pytest.mark.parametrize("sizes", [(1,), (5, 16), (17, 1, 33), (64, 64)])
@pytest.mark.parametrize("cell", CELLS)
def test_sizes_that_do_not_fill_a_vector(cell: str, sizes: tuple[int, ...]) -> None:
    stack = stack_of(cell=cell, hidden_sizes=sizes, input_size=1, residual="dense")
    x = torch.randn(3, STEPS, 1)
    assert_streams(session_of(stack), stack, x)


@pytest.mark.parametrize("cell", CELLS)
def test_zoneout_mixes_as_in_evaluation(cell: str) -> None:
    stack = stack_of(cell=cell, zoneout=0.3)
    x = torch.randn(2, STEPS, 7)
    assert_streams(session_of(stack), stack, x)


# Largest error of outputs in -1 to 1; a weight in a wrong place or of a wrong scale gives errors near 1.
@pytest.mark.parametrize(("storage", "most"), [("bfloat16", 0.025), ("int8", 0.05)])
@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru"])
@pytest.mark.parametrize("unit", packed.require_native().runnable_units())
def test_storage_of_fewer_bits_stays_near(unit: str, cell: str, storage: str, most: float) -> None:
    torch.manual_seed(0)
    stack = Stack(StackConfig(cell=cell, input_size=7, hidden_sizes=(13, 40, 24))).eval()
    x = torch.randn(11, STEPS, 7)
    gap = np.abs(streamed(session_of(stack, storage, unit), x) - offline(stack, x)).max()
    assert 1e-5 < gap < most


def test_storage_of_fewer_bits_takes_fewer_bytes() -> None:
    stack = stack_of(hidden_sizes=(64, 64), input_size=16)
    weights = {name: value.numpy() for name, value in stack.state_dict().items()}
    sizes = []
    for storage in packed.STORAGES:
        model = packed.new_model(storage)
        model.finish(packed.pack_stack(model, stack.config.model_dump(mode="json"), weights))
        sizes.append(model.weight_bytes)
        assert model.multiplications == 4 * 64 * (16 + 64 + 64 + 64)
    assert sizes == [sizes[0], sizes[0] // 2, sizes[0] // 4]


def test_int8_is_exact_where_weights_are_whole_numbers_of_steps() -> None:
    stack = stack_of(cell="relu", hidden_sizes=(9,))
    with torch.no_grad():
        for name, parameter in stack.named_parameters():
            if "weight" in name:
                parameter.copy_(torch.randint(-127, 128, parameter.shape) / 512)
                parameter[:, 0] = 127 / 512
    x = torch.randn(2, 5, 7)
    assert_streams(session_of(stack, "int8"), stack, x)


def test_a_stack_of_both_directions_says_why_it_cannot_stream() -> None:
    config = StackConfig(input_size=2, hidden_sizes=(3, 3), directions=("forward", "both"))
    with pytest.raises(ConfigError, match="layer 2 reads both directions, so this stack cannot stream"):
        packed.StackForm.of(config.model_dump(mode="json"))


@pytest.mark.parametrize(("field", "value"), [("cell", "lsmt"), ("residual", "sum"), ("norm", "batch")])
def test_a_form_that_native_steps_do_not_know_is_refused(field: str, value: str) -> None:
    config = StackConfig(input_size=2).model_dump(mode="json") | {field: value}
    with pytest.raises(ConfigError, match=f"native steps know the {field}s"):
        packed.StackForm.of(config)


def test_a_transformer_says_why_it_cannot_stream() -> None:
    body = {"kind": "transformer", **TransformerConfig().model_dump(mode="json")}
    with pytest.raises(ConfigError, match="has no state to carry"):
        packed.pack_reader(packed.new_model("float32"), body, {}, pooling="last", attention=False)


def test_unknown_storage_is_an_error() -> None:
    with pytest.raises(ConfigError, match="did you mean 'int8'"):
        packed.new_model("int4")


def test_cells_are_those_of_the_truth() -> None:
    assert tuple(CELLS) == packed.CELLS
    assert {name: tuple(cell.extra) for name, cell in CELLS.items() if cell.extra} == packed.EXTRAS
