"""Attention of a sequence to itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from lamina.errors import ConfigError
from lamina.ops.lengths import valid_steps, zero_padding


class Attention(nn.Module):
    """Multi-head scaled dot-product attention over a sequence: (batch, time, size) -> same shape.

    For each head, with q, k, v three linear maps of x to size / heads:
        y_t = sum_s a_ts v_s,    a_t = softmax_s(q_t . k_s / sqrt(size / heads))
    and the heads, joined, go through one more linear map. s runs over the valid steps; over those up to t
    where causal. The input is not added to the output: write ``y + attention(y)`` for that.

    Args:
        size: features in and out; a multiple of heads.
        causal: whether a step sees only itself and earlier ones.
        dropout: share of the weights a dropped in training.

    Raises:
        ConfigError: heads do not divide size.

    Source: Vaswani et al. 2017, arXiv:1706.03762.

    >>> Attention(8, heads=2, causal=True)(torch.zeros(1, 5, 8)).shape
    torch.Size([1, 5, 8])
    """

    def __init__(self, size: int, *, heads: int = 1, causal: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        if size % heads:
            raise ConfigError(f"heads must divide size, but {heads} does not divide {size}")
        self.heads = heads
        self.causal = causal
        self.dropout = dropout
        self.project_in = nn.Linear(size, 3 * size)
        self.project_out = nn.Linear(size, size)

    @override
    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return y, (batch, time, size), zero at padding."""
        q, k, v = self._heads(x, lengths)
        rate = self.dropout if self.training else 0.0
        if lengths is None:
            mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=rate, is_causal=self.causal)
        else:
            seen = self._seen(x, lengths)
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen, dropout_p=rate)
        y: Tensor = self.project_out(mixed.transpose(1, 2).flatten(2))  # (batch, time, size)
        return y if lengths is None else zero_padding(y, lengths)

    def weights(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return a, (batch, heads, time, time): row t says where step t looks; padded rows are zero."""
        q, k, _ = self._heads(x, lengths)
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5  # (batch, heads, time, time)
        weights: Tensor = scores.masked_fill(~self._seen(x, lengths), -torch.inf).softmax(-1)
        if lengths is None:
            return weights
        return weights.masked_fill(~valid_steps(lengths, x.shape[1])[:, None, :, None], 0)

    def _heads(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return q, k, v, each (batch, heads, time, size / heads)."""
        x = x if lengths is None else zero_padding(x, lengths)
        batch, time, size = x.shape
        parts: Tensor = self.project_in(x)
        q, k, v = parts.view(batch, time, 3, self.heads, size // self.heads).permute(2, 0, 3, 1, 4)
        return q, k, v

    def _seen(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Return which steps each step may look at, bool, broadcast to (batch, heads, time, time)."""
        time = x.shape[1]
        seen = torch.ones(time, time, dtype=torch.bool, device=x.device)
        if self.causal:
            seen = seen.tril()
        if lengths is None:
            return seen
        valid = valid_steps(lengths, time)
        # a padded step must look at something, or its softmax and all gradients would be NaN
        return (seen & valid[:, None, :])[:, None] | ~valid[:, None, :, None]
