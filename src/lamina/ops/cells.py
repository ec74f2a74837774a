"""Gate mathematics: one class a cell, one time step a call.

A scan computes the input terms ``wx = W x + b`` of the whole sequence in one product and the recurrent
terms ``rh = R h + c`` once a step; a cell says only how the two combine into the next state. Training,
streaming and every kernel are tested against these classes.

    wx, rh   (batch, gates, hidden)
    state    one (batch, hidden) tensor for each name in ``states``; the first is the output h
    extra    one (rows, hidden) tensor for each name in ``extra``; empty for most cells
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from lamina.errors import ConfigError, did_you_mean

State = tuple[Tensor, ...]


class Extra(NamedTuple):
    """A parameter that a cell owns beside the four of every cell: its shape is (rows, hidden)."""

    rows: int
    initial: float


class Cell(ABC):
    """What a scan needs to know of a cell; subclasses are never instantiated."""

    name: ClassVar[str]
    gates: ClassVar[tuple[str, ...]]
    """The blocks of hidden rows in every weight matrix, from the top."""
    states: ClassVar[tuple[str, ...]]
    """``states[0]`` is the output and is fed back through R."""
    extra: ClassVar[Mapping[str, Extra]] = MappingProxyType({})
    biased: ClassVar[bool] = True
    """Whether the scan's biases b and c say anything that ``extra`` does not."""
    keep_gate: ClassVar[str | None] = None
    """The gate that at 1 leaves the memory as it was, if there is one."""
    write_gate: ClassVar[str | None] = None
    """The gate that at 1 writes to the memory, where it is not ``1 - keep_gate``."""
    projects: ClassVar[bool] = False
    """Whether a scan may replace the h that ``step`` returns by P h; ``step`` then reads no old h."""

    @staticmethod
    @abstractmethod
    def step(wx: Tensor, rh: Tensor, state: State, extra: Mapping[str, Tensor]) -> State:
        """Return the state after one time step; nothing is changed in place."""


class Tanh(Cell):
    """The simple recurrent network: h' = tanh(W x + b + R h + c).

    Source: Elman 1990, doi:10.1207/s15516709cog1402_1.
    """

    name = "tanh"
    gates = ("candidate",)
    states = ("h",)

    @staticmethod
    @override
    def step(wx: Tensor, rh: Tensor, state: State, extra: Mapping[str, Tensor]) -> State:
        return ((wx + rh).squeeze(-2).tanh(),)


class Relu(Cell):
    """The simple network with a rectifier: h' = max(0, W x + b + R h + c).

    Source: Le, Jaitly & Hinton 2015, arXiv:1504.00941.
    """

    name = "relu"
    gates = ("candidate",)
    states = ("h",)

    @staticmethod
    @override
    def step(wx: Tensor, rh: Tensor, state: State, extra: Mapping[str, Tensor]) -> State:
        return ((wx + rh).squeeze(-2).relu(),)


class LSTM(Cell):
    """Long short-term memory.

    i, f, g, o are the blocks of W x + b + R h + c, in that order:
        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h' = sigmoid(o) * tanh(c')

    Source: Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735; forget gate: Gers et al. 2000.

    >>> import torch
    >>> zero = torch.zeros(1, 4, 1)
    >>> h, c = LSTM.step(zero, zero, (torch.zeros(1, 1), torch.ones(1, 1)), {})
    >>> c.item()                                # sigmoid(0) of the old memory
    0.5
    """

    name = "lstm"
    gates = ("input", "forget", "candidate", "output")
    states = ("h", "c")
    keep_gate = "forget"
    write_gate = "input"
    projects = True

    @staticmethod
    @override
    def step(wx: Tensor, rh: Tensor, state: State, extra: Mapping[str, Tensor]) -> State:
        _, c = state
        i, f, g, o = (wx + rh).unbind(-2)  # each (batch, hidden)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class GRU(Cell):
    """Gated recurrent unit.

    r, z, n are the blocks of wx = W x + b and of rh = R h + c, in that order:
        r = sigmoid(wx_r + rh_r)      z = sigmoid(wx_z + rh_z)
        n = tanh(wx_n + r * rh_n)
        h' = (1 - z) * n + z * h

    Source: Cho et al. 2014, arXiv:1406.1078. Two differences: our reset acts on R h + c, after the
    product, as cuDNN's and torch's do; and our z is the share that is kept, as in the paper's equation 7.
    """

    name = "gru"
    gates = ("reset", "update", "candidate")
    states = ("h",)
    keep_gate = "update"

    @staticmethod
    @override
    def step(wx: Tensor, rh: Tensor, state: State, extra: Mapping[str, Tensor]) -> State:
        (h,) = state
        (wx_r, wx_z, wx_n), (rh_r, rh_z, rh_n) = wx.unbind(-2), rh.unbind(-2)
        r, z = (wx_r + rh_r).sigmoid(), (wx_z + rh_z).sigmoid()
        n = (wx_n + r * rh_n).tanh()
        return (n + z * (h - n),)


LAYER_NORM_EPSILON = 1e-5


def _normalise(terms: Tensor) -> Tensor:
    """Mean 0 and variance 1 over the hidden units of each block: (..., hidden) -> same shape."""
    return F.layer_norm(terms, terms.shape[-1:], eps=LAYER_NORM_EPSILON)


class LayerNormLSTM(Cell):
    """LSTM whose input terms, recurrent terms and memory are normalised over the hidden units.

    With N(v) = (v - mean(v)) / sqrt(var(v) + 1e-5) over the units of one gate, and i, f, g, o the blocks of
    gain_x * N(wx) + gain_h * N(rh) + shift:
        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h' = sigmoid(o) * tanh(gain_c * N(c') + shift_c)

    Source: Ba, Kiros & Hinton 2016, arXiv:1607.06450, equations 20 to 22, with two differences: each gate is
    normalised alone, where the paper takes the mean over all four, so that no gate sets another's scale;
    and the bias is ``shift``, after the normalisation. ``b`` and ``c`` of a scan are inside it, where
    whatever they have in common is taken out again: layers leave them None.
    """

    name = "lnlstm"
    gates = LSTM.gates
    states = LSTM.states
    extra = MappingProxyType(
        {
            "gain_x": Extra(rows=4, initial=1.0),
            "gain_h": Extra(rows=4, initial=1.0),
            "shift": Extra(rows=4, initial=0.0),
            "gain_c": Extra(rows=1, initial=1.0),
            "shift_c": Extra(rows=1, initial=0.0),
        }
    )
    biased = False
    keep_gate = LSTM.keep_gate
    write_gate = LSTM.write_gate

    @staticmethod
    @override
    def step(wx: Tensor, rh: Tensor, state: State, extra: Mapping[str, Tensor]) -> State:
        _, c = state
        terms = extra["gain_x"] * _normalise(wx) + extra["gain_h"] * _normalise(rh) + extra["shift"]
        i, f, g, o = terms.unbind(-2)  # each (batch, hidden)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * (extra["gain_c"] * _normalise(c) + extra["shift_c"]).tanh(), c


class LayerNormGRU(Cell):
    """GRU whose input and recurrent terms are normalised over the hidden units.

    With a = gain_x * N(wx) + shift and u = gain_h * N(rh), N as in the layer-normalised LSTM:
        r = sigmoid(a_r + u_r)      z = sigmoid(a_z + u_z)
        n = tanh(a_n + r * u_n)
        h' = (1 - z) * n + z * h

    Source: Ba, Kiros & Hinton 2016, arXiv:1607.06450, supplement; the same two differences as the LSTM's.
    """

    name = "lngru"
    gates = GRU.gates
    states = GRU.states
    extra = MappingProxyType(
        {
            "gain_x": Extra(rows=3, initial=1.0),
            "gain_h": Extra(rows=3, initial=1.0),
            "shift": Extra(rows=3, initial=0.0),
        }
    )
    biased = False
    keep_gate = GRU.keep_gate

    @staticmethod
    @override
    def step(wx: Tensor, rh: Tensor, state: State, extra: Mapping[str, Tensor]) -> State:
        inputs = extra["gain_x"] * _normalise(wx) + extra["shift"]  # (batch, 3, hidden)
        return GRU.step(inputs, extra["gain_h"] * _normalise(rh), state, {})


CELLS: Mapping[str, type[Cell]] = MappingProxyType(
    {cell.name: cell for cell in (Tanh, Relu, LSTM, GRU, LayerNormLSTM, LayerNormGRU)}
)


def find_cell(cell: str | type[Cell]) -> type[Cell]:
    """Return the class of a cell that may be given by name.

    Raises:
        ConfigError: no cell has that name.

    >>> find_cell("gru").gates
    ('reset', 'update', 'candidate')
    """
    if not isinstance(cell, str):
        return cell
    if cell not in CELLS:
        raise ConfigError(
            f"no cell is called '{cell}'{did_you_mean(cell, CELLS)}; the cells are {', '.join(CELLS)}"
        )
    return CELLS[cell]
