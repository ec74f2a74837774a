"""One recurrent layer in one or two directions, with the parameter names and shapes of torch.nn."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from typing_extensions import override

from lamina.errors import ConfigError, DataError
from lamina.nn.regularize import drop_recurrent, drop_weight, zone_out
from lamina.ops.call import Weights
from lamina.ops.cells import Cell, State, find_cell
from lamina.ops.scan import scan

Direction = Literal["forward", "both"]
LayerState = tuple[State, ...]
"""For each direction, forward first, the states of the cell, each (batch, hidden)."""


class Recurrent(nn.Module):
    """A recurrent layer: (batch, time, input_size) -> (batch, time, output_size).

    In two directions the second reads each row from its own end, and the outputs are joined:
    output_size is then 2 * hidden_size. A ``state_dict`` of a one-layer torch.nn.LSTM, GRU or RNN loads.

    Args:
        cell: a name in CELLS, or a class of cell.
        direction: "forward" or "both".
        chrono_steps: the longest memory expected, in steps; see ``initialise``. None for forget biases of 1.
        recurrent_dropout: share of h that the recurrent product does not see, one mask a call.
        zoneout: chance that a unit keeps its old value at a step.
        weight_drop: share of recurrent weights dropped, one mask a call.

    Raises:
        ConfigError: the direction is unknown, or ``chrono_steps`` is given for a cell that cannot forget.

    >>> layer = Recurrent(3, 5, cell="gru", direction="both")
    >>> y, (forward, backward) = layer(torch.zeros(2, 7, 3))
    >>> y.shape, forward[0].shape
    (torch.Size([2, 7, 10]), torch.Size([2, 5]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        cell: str | type[Cell] = "lstm",
        direction: Direction = "forward",
        chrono_steps: int | None = None,
        recurrent_dropout: float = 0.0,
        zoneout: float = 0.0,
        weight_drop: float = 0.0,
    ) -> None:
        super().__init__()
        if direction not in get_args(Direction):
            raise ConfigError(f"direction must be 'forward' or 'both' but is '{direction}'")
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.cell = find_cell(cell)
        self.direction = direction
        self.recurrent_dropout = recurrent_dropout
        self.zoneout = zoneout
        self.weight_drop = weight_drop
        rows = len(self.cell.gates) * hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, input_size),
            "weight_hh": (rows, hidden_size),
        }
        if self.cell.biased:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        shapes |= {name: (extra.rows, hidden_size) for name, extra in self.cell.extra.items()}
        for suffix in self._suffixes:
            for name, shape in shapes.items():
                self.register_parameter(name + suffix, nn.Parameter(torch.empty(shape)))
        self.initialise(chrono_steps)

    @property
    def output_size(self) -> int:
        return self.hidden_size * len(self._suffixes)

    @property
    def _suffixes(self) -> tuple[str, ...]:
        return ("_l0",) if self.direction == "forward" else ("_l0", "_l0_reverse")

    def weights(self, direction: int) -> Weights:
        """Return the parameters of one direction, 0 or 1, as ``scan`` takes them."""
        suffix = self._suffixes[direction]
        return Weights(
            w=self.get_parameter(f"weight_ih{suffix}"),
            r=self.get_parameter(f"weight_hh{suffix}"),
            b=self.get_parameter(f"bias_ih{suffix}") if self.cell.biased else None,
            c=self.get_parameter(f"bias_hh{suffix}") if self.cell.biased else None,
            extra={name: self.get_parameter(name + suffix) for name in self.cell.extra},
        )

    @torch.no_grad()
    def initialise(self, chrono_steps: int | None = None) -> None:
        """Draw all parameters anew, gate by gate.

        Recurrent blocks are orthogonal, input blocks Xavier-uniform, biases 0, except for the gate that
        keeps the memory: 1 (Gers et al. 2000), so that a new network remembers; or, with ``chrono_steps``
        T, log(u) for u uniform in [1, T - 1], so that its units remember for 1 to T steps, and the
        opposite for a separate write gate (Tallec & Ollivier 2018, arXiv:1804.11188).
        """
        for direction in range(len(self._suffixes)):
            weights = self.weights(direction)
            for block in weights.w.chunk(len(self.cell.gates)):
                nn.init.xavier_uniform_(block)
            for block in weights.r.chunk(len(self.cell.gates)):
                nn.init.orthogonal_(block)
            for name, extra in self.cell.extra.items():
                weights.extra[name].fill_(extra.initial)
            for bias in (weights.b, weights.c):
                if bias is not None:
                    bias.zero_()
            bias = weights.extra["shift"] if weights.b is None else weights.b
            self._open_memory(bias.view(-1, self.hidden_size), chrono_steps)

    def _open_memory(self, bias: Tensor, chrono_steps: int | None) -> None:
        """Set the bias of the gates that keep and write: (gates, hidden)."""
        gates, keep, write = self.cell.gates, self.cell.keep_gate, self.cell.write_gate
        if keep is None:
            if chrono_steps is not None:
                raise ConfigError(
                    f"cell '{self.cell.name}' has no gate that keeps its memory; leave out chrono_steps"
                )
        elif chrono_steps is None:
            bias[gates.index(keep)] = 1.0
        else:
            if chrono_steps < 3:
                raise ConfigError(f"chrono_steps must be at least 3 but is {chrono_steps}")
            bias[gates.index(keep)] = torch.empty_like(bias[0]).uniform_(1, chrono_steps - 1).log()
            if write is not None:
                bias[gates.index(write)] = -bias[gates.index(keep)]

    def init_state(self, batch: int) -> LayerState:
        """Return zeros to start from."""
        like = self.get_parameter("weight_hh_l0")
        zero = like.new_zeros(batch, self.hidden_size)
        return tuple((zero,) * len(self.cell.states) for _ in self._suffixes)

    @override
    def forward(
        self,
        x: Tensor,
        state: LayerState | None = None,
        *,
        lengths: Tensor | None = None,
        backend: str | None = None,
    ) -> tuple[Tensor, LayerState]:
        """Run over a batch of sequences.

        Args:
            x: (batch, time, input_size).
            state: what each direction starts from; None for zeros.
            lengths, backend: as for ``lamina.ops.scan.scan``.

        Returns:
            y, (batch, time, output_size), zero at padding; and the final state, in the form of ``state``.
        """
        if state is None:
            state = self.init_state(x.shape[0])
        elif len(state) != len(self._suffixes):
            raise DataError(f"the layer has {len(self._suffixes)} directions but the state has {len(state)}")
        outputs, finals = [], []
        for direction, initial in enumerate(state):
            weights = self.weights(direction)
            dropped = drop_weight(weights.r, self.weight_drop, training=self.training)
            y, final = scan(
                self.cell,
                x,
                initial,
                replace(weights, r=dropped),
                lengths=lengths,
                reverse=direction == 1,
                recurrent_mask=drop_recurrent(initial[0], self.recurrent_dropout, training=self.training),
                zoneout=zone_out(x, self.hidden_size, len(initial), self.zoneout, training=self.training),
                backend=backend,
            )
            outputs.append(y)
            finals.append(final)
        return torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0], tuple(finals)

    @override
    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}, cell={self.cell.name}, direction={self.direction}"
