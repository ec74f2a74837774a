"""The Transformer encoder, with the interface of a Stack and a like number of parameters."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import model_validator
from torch import Tensor, nn
from typing_extensions import override

from lamina._config import Config
from lamina.errors import ConfigError, DataError
from lamina.nn.attention import Attention
from lamina.nn.stack import Rate, Size, Stack, StackConfig
from lamina.ops.lengths import zero_padding


class TransformerConfig(Config):
    """What a Transformer is made of."""

    input_size: Size | None = None
    """Features of x; None until the data are known."""
    size: Size = 64
    """Features of every layer; a multiple of heads, and even."""
    layers: Size = 2
    heads: Size = 4
    feedforward_ratio: Size = 4
    """Units of the feed-forward part of a layer, as a multiple of size."""
    positions: Literal["sinusoidal", "learned"] = "sinusoidal"
    max_steps: Size | None = None
    """The longest sequence; only and always with ``positions="learned"``."""
    causal: bool = False
    """Whether a step sees only itself and earlier ones."""
    dropout: Rate = 0.0
    """Share dropped of the inputs, of the attention weights and of what each half of a layer adds."""

    @model_validator(mode="after")
    def _fields_agree(self) -> TransformerConfig:
        if self.size % self.heads or self.size % 2:
            raise ConfigError(f"size must be even and a multiple of heads, {self.heads}, but is {self.size}")
        if (self.positions == "learned") != (self.max_steps is not None):
            raise ConfigError("positions='learned' and max_steps belong together; give both or neither")
        return self

    @property
    def output_size(self) -> int:
        return self.size

    @property
    def parameters(self) -> int:
        """How many numbers such a Transformer learns; input_size must be set."""
        assert self.input_size is not None
        attention = 4 * self.size**2 + 4 * self.size
        hidden = self.feedforward_ratio * self.size
        feedforward = 2 * self.size * hidden + hidden + self.size
        norms = 4 * self.size
        positions = (self.max_steps or 0) * self.size
        ends = (self.input_size + 1) * self.size + 2 * self.size  # the input map and the last norm
        return self.layers * (attention + feedforward + norms) + positions + ends

    @classmethod
    def like(cls, stack: StackConfig, *, layers: int | None = None, heads: int = 4) -> TransformerConfig:
        """Return the Transformer whose number of parameters is nearest to that of a stack.

        It has as many layers as the stack unless ``layers`` says otherwise, and is causal if the stack is.

        Raises:
            ConfigError: the stack's input_size is not set.

        >>> stack = StackConfig(input_size=8, hidden_sizes=(64, 64))
        >>> TransformerConfig.like(stack).size
        44
        """
        wanted = parameter_count(stack)
        step = math.lcm(heads, 2)
        base = cls(
            input_size=stack.input_size,
            size=step,
            layers=layers or len(stack.hidden_sizes),
            heads=heads,
            causal=stack.causal,
            dropout=stack.dropout,
        )
        below = base
        while base.parameters < wanted:
            below, base = base, base.replace(size=base.size + step)
        return min(below, base, key=lambda config: abs(config.parameters - wanted))


def parameter_count(config: StackConfig) -> int:
    """Return how many numbers a stack learns, without allocating them."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in Stack(config).parameters())


class Transformer(nn.Module):
    """A pre-norm Transformer encoder: (batch, time, input_size) -> (batch, time, size).

    Each layer: x = x + attention(norm(x)); x = x + W2 gelu(W1 norm(x)); a last norm at the top.
    It carries no state from call to call: the state that goes in and comes out is the empty tuple.

    Raises:
        ConfigError: ``config.input_size`` is not set.

    Source: Vaswani et al. 2017, arXiv:1706.03762; with the norm before each part (Xiong et al. 2020,
    arXiv:2002.04745) and GELU for ReLU (Hendrycks & Gimpel 2016, arXiv:1606.08415).

    >>> y, state = Transformer(TransformerConfig(input_size=3, size=8))(torch.zeros(2, 5, 3))
    >>> y.shape, state
    (torch.Size([2, 5, 8]), ())
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        if config.input_size is None:
            raise ConfigError(
                "a Transformer needs to know its input_size; use config.replace(input_size=...)"
            )
        self.config = config
        self.embed = nn.Linear(config.input_size, config.size)
        self.positions = (
            Sinusoids(config.size)
            if config.max_steps is None
            else LearnedPositions(config.max_steps, config.size)
        )
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(TransformerLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.size)

    @property
    def output_size(self) -> int:
        return self.config.size

    @property
    def causal(self) -> bool:
        """Whether no output depends on a later input."""
        return self.config.causal

    def require_causal(self, purpose: str) -> None:
        """Raise ConfigError unless it can be used where the future is not known; see ``Stack``."""
        if not self.causal:
            raise ConfigError(
                f"this Transformer looks at all steps, so it cannot {purpose}: "
                "the future is not known there. Use causal=True."
            )

    def init_state(self, batch: int) -> tuple[()]:  # noqa: ARG002  # the interface of a Stack
        """Return the empty state."""
        return ()

    @override
    def forward(
        self, x: Tensor, state: tuple[()] | None = None, *, lengths: Tensor | None = None
    ) -> tuple[Tensor, tuple[()]]:
        """Run over a batch of sequences.

        Args:
            x: (batch, time, input_size).
            state: None or the empty tuple; there for the interface that it shares with ``Stack``.
            lengths: int64 (batch,), the steps of each row that are not padding; None when all are valid.

        Returns:
            y, (batch, time, size), zero at padding; and the empty tuple.

        Raises:
            DataError: a state of another model, the wrong number of features, or more steps than max_steps.
        """
        if state:
            raise DataError("a Transformer carries no state; pass state=None and the whole sequence")
        if x.dim() != 3 or x.shape[2] != self.config.input_size:
            raise DataError(
                f"x must be (batch, time, {self.config.input_size}) but has shape {tuple(x.shape)}"
            )
        x = x if lengths is None else zero_padding(x, lengths)
        hidden = self.embed(x)  # (batch, time, size)
        hidden = self.dropout(hidden + self.positions(hidden))
        for layer in self.layers:
            hidden = layer(hidden, lengths)
        y = self.norm(hidden)
        return (y if lengths is None else zero_padding(y, lengths)), ()


class TransformerLayer(nn.Module):
    """Attention, then a feed-forward part, each adding to its input: (batch, time, size) -> same shape."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        hidden = config.feedforward_ratio * config.size
        self.norm_attention = nn.LayerNorm(config.size)
        self.attention = Attention(
            config.size, heads=config.heads, causal=config.causal, dropout=config.dropout
        )
        self.norm_feedforward = nn.LayerNorm(config.size)
        self.feedforward = nn.Sequential(
            nn.Linear(config.size, hidden), nn.GELU(), nn.Linear(hidden, config.size)
        )
        self.dropout = nn.Dropout(config.dropout)

    @override
    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        x = x + self.dropout(self.attention(self.norm_attention(x), lengths))
        added: Tensor = self.dropout(self.feedforward(self.norm_feedforward(x)))
        return x + added


class Sinusoids(nn.Module):
    """Fixed positions: sin and cos of t / 10000^(2 k / size), interleaved over the features."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Return (time, size) for x (batch, time, size)."""
        steps = torch.arange(x.shape[1], device=x.device, dtype=torch.float64)
        pairs = torch.arange(0, self.size, 2, device=x.device, dtype=torch.float64)
        angles = steps[:, None] / 10_000 ** (pairs / self.size)  # (time, size / 2)
        return torch.stack((angles.sin(), angles.cos()), -1).flatten(1).to(x.dtype)


class LearnedPositions(nn.Module):
    """One learned vector for each of ``max_steps`` positions."""

    def __init__(self, max_steps: int, size: int) -> None:
        super().__init__()
        self.table = nn.Parameter(
            torch.randn(max_steps, size) * 0.02
        )  # the scale of BERT's, arXiv:1810.04805

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Return (time, size) for x (batch, time, size)."""
        if x.shape[1] > len(self.table):
            raise DataError(
                f"x has {x.shape[1]} steps but positions were learned for {len(self.table)}; raise max_steps"
            )
        return self.table[: x.shape[1]]
