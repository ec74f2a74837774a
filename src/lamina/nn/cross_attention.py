"""Attention of one sequence to another: what a decoder finds in the source."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from typing_extensions import override

from lamina.ops.lengths import valid_steps

Score = Literal["additive", "multiplicative"]

Nested = Tensor | tuple["Nested", ...]
"""Tensors in tuples of tuples, all with the batch first."""


class Memory(NamedTuple):
    """A source that was read, as a decoder looks back at it.

    Attributes:
        values: outputs of the encoder, (batch, source, features).
        lengths: valid steps of each row, (batch,).
        summary: the whole source as one vector, (batch, summary features).
        keys: what the decoder computes of ``values`` once, for all its steps.
    """

    values: Tensor
    lengths: Tensor
    summary: Tensor
    keys: tuple[Tensor, ...]


def pick_rows(nested: Nested, rows: Tensor) -> Nested:
    """The same tensors with some rows of the batch, in the order given; a row may come twice.

    >>> pick_rows((torch.tensor([[1], [2]]), ()), torch.tensor([1, 1, 0]))
    (tensor([[2],
            [2],
            [1]]), ())
    """
    if isinstance(nested, Tensor):
        return nested.index_select(0, rows)
    parts = tuple(pick_rows(part, rows) for part in nested)
    return parts if type(nested) is tuple else type(nested)(*parts)  # a named tuple


class CrossAttention(nn.Module):
    """Each step of one sequence, (batch, time, query_size), reads a weighted mean of another.

    With q_t a query and m_s a step of the memory:
        a_t = softmax_s(score(q_t, m_s)),    context_t = sum_s a_ts m_s
        additive:       score = v . tanh(W q_t + U m_s)
        multiplicative: score = q_t . U m_s
    s runs over the valid steps. All steps t are one batched product.

    Args:
        query_size: features of a query.
        memory_size: features of the memory, and of a context.
        score: additive, with as many units as a query has features, or multiplicative.

    Source: Bahdanau et al. 2015, arXiv:1409.0473; Luong et al. 2015, arXiv:1508.04025, "general".

    >>> attend = CrossAttention(4, 6, score="additive")
    >>> memory = torch.zeros(2, 5, 6)
    >>> context, weights = attend(torch.zeros(2, 3, 4), attend.keys(memory), memory, torch.tensor([5, 2]))
    >>> context.shape, weights[1, 0].tolist()
    (torch.Size([2, 3, 6]), [0.5, 0.5, 0.0, 0.0, 0.0])
    """

    def __init__(self, query_size: int, memory_size: int, *, score: Score) -> None:
        super().__init__()
        self.score = score
        self.key = nn.Linear(memory_size, query_size, bias=False)
        self.query = nn.Linear(query_size, query_size) if score == "additive" else nn.Identity()
        self.sum = nn.Linear(query_size, 1, bias=False) if score == "additive" else None

    def keys(self, memory: Tensor) -> Tensor:
        """U m for every step: (batch, source, query_size)."""
        keys: Tensor = self.key(memory)
        return keys

    @override
    def forward(self, query: Tensor, keys: Tensor, values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return context (batch, time, memory_size) and a (batch, time, source), zero at padding."""
        asked: Tensor = self.query(query)
        if self.sum is None:
            scores = asked @ keys.transpose(1, 2)
        else:
            scores = self.sum((asked[:, :, None] + keys[:, None]).tanh()).squeeze(-1)
        seen = valid_steps(lengths, values.shape[1])[:, None]  # (batch, 1, source)
        weights = scores.masked_fill(~seen, -torch.inf).softmax(-1)
        return weights @ values, weights
