"""How torch.nn's recurrent layers take a batch, and the way to (batch, time, features) and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence
from typing_extensions import override

from lamina.ops.lengths import valid_steps


class Layout(ABC):
    """How a caller lays out a batch, and the way to (batch, time, features) and back."""

    lengths: Tensor | None = None
    """Steps of each row; None when all have the same number."""
    state_axes: ClassVar[int] = 3
    """Of the caller's states."""

    @abstractmethod
    def rows(self, given: Tensor) -> Tensor:
        """What the caller gave -> (batch, time, features)."""

    @abstractmethod
    def given(self, rows: Tensor) -> Tensor:
        """(batch, time, features) -> the caller's layout, contiguous."""

    def drop(self, rows: Tensor, rate: float) -> Tensor:
        """Drop what torch's operators drop under the same seed: (batch, time, features) -> same shape."""
        batch, steps, features = rows.shape
        mask = F.dropout(rows.new_ones(steps, batch, features), rate)  # drawn in torch's order, time first
        return rows * mask.transpose(0, 1)

    def state(self, given: Tensor) -> Tensor:
        """A state of the caller's -> (layers * directions, batch, size), in the order of ``rows``."""
        return given

    def state_given(self, state: Tensor) -> Tensor:
        """The way back."""
        return state


class BatchFirst(Layout):
    """(batch, time, features)"""

    @override
    def rows(self, given: Tensor) -> Tensor:
        return given

    @override
    def given(self, rows: Tensor) -> Tensor:
        return rows


class TimeFirst(Layout):
    """(time, batch, features)"""

    @override
    def rows(self, given: Tensor) -> Tensor:
        return given.transpose(0, 1)

    @override
    def given(self, rows: Tensor) -> Tensor:
        return rows.transpose(0, 1).contiguous()


class Unbatched(Layout):
    """(time, features): one sequence, whose states are (layers * directions, size)."""

    state_axes = 2

    @override
    def rows(self, given: Tensor) -> Tensor:
        return given.unsqueeze(0)

    @override
    def given(self, rows: Tensor) -> Tensor:
        return rows.squeeze(0)

    @override
    def state(self, given: Tensor) -> Tensor:
        return given.unsqueeze(1)

    @override
    def state_given(self, state: Tensor) -> Tensor:
        return state.squeeze(1)


class Packed(Layout):
    """(valid steps, features): all rows' first steps, then all second steps, the longest row first."""

    def __init__(self, packed: PackedSequence) -> None:
        _, batch_sizes, self.sorted, self.unsorted = packed
        self.steps, self.batch = len(batch_sizes), int(batch_sizes[0])
        self.lengths = (batch_sizes > torch.arange(self.batch)[:, None]).sum(1)  # (batch,)
        valid = valid_steps(self.lengths, self.steps)
        before = batch_sizes.cumsum(0) - batch_sizes  # packed steps before each time step
        packed_at = before + torch.arange(self.batch)[:, None]
        self.packed_at = packed_at.masked_fill(~valid, 0).flatten()  # at padding whatever: nobody reads it
        time, row = valid.T.nonzero(as_tuple=True)
        self.row_at = row * self.steps + time  # (valid steps,)

    @override
    def rows(self, given: Tensor) -> Tensor:
        rows: Tensor = _Rearrange.apply(given, self.packed_at, self.row_at)  # type: ignore[no-untyped-call]
        return rows.view(self.batch, self.steps, rows.shape[1])

    @override
    def given(self, rows: Tensor) -> Tensor:
        given: Tensor = _Rearrange.apply(rows.flatten(0, 1), self.row_at, self.packed_at)  # type: ignore[no-untyped-call]
        return given

    @override
    def drop(self, rows: Tensor, rate: float) -> Tensor:
        mask = F.dropout(rows.new_ones(len(self.row_at), rows.shape[2]), rate)
        return rows * self.rows(mask)

    @override
    def state(self, given: Tensor) -> Tensor:
        return given if self.sorted is None else given.index_select(1, self.sorted)

    @override
    def state_given(self, state: Tensor) -> Tensor:
        return state if self.unsorted is None else state.index_select(1, self.unsorted)


class _Rearrange(torch.autograd.Function):
    """Rows of a matrix in another order, and their gradients back: the general rule would add them up."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, there: Tensor, back: Tensor) -> Tensor:
        ctx.save_for_backward(there, back)
        return x.index_select(0, there)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None]:
        there, back = ctx.saved_tensors
        dx: Tensor = _Rearrange.apply(dy, back, there)  # type: ignore[no-untyped-call]
        return dx, None, None


def layout_of(given: Tensor | PackedSequence, *, batch_first: bool) -> Layout | None:
    """Return None where the number of axes is wrong."""
    if isinstance(given, PackedSequence):
        return Packed(given) if given.data.dim() == 2 else None
    if given.dim() == 3:
        return BatchFirst() if batch_first else TimeFirst()
    return Unbatched() if given.dim() == 2 else None
