"""The likelihood of next tokens under a softmax over a vocabulary, whole or in classes of frequency.

With cutoffs (c0, c1, ...) the softmax is that of Grave et al. 2016 (arXiv:1609.04309): the c0 most frequent
tokens stand in a softmax with one entry for each class of rarer ones, and each class has one of its own,

    p(token) = p(token in the head)                          where token < c0
    p(token) = p(class in the head) p(token in its class)    else,

so that a class is computed only where one of its tokens comes next. Theirs gives rarer classes shorter
vectors; here all have vectors of one size, so that an embedding can be tied to them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from typing_extensions import override

CHUNK_SCORES = 1 << 22
"""Scores that are held at a time: 16 MB of float32, which the last cache of many processors holds."""


class Output(NamedTuple):
    """The last layer of a language model.

    Attributes:
        weight: a vector for each token, the most frequent first, (tokens, size).
        bias: (tokens,).
        cutoffs: where the head and each class but the last end; empty for a single softmax.
        class_weight: a vector for each class, (classes, size); None without cutoffs.
        class_bias: (classes,); None without cutoffs.
    """

    weight: Tensor
    bias: Tensor
    cutoffs: tuple[int, ...] = ()
    class_weight: Tensor | None = None
    class_bias: Tensor | None = None

    def softmaxes(self) -> list[tuple[Tensor, Tensor]]:
        """Weight and bias of each softmax: of the head with an entry for each class, then of each class."""
        if self.class_weight is None or self.class_bias is None:
            return [(self.weight, self.bias)]
        sizes = [end - begin for begin, end in self.ranges()]
        # the gradient of a split is one concatenation, that of each slice a matrix of the whole vocabulary
        parts = list(zip(torch.split(self.weight, sizes), torch.split(self.bias, sizes), strict=True))
        head = torch.cat((parts[0][0], self.class_weight)), torch.cat((parts[0][1], self.class_bias))
        return [head, *parts[1:]]

    def ranges(self) -> list[tuple[int, int]]:
        """The tokens of the head and of each class: from, up to."""
        return list(zip((0, *self.cutoffs), (*self.cutoffs, len(self.weight)), strict=True))


def log_chances(y: Tensor, output: Output) -> Tensor:
    """The log probability of every token: (..., size) -> (..., tokens)."""
    head, *classes = (F.linear(y, *layer).log_softmax(-1) for layer in output.softmaxes())
    if not classes:
        return head
    tokens, of_class = torch.split(head, [output.cutoffs[0], len(classes)], -1)
    return torch.cat((tokens, *(one + of_class[..., k, None] for k, one in enumerate(classes))), -1)


def mean_nats(y: Tensor, output: Output, targets: Tensor) -> Tensor:
    """The mean negative log-likelihood of ``targets``, a scalar: cross-entropy.

    Scores are made for some rows at a time and turned into gradients at once, so that those of no whole batch
    are written: memory is bounded, and less of it is moved. There are first derivatives only.

    Args:
        y: what the layer reads, (rows, size).
        output: the layer.
        targets: the numbers of the tokens, int64 (rows,).

    >>> y, targets = torch.randn(5, 4), torch.tensor([0, 8, 3, 3, 1])
    >>> output = Output(torch.randn(9, 4), torch.zeros(9))
    >>> bool(mean_nats(y, output, targets).isclose(F.cross_entropy(y @ output.weight.T, targets)))
    True
    """
    head, *classes = output.softmaxes()
    if not classes:
        return _sum_nats(y, *head, targets) / len(y)
    edges = torch.tensor(output.cutoffs, device=targets.device)
    places = torch.bucketize(targets, edges, right=True)  # 0 in the head, k in class k - 1
    total = _sum_nats(y, *head, torch.where(places == 0, targets, edges[0] + places - 1))
    for k, layer in enumerate(classes):
        rows = (places == k + 1).nonzero().flatten()
        if len(rows):
            total = total + _sum_nats(y[rows], *layer, targets[rows] - edges[k])
    return total / len(y)


def _sum_nats(y: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Negative log-likelihood of a softmax, summed over rows."""
    y = y.to(weight.dtype)
    if torch.is_grad_enabled() and any(one.requires_grad for one in (y, weight, bias)):
        total: Tensor = _SumNats.apply(y, weight, bias, targets)  # type: ignore[no-untyped-call]  # torch's own
        return total
    total = y.new_zeros(())
    for rows in _chunks(y, weight):
        total += F.cross_entropy(F.linear(y[rows], weight, bias), targets[rows], reduction="sum")
    return total


def _chunks(y: Tensor, weight: Tensor) -> list[slice]:
    size = max(1, CHUNK_SCORES // len(weight))
    return [slice(begin, begin + size) for begin in range(0, len(y), size)]


class _SumNats(torch.autograd.Function):
    """``_sum_nats``, whose gradients are made on the way forward, where each chunk's scores still are.

    Under autocast the three products are of its type; softmaxes and sums are not.
    """

    @staticmethod
    @override
    def forward(ctx: Any, y: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        device = y.device.type
        product = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else y.dtype
        to_y, to_weight, to_bias = torch.empty_like(y), torch.zeros_like(weight), torch.zeros_like(bias)
        total = y.new_zeros(())
        with torch.autocast(device, enabled=False):
            factor, offset = weight.to(product), bias.to(product)
            for rows in _chunks(y, weight):
                read = y[rows].to(product)
                scores = torch.addmm(offset, read, factor.T)  # (some rows, tokens)
                chances = scores.to(y.dtype).log_softmax(-1)
                wanted = targets[rows, None]
                total -= chances.gather(1, wanted).sum()
                # the gradient of the scores: softmax, less 1 at the target
                less = chances.new_full((1, 1), -1.0).expand_as(wanted)
                errors = chances.exp_().scatter_add_(1, wanted, less)
                to_bias += errors.sum(0)
                errors = errors.to(product)
                to_y[rows] = torch.mm(errors, factor)
                if product == weight.dtype:
                    to_weight.addmm_(errors.T, read)
                else:
                    to_weight += torch.mm(errors.T, read)
        ctx.save_for_backward(to_y, to_weight, to_bias)
        return total

    @staticmethod
    @once_differentiable
    @override
    def backward(ctx: Any, total: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        to_y, to_weight, to_bias = ctx.saved_tensors
        return to_y * total, to_weight * total, to_bias * total, None
