"""LSTM, GRU and RNN as torch.nn has them, on Lamina's CPU kernels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from typing_extensions import override

from lamina.nn.torch_layouts import Layout, layout_of
from lamina.ops.backends.aten import Aten
from lamina.ops.call import Call, Weights
from lamina.ops.cells import CELLS, State
from lamina.ops.scan import BACKENDS, Choice, choose

Hidden = Tensor | tuple[Tensor, Tensor]
"""torch's form of the state: h, or (h, c), each (layers * directions, batch, size)."""

_CELL_OF = {"LSTM": "lstm", "GRU": "gru", "RNN_TANH": "tanh", "RNN_RELU": "relu"}
_KERNELS = BACKENDS[0]


class _DropIn(nn.RNNBase):
    """What LSTM, GRU and RNN share: torch's parameters, and a forward pass on the kernels.

    What the kernels cannot run, and what does not fit the layer, goes to torch's own forward: it finds the
    parameters in the form it knows, and raises the errors that its callers expect.

    The base is torch.nn.RNNBase and not torch.nn.LSTM, because torch.compile refuses to look into any
    instance of the latter.
    """

    torch_class: ClassVar[type[nn.RNNBase]]

    @override
    def forward(self, input: Tensor | PackedSequence, hx: Hidden | None = None) -> tuple[Any, Any]:
        """Run over a batch as torch.nn's layer does: same input, same state, same result.

        Args:
            input: (time, batch, features); (batch, time, features) with ``batch_first``; (time, features)
                for one sequence; or a PackedSequence.
            hx: h, for an LSTM (h, c), each (layers * directions, batch, size); None for zeros.
        """
        work = _Work.of(self, input, hx)
        if work is None or _KERNELS.why_not(work.first) is not None:
            return self._run_on_torch(input, hx)
        y, state = work.run(self)
        output = input._replace(data=y) if isinstance(input, PackedSequence) else y
        return output, state if len(state) > 1 else state[0]

    def explain(self, input: Tensor | PackedSequence, hx: Hidden | None = None) -> Choice:
        """Say whether the kernels or torch's own operator run this input, and why; print it to read it.

        Raises:
            ValueError, RuntimeError: torch's, where the input does not fit the layer.

        >>> print(LSTM(3, 4).to(torch.float16).explain(torch.zeros(5, 1, 3).half()))    # doctest: +ELLIPSIS
        aten runs it
          native: ...
        """
        work = _Work.of(self, input, hx)
        if work is None:
            self._run_on_torch(input, hx)  # raises, unless the batch is empty
            return Choice(Aten(), ((_KERNELS.name, "the batch is empty"),))
        why = _KERNELS.why_not(work.first)
        return Choice(_KERNELS, ()) if why is None else Choice(Aten(), ((_KERNELS.name, why),))

    def _run_on_torch(self, input: Tensor | PackedSequence, hx: Hidden | None) -> tuple[Any, Any]:
        if isinstance(input, PackedSequence):  # which torch.nn.LSTM 2.13 does not check: it answers nonsense
            data, batch_sizes, *_ = input
            self.check_input(data, batch_sizes)
            if hx is not None:
                self.check_forward_args(data, hx, batch_sizes)  # type: ignore[arg-type]  # h alone or (h, c)
        found: tuple[Any, Any] = self.torch_class.forward(self, input, hx)
        return found


class LSTM(_DropIn):
    """torch.nn.LSTM on Lamina's CPU kernels: same arguments, parameters, results and errors.

    What the kernels cannot run (a GPU, half precision) runs on torch's operators, and ``explain`` says why.
    The parameters have torch's names, shapes and initial values, so a ``state_dict`` fits both ways.

    >>> layer = LSTM(3, 5, num_layers=2, batch_first=True)
    >>> y, (h, c) = layer(torch.zeros(4, 7, 3))
    >>> y.shape, h.shape
    (torch.Size([4, 7, 5]), torch.Size([2, 4, 5]))
    """

    torch_class = nn.LSTM
    # torch's forward calls these, and RNNBase has them for one state only
    get_expected_cell_size = nn.LSTM.get_expected_cell_size
    check_forward_args = nn.LSTM.check_forward_args  # type: ignore[assignment]  # as torch's own is
    permute_hidden = nn.LSTM.permute_hidden  # type: ignore[assignment]  # as torch's own is

    def __init__(  # noqa: PLR0917  # in torch's order
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            "LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size,
            device, dtype,
        )  # fmt: skip


class GRU(_DropIn):
    """torch.nn.GRU on Lamina's CPU kernels; see LSTM.

    >>> y, h = GRU(3, 5, bidirectional=True)(torch.zeros(7, 4, 3))
    >>> y.shape, h.shape
    (torch.Size([7, 4, 10]), torch.Size([2, 4, 5]))
    """

    torch_class = nn.GRU

    def __init__(  # noqa: PLR0917  # in torch's order
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            "GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0,
            device, dtype,
        )  # fmt: skip


class RNN(_DropIn):
    """torch.nn.RNN on Lamina's CPU kernels; see LSTM.

    >>> y, h = RNN(3, 5, nonlinearity="relu")(torch.zeros(7, 4, 3))
    >>> y.shape, h.shape
    (torch.Size([7, 4, 5]), torch.Size([1, 4, 5]))
    """

    torch_class = nn.RNN

    def __init__(  # noqa: PLR0917  # in torch's order
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        modes = {"tanh": "RNN_TANH", "relu": "RNN_RELU"}
        if nonlinearity not in modes:
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(
            modes[nonlinearity], input_size, hidden_size, num_layers, bias, batch_first, dropout,
            bidirectional, 0, device, dtype,
        )  # fmt: skip
        self.nonlinearity = nonlinearity


@dataclass(frozen=True, eq=False)
class _Work:
    """One forward pass in Lamina's terms."""

    layout: Layout
    first: Call
    """The bottom layer, forward."""
    state: tuple[State, ...]
    """Of each layer and direction, as in torch's order of parameters."""
    weights: tuple[Weights, ...]

    @classmethod
    def of(cls, layer: _DropIn, given: Tensor | PackedSequence, hx: Hidden | None) -> _Work | None:
        """Return None for what does not fit the layer, and for an empty batch."""
        data = given.data if isinstance(given, PackedSequence) else given
        weights = tuple(_weights(layer))
        fits = data.dim() > 1 and data.shape[-1] == layer.input_size and data.numel() > 0
        layout = layout_of(given, batch_first=layer.batch_first) if fits else None
        if layout is None or (data.dtype != weights[0].w.dtype and not torch.is_autocast_enabled("cpu")):
            return None
        x = layout.rows(data)
        sizes = (weights[0].outputs, weights[0].hidden)[: 2 if layer.mode == "LSTM" else 1]
        shapes = [(len(weights), x.shape[0], size) for size in sizes]
        stacked = tuple(map(x.new_zeros, shapes)) if hx is None else _stacked(layout, hx)
        if [tuple(state.shape) for state in stacked] != shapes:
            return None
        state = tuple(zip(*(part.unbind(0) for part in stacked), strict=True))
        first = Call(CELLS[_CELL_OF[layer.mode]], x, state[0], weights[0], layout.lengths)
        return cls(layout, first, state, weights)

    def run(self, layer: _DropIn) -> tuple[Tensor, State]:
        """Run every layer; return its outputs and final states as the caller lays them out."""
        below, lengths, cell = self.first.x, self.layout.lengths, self.first.cell
        directions = 2 if layer.bidirectional else 1
        finals: list[State] = []
        for depth in range(layer.num_layers):
            if depth and layer.training and layer.dropout:
                below = self.layout.drop(below, layer.dropout)
            outputs = []
            for reverse in (False, True)[:directions]:
                state, weights = self.state[len(finals)], self.weights[len(finals)]
                call = Call(cell, below, state, weights, lengths, reverse) if finals else self.first
                y, final = choose(call, backend=_KERNELS.name).backend.run(call)
                outputs.append(y)
                finals.append(final)
            below = torch.cat(outputs, -1) if directions > 1 else outputs[0]
        stacked = (torch.stack(states) for states in zip(*finals, strict=True))
        return self.layout.given(below), tuple(map(self.layout.state_given, stacked))


def _weights(layer: _DropIn) -> Iterator[Weights]:
    """The parameters of each layer and direction, by name: hooks and functional_call put others there."""
    for names in layer._all_weights:
        w, r, *rest = (getattr(layer, name) for name in names)
        projection = rest.pop() if layer.proj_size else None
        b, c = rest or (None, None)
        yield Weights(w, r, b, c, projection=projection)


def _stacked(layout: Layout, hx: Hidden) -> State:
    """The caller's states as (layers * directions, batch, size); nothing where an axis is missing."""
    parts = (hx,) if isinstance(hx, Tensor) else tuple(hx)
    return tuple(map(layout.state, parts)) if all(part.dim() == layout.state_axes for part in parts) else ()
