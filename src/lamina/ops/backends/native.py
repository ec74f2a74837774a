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
        dtype, mask = call.x.dtype, call.recurrent_mask
        mixed = any(t.dtype != dtype for t in call.tensors) or torch.is_autocast_enabled("cpu")
        refusals = {
            f"it has no kernel for cell '{call.cell.name}'": call.cell not in _CELLS,
            f"it runs on the CPU only, and x is on {call.x.device}": call.x.device.type != "cpu",
            f"it computes in float32 and float64, and x is {dtype}": dtype not in _PROBLEMS,
            "x, state and weights must share one dtype, without autocast": mixed,
            "it gives no gradient of the recurrent mask": mask is not None and mask.requires_grad,
            "torch.compile cannot look into it": torch.compiler.is_compiling(),
        }
        return next((reason for reason, applies in refusals.items() if applies), None)

    @override
    def run(self, call: Call) -> tuple[Tensor, State]:
        threads = torch.get_num_threads() if _team_joined() else 1
        plan = _Plan.of(call, self.unit, threads)
        if not call.needs_grad:
            y, final, _ = _forward(plan, call.x, call.state, call.weights, training=False)
            return y, final
        weights, (h0, *memory) = call.weights, call.state
        c0 = memory[0] if memory else None
        extra = (weights.extra[name] for name in call.cell.extra)
        tensors = (call.x, h0, c0, weights.w, weights.r, weights.b, weights.c, *extra)
        y, *state = _Scan.apply(plan, *tensors)  # type: ignore[no-untyped-call]  # torch leaves it untyped
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
        nothing = (None,) * len(call.cell.states)
        zoneout = call.zoneout
        return cls(
            cell=call.cell,
            unit=unit,
            threads=threads,
            blocks=kernels.count_blocks(call.x.shape[0], threads),
            reverse=call.reverse,
            lengths=_contiguous(call.lengths),
            recurrent_mask=_contiguous(call.recurrent_mask),
            keep=tuple(map(_contiguous, zoneout.keep)) if isinstance(zoneout, ZoneoutMasks) else nothing,
            rates=zoneout.rates if isinstance(zoneout, ZoneoutRates) else (0.0,) * len(nothing),
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
        problem.c0, problem.keep_c, problem.rate_c = (
            state[1].data_ptr(),
            _address(plan.keep[1]),
            plan.rates[1],
        )
    return problem


def _forward(
    plan: _Plan, x: Tensor, state: State, weights: Weights, *, training: bool
) -> tuple[Tensor, State, Tensor]:
    """Return y, the final state, and what backward needs (empty unless training)."""
    x, state, weights = _all_contiguous(x, state, weights)
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


def _all_contiguous(x: Tensor, state: State, weights: Weights) -> tuple[Tensor, State, Weights]:
    """Return the same numbers one after the other in memory; nothing is copied that lies so already."""
    extra = {name: tensor.contiguous() for name, tensor in weights.extra.items()}
    biases = _contiguous(weights.b), _contiguous(weights.c)
    packed = Weights(weights.w.contiguous(), weights.r.contiguous(), *biases, extra)
    return x.contiguous(), tuple(s.contiguous() for s in state), packed


class _Scan(torch.autograd.Function):
    """A scan with its gradient.

    Its tensors are x, h0, c0, w, r, b, c and the cell's extra ones in order; c0, b and c may be None.
    """

    @staticmethod
    def forward(ctx: Any, plan: _Plan, *tensors: Any) -> tuple[Tensor, ...]:
        x, h0, c0, w, r, b, c, *extra = tensors
        state = (h0,) if c0 is None else (h0, c0)
        weights = Weights(w, r, b, c, dict(zip(plan.cell.extra, extra, strict=True)))
        y, final, saved = _forward(plan, x, state, weights, training=True)
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
        plan: _Plan = ctx.plan
        y, saved, x, h0, c0, w, r, b, c, *extra = ctx.saved_tensors
        x, state, weights = _all_contiguous(
            x,
            (h0,) if c0 is None else (h0, c0),
            Weights(w, r, b, c, dict(zip(plan.cell.extra, extra, strict=True))),
        )
        problem = _problem(plan, x, state, weights)
        dy, dhn, dcn = map(_contiguous, (dy, dhn, dcn))
        problem.y, problem.saved = y.data_ptr(), saved.data_ptr()
        problem.dy, problem.dhn, problem.dcn = _address(dy), _address(dhn), _address(dcn)
        gradients = _gradients_wanted(ctx.saved_tensors[2:], ctx.needs_input_grad[1:])
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
        torch.empty(tensor.shape, dtype=tensor.dtype) if want and tensor is not None else None
        for tensor, want in zip(tensors, wanted, strict=True)
    )
