"""The drop-in layers do what torch.nn's do: the same calls on both sides, compared number by number."""

from __future__ import annotations

import copy
import io
import random
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence

from lamina.errors import BackendError
from lamina.nn import torch_compat
from lamina.ops.scan import BACKENDS

KINDS = ("LSTM", "GRU", "RNN")
TOLERANCES = {torch.float32: 2e-5, torch.float64: 1e-10}
LAYOUTS = ("batch", "one sequence", "packed", "packed unsorted")
needs_kernels = pytest.mark.skipif(
    type(BACKENDS[0]).__name__ == "Absent", reason="built without a compiler: everything goes to torch"
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def both(kind: str, *sizes: int, **options: Any) -> tuple[nn.RNNBase, nn.RNNBase]:
    """torch's layer and ours, each made under the same seed."""
    made = []
    for module in (nn, torch_compat):
        torch.manual_seed(0)
        made.append(getattr(module, kind)(*sizes, **options))
    return made[0], made[1]


def flat(outcome: tuple[Any, Any]) -> list[Tensor]:
    y, state = outcome
    return [
        y.data if isinstance(y, PackedSequence) else y,
        *(state if isinstance(state, tuple) else (state,)),
    ]


def outcome(layer: nn.RNNBase, x: Tensor, states: list[Tensor], lengths: Tensor | None, layout: str) -> Any:
    """Run a layer on leaves of its own; return outputs, final states and the gradients of everything."""
    x, states = x.clone().requires_grad_(), [state.clone().requires_grad_() for state in states]
    given = x
    if lengths is not None:
        sorted_already = layout == "packed"
        given = pack_padded_sequence(x, lengths, layer.batch_first, sorted_already)  # type: ignore[assignment]
    hx = None if not states else tuple(states) if layer.mode == "LSTM" else states[0]
    torch.manual_seed(1)  # of the dropout
    result = layer(given, hx)
    found = flat(result)
    generator = torch.Generator().manual_seed(2)
    upstream = [torch.randn(t.shape, generator=generator, dtype=t.dtype) for t in found]
    gradients = torch.autograd.grad(found, [x, *states, *layer.parameters()], upstream)
    order = result[0][1:] if isinstance(result[0], PackedSequence) else ()
    return [t.detach() for t in (*found, *gradients)], order


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch's side
def test_random_configurations_give_what_torch_gives(kind: str) -> None:
    draw = random.Random(kind)
    for case in range(50):
        layers, directions = draw.choice([1, 2, 3]), draw.choice([1, 2])
        options: dict[str, Any] = {
            "num_layers": layers,
            "bias": draw.random() < 0.7,
            "batch_first": draw.random() < 0.5,
            "bidirectional": directions == 2,
            "dropout": draw.choice([0.0, 0.3]) if layers > 1 else 0.0,
            "dtype": draw.choice([torch.float32, torch.float64]),
        }
        if kind == "RNN":
            options["nonlinearity"] = draw.choice(["tanh", "relu"])
        if kind == "LSTM":
            options["proj_size"] = draw.choice([0, 0, 3])
        torchs, ours = both(kind, 4, 6, **options)
        layout, batch, time = draw.choice(LAYOUTS), draw.randint(1, 5), draw.randint(1, 9)
        generator = torch.Generator().manual_seed(case)
        shape: tuple[int, ...] = (batch, time) if options["batch_first"] else (time, batch)
        outputs = options.get("proj_size") or 6
        sizes: list[tuple[int, ...]] = [
            (layers * directions, batch, size) for size in (outputs, 6)[: 2 if kind == "LSTM" else 1]
        ]
        if layout == "one sequence":
            shape, sizes = (time,), [(layers * directions, size[-1]) for size in sizes]
        x = torch.randn(*shape, 4, generator=generator, dtype=options["dtype"])
        states = [torch.randn(size, generator=generator, dtype=options["dtype"]) for size in sizes]
        lengths = None
        if layout.startswith("packed"):
            lengths = torch.randint(1, time + 1, (batch,), generator=generator)
            lengths = lengths.sort(descending=True).values if layout == "packed" else lengths
        given = states if draw.random() < 0.6 else []
        (expected, order), (actual, our_order) = (
            outcome(layer, x, given, lengths, layout) for layer in (torchs, ours)
        )
        torch.testing.assert_close(our_order, order)
        for ours_t, torchs_t in zip(actual, expected, strict=True):
            assert ours_t.shape == torchs_t.shape
            scale = torchs_t.abs().max().clamp(min=1)
            error = float((ours_t - torchs_t).abs().max() / scale)
            assert error <= TOLERANCES[options["dtype"]], (kind, options, layout, batch, time)


@needs_kernels
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_kernels_run_it(kind: str, layout: str) -> None:
    """The comparison above would hold if everything fell through to torch."""
    layer = getattr(torch_compat, kind)(4, 6, num_layers=2, bidirectional=True)
    given = {
        "batch": torch.zeros(5, 3, 4),
        "one sequence": torch.zeros(5, 4),
        "packed": pack_sequence([torch.zeros(5, 4), torch.zeros(2, 4)]),
        "packed unsorted": pack_sequence([torch.zeros(2, 4), torch.zeros(5, 4)], enforce_sorted=False),
    }[layout]
    assert str(layer.explain(given)) == "native runs it"


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_have_torchs_names_values_and_text(kind: str) -> None:
    options = {"num_layers": 2, "bidirectional": True, "dropout": 0.1, "batch_first": True}
    torchs, ours = both(kind, 3, 5, **options)
    assert str(torchs) == str(ours)
    assert list(torchs.state_dict()) == list(ours.state_dict())
    torch.testing.assert_close(ours.state_dict(), torchs.state_dict(), rtol=0, atol=0)
    ours.load_state_dict(torchs.state_dict())
    torchs.load_state_dict(ours.state_dict())
    ours.flatten_parameters()


def test_projection_has_its_parameter() -> None:
    torchs, ours = both("LSTM", 3, 5, proj_size=2, bias=False)
    assert (
        list(torchs.state_dict())
        == list(ours.state_dict())
        == ["weight_ih_l0", "weight_hh_l0", "weight_hr_l0"]
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("x", "hx"),
    [
        (torch.zeros(5, 2, 4), None),
        (torch.zeros(3), None),
        (torch.zeros(1, 5, 2, 3), None),
        (torch.zeros(0, 2, 3), None),
        (torch.zeros(5, 2, 3, dtype=torch.float64), None),
        (torch.zeros(5, 2, 3), (1, 3, 5)),
        (torch.zeros(5, 2, 3), (2, 2, 5)),
        (torch.zeros(5, 2, 3), (2, 5)),
        (torch.zeros(5, 3), (1, 1, 5)),
        (torch.zeros(5, 3), (1, 4)),
    ],
)
def test_what_does_not_fit_raises_torchs_error(kind: str, x: Any, hx: tuple[int, ...] | None) -> None:
    state: Any = None
    if hx is not None:
        state = (torch.zeros(hx),) * 2 if kind == "LSTM" else torch.zeros(hx)
    errors = []
    for layer in both(kind, 3, 5):
        with pytest.raises((ValueError, RuntimeError)) as error:
            layer(x, state)
        errors.append((error.type, str(error.value)))
    assert errors[0] == errors[1]


@pytest.mark.parametrize("kind", KINDS)
def test_packed_input_that_does_not_fit_raises_torchs_error(kind: str) -> None:
    """torch.nn.LSTM leaves a packed input unchecked (2.13); its own checks, as in GRU, are made here."""
    layer = getattr(torch_compat, kind)(3, 5)
    state = torch.zeros(1, 2, 5)
    with pytest.raises(
        RuntimeError, match=r"input\.size\(-1\) must be equal to input_size\. Expected 3, got 4"
    ):
        layer(pack_sequence([torch.zeros(2, 4)]))
    with pytest.raises(RuntimeError, match=r"Expected hidden.* size \(1, 1, 5\), got \[1, 2, 5\]"):
        layer(pack_sequence([torch.zeros(2, 3)]), (state, state) if kind == "LSTM" else state)


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_that_torch_refuses_are_refused(kind: str) -> None:
    for arguments in ((0, 5), (3, 0), (3, 5, 0)):
        for layer in (getattr(nn, kind), getattr(torch_compat, kind)):
            with pytest.raises(ValueError, match="must be greater than zero"):
                layer(*arguments)
    with pytest.raises(ValueError, match="Unknown nonlinearity 'sin'"):
        torch_compat.RNN(3, 5, nonlinearity="sin")


def test_arguments_stand_in_torchs_order() -> None:
    assert str(torch_compat.LSTM(3, 5, 2, False, True, 0.1, True, 2)) == str(
        nn.LSTM(3, 5, 2, False, True, 0.1, True, 2)
    )
    assert str(torch_compat.GRU(3, 5, 2, False, True, 0.1, True)) == str(
        nn.GRU(3, 5, 2, False, True, 0.1, True)
    )
    relu, torchs = (
        torch_compat.RNN(3, 5, 2, "relu", False, True, 0.1, True),
        nn.RNN(3, 5, 2, "relu", False, True, 0.1, True),
    )
    assert (str(relu), relu.mode, relu.nonlinearity) == (str(torchs), torchs.mode, torchs.nonlinearity)


@pytest.mark.parametrize("kind", KINDS)
def test_copies_and_pickles_compute_the_same(kind: str) -> None:
    layer, x = getattr(torch_compat, kind)(3, 5), torch.randn(4, 2, 3)
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    for other in (copy.deepcopy(layer), torch.load(file, weights_only=False)):
        assert type(other) is type(layer)
        assert torch.equal(other(x)[0], layer(x)[0])


def test_weights_put_in_by_a_functional_call_are_used() -> None:
    torchs, ours = both("GRU", 3, 5)
    other = {name: torch.randn_like(p) for name, p in torchs.named_parameters()}
    x = torch.randn(4, 2, 3)
    expected, actual = (torch.func.functional_call(layer, other, (x,))[0] for layer in (torchs, ours))
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


def test_weights_made_by_a_parametrization_are_used() -> None:
    pair = both("LSTM", 3, 5)
    for layer in pair:
        nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")
    x = torch.randn(4, 2, 3)
    expected, actual = (layer(x)[0] for layer in pair)
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


def test_outputs_are_contiguous_in_the_callers_layout() -> None:
    for batch_first in (True, False):
        y, _ = torch_compat.LSTM(3, 5, bidirectional=True, batch_first=batch_first)(torch.zeros(4, 2, 3))
        assert y.view(4, 2, 2, 5).shape == (4, 2, 2, 5)


def test_half_precision_runs_on_torch_and_says_so() -> None:
    torchs, ours = both("GRU", 3, 5, dtype=torch.float16)
    x = torch.randn(4, 2, 3, dtype=torch.float16)
    assert torch.equal(ours(x)[0], torchs(x)[0])
    choice = ours.explain(x)  # type: ignore[operator]  # typed as any module's attribute
    assert choice.backend.name == "aten"
    assert "float16" in str(choice) or "not built" in str(choice)


def test_trace_holds_the_computation_and_not_its_result() -> None:
    ours, x = torch_compat.GRU(3, 5), torch.randn(4, 2, 3)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is deprecated, and torch checks shapes in Python
        traced = torch.jit.trace(ours, x)  # type: ignore[no-untyped-call]  # torch's own
        torch.testing.assert_close(traced(x + 1)[0], ours(x + 1)[0], rtol=1e-5, atol=1e-5)


@needs_kernels
def test_second_derivative_names_the_way_out() -> None:
    x = torch.randn(4, 2, 3, requires_grad=True)
    y, _ = torch_compat.GRU(3, 5)(x)
    with pytest.raises(BackendError, match="reference"):
        torch.autograd.grad(y.sum(), x, create_graph=True)


def test_empty_batch_is_torchs_to_run() -> None:
    torchs, ours = both("GRU", 3, 5)
    assert ours(torch.zeros(4, 0, 3))[0].shape == torchs(torch.zeros(4, 0, 3))[0].shape
    assert "the batch is empty" in str(ours.explain(torch.zeros(4, 0, 3)))  # type: ignore[operator]  # as above
