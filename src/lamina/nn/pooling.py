"""From one vector a step to one vector a sequence: (batch, time, size) -> (batch, size).

All take ``lengths`` and read valid steps only; a row of length 0 gives zeros. After a layer that reads both
directions, the last step has seen the whole row forward but one step backward: take another pool there.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from lamina.ops.lengths import last_valid, valid_steps, zero_padding


class LastPool(nn.Module):
    """The last valid step.

    >>> LastPool()(torch.tensor([[[1.0], [2.0], [3.0]]]), lengths=torch.tensor([2])).item()
    2.0
    """

    @override
    def forward(self, y: Tensor, lengths: Tensor | None = None) -> Tensor:
        return y[:, -1] if lengths is None else last_valid(zero_padding(y, lengths), lengths)


class MeanPool(nn.Module):
    """The mean over the valid steps."""

    @override
    def forward(self, y: Tensor, lengths: Tensor | None = None) -> Tensor:
        if lengths is None:
            return y.mean(1)
        return zero_padding(y, lengths).sum(1) / lengths.clamp(min=1)[:, None]


class MaxPool(nn.Module):
    """The largest value of each feature over the valid steps."""

    @override
    def forward(self, y: Tensor, lengths: Tensor | None = None) -> Tensor:
        if lengths is None:
            return y.amax(1)
        padding = ~valid_steps(lengths, y.shape[1])[:, :, None]
        largest = y.masked_fill(padding, -torch.inf).amax(1)
        return largest.masked_fill((lengths == 0)[:, None], 0)


class AttentionPool(nn.Module):
    """A mean whose weights are learned: y = sum_t a_t y_t, a = softmax_t(v . tanh(W y_t + b)).

    Source: Yang et al. 2016, Hierarchical Attention Networks, doi:10.18653/v1/N16-1174, equations 5 to 7.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.key = nn.Linear(size, size)
        self.query = nn.Linear(size, 1, bias=False)

    @override
    def forward(self, y: Tensor, lengths: Tensor | None = None) -> Tensor:
        y = y if lengths is None else zero_padding(y, lengths)
        return (self.weights(y, lengths)[:, :, None] * y).sum(1)

    def weights(self, y: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return a, (batch, time): zero at padding, otherwise summing to 1."""
        y = y if lengths is None else zero_padding(y, lengths)
        scores = self.query(self.key(y).tanh()).squeeze(-1)  # (batch, time)
        if lengths is None:
            return torch.softmax(scores, -1)
        padding = ~valid_steps(lengths, y.shape[1])
        # finite, so that a row of length 0 has no NaN on its way
        lowest = torch.finfo(scores.dtype).min
        return torch.softmax(scores.masked_fill(padding, lowest), -1).masked_fill(padding, 0)
