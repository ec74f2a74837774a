"""The gradient of cross-entropy where the scores stand."""

from __future__ import annotations

import torch
from torch import Tensor

from lamina.errors import DataError
from lamina.ops.native_team import computed, fastest_unit, native_kernel, native_threads

_WORTH_A_TEAM = 1 << 15
"""Scores from which threads share the work: 10 us of one core (AMD EPYC)."""


def softmax_errors_(scores: Tensor, targets: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Replace scores by the gradient of their cross-entropy: scale * (softmax, less 1 at the target).

    Scores of 16 bits are computed with in float32.

    Args:
        scores: contiguous, (rows, tokens).
        targets: the entry wanted of each row, int64 (rows,).
        scale: what each row's cross-entropy counts.

    Returns:
        the sum of the rows' cross-entropies, without the scale; and the sum of the gradients over rows,
        (tokens,), before they are rounded.

    Raises:
        DataError: there is not one target a row, on the device of the scores.
        IndexError: a target is no entry; where our kernels do not run, what torch raises.

    >>> scores = torch.zeros(1, 4)
    >>> nats, over_rows = softmax_errors_(scores, torch.tensor([2]), 1.0)
    >>> scores, bool(nats.exp().isclose(torch.tensor(4.0)))
    (tensor([[ 0.2500,  0.2500, -0.7500,  0.2500]]), True)
    """
    if targets.shape != scores.shape[:1] or targets.device != scores.device:
        raise DataError(
            f"each row of scores has one target, on its device, but scores are {tuple(scores.shape)} on "
            f"{scores.device} and targets {tuple(targets.shape)} on {targets.device}; give one for each row"
        )
    targets = targets.to(torch.int64).contiguous()
    kernel = native_kernel("softmax_errors", scores.dtype)
    if kernel is None or scores.device.type != "cpu":
        return _by_torch(scores, targets, scale)
    assert scores.is_contiguous()
    threads = native_threads() if scores.numel() >= _WORTH_A_TEAM else 1
    over_rows = torch.empty(scores.shape[1], dtype=computed(scores.dtype), device="cpu")
    nats = kernel(
        tuple(scores.shape), scores.data_ptr(), targets.data_ptr(), scale, over_rows.data_ptr(),
        fastest_unit(scores.dtype), threads,
    )  # fmt: skip
    return over_rows.new_tensor(nats), over_rows


def _by_torch(scores: Tensor, targets: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    chances = scores.to(computed(scores.dtype)).log_softmax(-1)
    wanted = targets[:, None]
    nats = -chances.gather(1, wanted).sum()
    errors = chances.exp_().scatter_add_(1, wanted, chances.new_full((1, 1), -1.0).expand_as(wanted))
    errors *= scale
    scores.copy_(errors)
    return nats, errors.sum(0)
