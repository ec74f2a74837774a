"""Sequences of unequal length that share one padded tensor."""

from __future__ import annotations

import torch
from torch import Tensor


def valid_steps(lengths: Tensor, steps: int) -> Tensor:
    """Mark the steps that belong to their row: (batch,) -> bool (batch, steps).

    >>> valid_steps(torch.tensor([2, 0]), 3).tolist()
    [[True, True, False], [False, False, False]]
    """
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


def zero_padding(x: Tensor, lengths: Tensor) -> Tensor:
    """Put zeros, which have no gradient, where a row has ended: (batch, time, features) -> same shape.

    Whatever stood there, NaN included, then reaches neither the result nor a gradient.
    """
    return x.masked_fill(~valid_steps(lengths, x.shape[1])[:, :, None], 0)


def reverse_rows(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Turn each row round within its own length; padding stays: (batch, time, features) -> same shape.

    >>> reverse_rows(torch.tensor([[[1], [2], [9]]]), torch.tensor([2])).flatten().tolist()
    [2, 1, 9]
    """
    if lengths is None:
        return x.flip(1)
    steps = torch.arange(x.shape[1], device=x.device).expand(x.shape[:2])  # (batch, time)
    source = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)
    return x.gather(1, source[:, :, None].expand_as(x))


def last_valid(x: Tensor, lengths: Tensor) -> Tensor:
    """Return the last step of each row: (batch, time, features) -> (batch, features).

    A row of length 0 gives its first step, for want of a last one; the caller says what it means.
    """
    last = (lengths - 1).clamp(min=0)[:, None, None].expand(-1, 1, x.shape[2])
    return x.gather(1, last).squeeze(1)
