"""Cross-entropy with label smoothing, in few passes over the logits."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from typing_extensions import override


def smoothed_cross_entropy(logits: Tensor, targets: Tensor, *, smoothing: float) -> Tensor:
    """Mean over rows of -(1 - s) log p_target - s mean_k log p_k, in nats.

    The same as ``torch.nn.functional.cross_entropy(..., label_smoothing=s)``. Where a vocabulary is large the
    logits are most of the memory that a batch moves, and there the gradient is made in the forward pass,
    out of the probabilities that it needs anyway.

    Args:
        logits: (rows, classes).
        targets: (rows,) int64.
        smoothing: s, share of the target spread over all classes.

    Source: Szegedy et al. 2016, arXiv:1512.00567, section 7.

    >>> round(float(smoothed_cross_entropy(torch.zeros(3, 4), torch.tensor([0, 1, 2]), smoothing=0.1)), 4)
    1.3863
    """
    return cast(Tensor, _Smoothed.apply(logits, targets, smoothing))  # type: ignore[no-untyped-call]  # torch's own


class _Smoothed(torch.autograd.Function):
    @override
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        rows, classes = logits.shape
        log_p = logits.log_softmax(-1)
        chosen = targets[:, None]
        of_target = log_p.gather(1, chosen).sum()
        loss = -((1 - smoothing) * of_target + smoothing / classes * log_p.sum()) / rows
        if ctx.needs_input_grad[0]:
            slope = log_p.exp_()  # d loss / d logits = (p - target distribution) / rows
            slope -= smoothing / classes
            slope.scatter_add_(1, chosen, slope.new_full(chosen.shape, smoothing - 1))
            ctx.save_for_backward(slope.div_(rows))
        return loss

    @override
    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (slope,) = ctx.saved_tensors
        return slope * gradients[0], None, None
