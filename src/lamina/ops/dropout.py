"""Dropout that costs no more than to read the numbers and write them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from lamina.ops.native_team import fastest_unit, native_kernel, native_threads
from lamina.ops.reuse import reusable_like

_WORTH_OWN_DRAWS = 1 << 19
"""Numbers from which we draw ourselves. Torch draws one after the other on one thread, 13 ns each, where ours
take 0.4 ns (one thread of an AMD EPYC, AVX-512); with fewer numbers a seed gives torch's own masks."""


def drop(x: Tensor, rate: float) -> Tensor:
    """Set numbers to zero, each with chance ``rate``, and scale the others by 1 / (1 - rate): same shape.

    The draws hang on torch's generator, so on its seed. In a compiled graph or a trace they are torch's own.

    Args:
        x: any shape.
        rate: from 0 to 1.

    Raises:
        ValueError: the rate is none.

    >>> bool((drop(torch.ones(1 << 20), 0.25) == 0).float().mean().sub(0.25).abs() < 0.01)
    True
    """
    if rate == 0:
        return x
    if torch.compiler.is_compiling() or not _draws_itself(x, rate):  # a graph has no place for a seed
        return F.dropout(x, rate)
    seed = int(torch.randint(1 << 62, ()))
    dropped: Tensor = _Drop.apply(x, rate, seed)  # type: ignore[no-untyped-call]  # torch's own
    return dropped


def _draws_itself(x: Tensor, rate: float) -> bool:
    tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]  # torch's own
    fits = x.numel() >= _WORTH_OWN_DRAWS and x.device.type == "cpu"
    return fits and 0 < rate < 1 and not tracing and native_kernel("drop", x.dtype) is not None


class _Drop(torch.autograd.Function):
    """The seed brings the mask back, so that none is kept for backward."""

    @staticmethod
    @override
    def forward(ctx: Any, x: Tensor, rate: float, seed: int) -> Tensor:
        ctx.rate, ctx.seed = rate, seed
        x = x.contiguous()
        y = reusable_like(x)
        run = native_kernel("drop", x.dtype)
        assert run is not None
        run(x.data_ptr(), y.data_ptr(), x.numel(), seed, rate, fastest_unit(x.dtype), native_threads())
        return y

    @staticmethod
    @override
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None]:
        dx: Tensor = _Drop.apply(dy, ctx.rate, ctx.seed)  # type: ignore[no-untyped-call]  # torch's own
        return dx, None, None
