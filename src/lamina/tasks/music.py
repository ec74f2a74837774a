"""Music modelling: which keys sound in the next frame, each of the 88 on its own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from lamina.data.batches import length_buckets, pad_sequences
from lamina.data.music import KEYS, Roll, transpose
from lamina.nn.stack import Stack, StackConfig, StackState
from lamina.ops.lengths import valid_steps


class MusicBatch(NamedTuple):
    """Pieces side by side.

    Attributes:
        x: what is read: silence, then every frame but the last, (batch, frames, 88).
        targets: what follows: every frame, (batch, frames, 88).
        lengths: frames of each piece, (batch,).
    """

    x: Tensor
    targets: Tensor
    lengths: Tensor


def collate(rolls: Sequence[Roll]) -> MusicBatch:
    """Pad pieces to the longest; a frame of silence comes first, so that the first frame is foreseen too."""
    padded, lengths = pad_sequences([roll.astype(np.float32) for roll in rolls])
    targets = torch.from_numpy(padded)
    return MusicBatch(F.pad(targets, (0, 0, 1, 0))[:, :-1], targets, torch.from_numpy(lengths))


class MusicNetwork(nn.Module):
    """Scores of the keys in the next frame: the logit of each to sound.

    Raises:
        ConfigError: the stack reads both directions, and so would hear what it should foresee.
    """

    def __init__(self, stack: StackConfig) -> None:
        super().__init__()
        self.body = Stack(stack.replace(input_size=KEYS))
        self.body.require_causal("foresee the next frame")
        self.head = nn.Linear(self.body.output_size, KEYS)

    @torch.no_grad()
    def start_from(self, rolls: Sequence[Roll]) -> None:
        """Let every key begin with the chance it has in these pieces; training then starts from there."""
        frames = sum(len(roll) for roll in rolls)
        sounding = np.sum([roll.sum(axis=0) for roll in rolls], axis=0)
        self.head.bias.copy_(torch.from_numpy(np.log((sounding + 0.5) / (frames - sounding + 0.5))))

    @override
    def forward(
        self, x: Tensor, state: StackState | None = None, *, lengths: Tensor | None = None
    ) -> tuple[Tensor, StackState]:
        """Read frames (batch, frames, 88) -> logits of the same shape, state."""
        y, state = self.body(x, state, lengths=lengths)
        return self.head(y), state


class MusicBatches:
    """Pieces in buckets of like length, each moved by a random interval, in an order of seed and epoch alone.

    Args:
        rolls: the pieces.
        batch_size: pieces of a batch.
        semitones: the largest interval that a piece is moved up or down; 0 moves none.
        seed: of order and intervals.
    """

    def __init__(self, rolls: Sequence[Roll], *, batch_size: int, semitones: int, seed: int) -> None:
        self._rolls, self._size, self._semitones, self._seed = rolls, batch_size, semitones, seed
        self._lengths = np.array([len(roll) for roll in rolls])

    def __len__(self) -> int:
        return math.ceil(len(self._rolls) / self._size)

    def epoch(self, number: int, *, start: int = 0) -> Iterator[MusicBatch]:
        generator = np.random.default_rng((self._seed, number))
        buckets = length_buckets(self._lengths, rows_per_batch=self._size, generator=generator)
        intervals = generator.integers(-self._semitones, self._semitones + 1, size=len(self._rolls))
        for chosen in buckets[start:]:
            yield collate([transpose(self._rolls[i], int(intervals[i])) for i in chosen])


class MusicObjective:
    """Negative log-likelihood of the next frame, summed over keys, in nats a frame."""

    higher_is_better = False

    def __init__(self, validation: Sequence[Roll]) -> None:
        self._validation = validation

    def loss(self, network: nn.Module, batch: MusicBatch) -> Tensor:
        return frame_nats(network, batch).sum() / batch.lengths.sum()

    def validate(self, network: nn.Module) -> tuple[float, float]:
        """Nats a frame, which are the metric and the loss."""
        nats, frames = piece_nats(network, self._validation)
        return nats / frames, nats / frames

    @torch.no_grad()
    def constant_output(self, network: nn.Module) -> str | None:
        """Whatever has been heard, the next frame gets the same chances."""
        longest = max(self._validation, key=len)
        device = next(network.parameters()).device
        chances = network(collate([longest]).x.to(device))[0][0].sigmoid()  # (frames, 88)
        if float((chances.amax(0) - chances.amin(0)).max()) < 1e-5 and (longest != longest[0]).any():
            return "the chances of the next frame do not depend on what was heard"
        return None


def frame_nats(network: nn.Module, batch: MusicBatch) -> Tensor:
    """Negative log-likelihood of each frame, summed over keys, (batch, frames); 0 at padding."""
    logits, _ = network(batch.x, lengths=batch.lengths)
    nats = F.binary_cross_entropy_with_logits(logits, batch.targets, reduction="none").sum(-1)
    return nats * valid_steps(batch.lengths, nats.shape[1])


@torch.no_grad()
def piece_nats(network: nn.Module, rolls: Sequence[Roll], *, batch_size: int = 32) -> tuple[float, int]:
    """Negative log-likelihood of pieces in nats, and of how many frames.

    As the literature counts it (Bai et al. 2018, arXiv:1803.01271): the frames from the second on, each given
    all before it. What the network makes of the first is left out.
    """
    device = next(network.parameters()).device
    lengths = np.array([len(roll) for roll in rolls])
    nats = 0.0
    for chosen in length_buckets(lengths, rows_per_batch=batch_size):
        batch = MusicBatch(*(part.to(device) for part in collate([rolls[i] for i in chosen])))
        nats += float(frame_nats(network, batch)[:, 1:].double().sum())
    return nats, int((lengths - 1).sum())
