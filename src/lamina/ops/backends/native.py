"""Our kernels for the CPU: a whole sequence in one call, without work on padding.

The arithmetic is in ``ops/csrc``. What is here owns the memory: it makes tensors contiguous, allocates what
the kernels fill, and hands their addresses over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import torch
from torch import Tensor
from typing_extensions import override

import lamina.ops._native as kernels
from lamina.errors import BackendError, DataError
from lamina.ops.call import Backend, Call, ZoneoutMasks, ZoneoutRates, length_faults
from lamina.ops.cells import CELLS, GRU, LSTM, Cell, LayerNormGRU, LayerNormLSTM, Relu, State, Tanh
from lamina.ops.native_team import computed, fastest_unit, native_threads
from lamina.ops.reuse import reusable

_CELLS: tuple[type[Cell], ...] = (Tanh, Relu, LSTM, GRU, LayerNormLSTM, LayerNormGRU)
"""In the order of ``enum class Cell`` in csrc/problem.h."""

_WORTH_A_TEAM = 1_000_000
"""Products in a forward pass from which threads share the work: about 20 us of one core, while another that
is busy elsewhere may keep the team waiting for milliseconds."""

Tensors = Sequence[Tensor | None]
"""x, h0, c0, w, r, b, c, projection and the cell's extra parameters in its order; c0, b, c and the projection
may be None."""

_PROBLEMS = {
    torch.float32: kernels.ProblemFloat32,
    torch.float64: kernels.ProblemFloat64,
    torch.bfloat16: kernels.ProblemBfloat16,
}


class Native(Backend):
    """Runs every cell of ``CELLS`` in float32, float64 and bfloat16 on a processor.

    In bfloat16 the numbers of the call are stored so; states, gates and sums are float32. Under
    ``torch.autocast`` to bfloat16 a call is converted first, as autocast converts those of torch's layers, so
    y and the final state are bfloat16 and the gradients have the dtype of the parameters.

    unit: which kernels, one of ``_native.runnable_units()``; None takes the fastest.
    """

    name = "native"

    def __init__(self, unit: str | None = None) -> None:
        self.unit = unit or fastest_unit(torch.float32)
        self._bfloat16_unit = unit or fastest_unit(torch.bfloat16)

    @override
    def why_not(self, call: Call) -> str | None:
        x, mask, dtype = call.x, call.recurrent_mask, _autocast(call.x.dtype)
        reason: str | None = None
        if call.cell not in _CELLS:
            reason = f"it has no kernel for cell '{call.cell.name}'"
        elif x.device.type != "cpu":
            reason = f"it runs on the CPU only, and x is on {x.device}"
        elif dtype not in _PROBLEMS:
            reason = f"it computes in float32, float64 and bfloat16, and x is {dtype}"
        elif any(_autocast(t.dtype) != dtype for t in call.tensors):
            reason = "x, state and weights must share one dtype"
        elif mask is not None and mask.requires_grad:
            reason = "it gives no gradient of the recurrent mask"
        # a trace would hold the results as constants
        elif torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]  # torch's own
            reason = "torch.jit.trace cannot see into it"
        return reason

    @override
    def run(self, call: Call) -> tuple[Tensor, State]:
        weights, (h0, *memory) = call.weights, call.state
        c0 = memory[0] if memory else None
        extra = [weights.extra[name] for name in call.cell.extra]
        tensors: Tensors = [
            call.x, h0, c0, weights.w, weights.r, weights.b, weights.c, weights.projection, *extra,
        ]  # fmt: skip
        dtype = _autocast(call.x.dtype)
        if torch.is_autocast_enabled("cpu"):
            tensors = [None if t is None else t.to(dtype) for t in tensors]
        keep, rates = _zoneout(call)
        masks = [call.lengths, call.recurrent_mask, *keep]
        unit = self._bfloat16_unit if dtype == torch.bfloat16 else self.unit
        options = _Options(cell=call.cell.name, unit=unit, reverse=call.reverse, rates=rates)
        if torch.compiler.is_compiling():
            given, present = [t for t in tensors if t is not None], [t is not None for t in tensors]
            y, hn, cn, _ = _scan_operator(given, masks, **options, present=present, training=call.needs_grad)
            return y, (hn,) if c0 is None else (hn, cn)
        plan = _Plan.of(tensors, masks, options)
        if call.needs_grad:
            y, *final = _Scan.apply(plan, *tensors)  # type: ignore[no-untyped-call]  # torch's own
        else:
            y, final, _ = _forward(plan, tensors, training=False)
        return y, tuple(final)


def _autocast(dtype: torch.dtype) -> torch.dtype:
    """What autocast makes of a tensor of this dtype; the same without it."""
    if dtype == torch.float64 or not torch.is_autocast_enabled("cpu"):
        return dtype
    return torch.get_autocast_dtype("cpu")


class _Options(TypedDict):
    """What is no tensor in a call. Masks go beside: lengths, recurrent mask, zoneout of each state."""

    cell: str
    unit: str
    reverse: bool
    rates: Sequence[float]


def _zoneout(call: Call) -> tuple[list[Tensor | None], list[float]]:
    """Masks and rates of each state; None and 0 where there is no zoneout."""
    states = len(call.cell.states)
    masks = call.zoneout.keep if isinstance(call.zoneout, ZoneoutMasks) else (None,) * states
    rates = call.zoneout.rates if isinstance(call.zoneout, ZoneoutRates) else (0.0,) * states
    return list(masks), list(rates)


@dataclass(frozen=True, eq=False)
class _Plan:
    """Everything about a call that has no gradient."""

    cell: type[Cell]
    unit: str
    threads: int
    blocks: int
    reverse: bool
    lengths: Tensor | None
    recurrent_mask: Tensor | None
    keep: tuple[Tensor | None, ...]
    rates: tuple[float, ...]

    @classmethod
    def of(cls, tensors: Tensors, masks: Tensors, options: _Options, blocks: int | None = None) -> _Plan:
        """Decide how many blocks of rows to make, unless backward must do as forward did."""
        x, _, _, w, r, *_ = tensors
        assert x is not None
        assert w is not None
        assert r is not None
        batch, time, _ = x.shape
        products = batch * time * (w.numel() + r.numel())
        threads = native_threads() if products >= _WORTH_A_TEAM else 1
        lengths, recurrent_mask, *keep = masks
        return cls(
            cell=CELLS[options["cell"]],
            unit=options["unit"],
            threads=threads,
            blocks=kernels.count_blocks(batch, threads) if blocks is None else blocks,
            reverse=options["reverse"],
            # a copy: backward would read out of bounds if the caller's lengths had grown since forward
            lengths=None if lengths is None else lengths.clone(memory_format=torch.contiguous_format),
            recurrent_mask=None
            if recurrent_mask is None
            else recurrent_mask.to(computed(x.dtype)).contiguous(),
            keep=tuple(map(_contiguous, keep)),
            rates=tuple(options["rates"]),
        )

    def run(self, work: Any, problem: Any) -> None:
        work(problem, self.unit, self.threads, self.blocks)


def _contiguous(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.contiguous()


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _problem(plan: _Plan, tensors: Tensors, *, training: bool) -> Any:
    """Describe a call to the kernels; every tensor must be contiguous and outlive the description."""
    x, _, c0, _, r, _, _, projection, *_ = tensors
    assert x is not None
    assert r is not None
    outputs = r.shape[1]
    sizes = (*x.shape, outputs if projection is None else projection.shape[1], outputs)
    keep_c, rate_c = (None, 0.0) if c0 is None else (plan.keep[1], plan.rates[1])
    return _PROBLEMS[x.dtype].describe(
        _CELLS.index(plan.cell),
        sizes,
        plan.reverse,
        training,
        (plan.rates[0], rate_c),
        [_address(mask) for mask in (plan.lengths, plan.recurrent_mask, plan.keep[0], keep_c)],
        [_address(tensor) for tensor in tensors],
    )


def _forward(plan: _Plan, tensors: Tensors, *, training: bool) -> tuple[Tensor, list[Tensor], Tensor]:
    """Return y, the final state, and what backward needs (empty unless training)."""
    tensors = tuple(map(_contiguous, tensors))
    x, states = tensors[0], [t for t in tensors[1:3] if t is not None]
    assert x is not None
    batch, time, _ = x.shape
    problem = _problem(plan, tensors, training=training)
    y = reusable((batch, time, states[0].shape[1]), x.dtype)
    final = [torch.empty_like(state) for state in states]
    steps = batch * time if plan.lengths is None else int(plan.lengths.sum())
    room = steps * kernels.saved_width(problem, plan.unit) if training else 0
    saved = reusable((room,), computed(x.dtype))
    cn = final[1] if len(final) > 1 else None
    problem.give_outputs(_address(y), _address(final[0]), _address(cn), _address(saved))
    plan.run(kernels.forward, problem)
    return y, final, saved


def _backward(
    plan: _Plan, tensors: Tensors, y: Tensor, saved: Tensor, upstream: Tensors, *, wanted: Iterable[bool]
) -> tuple[Tensor | None, ...]:
    """Return the gradients of ``tensors`` that are wanted, from those of y and of the final state."""
    tensors, upstream = tuple(map(_contiguous, tensors)), tuple(map(_contiguous, upstream))
    problem = _problem(plan, tensors, training=True)
    problem.give_outputs(_address(y), 0, 0, _address(saved))
    gradients = _gradients_wanted(tensors, wanted)
    problem.give_gradients([_address(t) for t in upstream], [_address(t) for t in gradients])
    plan.run(kernels.backward, problem)
    return gradients


class _Scan(torch.autograd.Function):
    """A scan with its gradient, at the least cost a call: what runs in eager mode."""

    @staticmethod
    def forward(ctx: Any, plan: _Plan, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        y, final, saved = _forward(plan, tensors, training=True)
        ctx.plan = plan
        ctx.save_for_backward(y, saved, *tensors)
        ctx.set_materialize_grads(False)
        return y, *final

    @staticmethod
    def backward(
        ctx: Any, dy: Tensor | None, dhn: Tensor | None, dcn: Tensor | None = None
    ) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise BackendError(
                "the native kernels have no second derivative, and create_graph=True asks for one. "
                "Use backend='reference'."
            )
        y, saved, *tensors = ctx.saved_tensors
        return None, *_backward(ctx.plan, tensors, y, saved, (dy, dhn, dcn), wanted=ctx.needs_input_grad[1:])


def _gradients_wanted(tensors: Iterable[Tensor | None], wanted: Iterable[bool]) -> tuple[Tensor | None, ...]:
    """Return room for the gradient of each tensor that wants one."""
    return tuple(
        reusable(tuple(tensor.shape), tensor.dtype) if want and tensor is not None else None
        for tensor, want in zip(tensors, wanted, strict=True)
    )


# What torch.compile and torch.export see in place of the above: one operator that they do not look into,
# and the operator that is its gradient. They cost some 20 us a call more. Autograd passes by a list that
# holds a None, so the tensors that are absent are left out and ``present`` says which.
_OPTIONS = "Tensor?[] masks, *, str cell, str unit, bool reverse, float[] rates, bool[] present"


@torch.library.custom_op(
    "lamina::scan",
    mutates_args=(),
    schema=f"(Tensor[] given, {_OPTIONS}, bool training) -> (Tensor, Tensor, Tensor, Tensor)",
)
def _scan_operator(
    given: Sequence[Tensor],
    masks: Tensors,
    *,
    cell: str,
    unit: str,
    reverse: bool,
    rates: Sequence[float],
    present: Sequence[bool],
    training: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x, tensors = given[0], _with_absent(given, present)
    faults = [] if masks[0] is None else list(length_faults(masks[0], x.shape[1]))
    if faults:
        raise DataError(f"cannot scan with cell '{cell}': " + "; ".join(faults))
    plan = _Plan.of(tensors, masks, _Options(cell=cell, unit=unit, reverse=reverse, rates=rates))
    y, final, valid = _forward(plan, tensors, training=training)
    saved = torch.zeros(_saved_room(x, tensors, cell, unit, training=training), dtype=computed(x.dtype))
    if training:  # its size must not hang on lengths, nor backward on the number of threads it finds
        saved[0] = plan.blocks
        saved[1 : 1 + valid.numel()] = valid
    return y, final[0], final[1] if len(final) > 1 else x.new_empty(0), saved


def _with_absent(given: Sequence[Tensor], present: Sequence[bool]) -> Tensors:
    rest = iter(given)
    slots = [next(rest) if there else None for there in present]
    return slots


def _saved_room(x: Tensor, tensors: Tensors, cell: str, unit: str, *, training: bool) -> int:
    r, projection = tensors[4], tensors[7]
    assert r is not None
    hidden = r.shape[1] if projection is None else projection.shape[1]
    width: int = kernels.saved_width(_PROBLEMS[x.dtype].of_cell(_CELLS.index(CELLS[cell]), hidden), unit)
    return 1 + x.shape[0] * x.shape[1] * width if training else 0


@_scan_operator.register_fake
def _(
    given: Sequence[Tensor],
    masks: Tensors,  # noqa: ARG001  # the names are the schema's
    *,
    cell: str,
    unit: str,
    reverse: bool,  # noqa: ARG001
    rates: Sequence[float],  # noqa: ARG001
    present: Sequence[bool],
    training: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    tensors = _with_absent(given, present)
    x, h0, c0, *_ = tensors
    assert x is not None
    assert h0 is not None
    y = x.new_empty(x.shape[0], x.shape[1], h0.shape[1])
    cn = x.new_empty(0) if c0 is None else x.new_empty(c0.shape)
    room = _saved_room(x, tensors, cell, unit, training=training)
    return y, x.new_empty(h0.shape), cn, x.new_empty(room, dtype=computed(x.dtype))


@torch.library.custom_op(
    "lamina::scan_backward",
    mutates_args=(),
    schema=f"(Tensor[] given, Tensor y, Tensor saved, Tensor?[] upstream, {_OPTIONS}) -> Tensor[]",
)
def _scan_backward_operator(
    given: Sequence[Tensor],
    y: Tensor,
    saved: Tensor,
    upstream: Tensors,
    masks: Tensors,
    *,
    cell: str,
    unit: str,
    reverse: bool,
    rates: Sequence[float],
    present: Sequence[bool],
) -> list[Tensor]:
    options = _Options(cell=cell, unit=unit, reverse=reverse, rates=rates)
    tensors = _with_absent(given, present)
    plan = _Plan.of(tensors, masks, options, blocks=int(saved[0]))
    found = _backward(plan, tensors, y, saved[1:], upstream, wanted=present)
    return [gradient for gradient in found if gradient is not None]


@_scan_backward_operator.register_fake
def _(
    given: Sequence[Tensor],
    y: Tensor,  # noqa: ARG001  # the names are the schema's
    saved: Tensor,  # noqa: ARG001
    upstream: Tensors,  # noqa: ARG001
    masks: Tensors,  # noqa: ARG001
    *,
    cell: str,  # noqa: ARG001
    unit: str,  # noqa: ARG001
    reverse: bool,  # noqa: ARG001
    rates: Sequence[float],  # noqa: ARG001
    present: Sequence[bool],  # noqa: ARG001
) -> list[Tensor]:
    return [tensor.new_empty(tensor.shape) for tensor in given]


def _keep_for_backward(
    ctx: Any,
    inputs: tuple[list[Tensor], Tensors],
    keyword_only_inputs: dict[str, Any],
    output: tuple[Tensor, ...],
) -> None:
    given, masks = inputs
    ctx.count, ctx.options = len(given), {k: v for k, v in keyword_only_inputs.items() if k != "training"}
    ctx.save_for_backward(output[0], output[3], *given, *masks)


def _scan_gradient(ctx: Any, *upstream: Tensor) -> tuple[list[Tensor], list[None] | None]:
    y, saved, *rest = ctx.saved_tensors
    given, masks = rest[: ctx.count], rest[ctx.count :]
    dy, dhn, dcn, _ = upstream
    two_states = len(ctx.options["rates"]) > 1
    upstream_given = [dy, dhn, dcn if two_states else None]
    gradients = _scan_backward_operator(given, y, saved, upstream_given, masks, **ctx.options)
    # torch wants the shape of the input back, where it takes only what is all tensors for a list
    return gradients, None if any(mask is None for mask in masks) else [None] * len(masks)


_scan_operator.register_autograd(_scan_gradient, setup_context=_keep_for_backward)
