"""Pre-training of a network for texts: the tokens beside each one, foreseen without labels."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from typing_extensions import override

from lamina.data.labelled_texts import LabelledTexts
from lamina.errors import ConfigError
from lamina.nn.directions import require_one_kind
from lamina.nn.next_token import Output, mean_nats
from lamina.nn.stack import Stack
from lamina.ops.lengths import valid_steps
from lamina.tasks.text import PreparedTexts, TextBatch, TextInputs, TextNetwork

PIECE_TOKENS = 80
HELD_OUT = 0.05
CUTOFFS = 1_000, 4_000, 12_000
"""Where classes of rarer tokens begin, none above half of the vocabulary; see ``lamina.nn.next_token``."""


class NeighbourNetwork(nn.Module):
    """How well a text's tokens are foreseen from those before them, and from those behind them.

    The stack reads the text as it will read texts to classify. Its forward half, after step t, predicts token
    t + 1; its backward half token t - 1. Both share one output layer, whose weights are the embedding's. The
    embedding and the stack are the given network's own and are trained in place; the output layer is new.

    Raises:
        ConfigError: the network's body is no stack, or its directions cannot be kept apart.
    """

    def __init__(self, network: TextNetwork) -> None:
        super().__init__()
        body = network.reader.body
        if not isinstance(body, Stack):
            raise ConfigError(
                "pre-training foresees the tokens beside each one, which a Transformer that reads whole "
                "texts has seen already. Use stack=StackConfig(...), or leave the unlabelled texts out."
            )
        require_one_kind(body.config, "be pre-trained")
        self.embed, self.input_dropout, self.body = network.embed, network.input_dropout, body
        tokens, size = self.embed.weight.shape
        self._ways = 1 if body.causal else 2
        self.project = nn.ModuleList(
            nn.Linear(body.output_size // self._ways, size, bias=False) for _ in range(self._ways)
        )
        self.bias = nn.Parameter(torch.zeros(tokens))
        self._cutoffs = tuple(cutoff for cutoff in CUTOFFS if 2 * cutoff <= tokens)
        self.classes = nn.Linear(size, len(self._cutoffs)) if self._cutoffs else None

    def read(self, batch: TextBatch) -> Tensor:
        """What the stack gives at each step, (batch, time, features)."""
        y: Tensor = self.body(self.input_dropout(self.embed(batch.x)), lengths=batch.lengths)[0]
        return y

    @override
    def forward(self, batch: TextBatch) -> Tensor:
        """Nats a token foreseen, a scalar, of texts that have two tokens or more."""
        halves = self.read(batch).chunk(self._ways, -1)  # forward first
        pairs = valid_steps(batch.lengths - 1, batch.x.shape[1] - 1)  # (batch, time - 1): has one behind it
        foreseen = [self.project[0](halves[0][:, :-1][pairs])]  # (tokens, size)
        targets = [batch.x[:, 1:][pairs]]
        if self._ways == 2:
            foreseen.append(self.project[1](halves[1][:, 1:][pairs]))
            targets.append(batch.x[:, :-1][pairs])
        return mean_nats(torch.cat(foreseen), self.output(), torch.cat(targets))

    def output(self) -> Output:
        """The layer that scores the tokens."""
        if self.classes is None:
            return Output(self.embed.weight, self.bias)
        return Output(self.embed.weight, self.bias, self._cutoffs, self.classes.weight, self.classes.bias)


class NeighbourObjective:
    """Cross-entropy of the neighbouring tokens, in nats a token."""

    higher_is_better = False

    def __init__(self, inputs: TextInputs, data: PreparedTexts, held_out: NDArray[np.int64]) -> None:
        self._inputs, self._data, self._held_out = inputs, data, held_out

    def loss(self, network: nn.Module, batch: TextBatch) -> Tensor:
        loss: Tensor = network(batch)
        return loss

    @torch.no_grad()
    def validate(self, network: nn.Module) -> tuple[float, float]:
        """Nats a token of the held-out pieces; they are the metric and the loss."""
        nats, tokens = 0.0, 0
        for chosen in np.array_split(self._held_out, -(-len(self._held_out) // 64)):
            batch = self._batch(network, chosen)
            count = int((batch.lengths - 1).sum())
            nats += float(network(batch)) * count
            tokens += count
        return nats / tokens, nats / tokens

    @torch.no_grad()
    def constant_output(self, network: nn.Module) -> str | None:
        """Whatever is read, the stack gives the same."""
        assert isinstance(network, NeighbourNetwork)
        batch = self._batch(network, self._held_out[:8])
        y = network.read(batch)[valid_steps(batch.lengths, batch.x.shape[1])]  # (tokens, features)
        if float((y.amax(0) - y.amin(0)).max()) < 1e-5 and batch.x.min() < batch.x.max():
            return "what the stack gives does not depend on the tokens it reads"
        return None

    def _batch(self, network: nn.Module, chosen: NDArray[np.int64]) -> TextBatch:
        batch = self._inputs.collate(self._data, chosen)
        device = next(network.parameters()).device
        return TextBatch(*(part.to(device) for part in batch))


def in_pieces(texts: LabelledTexts, most: int = PIECE_TOKENS) -> LabelledTexts:
    """The same tokens with longer texts cut into pieces of like length, of at most ``most`` tokens."""
    lengths = texts.lengths
    counts = np.maximum(1, -(-lengths // most))  # pieces of each text
    of_text = np.repeat(np.arange(len(lengths)), counts)
    number = np.arange(len(of_text)) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = texts.starts[of_text] + number * lengths[of_text] // counts[of_text]
    return LabelledTexts(
        texts.values, np.append(starts, texts.starts[-1]), texts.labels[of_text], texts.classes
    )
