"""What a backend is asked to run, and what a backend is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lamina.errors import DataError
from lamina.ops.cells import Cell, State


@dataclass(frozen=True, eq=False)
class Weights:
    """The parameters of one direction of one layer; ``gates`` blocks of ``hidden`` rows, in the cell's order.

    w: input matrix, (gates * hidden, features).
    r: recurrent matrix, (gates * hidden, outputs), where outputs is hidden unless there is a projection.
    b, c: biases of the input and of the recurrent product, (gates * hidden), or None for zero.
    extra: what the cell declares in ``Cell.extra``, each (rows, hidden).
    projection: P of h' = P (o * tanh(c')), (outputs, hidden), for a cell that ``projects``; None for none.
        Source: Sak, Senior & Beaufays 2014, arXiv:1402.1128; it is torch's proj_size.
    """

    w: Tensor
    r: Tensor
    b: Tensor | None = None
    c: Tensor | None = None
    extra: Mapping[str, Tensor] = field(default_factory=dict)
    projection: Tensor | None = None

    @property
    def outputs(self) -> int:
        """Width of h, which a step hands on and gives out."""
        return self.r.shape[1]

    @property
    def hidden(self) -> int:
        """Units of the cell."""
        return self.outputs if self.projection is None else self.projection.shape[1]


@dataclass(frozen=True, eq=False)
class ZoneoutMasks:
    """Zoneout in training: a unit keeps its old value where its mask is True.

    keep: for each state of the cell a bool tensor (batch, time, width of the state), or None for a state
        left alone.
        Entry [i, t] governs the step that reads x[i, t], in either direction.

    Source: Krueger et al. 2016, arXiv:1606.01305. As there, h' is made from the memory before its zoneout.
    """

    keep: tuple[Tensor | None, ...]


@dataclass(frozen=True)
class ZoneoutRates:
    """Zoneout in evaluation: each state becomes rate * old + (1 - rate) * new.

    rates: one number in [0, 1] for each state of the cell.
    """

    rates: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Call:
    """One direction of one layer over a batch of sequences. Checked when it is made.

    cell: the equations.
    x: (batch, time, features).
    state: what each row starts from, one tensor for each state of the cell: h is (batch, outputs), any
        other (batch, hidden).
    weights: see Weights.
    lengths: int64 (batch,), steps of each row that are not padding; None when all are valid.
    reverse: walk each row from its own end to its start.
    recurrent_mask: (batch, outputs), multiplies h before R at every step; already scaled by 1 / (1 - rate).
    zoneout: see ZoneoutMasks and ZoneoutRates.

    Raises:
        DataError: shapes, dtypes or lengths do not fit one another; all of them in one message.
    """

    cell: type[Cell]
    x: Tensor
    state: State
    weights: Weights
    lengths: Tensor | None = None
    reverse: bool = False
    recurrent_mask: Tensor | None = None
    zoneout: ZoneoutMasks | ZoneoutRates | None = None

    def __post_init__(self) -> None:
        faults = list(_faults(self))
        if faults:
            raise DataError(f"cannot scan with cell '{self.cell.name}': " + "; ".join(faults))

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Everything that can need a gradient."""
        weights = self.weights
        optional = (t for t in (weights.b, weights.c, weights.projection) if t is not None)
        return (self.x, *self.state, weights.w, weights.r, *optional, *weights.extra.values())

    @property
    def needs_grad(self) -> bool:
        return torch.is_grad_enabled() and any(t.requires_grad for t in self.tensors)


class Backend(ABC):
    """One way of running a call. Tested against the reference in tests/contracts."""

    name: str

    @abstractmethod
    def why_not(self, call: Call) -> str | None:
        """Return why this backend cannot run the call, or None if it can."""

    @abstractmethod
    def run(self, call: Call) -> tuple[Tensor, State]:
        """Return y (batch, time, outputs), zero at padding, and the state after the last valid steps."""


def _faults(call: Call) -> Iterator[str]:
    x, weights = call.x, call.weights
    if x.dim() != 3:
        yield f"x must be (batch, time, features) but has shape {tuple(x.shape)}"
        return
    if any(t is not None and t.dim() != 2 for t in (weights.w, weights.r, weights.projection)):
        yield "w, r and the projection must be matrices"
        return
    features = x.shape[2]
    if weights.projection is not None and not call.cell.projects:
        yield "it has no projection, which only an lstm has; leave the projection out"
    if weights.w.shape[1] != features:
        yield f"x has {features} features but the weights were made for {weights.w.shape[1]}"
    if x.dtype != weights.w.dtype and not torch.is_autocast_enabled(x.device.type):
        yield f"x is {x.dtype} but the weights are {weights.w.dtype}; convert one of them"
    if len(call.state) != len(call.cell.states):
        yield f"the state must hold {', '.join(call.cell.states)} but has {len(call.state)} tensors"
    if set(weights.extra) != set(call.cell.extra):
        yield f"extra must hold {sorted(call.cell.extra)} but has {sorted(weights.extra)}"
    for name, tensor, shape in _shapes(call):
        if tensor is not None and tuple(tensor.shape) != shape:
            yield f"{name} must have shape {shape} but has {tuple(tensor.shape)}"
    yield from _zoneout_faults(call)
    if call.lengths is not None:
        yield from length_faults(call.lengths, x.shape[1])


def _shapes(call: Call) -> Iterator[tuple[str, Tensor | None, tuple[int, ...]]]:
    """Each tensor beside x, and the shape that it must have."""
    weights, cell = call.weights, call.cell
    batch, time, _ = call.x.shape
    hidden, outputs = weights.hidden, weights.outputs
    rows = len(cell.gates) * hidden
    yield "w", weights.w, (rows, weights.w.shape[1])
    yield "r", weights.r, (rows, outputs)
    yield "b", weights.b, (rows,)
    yield "c", weights.c, (rows,)
    yield "projection", weights.projection, (outputs, hidden)
    yield "recurrent_mask", call.recurrent_mask, (batch, outputs)
    yield "lengths", call.lengths, (batch,)
    widths = (outputs, *(hidden,) * (len(cell.states) - 1))
    for name, state, width in zip(cell.states, call.state, widths, strict=False):
        yield f"state {name}", state, (batch, width)
    if isinstance(call.zoneout, ZoneoutMasks):
        for mask, width in zip(call.zoneout.keep, widths, strict=False):
            yield "zoneout mask", mask, (batch, time, width)
    for name, extra in cell.extra.items():
        yield name, weights.extra.get(name), (extra.rows, hidden)


def _zoneout_faults(call: Call) -> Iterator[str]:
    if call.zoneout is None:
        return
    states = len(call.cell.states)
    if isinstance(call.zoneout, ZoneoutRates):
        if len(call.zoneout.rates) != states or not all(0 <= rate <= 1 for rate in call.zoneout.rates):
            yield f"zoneout needs {states} rates from 0 to 1 but has {call.zoneout.rates}"
    elif len(call.zoneout.keep) != states or any(
        m is not None and m.dtype != torch.bool for m in call.zoneout.keep
    ):
        yield f"zoneout needs {states} bool masks"


def length_faults(lengths: Tensor, time: int) -> Iterator[str]:
    """Say what is wrong with lengths; a sequence has at most ``time`` steps."""
    if lengths.dtype != torch.int64:
        yield f"lengths must be int64 but are {lengths.dtype}"
    elif lengths.numel() and not torch.compiler.is_compiling():  # a graph has none yet; its operator checks
        low, high = (int(v) for v in lengths.aminmax())
        if low < 0 or high > time:
            yield f"lengths must lie from 0 to {time}, the steps in x, but reach from {low} to {high}"
