"""Every backend gives what the reference gives, and the reference gives what torch.nn gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lamina.errors import DataError
from lamina.ops.backends.aten import Aten
from lamina.ops.backends.reference import Reference
from lamina.ops.call import Backend, Call, Weights, ZoneoutMasks, ZoneoutRates
from lamina.ops.cells import CELLS, State
from lamina.ops.lengths import valid_steps
from lamina.ops.scan import BACKENDS, Absent

Same = Callable[..., None]

SHAPES = [(1, 1, 1, 1), (1, 63, 3, 7), (5, 9, 4, 7), (3, 1, 2, 17)]  # batch, time, features, hidden
TORCH = {"tanh": nn.RNN, "relu": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
REFERENCE = Reference()


def make_call(
    cell: str,
    shape: tuple[int, int, int, int] = (5, 9, 4, 7),
    *,
    dtype: torch.dtype = torch.float64,
    lengths: list[int] | None = None,
    reverse: bool = False,
    biases: str = "bc",
    outputs: int | None = None,
) -> Call:
    """A call on random numbers with NaN wherever a row has ended; projected where ``outputs`` is given."""
    batch, time, features, hidden = shape
    width = hidden if outputs is None else outputs
    torch.manual_seed(0)

    def draw(*size: int, scale: float = 0.5) -> Tensor:
        return (torch.randn(size, dtype=dtype) * scale).requires_grad_()

    kind = CELLS[cell]
    rows = len(kind.gates) * hidden
    # Without a bound on its output, a relu recurrence grows above 1 / sqrt(hidden) and its rounding with it.
    recurrent_scale = 0.5 * hidden**-0.5 if cell == "relu" else 0.5
    weights = Weights(
        draw(rows, features),
        draw(rows, width, scale=recurrent_scale),
        draw(rows) if "b" in biases else None,
        draw(rows) if "c" in biases else None,
        {name: draw(extra.rows, hidden) for name, extra in kind.extra.items()},
        None if outputs is None else draw(outputs, hidden),
    )
    state = tuple(draw(batch, width if k == 0 else hidden) for k in range(len(kind.states)))
    x = torch.randn(batch, time, features, dtype=dtype)
    valid = None if lengths is None else torch.tensor(lengths, dtype=torch.int64)
    if valid is not None:
        x[~valid_steps(valid, time)] = torch.nan
    return Call(kind, x.requires_grad_(), state, weights, valid, reverse)


def parameters(call: Call) -> dict[str, Tensor]:
    """Everything whose gradient counts."""
    weights = call.weights
    named = {"w": weights.w, "r": weights.r, "b": weights.b, "c": weights.c, **weights.extra}
    named["projection"] = weights.projection
    states = {f"initial {n}": s for n, s in zip(call.cell.states, call.state, strict=True)}
    return {"x": call.x, **states, **{n: t for n, t in named.items() if t is not None}}


def results(call: Call, outputs: tuple[Tensor, State]) -> dict[str, Tensor]:
    """y, final states, and the gradients of a random sum over all of them."""
    y, state = outputs
    named = {"y": y, **{f"final {n}": s for n, s in zip(call.cell.states, state, strict=True)}}
    generator = torch.Generator().manual_seed(1)
    loss = sum((t * torch.randn(t.shape, generator=generator, dtype=t.dtype)).sum() for t in named.values())
    assert isinstance(loss, Tensor)
    inputs = parameters(call)
    gradients = torch.autograd.grad(loss, list(inputs.values()), materialize_grads=True)
    return named | {f"gradient of {name}": g for name, g in zip(inputs, gradients, strict=True)}


def compare(backend: Backend, call: Call, same: Same) -> None:
    expected = results(call, REFERENCE.run(call))
    for name, actual in results(call, backend.run(call)).items():
        assert not actual.isnan().any(), name
        same(actual, expected[name], name)


def lengths_for(shape: tuple[int, int, int, int]) -> list[int]:
    """Unequal, not sorted, with 0, 1 and the full length among them where the batch has room."""
    batch, time = shape[:2]
    return [[time // 2, 0, time, 1, time - 1][i % 5] for i in range(batch)]


@pytest.fixture(params=[b for b in BACKENDS if not isinstance(b, Absent | Reference)], ids=lambda b: b.name)
def backend(request: pytest.FixtureRequest) -> Backend:
    assert isinstance(request.param, Backend)
    return request.param


def accepted(backend: Backend, call: Call) -> Call:
    why = backend.why_not(call)
    if why is not None:
        pytest.skip(f"{backend.name}: {why}")
    return call


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["f64", "f32"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_backend_equals_reference(
    *,
    backend: Backend,
    cell: str,
    shape: tuple[int, int, int, int],
    dtype: torch.dtype,
    ragged: bool,
    reverse: bool,
    same: Same,
) -> None:
    lengths = lengths_for(shape) if ragged else None
    compare(
        backend,
        accepted(backend, make_call(cell, shape, dtype=dtype, lengths=lengths, reverse=reverse)),
        same,
    )


@pytest.mark.parametrize("biases", ["", "b", "c"], ids=["none", "input", "recurrent"])
@pytest.mark.parametrize("cell", CELLS)
def test_backend_takes_any_biases(backend: Backend, cell: str, biases: str, same: Same) -> None:
    call = make_call(cell, biases=biases, lengths=[9, 3, 0, 1, 5])
    compare(backend, accepted(backend, call), same)


@pytest.mark.parametrize("cell", CELLS)
def test_backend_takes_masks(backend: Backend, cell: str, same: Same) -> None:
    call = make_call(cell, lengths=[9, 3, 0, 1, 5], reverse=True)
    keep = tuple(torch.rand(5, 9, 7) < 0.3 for _ in call.state)
    masked = replace(call, recurrent_mask=(torch.rand(5, 7) < 0.5).double() * 2, zoneout=ZoneoutMasks(keep))
    compare(backend, accepted(backend, masked), same)


@pytest.mark.parametrize("cell", CELLS)
def test_backend_takes_rates(backend: Backend, cell: str, same: Same) -> None:
    call = make_call(cell, lengths=[9, 3, 0, 1, 5])
    compare(
        backend, accepted(backend, replace(call, zoneout=ZoneoutRates((0.2, 0.7)[: len(call.state)]))), same
    )


@pytest.mark.parametrize("cell", TORCH)
def test_aten_accepts_the_cells_of_torch(cell: str) -> None:
    assert Aten().why_not(make_call(cell)) is None


def test_saturated_lstm_keeps_its_final_memory_over_padding(same: Same) -> None:
    call = make_call("lstm", lengths=[9, 3, 0, 1, 5])
    big = replace(call.weights, w=call.weights.w.detach() * 300, r=call.weights.r.detach() * 300)
    still = replace(call, weights=big, x=call.x.detach(), state=tuple(s.detach() * 50 for s in call.state))
    _, expected = REFERENCE.run(still)
    for actual, truth in zip(Aten().run(still)[1], expected, strict=True):
        same(actual, truth)


def torch_run(call: Call) -> tuple[Tensor, State]:
    """torch.nn over a PackedSequence: an independent implementation of lengths and of direction.

    The reverse direction is the second half of a bidirectional module whose first half is ignored.
    """
    weights, (_, _, features) = call.weights, call.x.shape
    options: dict[str, object] = (
        {"nonlinearity": call.cell.name} if call.cell.name in ("tanh", "relu") else {}
    )
    if weights.projection is not None:
        options["proj_size"] = weights.outputs
    module = TORCH[call.cell.name](
        features, weights.hidden, batch_first=True, bidirectional=True, dtype=torch.float64, **options
    )
    own = {"weight_ih": weights.w, "weight_hh": weights.r, "bias_ih": weights.b, "bias_hh": weights.c}
    own["weight_hr"] = weights.projection
    replaced = {f"{n}_l0{end}": t for n, t in own.items() for end in ("", "_reverse") if t is not None}
    lengths = torch.full((call.x.shape[0],), call.x.shape[1]) if call.lengths is None else call.lengths
    packed = pack_padded_sequence(call.x, lengths, batch_first=True, enforce_sorted=False)
    initial = tuple(torch.stack((s, s)) for s in call.state)
    hx = initial if len(initial) > 1 else initial[0]
    packed_y, final = torch.func.functional_call(module, replaced, (packed, hx))
    y, _ = pad_packed_sequence(packed_y, batch_first=True, total_length=call.x.shape[1])
    side = 1 if call.reverse else 0
    finals = final if isinstance(final, tuple) else (final,)
    return y.chunk(2, -1)[side], tuple(s[side] for s in finals)


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("outputs", [1, 3, 6])
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch says it once
def test_backend_projects_the_output_of_an_lstm(
    backend: Backend, outputs: int, same: Same, *, ragged: bool
) -> None:
    call = make_call("lstm", outputs=outputs, lengths=[9, 3, 0, 1, 5] if ragged else None, reverse=ragged)
    compare(backend, accepted(backend, call), same)
    keep = torch.rand(5, 9, outputs) < 0.3, torch.rand(5, 9, 7) < 0.3
    mask = (torch.rand(5, outputs) < 0.5).double() * 2
    masked = replace(call, recurrent_mask=mask, zoneout=ZoneoutMasks(keep))
    if backend.name != "aten":  # torch has neither masks nor zoneout
        compare(backend, accepted(backend, masked), same)


def test_projection_of_another_cell_is_a_clear_error() -> None:
    with pytest.raises(DataError, match=r"gru.*no projection"):
        make_call("gru", outputs=3)


def test_shapes_that_do_not_fit_the_projection_come_in_one_message() -> None:
    call = make_call("lstm", outputs=3)
    wide = torch.zeros(5, 7, dtype=torch.float64)
    weights = replace(call.weights, projection=torch.zeros(4, 7, dtype=torch.float64))
    faults = r"projection must have shape \(3, 7\).*state h must have shape \(5, 3\)"
    with pytest.raises(DataError, match=faults):
        replace(call, weights=weights, state=(wide, wide))


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("lengths", [None, [9, 3, 2, 1, 5]], ids=["full", "ragged"])
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize(("cell", "outputs"), [*((cell, None) for cell in TORCH), ("lstm", 3)])
def test_reference_equals_torch(
    cell: str, outputs: int | None, lengths: list[int] | None, reverse: bool, same: Same
) -> None:
    call = make_call(cell, outputs=outputs, lengths=lengths, reverse=reverse)
    expected = results(call, torch_run(call))
    for name, actual in results(call, REFERENCE.run(call)).items():
        same(actual, expected[name], name)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("chosen", [Reference(), Aten()], ids=lambda b: b.name)
@pytest.mark.parametrize("cell", CELLS)
def test_two_pieces_give_what_the_whole_gives(cell: str, chosen: Backend, reverse: bool, same: Same) -> None:
    whole = accepted(chosen, make_call(cell, (3, 9, 4, 7), reverse=reverse))
    y, final = chosen.run(whole)
    pieces = [whole.x[:, :4], whole.x[:, 4:]]
    state, outputs = whole.state, []
    for piece in reversed(pieces) if reverse else pieces:
        part, state = chosen.run(replace(whole, x=piece, state=state))
        outputs.append(part)
    same(torch.cat(outputs[::-1] if reverse else outputs, 1), y)
    for actual, expected in zip(state, final, strict=True):
        same(actual, expected)


@pytest.mark.parametrize("cell", CELLS)
def test_each_ragged_row_gives_what_it_gives_alone(cell: str, same: Same) -> None:
    lengths = [9, 3, 0, 1, 5]
    call = make_call(cell, lengths=lengths)
    y, final = REFERENCE.run(call)
    for row, steps in enumerate(lengths):
        alone = replace(
            call,
            x=call.x[row : row + 1, :steps],
            state=tuple(s[row : row + 1] for s in call.state),
            lengths=None,
        )
        y_alone, final_alone = REFERENCE.run(alone)
        same(y[row, :steps], y_alone[0])
        assert not y[row, steps:].any()
        for actual, expected in zip(final, final_alone, strict=True):
            same(actual[row], expected[0])


@pytest.mark.parametrize("cell", CELLS)
def test_reference_gradients_are_the_slopes(cell: str) -> None:
    """Against finite differences, for the cells that torch has no truth for."""
    call = make_call(cell, (1, 2, 2, 3))
    x = torch.randn(1, 2, 2, dtype=torch.float64, requires_grad=True)

    def run(x: Tensor, r: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        y, final = REFERENCE.run(replace(call, x=x, state=state, weights=replace(call.weights, r=r)))
        return y, *final

    assert torch.autograd.gradcheck(run, (x, call.weights.r, *call.state))
