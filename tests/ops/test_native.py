"""The native kernels give what the reference gives: every unit, every cell, any shape."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from lamina.errors import BackendError
from lamina.ops.backends.reference import Reference
from lamina.ops.call import Call, Weights, ZoneoutMasks, ZoneoutRates
from lamina.ops.cells import CELLS, LSTM, Relu, State
from lamina.ops.lengths import valid_steps

kernels = pytest.importorskip("lamina.ops._native", reason="built without a compiler")
native = pytest.importorskip("lamina.ops.backends.native", reason="built without a compiler")

UNITS = kernels.runnable_units()
OUTPUTS = {torch.float32: 2e-5, torch.float64: 1e-10, torch.bfloat16: 2e-2}
GRADIENTS = {torch.float32: 1e-4, torch.float64: 1e-10, torch.bfloat16: 2e-2}


@dataclass(frozen=True)
class Configuration:
    """What a random call is drawn from."""

    cell: str
    batch: int
    time: int
    features: int
    hidden: int
    ragged: bool = False
    reverse: bool = False
    masked: bool = False
    zoneout: str = "none"
    biases: str = "bc"
    outputs: int | None = None
    layout: str = "plain"
    seed: int = 0

    def call(
        self,
        dtype: torch.dtype = torch.float64,
        rounded_to: torch.dtype | None = None,
        nudged: int | None = None,
    ) -> Call:
        """Weights are scaled so that neither states nor gradients explode; padding is NaN.

        ``rounded_to``: the numbers are those of this dtype, held in ``dtype``. ``nudged``: a seed for signs,
        by which every number then moves about as far as its neighbour in that dtype.
        """
        generator = torch.Generator().manual_seed(self.seed)
        signs = None if nudged is None else torch.Generator().manual_seed(nudged)

        def draw(*size: int, scale: float = 1.0) -> Tensor:
            values = torch.randn(size, generator=generator, dtype=torch.float64) * scale
            values = values.to(rounded_to or dtype).to(dtype)
            if signs is not None:
                sign = torch.randint(0, 2, size, generator=signs) * 2 - 1
                values = values * (1 + sign * torch.finfo(rounded_to or dtype).eps)
            return laid_out(values, self.layout).requires_grad_()

        kind = CELLS[self.cell]
        rows = len(kind.gates) * self.hidden
        outputs = self.hidden if self.outputs is None else self.outputs
        widths = (outputs, self.hidden)[: len(kind.states)]
        lengths = torch.randint(0, self.time + 1, (self.batch,), generator=generator) if self.ragged else None
        x = draw(self.batch, self.time, self.features).detach()
        if lengths is not None:
            x[~valid_steps(lengths, self.time)] = torch.nan
        zoneout = {
            "none": None,
            "rates": ZoneoutRates((0.1, 0.3)[: len(kind.states)]),
            "masks": ZoneoutMasks(
                tuple(
                    torch.rand((self.batch, self.time, width), generator=generator) < 0.3 for width in widths
                )
            ),
        }[self.zoneout]
        return Call(
            kind,
            x.requires_grad_(),
            tuple(draw(self.batch, width) for width in widths),
            Weights(
                draw(rows, self.features, scale=self.features**-0.5),
                draw(rows, outputs, scale=0.5 * outputs**-0.5),
                draw(rows) if "b" in self.biases else None,
                draw(rows) if "c" in self.biases else None,
                {name: draw(extra.rows, self.hidden, scale=0.5) for name, extra in kind.extra.items()},
                None if self.outputs is None else draw(outputs, self.hidden, scale=self.hidden**-0.5),
            ),
            lengths,
            self.reverse,
            torch.rand((self.batch, outputs), generator=generator).gt(0.3).to(dtype) if self.masked else None,
            zoneout,
        )


def laid_out(values: Tensor, layout: str) -> Tensor:
    """The same numbers elsewhere in memory: every second one, or one number off a vector's boundary."""
    if layout == "strided":
        return torch.full((*values.shape, 2), torch.nan, dtype=values.dtype)[..., 0].copy_(values)
    if layout == "offset":
        return torch.empty(values.numel() + 1, dtype=values.dtype)[1:].view(values.shape).copy_(values)
    return values


def gradients(call: Call, outputs: tuple[Tensor, State], rounded_to: torch.dtype) -> list[Tensor]:
    """Of a random sum over y and the final state, by everything that the call has.

    The sum's own numbers are those of ``rounded_to``, so that kernel and truth add up the same.
    The reference's y has no gradient where there is no step.
    """
    generator = torch.Generator().manual_seed(1)
    flat = [t for t in (outputs[0], *outputs[1]) if call.x.shape[1] or t is not outputs[0]]
    draws = [torch.randn(t.shape, generator=generator, dtype=torch.float64) for t in flat]
    seeds = [values.to(rounded_to).to(t.dtype) for values, t in zip(draws, flat, strict=True)]
    return list(torch.autograd.grad(flat, call.tensors, seeds, materialize_grads=True))


def error(actual: Tensor, expected: Tensor) -> float:
    """Largest difference, relative to the largest number expected (or to 1, where all are small).

    In bfloat16 the root of the mean square stands for the largest, which grows with the count of roundings.
    """
    if not expected.numel():
        return 0.0
    difference, scale = actual.detach().double() - expected.detach(), expected.detach()
    if actual.dtype == torch.bfloat16:
        return float(difference.square().mean().sqrt() / scale.square().mean().sqrt().clamp(min=0.1))
    return float(difference.abs().max() / scale.abs().max().clamp(min=1))


def check(configuration: Configuration, *, unit: str, dtype: torch.dtype) -> None:
    call, truth = configuration.call(dtype), configuration.call(rounded_to=dtype)
    backend = native.Native(unit)
    assert backend.why_not(call) is None
    y, state = backend.run(call)
    expected_y, expected_state = Reference().run(truth)
    with torch.no_grad():
        untrained_y, untrained_state = backend.run(call)
    for actual, untrained, expected in zip(
        (y, *state), (untrained_y, *untrained_state), (expected_y, *expected_state), strict=True
    ):
        assert error(actual, expected) <= OUTPUTS[dtype], configuration
        assert torch.equal(actual, untrained), configuration
    if call.cell is Relu and dtype == torch.bfloat16 and not torch.equal(y > 0, expected_y > 0):
        return  # rounding took a unit to the other side of zero, where its gradient is another
    expected_gradients = gradients(truth, (expected_y, expected_state), dtype)
    errors = [
        error(*pair) for pair in zip(gradients(call, (y, state), dtype), expected_gradients, strict=True)
    ]
    bounds = [GRADIENTS[dtype]] * len(errors)
    if dtype == torch.bfloat16 and max(errors, default=0) > GRADIENTS[dtype]:
        bounds = [max(GRADIENTS[dtype], moved) for moved in by_rounding(configuration, expected_gradients)]
    assert all(e <= bound for e, bound in zip(errors, bounds, strict=True)), (errors, bounds, configuration)


def by_rounding(configuration: Configuration, expected: list[Tensor]) -> list[float]:
    """Three times how far the true gradients move where every number given moves by a rounding of bfloat16.

    A gradient that sums a few numbers can come near zero because they cancel. No kernel that rounds between
    its steps is then near it relative to its own size.
    """
    calls = [configuration.call(rounded_to=torch.bfloat16, nudged=seed) for seed in range(8)]
    moved = [gradients(call, Reference().run(call), torch.bfloat16) for call in calls]
    return [
        3 * max(error(tensors[k].to(torch.bfloat16), truth) for tensors in moved)
        for k, truth in enumerate(expected)
    ]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Teams spin where they wait, which a busy machine pays for; the tests of teams ask for two threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def two_threads(one_thread: None) -> None:
    torch.set_num_threads(2)


SHAPES = [
    (1, 1, 1, 1),
    (1, 63, 5, 7),
    (2, 3, 4, 16),
    (7, 9, 3, 33),
    (13, 11, 17, 20),
    (40, 20, 20, 48),
    (3, 4, 6, 150),
]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=["f64", "f32", "bf16"])
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("cell", CELLS)
def test_unit_equals_reference(cell: str, unit: str, dtype: torch.dtype) -> None:
    for i, shape in enumerate(SHAPES):
        zoneout = ("none", "masks", "rates")[i % 3]
        plain = Configuration(cell, *shape, ragged=i % 2 == 1, reverse=i % 4 > 1, seed=i)
        check(plain, unit=unit, dtype=dtype)
        varied = Configuration(
            cell,
            *shape,
            ragged=i % 2 == 0,
            reverse=i % 4 < 2,
            masked=True,
            zoneout=zoneout,
            biases="c" * (i % 2),
        )
        check(varied, unit=unit, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=["f64", "f32", "bf16"])
@pytest.mark.parametrize("unit", UNITS)
def test_projection_equals_reference(unit: str, dtype: torch.dtype) -> None:
    for i, (shape, outputs) in enumerate(zip(SHAPES, (1, 3, 40, 5, 20, 17, 33), strict=True)):
        for varied in (False, True):
            configuration = Configuration(
                "lstm",
                *shape,
                outputs=outputs,
                ragged=varied,
                reverse=i % 2 == 0,
                masked=varied,
                zoneout=("none", "masks", "rates")[i % 3] if varied else "none",
                seed=i,
            )
            check(configuration, unit=unit, dtype=dtype)


@settings(
    max_examples=500,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    configuration=st.builds(
        Configuration,
        cell=st.sampled_from(list(CELLS)),
        batch=st.integers(0, 14),
        time=st.integers(0, 9),
        features=st.integers(1, 40),
        hidden=st.integers(1, 40),
        ragged=st.booleans(),
        reverse=st.booleans(),
        masked=st.booleans(),
        zoneout=st.sampled_from(["none", "rates", "masks"]),
        biases=st.sampled_from(["", "b", "c", "bc"]),
        layout=st.sampled_from(["plain", "strided", "offset"]),
        seed=st.integers(0, 1000),
    ),
    outputs=st.none() | st.integers(1, 40),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
    unit=st.sampled_from(UNITS),
)
def test_any_configuration_equals_reference(
    configuration: Configuration, outputs: int | None, dtype: torch.dtype, unit: str
) -> None:
    # over few units a variance can come near 0, and then the reference in the same dtype is as far off; and
    # of a single feature, normalised, only the sign is left, with a gradient near 0
    units, features = {torch.float64: (1, 1), torch.float32: (8, 1), torch.bfloat16: (16, 2)}[dtype]
    enough = configuration.hidden >= units and configuration.features >= features
    assume(enough or not configuration.cell.startswith("ln"))
    if CELLS[configuration.cell].projects:
        configuration = replace(configuration, outputs=outputs)
    check(configuration, unit=unit, dtype=dtype)


@pytest.mark.parametrize("batch", [0, 1, 3])
@pytest.mark.parametrize("time", [0, 4])
def test_nothing_to_do_is_done(batch: int, time: int) -> None:
    check(Configuration("lstm", batch, time, 3, 5), unit=UNITS[0], dtype=torch.float32)


@pytest.mark.parametrize("cell", ["lstm", "gru", "lnlstm"])
@pytest.mark.parametrize(("batch", "hidden"), [(1, 170), (3, 150), (17, 48)])
def test_number_of_threads_changes_rounding_only(cell: str, batch: int, hidden: int) -> None:
    call = Configuration(cell, batch, 30, 9, hidden, ragged=True).call(torch.float32)
    backend = native.Native()
    alone = backend.run(call)
    alone_gradients = gradients(call, alone, torch.float32)
    torch.set_num_threads(2)
    both = backend.run(call)
    for actual, expected in zip(gradients(call, both, torch.float32), alone_gradients, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(both, alone, rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("two_threads")
def test_two_runs_are_equal_bit_for_bit() -> None:
    call = Configuration("gru", 19, 50, 11, 37).call(torch.float32)
    first, second = (gradients(call, native.Native().run(call), call.x.dtype) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.usefixtures("two_threads")
def test_python_threads_may_call_at_once() -> None:
    call = Configuration("lstm", 8, 60, 6, 40).call(torch.float32)
    expected, _ = native.Native().run(call)
    found: list[Tensor] = []
    threads = [threading.Thread(target=lambda: found.append(native.Native().run(call)[0])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(torch.equal(y, expected) for y in found)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # the warning is what is tested
def test_forked_child_computes_alone() -> None:
    call = Configuration("lstm", 8, 60, 6, 40).call(torch.float32)
    with torch.no_grad():
        expected, _ = native.Native().run(call)
        child = os.fork()
        if child == 0:
            # no fork-unsafe work of torch's: its own regions would wait for threads that are gone
            y, _ = native.Native().run(call)
            os._exit(0 if y.numpy().tobytes() == expected.numpy().tobytes() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_inputs_of_any_layout_are_read_right() -> None:
    call = Configuration("lstm", 5, 9, 6, 8).call()
    x = call.x.detach().transpose(0, 1).contiguous().transpose(0, 1)  # time first in memory
    h0 = torch.zeros(5, 17, dtype=torch.float64)[:, 1::2]  # every second number
    scattered = Call(call.cell, x, (h0, call.state[1]), call.weights)
    plain = Call(call.cell, x.contiguous(), (h0.contiguous(), call.state[1]), call.weights)
    assert torch.equal(native.Native().run(scattered)[0], native.Native().run(plain)[0])


def test_misaligned_input_is_read_right() -> None:
    call = Configuration("gru", 5, 9, 6, 8).call(torch.float32)
    room = torch.empty(call.x.numel() + 1)
    x = room[1:].view_as(call.x).copy_(call.x.detach())
    assert torch.equal(
        native.Native().run(Call(call.cell, x, call.state, call.weights))[0], native.Native().run(call)[0]
    )


def test_gradient_passes_gradcheck() -> None:
    call = Configuration("lnlstm", 3, 4, 2, 5, ragged=True, masked=True, zoneout="masks").call()
    names = list(call.weights.extra)
    x = call.x.detach().nan_to_num(0).requires_grad_()

    def run(x: Tensor, h: Tensor, c: Tensor, w: Tensor, r: Tensor, *extra: Tensor) -> tuple[Tensor, ...]:
        weights = Weights(w, r, call.weights.b, call.weights.c, dict(zip(names, extra, strict=True)))
        y, state = native.Native().run(
            Call(call.cell, x, (h, c), weights, call.lengths, False, call.recurrent_mask, call.zoneout)
        )
        return y, *state

    inputs = (x, *call.state, call.weights.w, call.weights.r, *call.weights.extra.values())
    assert torch.autograd.gradcheck(run, inputs)


def test_backward_may_run_twice() -> None:
    call = Configuration("lstm", 4, 6, 3, 5).call()
    y, _ = native.Native().run(call)
    (first,) = torch.autograd.grad(y.sum(), call.x, retain_graph=True)
    (second,) = torch.autograd.grad(y.sum(), call.x)
    assert torch.equal(first, second)


def test_second_derivative_is_a_clear_error() -> None:
    call = Configuration("lstm", 4, 6, 3, 5).call()
    y, _ = native.Native().run(call)
    with pytest.raises(BackendError, match="backend='reference'"):
        torch.autograd.grad(y.sum(), call.x, create_graph=True)


@pytest.mark.parametrize("cell", CELLS)
def test_autocast_runs_in_bfloat16_and_gives_gradients_of_the_parameters_dtype(cell: str) -> None:
    configuration = Configuration(cell, 5, 9, 6, 20, ragged=True)
    call, truth = configuration.call(torch.float32), configuration.call()
    with torch.autocast("cpu", torch.bfloat16):
        assert native.Native().why_not(call) is None
        outputs = native.Native().run(call)
    assert {t.dtype for t in (outputs[0], *outputs[1])} == {torch.bfloat16}
    expected = Reference().run(truth)
    for actual, right in zip((outputs[0], *outputs[1]), (expected[0], *expected[1]), strict=True):
        assert error(actual, right) <= OUTPUTS[torch.bfloat16]
    for actual, right in zip(
        gradients(call, outputs, torch.bfloat16), gradients(truth, expected, torch.bfloat16), strict=True
    ):
        assert actual.dtype == torch.float32
        assert (
            error(actual.bfloat16(), right) <= 5e-2
        )  # the inputs are rounded too, and the reference's are not


@pytest.mark.parametrize(("dtype", "reason"), [(torch.float16, "float32, float64 and bfloat16")])
def test_other_dtypes_are_refused_with_the_reason(dtype: torch.dtype, reason: str) -> None:
    call = Configuration("lstm", 2, 3, 4, 5).call(dtype)
    assert reason in str(native.Native().why_not(call))


def test_gradient_of_the_recurrent_mask_is_refused() -> None:
    call = Configuration("lstm", 2, 3, 4, 5).call()
    mask = torch.ones(2, 5, dtype=torch.float64, requires_grad=True)
    refused = Call(LSTM, call.x, call.state, call.weights, recurrent_mask=mask)
    assert "recurrent mask" in str(native.Native().why_not(refused))


def test_kernels_use_the_threads_of_torch() -> None:
    library = os.path.join(os.path.dirname(torch.__file__), "lib", "libtorch_cpu.so")
    if not os.path.exists(library):
        pytest.skip("torch is not built as it is on Linux")
    assert kernels.join_team(library)
    assert not kernels.join_team("/no/such/library.so")


@pytest.mark.parametrize("cell", CELLS)
def test_operator_passes_opcheck(cell: str) -> None:
    call = Configuration(cell, 5, 6, 3, 4, ragged=True, masked=True, zoneout="masks").call()
    weights, c0 = call.weights, call.state[1] if len(call.state) > 1 else None
    x = call.x.detach().nan_to_num(0).requires_grad_()
    slots = [x, call.state[0], c0, weights.w, weights.r, weights.b, weights.c, None, *weights.extra.values()]
    tensors, present = [t for t in slots if t is not None], [t is not None for t in slots]
    assert isinstance(call.zoneout, ZoneoutMasks)
    masks = [call.lengths, call.recurrent_mask, *call.zoneout.keep]
    options = {
        "present": present,
        "cell": cell,
        "unit": UNITS[0],
        "reverse": True,
        "rates": [0.0] * len(call.state),
        "training": True,
    }
    outcome = torch.library.opcheck(torch.ops.lamina.scan.default, (tensors, masks), options)
    assert set(outcome.values()) == {"SUCCESS"}


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_compiled_scan_is_one_graph(cell: str) -> None:
    call = Configuration(cell, 4, 6, 3, 5).call(torch.float32)
    backend = native.Native()

    def run(x: Tensor) -> Tensor:
        y: Tensor = backend.run(Call(call.cell, x * 2, call.state, call.weights))[0]
        return y.sin()

    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    expected, actual = run(call.x), compiled(call.x)
    torch.testing.assert_close(actual, expected)
    wanted, found = (torch.autograd.grad(y.sum(), (call.x, call.weights.r)) for y in (expected, actual))
    torch.testing.assert_close(found, wanted)
