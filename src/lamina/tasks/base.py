"""What the tasks share: the body that reads a sequence, and how its outputs become one vector."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from lamina.errors import ConfigError
from lamina.nn.pooling import AttentionPool, LastPool, MaxPool, MeanPool
from lamina.nn.stack import Stack, StackConfig
from lamina.nn.transformer import Transformer, TransformerConfig
from lamina.ops.lengths import last_valid

BodyConfig = StackConfig | TransformerConfig
Pooling = Literal["last", "mean", "max"]


def build_body(config: BodyConfig, input_size: int) -> Stack | Transformer:
    """The network that reads (batch, time, input_size); the configuration's own ``input_size`` gives way.

    Raises:
        ConfigError: not a configuration of a body.
    """
    if isinstance(config, StackConfig):
        return Stack(config.replace(input_size=input_size))
    if isinstance(config, TransformerConfig):
        return Transformer(config.replace(input_size=input_size))
    raise ConfigError(
        f"stack is a StackConfig or a TransformerConfig but is {config!r}. "
        "Pass for example stack=StackConfig(hidden_sizes=(64, 64))."
    )


class Ends(nn.Module):
    """The state each direction of a layer ends in: forward at the last valid step, backward at the first."""

    def forward(self, y: Tensor, lengths: Tensor | None = None) -> Tensor:
        """y (batch, time, 2 * size), forward first -> (batch, 2 * size)."""
        half = y.shape[-1] // 2
        last = y[:, -1] if lengths is None else last_valid(y, lengths)
        return torch.cat([last[:, :half], y[:, 0, half:]], dim=-1)


class Reader(nn.Module):
    """Reads a sequence into one vector: (batch, time, features) -> (batch, output_size).

    Args:
        features: features a step.
        config: the stack or Transformer.
        width: when given, a linear map to this many features comes first.
        pooling: ``last``: the end of each direction; ``mean``, ``max``: over the valid steps.
        attention: join a learned-query attention over all outputs to the pooled vector.
    """

    def __init__(
        self,
        features: int,
        config: BodyConfig,
        *,
        width: int | None = None,
        pooling: Pooling = "last",
        attention: bool = False,
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(features, width) if width else nn.Identity()
        self.body = build_body(config, width or features)
        size = self.body.output_size
        both = isinstance(config, StackConfig) and config.layer_directions[-1] == "both"
        self.pool = {"last": LastPool, "mean": MeanPool, "max": MaxPool}[pooling]()
        if pooling == "last" and both:
            self.pool = Ends()
        self.attend = AttentionPool(size) if attention else None
        self.output_size = size * (2 if attention else 1)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """x (batch, time, features) -> (batch, output_size)."""
        y, _ = self.body(self.embed(x), lengths=lengths)
        pooled = self.pool(y, lengths)
        return pooled if self.attend is None else torch.cat([pooled, self.attend(y, lengths)], dim=-1)
