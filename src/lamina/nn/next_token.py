"""The likelihood of next tokens under a softmax over a vocabulary, whole or in classes of frequency.

With cutoffs (c0, c1, ...) the softmax is that of Grave et al. 2016 (arXiv:1609.04309): the c0 most frequent
tokens stand in a softmax with one entry for each class of rarer ones, and each class has one of its own,

    p(token) = p(token in the head)                          where token < c0
    p(token) = p(class in the head) p(token in its class)    else,

so that a class is computed only where one of its tokens comes next. Theirs gives rarer classes shorter
vectors; here all have vectors of one size, so that an embedding can be tied to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from typing_extensions import override

from lamina.errors import BackendError
from lamina.ops.native_team import computed
from lamina.ops.reuse import reusable_like
from lamina.ops.softmax import softmax_errors_

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
        parts = [(self.weight[begin:end], self.bias[begin:end]) for begin, end in self.ranges()]
        if self.class_weight is None or self.class_bias is None:
            return parts
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
    are written: memory is bounded, and less of it is moved. There are first derivatives only, and once. In a
    compiled graph there are all, and the scores of every row are kept.

    Args:
        y: what the layer reads, (rows, size).
        output: the layer.
        targets: the numbers of the tokens, int64 (rows,).

    Raises:
        DataError: there is not one target a row.
        IndexError: a target is no token.
        BackendError: in backward, when the gradients were handed out before.

    >>> y, targets = torch.randn(5, 4), torch.tensor([0, 8, 3, 3, 1])
    >>> output = Output(torch.randn(9, 4), torch.zeros(9))
    >>> bool(mean_nats(y, output, targets).isclose(F.cross_entropy(y @ output.weight.T, targets)))
    True
    """
    _require_tokens(targets, len(output.weight))
    layer = [one for one in output if isinstance(one, Tensor)]
    needs_grad = torch.is_grad_enabled() and any(one.requires_grad for one in (y, *layer))
    if needs_grad and not torch.compiler.is_compiling():  # a graph makes its gradients itself
        mean: Tensor = _MeanNats.apply(y, targets, output.cutoffs, *layer)  # type: ignore[no-untyped-call]  # torch's own
        return mean
    y, nats = y.to(output.weight.dtype), output.weight.new_zeros((), dtype=computed(output.weight.dtype))
    for (weight, bias), (rows, wanted) in zip(output.softmaxes(), _judged(output, targets), strict=True):
        read = y if rows is None else y[rows]
        for some in _chunks(read, weight):
            nats = nats + F.cross_entropy(F.linear(read[some], weight, bias), wanted[some], reduction="sum")
    return (nats / len(y)).to(output.weight.dtype)


def _require_tokens(targets: Tensor, tokens: int) -> None:
    if targets.device.type != "cpu" or torch.compiler.is_compiling() or not targets.numel():
        return
    low, high = (int(one) for one in targets.aminmax())
    if low < 0 or high >= tokens:
        raise IndexError(f"targets are tokens from 0 to {tokens - 1}, but reach from {low} to {high}")


def _judged(output: Output, targets: Tensor) -> Iterator[tuple[Tensor | None, Tensor]]:
    """For each softmax the rows that it judges, None for all, and the entry of it that each wants."""
    if not output.cutoffs:
        yield None, targets
        return
    edges = torch.tensor(output.cutoffs, device=targets.device)
    places = torch.bucketize(targets, edges, right=True)  # 0 in the head, k in class k - 1
    yield None, torch.where(places == 0, targets, edges[0] + places - 1)
    for k, edge in enumerate(output.cutoffs):
        rows = (places == k + 1).nonzero().flatten()
        yield rows, targets[rows] - edge


def _chunks(y: Tensor, weight: Tensor) -> list[slice]:
    size = max(1, CHUNK_SCORES // len(weight))
    return [slice(begin, begin + size) for begin in range(0, len(y), size)]


class _MeanNats(torch.autograd.Function):
    """``mean_nats``, whose gradients are made on the way forward, where each chunk's scores still are.

    The gradient of the weights is one matrix that every softmax writes its rows of. Under autocast the three
    products are of its type; softmaxes and sums are not.
    """

    @staticmethod
    @override
    def forward(ctx: Any, y: Tensor, targets: Tensor, cutoffs: tuple[int, ...], *layer: Tensor) -> Tensor:
        device, (weight, bias, *classes) = y.device.type, layer
        product = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
        if product == torch.float16:
            product = weight.dtype  # shares of a mean would be too small for it
        room = reusable_like(weight)
        gradients = Output(room, torch.empty_like(bias), cutoffs, *map(torch.empty_like, classes))
        to_y = torch.zeros(y.shape, dtype=weight.dtype, device=y.device)
        with torch.autocast(device, enabled=False):
            factor = weight if weight.dtype == product else reusable_like(weight, product).copy_(weight)
            rounded = Output(factor, bias.to(product), cutoffs, *(one.to(product) for one in classes))
            nats = _add_gradients(y.to(product), rounded, targets, gradients, to_y)
        ctx.gradients = [to_y.to(y.dtype), *(one for one in gradients if isinstance(one, Tensor))]
        return (nats / len(y)).to(weight.dtype)

    @staticmethod
    @once_differentiable
    @override
    def backward(ctx: Any, factor: Tensor) -> tuple[Tensor | None, ...]:
        gradients: list[Tensor] | None = ctx.gradients
        if gradients is None:
            raise BackendError(
                "the gradients of this likelihood were handed out before, and are kept only once; "
                "compute mean_nats again instead of a second backward"
            )
        ctx.gradients = None  # whoever gets them owns them, and may write into them
        if factor.device.type != "cpu" or float(factor) != 1:
            for gradient in gradients:
                gradient.mul_(factor)
        to_y, *to_layer = gradients
        return to_y, None, None, *to_layer


def _add_gradients(read: Tensor, output: Output, targets: Tensor, gradients: Output, to_y: Tensor) -> Tensor:
    """Write the gradients of the layer, add those of what it reads, and return the sum of -log p.

    Args:
        read: (rows, size), in the dtype of the products, as is the output layer.
        targets: int64 (rows,).
        gradients: room for those of the layer, of the mean.
        to_y: zeros, (rows, size).
    """
    scale, total = 1 / max(1, len(read)), to_y.new_zeros((), dtype=computed(to_y.dtype))
    rooms = gradients.softmaxes()
    for (weight, bias), (to_weight, to_bias), (rows, wanted) in zip(
        output.softmaxes(), rooms, _judged(output, targets), strict=True
    ):
        part = read if rows is None else read[rows]
        if not len(part):
            to_weight.zero_()
            to_bias.zero_()
        product = to_weight if weight.dtype == to_weight.dtype else reusable_like(to_weight, weight.dtype)
        for some in _chunks(part, weight):
            errors = torch.addmm(bias, part[some], weight.T)  # scores, until the next line
            nats, over_rows = softmax_errors_(errors, wanted[some], scale)
            total += nats
            back = torch.mm(errors, weight).to(to_y.dtype)
            if rows is None:
                to_y[some] += back
            else:
                to_y.index_add_(0, rows[some], back)
            first = some.start == 0
            if product is to_weight:
                to_weight.addmm_(errors.T, part[some], beta=0 if first else 1)
            else:
                torch.mm(errors.T, part[some], out=product)
                to_weight.copy_(product) if first else to_weight.add_(product)
            to_bias.copy_(over_rows) if first else to_bias.add_(over_rows)
    if gradients.class_weight is not None and gradients.class_bias is not None:
        head, edge = rooms[0], output.cutoffs[0]  # a copy, where the classes stand behind the tokens
        gradients.weight[:edge], gradients.class_weight[:] = head[0][:edge], head[0][edge:]
        gradients.bias[:edge], gradients.class_bias[:] = head[1][:edge], head[1][edge:]
    return total
