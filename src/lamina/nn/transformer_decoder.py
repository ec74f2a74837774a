"""The Transformer decoder, with the interface of a recurrent one."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from lamina.nn.attention import Attention
from lamina.nn.cross_attention import Memory
from lamina.nn.transformer import LearnedPositions, Sinusoids, TransformerConfig
from lamina.ops.lengths import valid_steps


class PrefixState(NamedTuple):
    """All that was read, (batch, steps, input_size): every new step looks at it again."""

    read: Tensor


class TransformerDecoder(nn.Module):
    """A pre-norm Transformer decoder: (batch, time, input_size) and a memory -> (batch, time, output_size).

    Each layer: x = x + self(norm(x)); x = x + source(norm(x)); x = x + W2 gelu(W1 norm(x)), where ``self``
    attends to the steps so far and ``source`` to the memory; a last norm and a linear map at the top. One
    step costs as much as all steps before it together, for their keys are not kept.

    Source: as ``lamina.nn.transformer.Transformer``.
    """

    def __init__(
        self, config: TransformerConfig, *, input_size: int, memory_size: int, output_size: int
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(input_size, config.size)
        self.positions = (
            Sinusoids(config.size)
            if config.max_steps is None
            else LearnedPositions(config.max_steps, config.size)
        )
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(DecoderLayer(config, memory_size) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.size)
        self.output = nn.Linear(config.size, output_size)

    def remember(self, values: Tensor, lengths: Tensor, summary: Tensor) -> Memory:
        """The memory of a source that was read; every layer has keys and values of its own."""
        return Memory(values, lengths, summary, tuple(layer.keys(values) for layer in self._blocks))

    def start(self, memory: Memory) -> PrefixState:
        """What the first step starts from: nothing was read."""
        return PrefixState(memory.values.new_zeros(len(memory.lengths), 0, self.embed.in_features))

    @property
    def _blocks(self) -> list[DecoderLayer]:
        return [layer for layer in self.layers if isinstance(layer, DecoderLayer)]

    @override
    def forward(
        self, x: Tensor, memory: Memory, state: PrefixState, *, lengths: Tensor | None = None
    ) -> tuple[Tensor, PrefixState, Tensor]:
        """As ``RecurrentDecoder``; the weights are those of the last layer, in the mean over its heads."""
        read = torch.cat((state.read, x), 1)
        hidden = self.embed(read)  # (batch, all steps so far, size)
        hidden = self.dropout(hidden + self.positions(hidden))
        limits = None if lengths is None else lengths + state.read.shape[1]
        weights = hidden.new_zeros(0)
        for layer, keys in zip(self._blocks, memory.keys, strict=True):
            hidden, weights = layer(hidden, keys, memory.lengths, limits)
        new = x.shape[1]
        return self.output(self.norm(hidden[:, -new:])), PrefixState(read), weights[:, -new:]


class DecoderLayer(nn.Module):
    """Attention to what was written, attention to the source, then a feed-forward part."""

    def __init__(self, config: TransformerConfig, memory_size: int) -> None:
        super().__init__()
        hidden = config.feedforward_ratio * config.size
        self.heads, self.rate = config.heads, config.dropout
        self.norm_self = nn.LayerNorm(config.size)
        self.attention = Attention(config.size, heads=config.heads, causal=True, dropout=config.dropout)
        self.norm_source = nn.LayerNorm(config.size)
        self.query = nn.Linear(config.size, config.size)
        self.key_value = nn.Linear(memory_size, 2 * config.size)
        self.project = nn.Linear(config.size, config.size)
        self.norm_feedforward = nn.LayerNorm(config.size)
        self.feedforward = nn.Sequential(
            nn.Linear(config.size, hidden), nn.GELU(), nn.Linear(hidden, config.size)
        )
        self.dropout = nn.Dropout(config.dropout)

    def keys(self, memory: Tensor) -> Tensor:
        """Keys and values of all heads, joined: (batch, source, 2 * size)."""
        found: Tensor = self.key_value(memory)
        return found

    @override
    def forward(
        self, x: Tensor, keys: Tensor, source_lengths: Tensor, lengths: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        x = x + self.dropout(self.attention(self.norm_self(x), lengths))
        found, weights = self._look(self.norm_source(x), keys, source_lengths)
        x = x + self.dropout(found)
        return x + self.dropout(self.feedforward(self.norm_feedforward(x))), weights

    def _look(self, x: Tensor, keys: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        q = self._split(self.query(x))  # (batch, heads, time, size / heads)
        k, v = (self._split(part) for part in keys.chunk(2, -1))
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5  # (batch, heads, time, source)
        seen = valid_steps(lengths, keys.shape[1])[:, None, None]
        weights = scores.masked_fill(~seen, -torch.inf).softmax(-1)
        mixed = F.dropout(weights, self.rate, self.training) @ v
        found: Tensor = self.project(mixed.transpose(1, 2).flatten(2))
        return found, weights.mean(1)

    def _split(self, x: Tensor) -> Tensor:
        batch, time, size = x.shape
        return x.view(batch, time, self.heads, size // self.heads).transpose(1, 2)
