"""Our kernels for the CPU: a whole sequence in one call, without work on padding.

The arithmetic is in ``ops/csrc``. What is here owns the memory: it makes tensors contiguous, allocates what
the kernels fill, and hands their addresses over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from typing_extensions import override

import lamina.ops._native as kernels
from lamina.errors import BackendError
from lamina.ops.call import Backend, Call, Weights, ZoneoutMasks, ZoneoutRates
from lamina.ops.cells import GRU, LSTM, Cell, LayerNormGRU, LayerNormLSTM, Relu, State, Tanh

_CELLS: tuple[type[Cell], ...] = (Tanh, Relu, LSTM, GRU, LayerNormLSTM, LayerNormGRU)
"""In the order of ``enum class Cell`` in csrc/problem.h."""

_PROBLEMS = {torch.float32: kernels.ProblemFloat32, torch.float64: kernels.ProblemFloat64}


class Native(Backend):
    """Runs every cell of ``CELLS`` in float32 and float64 on a processor.

    unit: which kernels, one of ``_native.runnable_units()``; None takes the fastest.
    """

    name = "native"

    def __init__(self, unit: str | None = None) -> None:
        self.unit = kernels.runnable_units()[0] if unit is None else unit

    @override
    def why_not(self, call: Call) -> str | None:
        dtype = call.x.dtype
        if call.cell not in _CELLS:
            return f"it has no kernel for cell '{call.cell.name}'"
        if any(t.device.type != "cpu" for t in call.tensors):
            return f"it runs on the CPU only, and x is on {call.x.device}"
        if dtype not in _PROBLEMS:
            return f"it computes in float32 and float64, and x is {dtype}"
        if torch.is_autocast_enabled("cpu") or any(t.dtype != dtype for t in call.tensors):
            return "x, state and weights must share one dtype, without autocast"
        if call.recurrent_mask is not None and call.recurrent_mask.requires_grad:
            return "it gives no gradient of the recurrent mask"
        if torch.compiler.is_compiling():
            return "torch.compile cannot look into it"
        return None

    @override
    def run(self, call: Call) -> tuple[Tensor, State]:
        threads = torch.get_num_threads() if _team_joined() else 1
        plan = _Plan.of(call, self.unit, threads)
        arguments = (plan, call.x, call.state, call.weights)
        if not call.needs_grad:
            y, state, _ = _forward(*arguments, training=False)
            return y, state
        weights = call.weights
        c0 = call.state[1] if len(call.state) > 1 else None
        extra = [weights.extra[name] for name in call.cell.extra]
        y, *state = _Scan.apply(plan, call.x, call.state[0], c0, weights.w, weights.r, weights.b, weights.c, *extra)  # type: ignore[no-untyped-call]  # torch's own
        return y, tuple(state)


@cache
def _team_joined() -> bool:
    """Whether the kernels run on torch's own threads; without them they run on the caller's alone."""
    found: bool = kernels.join_team(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
    return found


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
    def of(cls, call: Call, unit: str, threads: int) -> _Plan:
        states = len(call.cell.states)
        masked, rated = isinstance(call.zoneout, ZoneoutMasks), isinstance(call.zoneout, ZoneoutRates)
        return cls(
            cell=call.cell,
            unit=unit,
            threads=threads,
            blocks=kernels.count_blocks(call.x.shape[0], threads),
            reverse=call.reverse,
            lengths=_contiguous(call.lengths),
            recurrent_mask=_contiguous(call.recurrent_mask),
            keep=tuple(map(_contiguous, call.zoneout.keep)) if masked else (None,) * states,
            rates=call.zoneout.rates if rated else (0.0,) * states,
        )

    def run(self, work: Any, problem: Any) -> None:
        work(problem, self.unit, self.threads, self.blocks)


def _contiguous(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.contiguous()


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _problem(plan: _Plan, x: Tensor, state: State, weights: Weights) -> Any:
    """Describe a call to the kernels; every tensor must be contiguous and outlive the description."""
    problem = _PROBLEMS[x.dtype]()
    problem.cell = _CELLS.index(plan.cell)
    problem.batch, problem.time, problem.features = x.shape
    problem.hidden = weights.r.shape[1]
    problem.reverse = plan.reverse
    problem.lengths = _address(plan.lengths)
    problem.x, problem.w, problem.r = x.data_ptr(), weights.w.data_ptr(), weights.r.data_ptr()
    problem.b, problem.c = _address(weights.b), _address(weights.c)
    for i, name in enumerate(plan.cell.extra):
        problem.set_extra(i, weights.extra[name].data_ptr())
    problem.recurrent_mask = _address(plan.recurrent_mask)
    problem.h0, problem.keep_h, problem.rate_h = state[0].data_ptr(), _address(plan.keep[0]), plan.rates[0]
    if len(state) > 1:
        problem.c0, problem.keep_c, problem.rate_c = state[1].data_ptr(), _address(plan.keep[1]), plan.rates[1]
    return problem


def _forward(
    plan: _Plan, x: Tensor, state: State, weights: Weights, *, training: bool
) -> tuple[Tensor, State, Tensor]:
    """Return y, the final state, and what backward needs (empty unless training)."""
    x, state, weights = x.contiguous(), tuple(s.contiguous() for s in state), _all_contiguous(weights)
    batch, time, _ = x.shape
    problem = _problem(plan, x, state, weights)
    problem.training = training
    y = x.new_empty(batch, time, problem.hidden)
    final = tuple(map(torch.empty_like, state))
    steps = batch * time if plan.lengths is None else int(plan.lengths.sum())
    saved = x.new_empty(steps * kernels.saved_width(problem, plan.unit) if training else 0)
    problem.y, problem.hn, problem.saved = y.data_ptr(), final[0].data_ptr(), saved.data_ptr()
    problem.cn = final[1].data_ptr() if len(final) > 1 else 0
    plan.run(kernels.forward, problem)
    return y, final, saved


def _all_contiguous(weights: Weights) -> Weights:
    extra = {name: tensor.contiguous() for name, tensor in weights.extra.items()}
    return Weights(
        weights.w.contiguous(), weights.r.contiguous(), _contiguous(weights.b), _contiguous(weights.c), extra
    )


class _Scan(torch.autograd.Function):
    """A scan with its gradient. c0, b and c may be None; ``extra`` comes in the cell's order."""

    @staticmethod
    def forward(  # type: ignore[override]  # torch declares *args
        ctx: FunctionCtx,
        plan: _Plan,
        x: Tensor,
        h0: Tensor,
        c0: Tensor | None,
        w: Tensor,
        r: Tensor,
        b: Tensor | None,
        c: Tensor | None,
        *extra: Tensor,
    ) -> tuple[Tensor, ...]:
        state = (h0,) if c0 is None else (h0, c0)
        weights = Weights(w, r, b, c, dict(zip(plan.cell.extra, extra, strict=True)))
        y, final, saved = _forward(plan, x, state, weights, training=True)
        ctx.plan = plan  # type: ignore[attr-defined]  # how torch keeps what is no tensor
        ctx.save_for_backward(y, saved, x, h0, c0, w, r, b, c, *extra)  # type: ignore[arg-type]  # None is fine
        ctx.set_materialize_grads(False)
        return y, *final

    @staticmethod
    def backward(  # type: ignore[override]  # torch declares *args
        ctx: Any, dy: Tensor | None, dhn: Tensor | None, dcn: Tensor | None = None
    ) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise BackendError(
                "the native kernels have no second derivative, and create_graph=True asks for one. "
                "Use backend='reference'."
            )
        plan: _Plan = ctx.plan
        y, saved, *inputs = ctx.saved_tensors
        x, h0, c0, w, r, b, c, *extra = map(_contiguous, inputs)
        state = (h0,) if c0 is None else (h0, c0)
        problem = _problem(plan, x, state, Weights(w, r, b, c, dict(zip(plan.cell.extra, extra, strict=True))))
        dy, dhn, dcn = map(_contiguous, (dy, dhn, dcn))
        problem.y, problem.saved = y.data_ptr(), saved.data_ptr()
        problem.dy, problem.dhn, problem.dcn = _address(dy), _address(dhn), _address(dcn)
        gradients = _gradients_wanted((x, h0, c0, w, r, b, c, *extra), ctx.needs_input_grad[1:])
        dx, dh0, dc0, dw, dr, db, dc, *dextra = gradients
        problem.dx, problem.dh0, problem.dc0 = _address(dx), _address(dh0), _address(dc0)
        problem.dw, problem.dr = _address(dw), _address(dr)
        problem.db, problem.dc = _address(db), _address(dc)
        for i, gradient in enumerate(dextra):
            problem.set_dextra(i, _address(gradient))
        plan.run(kernels.backward, problem)
        return None, *gradients


def _gradients_wanted(tensors: Iterable[Tensor | None], wanted: Iterable[bool]) -> tuple[Tensor | None, ...]:
    """Return room for the gradient of each tensor that wants one."""
    return tuple(
        torch.empty_like(tensor) if want and tensor is not None else None
        for tensor, want in zip(tensors, wanted, strict=True)
    )
