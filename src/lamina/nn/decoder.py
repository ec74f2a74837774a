"""Recurrent decoders, which write one sequence while they look back at another."""

from __future__ import annotations

from typing import NamedTuple

import torch
from pydantic import model_validator
from torch import Tensor, nn
from typing_extensions import override

from lamina._config import Config
from lamina.errors import ConfigError
from lamina.nn.cross_attention import CrossAttention, Memory, Score
from lamina.nn.stack import Stack, StackConfig, StackState

Fed = Tensor | tuple[()]


class DecoderConfig(Config):
    """What a recurrent decoder is made of."""

    attention: Score | None = "multiplicative"
    """How well a step of the source fits: additive (Bahdanau) or multiplicative (Luong). None looks at no
    step: all that is known of the source is what the decoder starts from."""
    input_feeding: bool = False
    """Whether a step reads the output before it beside its token; the layers then run step by step."""
    stack: StackConfig | None = None
    """The layers, all forward; None takes those of the encoder."""

    @model_validator(mode="after")
    def _fields_agree(self) -> DecoderConfig:
        if self.stack is not None and not self.stack.causal:
            raise ConfigError("a decoder writes forward, but its stack reads both directions; use 'forward'")
        return self


class DecoderState(NamedTuple):
    """What a decoder carries from step to step.

    Attributes:
        asking: state of the layer that asks the attention.
        above: states of the layers above.
        fed: the last output, (batch, 1, output_size); empty without input feeding.
    """

    asking: StackState
    above: StackState
    fed: Fed


class RecurrentDecoder(nn.Module):
    """(batch, time, input_size) and a memory -> (batch, time, output_size).

    The first layer asks: its output q_t is the query of the attention. The layers above read q_t and the
    context c_t, and with their output y_t (q_t itself, where there is none above):
        output_t = tanh(W [y_t; c_t] + b)
    No recurrence waits for the attention, so that over a whole sequence every layer is one scan and the
    attention one product; with input feeding, output_t-1 joins the input, and steps run one by one. The first
    states are tanh of a linear map of the memory's summary.

    Raises:
        ConfigError: input feeding goes with noise that holds for a whole sequence.

    Source: the place of the attention, Wu et al. 2016, arXiv:1609.08144; output and input feeding, Luong et
    al. 2015, arXiv:1508.04025.
    """

    def __init__(
        self,
        config: DecoderConfig,
        stack: StackConfig,
        *,
        input_size: int,
        memory_size: int,
        summary_size: int,
        output_size: int,
    ) -> None:
        super().__init__()
        self.config = config
        if config.input_feeding:
            _require_stepwise(stack)
        first, above = stack.hidden_sizes[0], stack.hidden_sizes[1:]
        context_size = memory_size if config.attention else 0
        fed_size = output_size if config.input_feeding else 0
        layers = stack.replace(directions="forward")
        self.asking = Stack(layers.replace(input_size=input_size + fed_size, hidden_sizes=(first,)))
        self.above = (
            Stack(layers.replace(input_size=first + context_size, hidden_sizes=above)) if above else None
        )
        self.attention = (
            CrossAttention(first, memory_size, score=config.attention) if config.attention else None
        )
        self.output = nn.Linear(stack.hidden_sizes[-1] + context_size, output_size)
        self.widths = [h.shape[1] for h in state_tensors((*self.asking.init_state(1), *self._above_state(1)))]
        self.start_map = nn.Linear(summary_size, sum(self.widths))

    def _above_state(self, batch: int) -> StackState:
        return () if self.above is None else self.above.init_state(batch)

    def remember(self, values: Tensor, lengths: Tensor, summary: Tensor) -> Memory:
        """The memory of a source that was read."""
        keys = () if self.attention is None else (self.attention.keys(values),)
        return Memory(values, lengths, summary, keys)

    def start(self, memory: Memory) -> DecoderState:
        """What the first step starts from."""
        parts = iter(torch.split(self.start_map(memory.summary).tanh(), self.widths, dim=1))
        batch = len(memory.lengths)
        asking, above = (
            tuple(tuple(tuple(next(parts) for _ in cell) for cell in layer) for layer in state)
            for state in (self.asking.init_state(batch), self._above_state(batch))
        )
        feeds = self.config.input_feeding
        fed: Fed = memory.values.new_zeros(batch, 1, self.output.out_features) if feeds else ()
        return DecoderState(asking, above, fed)

    @override
    def forward(
        self, x: Tensor, memory: Memory, state: DecoderState, *, lengths: Tensor | None = None
    ) -> tuple[Tensor, DecoderState, Tensor | None]:
        """Read tokens' vectors and say what comes after each.

        Args:
            x: (batch, time, input_size).
            memory: from ``remember``.
            state: from ``start``, or of the call before.
            lengths: valid steps of each row; None when all are.

        Returns:
            outputs (batch, time, output_size), state, and weights (batch, time, source) of the attention.
        """
        if isinstance(state.fed, tuple):
            return self._read(x, memory, state, lengths)
        outputs, looked = [], []
        for token in torch.split(x, 1, dim=1):
            read = torch.cat((token, state.fed), -1) if isinstance(state.fed, Tensor) else token
            y, state, weights = self._read(read, memory, state, None)
            state = state._replace(fed=y)
            outputs.append(y)
            looked.append(weights)
        found = [weights for weights in looked if weights is not None]
        return torch.cat(outputs, 1), state, torch.cat(found, 1) if found else None

    def _read(
        self, x: Tensor, memory: Memory, state: DecoderState, lengths: Tensor | None
    ) -> tuple[Tensor, DecoderState, Tensor | None]:
        y, asking = self.asking(x, state.asking, lengths=lengths)
        context, weights = y[..., :0], None
        if self.attention is not None:
            context, weights = self.attention(y, memory.keys[0], memory.values, memory.lengths)
        above = state.above
        if self.above is not None:
            y, above = self.above(torch.cat((y, context), -1), above, lengths=lengths)
        output = self.output(torch.cat((y, context), -1)).tanh()
        return output, DecoderState(asking, above, state.fed), weights


def state_tensors(state: StackState) -> list[Tensor]:
    """All that a stack carries, each (batch, hidden), from the first layer up."""
    return [h for layer in state for cell in layer for h in cell]


def _require_stepwise(stack: StackConfig) -> None:
    """Noise that is drawn once a sequence would be drawn at every step."""
    held = [name for name in ("recurrent_dropout", "weight_drop") if getattr(stack, name)]
    if stack.dropout and stack.dropout_mask == "sequence":
        held.append("dropout_mask='sequence'")
    if held:
        raise ConfigError(
            f"with input feeding the layers run step by step, and {', '.join(held)} would be drawn anew at "
            "every step; leave it out, or use input_feeding=False"
        )
