"""Stacked recurrent layers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn
from typing_extensions import override

from lamina._config import Config
from lamina.errors import ConfigError, DataError
from lamina.nn.recurrent import Direction, LayerState, Recurrent
from lamina.nn.regularize import Dropout, VariationalDropout
from lamina.ops.cells import find_cell
from lamina.ops.lengths import zero_padding

Size = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]

StackState = tuple[LayerState, ...]
"""``state[layer][direction][k]`` is state k of the cell, (batch, hidden); forward is direction 0."""


class StackConfig(Config):
    """What a Stack is made of.

    >>> StackConfig(input_size=8, hidden_sizes=(64, 32), directions=("both", "forward")).output_size
    32
    """

    cell: str = "lstm"
    """A name in ``lamina.ops.cells.CELLS``."""
    input_size: Size | None = None
    """Features of x; None until the data are known."""
    hidden_sizes: Annotated[tuple[Size, ...], Field(min_length=1)] = (64,)
    """Units of each layer, from the input up; of each direction, where a layer has two."""
    directions: tuple[Direction, ...] = ("forward",)
    """One for each layer, or a single one for all."""
    residual: Literal["none", "add", "dense", "gated"] = "none"
    """From the second layer on: "add" adds a layer's input to its output, through a projection where their
    sizes differ; "dense" lets a layer read x and the outputs of all layers below it, joined; "gated" adds the
    output, times a learned gate of each unit that begins at zero, to an input of the same size."""
    norm: Literal["none", "layer"] = "none"
    """"layer" normalises what each layer from the second on reads, and the output of the stack. Not x:
    normalised over its features, a single one would always be 0."""
    dropout: Rate = 0.0
    """Share of every layer's outputs dropped, the last layer's included."""
    dropout_mask: Literal["step", "sequence"] = "step"
    """Whether dropout draws anew at each step or once a sequence (variational)."""
    recurrent_dropout: Rate = 0.0
    """Share of h that a recurrent product does not see, one mask a sequence."""
    zoneout: Rate = 0.0
    """Chance that a unit keeps its old value at a step."""
    weight_drop: Rate = 0.0
    """Share of recurrent weights dropped, one mask a batch."""
    init: Literal["forget", "chrono"] = "forget"
    """Biases of the gate that keeps the memory: 1, or spread over memories of 1 to ``chrono_steps`` steps."""
    chrono_steps: Annotated[int, Field(ge=3)] | None = None
    """The longest memory expected, in steps; only and always with ``init="chrono"``."""

    @field_validator("cell")
    @classmethod
    def _cell_exists(cls, cell: str) -> str:
        return find_cell(cell).name

    @field_validator("directions", mode="before")
    @classmethod
    def _one_for_all(cls, directions: Any) -> Any:
        return (directions,) if isinstance(directions, str) else directions

    @model_validator(mode="after")
    def _fields_agree(self) -> StackConfig:
        layers = len(self.hidden_sizes)
        if len(self.directions) not in (1, layers):
            raise ConfigError(
                f"directions has {len(self.directions)} entries but hidden_sizes has {layers}; "
                "give one for each layer, or a single one for all"
            )
        if self.residual == "gated":
            _require_one_width(self)
        if (self.init == "chrono") != (self.chrono_steps is not None):
            raise ConfigError("init='chrono' and chrono_steps belong together; give both or neither")
        if self.init == "chrono" and find_cell(self.cell).keep_gate is None:
            raise ConfigError(
                f"init='chrono' needs a gate that keeps the memory; cell '{self.cell}' has none"
            )
        return self

    @property
    def layer_directions(self) -> tuple[Direction, ...]:
        """The direction of each layer."""
        return self.directions if len(self.directions) > 1 else self.directions * len(self.hidden_sizes)

    @property
    def output_size(self) -> int:
        return self.hidden_sizes[-1] * (2 if self.layer_directions[-1] == "both" else 1)

    @property
    def causal(self) -> bool:
        """Whether no output depends on a later input."""
        return "both" not in self.layer_directions


def _require_one_width(config: StackConfig) -> None:
    widths = [
        size * (2 if direction == "both" else 1)
        for size, direction in zip(config.hidden_sizes, config.layer_directions, strict=True)
    ]
    if len(set(widths)) > 1:
        raise ConfigError(
            f"residual='gated' adds layers of one width, but they give {widths} features; "
            "use equal hidden_sizes and directions, or residual='add'"
        )


class Stack(nn.Module):
    """Recurrent layers, one upon the other: (batch, time, input_size) -> (batch, time, output_size).

    The state goes in and comes out, and is never kept in the module. It is a tuple of layers of directions
    of cell states, ``state[layer][direction][k]``, of the same form in every call.

    Raises:
        ConfigError: ``config.input_size`` is not set.

    >>> stack = Stack(StackConfig(cell="gru", input_size=3, hidden_sizes=(8, 5)))
    >>> y, state = stack(torch.zeros(2, 7, 3))
    >>> y.shape, len(state), state[1][0][0].shape
    (torch.Size([2, 7, 5]), 2, torch.Size([2, 5]))
    """

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        if not isinstance(config, StackConfig):
            raise ConfigError(
                f"recurrent layers are made from a StackConfig, but came {type(config).__name__}"
            )
        if config.input_size is None:
            raise ConfigError("a Stack needs to know its input_size; use config.replace(input_size=...)")
        self.config = config
        self.layers = nn.ModuleList()
        self.norms = nn.ModuleList()
        self.joints = nn.ModuleList()
        size = config.input_size
        for depth, (hidden, direction) in enumerate(
            zip(config.hidden_sizes, config.layer_directions, strict=True)
        ):
            self.norms.append(nn.LayerNorm(size) if config.norm == "layer" and depth > 0 else nn.Identity())
            layer = _layer(config, size, hidden, direction)
            joint = _joint(config, depth, size, layer.output_size)
            self.layers.append(layer)
            self.joints.append(joint)
            size = joint.output_size
        self.dropout = _dropout(config)
        self.final_norm = nn.LayerNorm(size) if config.norm == "layer" else nn.Identity()

    @property
    def output_size(self) -> int:
        return self.config.output_size

    @property
    def causal(self) -> bool:
        """Whether no output depends on a later input, so that the stack can stream."""
        return self.config.causal

    def require_causal(self, purpose: str) -> None:
        """Raise ConfigError unless the stack can be used where the future is not known.

        Args:
            purpose: completes "it cannot ...", such as "stream".
        """
        for number, direction in enumerate(self.config.layer_directions, start=1):
            if direction == "both":
                raise ConfigError(
                    f"layer {number} reads both directions, so this stack cannot {purpose}: "
                    "the future is not known there. Use directions=('forward',)."
                )

    def init_state(self, batch: int) -> StackState:
        """Return zeros to start from, on the device and in the dtype of the parameters."""
        return tuple(layer.init_state(batch) for layer in self._recurrent)

    def grown(self, layers: int) -> Stack:
        """Return a stack with so many more layers on top, which computes the same until it is trained.

        The layers below are copies. Each new layer reads the output of the one below and adds to it through
        gates that are zero; they get their first gradient at once, and the layer behind them with the next.

        Raises:
            ConfigError: ``residual`` is not "gated", so that a new layer would change the output.

        >>> stack = Stack(StackConfig(input_size=3, hidden_sizes=(4,), residual="gated"))
        >>> x = torch.randn(2, 7, 3)
        >>> torch.equal(stack(x)[0], stack.grown(2)(x)[0])
        True
        """
        config = self.config
        if config.residual != "gated":
            raise ConfigError(
                f"a stack grows without a change of its output only with residual='gated', but this one has "
                f"'{config.residual}'; train it with residual='gated'"
            )
        top = config.layer_directions[-1]
        taller = Stack(
            config.replace(
                hidden_sizes=(*config.hidden_sizes, *[config.hidden_sizes[-1]] * layers),
                directions=(*config.layer_directions, *[top] * layers),
            )
        ).to(next(self.parameters()))
        taller.load_state_dict(self.state_dict(), strict=False)
        return taller.train(self.training)

    @property
    def _recurrent(self) -> list[Recurrent]:
        return [layer for layer in self.layers if isinstance(layer, Recurrent)]

    @override
    def forward(
        self,
        x: Tensor,
        state: StackState | None = None,
        *,
        lengths: Tensor | None = None,
        backend: str | None = None,
    ) -> tuple[Tensor, StackState]:
        """Run over a batch of sequences.

        Args:
            x: (batch, time, input_size).
            state: what each layer starts from; None for zeros.
            lengths: int64 (batch,), the steps of each row that are not padding; None when all are valid.
            backend: the backend that must run every layer; by default the first that can.

        Returns:
            y, (batch, time, output_size), zero at padding; and the state after the last valid step.

        Raises:
            DataError: shapes, dtypes, lengths or the state do not fit.
            BackendError: the backend named cannot run a layer.
        """
        if state is None:
            state = self.init_state(x.shape[0])
        elif len(state) != len(self.layers):
            raise DataError(f"the stack has {len(self.layers)} layers but the state has {len(state)}")
        # NaN in padding would reach the gradients of the norms, though zero is all it is multiplied with
        below = x if lengths is None else zero_padding(x, lengths)
        finals = []
        for layer, norm, joint, initial in zip(self.layers, self.norms, self.joints, state, strict=True):
            y, final = layer(norm(below), initial, lengths=lengths, backend=backend)
            below = joint(below, self.dropout(y))  # (batch, time, what the next one reads)
            finals.append(final)
        y = self.final_norm(below)
        return (y if lengths is None else zero_padding(y, lengths)), tuple(finals)

    def step(self, x: Tensor, state: StackState, *, backend: str | None = None) -> tuple[Tensor, StackState]:
        """Read one time step: (batch, input_size) -> (batch, output_size) and the next state.

        Raises:
            ConfigError: a layer reads both directions.

        >>> stack = Stack(StackConfig(input_size=3, hidden_sizes=(5,)))
        >>> y, state = stack.step(torch.zeros(1, 3), stack.init_state(1))
        >>> y.shape
        torch.Size([1, 5])
        """
        self.require_causal("stream")
        y, state = self(x.unsqueeze(1), state, backend=backend)
        return y.squeeze(1), state


def _layer(config: StackConfig, input_size: int, hidden_size: int, direction: Direction) -> Recurrent:
    return Recurrent(
        input_size,
        hidden_size,
        cell=config.cell,
        direction=direction,
        chrono_steps=config.chrono_steps,
        recurrent_dropout=config.recurrent_dropout,
        zoneout=config.zoneout,
        weight_drop=config.weight_drop,
    )


def _dropout(config: StackConfig) -> nn.Module:
    return Dropout(config.dropout) if config.dropout_mask == "step" else VariationalDropout(config.dropout)


class Replace(nn.Module):
    """The output of a layer alone goes on."""

    def __init__(self, output_size: int) -> None:
        super().__init__()
        self.output_size = output_size

    @override
    def forward(self, below: Tensor, y: Tensor) -> Tensor:
        return y


class Add(nn.Module):
    """A layer's input is added to its output, through a projection where their sizes differ."""

    def __init__(self, input_size: int, output_size: int) -> None:
        super().__init__()
        self.output_size = output_size
        same = input_size == output_size
        self.project = nn.Identity() if same else nn.Linear(input_size, output_size, bias=False)

    @override
    def forward(self, below: Tensor, y: Tensor) -> Tensor:
        projected: Tensor = self.project(below)
        return projected + y


class Gated(nn.Module):
    """A layer's output is added to its input, each unit through a gate that begins at zero.

    Source: ReZero, Bachlechner et al. 2021, arXiv:2003.04887, with one gate for a layer; ours has one a unit.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.output_size = size
        self.gate = nn.Parameter(torch.zeros(size))

    @override
    def forward(self, below: Tensor, y: Tensor) -> Tensor:
        return below + self.gate * y


class Concatenate(nn.Module):
    """A layer's input and its output go on, joined."""

    def __init__(self, input_size: int, output_size: int) -> None:
        super().__init__()
        self.output_size = input_size + output_size

    @override
    def forward(self, below: Tensor, y: Tensor) -> Tensor:
        return torch.cat((below, y), -1)


Joint = Replace | Add | Concatenate | Gated


def _joint(config: StackConfig, depth: int, input_size: int, output_size: int) -> Joint:
    """Return how the layer at a depth, 0 at the bottom, joins what it read to what it gave."""
    top = depth == len(config.hidden_sizes) - 1
    if config.residual == "add" and depth > 0:
        return Add(input_size, output_size)
    if config.residual == "gated" and depth > 0:
        return Gated(output_size)
    if config.residual == "dense" and not top:
        return Concatenate(input_size, output_size)
    return Replace(output_size)
