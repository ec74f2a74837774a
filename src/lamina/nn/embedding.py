"""Tokens as vectors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from lamina.nn.regularize import dropout_mask


class _HandedOn(torch.autograd.Function):
    """The same tensor, as a step of its own in the graph: autograd takes the steps made last first."""

    @staticmethod
    @override
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        return weight.view_as(weight)

    @staticmethod
    @override
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


class TokenEmbedding(nn.Module):
    """A learned vector for each token: (batch, time) int64 -> (batch, time, size).

    Args:
        tokens: how many there are.
        size: features of a vector.
        dropout: share of the tokens whose vector is zero, wherever they stand in the batch; one draw a call.
        tied: an output layer reads the same vectors, from ``shared()``. The gradient of a lookup is sparse
            then, so a loss must have the output layer in it: optimisers take none that is sparse alone.

    Source of the dropout: Gal & Ghahramani 2016, arXiv:1512.05287, section 4.2.

    >>> TokenEmbedding(10, 4)(torch.tensor([[1, 2, 3]])).shape
    torch.Size([1, 3, 4])
    """

    def __init__(self, tokens: int, size: int, *, dropout: float = 0.0, tied: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(tokens, size))
        self.dropout, self.tied = dropout, tied
        # the scale at which a tied output layer starts with logits of about 1
        nn.init.normal_(self.weight, std=size**-0.5)

    @override
    def forward(self, ids: Tensor) -> Tensor:
        vectors = F.embedding(ids, self.weight, sparse=self.tied and not torch.compiler.is_compiling())
        if not self.training or self.dropout == 0:
            return vectors
        mask = dropout_mask((len(self.weight), 1), self.dropout, like=self.weight)
        return vectors * F.embedding(ids, mask)

    def shared(self) -> Tensor:
        """The vectors for an output layer, (tokens, size). Call it before the tokens are looked up.

        The gradient of a lookup has few rows and that of an output layer has all. This one is made first and,
        because the call came first, handed on last. Torch adds a sparse gradient that came before to a whole
        one in place, and makes a third matrix in the other order.
        """
        return _HandedOn.apply(self.weight) if torch.is_grad_enabled() else self.weight  # type: ignore[no-untyped-call]  # torch's own

    @override
    def extra_repr(self) -> str:
        tokens, size = self.weight.shape
        return f"{tokens}, {size}, dropout={self.dropout}"
