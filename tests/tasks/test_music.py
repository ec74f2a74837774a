from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lamina.data.music import KEYS, Roll
from lamina.errors import ConfigError
from lamina.nn.stack import StackConfig
from lamina.tasks.music import (
    MusicBatches,
    MusicNetwork,
    MusicObjective,
    collate,
    frame_nats,
    piece_nats,
)


def rolls(*lengths: int) -> list[Roll]:
    generator = np.random.default_rng(0)
    return [generator.random((length, KEYS)) < 0.1 for length in lengths]


def network() -> MusicNetwork:
    torch.manual_seed(0)
    return MusicNetwork(StackConfig(hidden_sizes=(9,))).eval()


def test_likelihood_is_the_sum_over_frames_and_keys_from_the_second_frame_on() -> None:
    net, pieces = network(), rolls(7, 12)
    expected = 0.0
    for piece in pieces:
        state, frame = None, np.zeros(KEYS)
        for time, after in enumerate(piece):
            logits, state = net(torch.tensor(frame, dtype=torch.float32)[None, None], state)
            p = 1 / (1 + np.exp(-logits[0, 0].detach().double().numpy()))
            expected -= np.log(np.where(after, p, 1 - p)).sum() if time else 0
            frame = after.astype(float)
    nats, frames = piece_nats(net, pieces, batch_size=2)
    assert frames == 6 + 11
    assert nats == pytest.approx(expected, rel=1e-5)


def test_an_untrained_head_of_zeros_pays_one_bit_a_key() -> None:
    net = network()
    for parameter in net.head.parameters():
        torch.nn.init.zeros_(parameter)
    nats, frames = piece_nats(net, rolls(5))
    assert nats / frames == pytest.approx(KEYS * math.log(2))
    assert MusicObjective(rolls(5)).validate(net) == (nats / frames, nats / frames)
    assert "do not depend" in str(MusicObjective(rolls(5)).constant_output(net))
    assert MusicObjective(rolls(5)).constant_output(network()) is None


def test_a_network_starts_from_the_chance_of_each_key() -> None:
    net, pieces = network(), rolls(400)
    net.start_from(pieces)
    torch.nn.init.zeros_(net.head.weight)
    p = pieces[0].mean(axis=0).clip(1e-3)
    entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p)).sum()
    nats, frames = piece_nats(net, pieces)
    assert nats / frames == pytest.approx(entropy, rel=0.01)


def test_padding_costs_nothing() -> None:
    net = network()
    batch = collate(rolls(3, 9))
    nats = frame_nats(net, batch)
    assert not nats[0, 3:].any()
    torch.testing.assert_close(nats[:1, :3], frame_nats(net, collate(rolls(3, 9)[:1])))


def test_an_epoch_has_every_piece_once_and_moves_it_by_a_few_semitones() -> None:
    pieces = rolls(*range(2, 13))
    batches = MusicBatches(pieces, batch_size=4, semitones=3, seed=1)
    epoch = list(batches.epoch(5))
    assert len(epoch) == len(batches) == 3
    lengths = sorted(int(n) for batch in epoch for n in batch.lengths)
    assert lengths == list(range(2, 13))
    again = list(batches.epoch(5, start=2))
    assert torch.equal(again[0].targets, epoch[2].targets)
    moved = epoch[0].targets[0, : epoch[0].lengths[0]].bool().numpy()
    original = pieces[len(moved) - 2]
    assert any(np.array_equal(np.roll(original, k, axis=1)[:, 3:-3], moved[:, 3:-3]) for k in range(-3, 4))
    still = MusicBatches(pieces, batch_size=11, semitones=0, seed=1)
    (whole,) = still.epoch(0)
    assert int(whole.targets.sum()) == sum(int(piece.sum()) for piece in pieces)


def test_hearing_both_directions_would_be_cheating() -> None:
    with pytest.raises(ConfigError, match="cannot foresee the next frame"):
        MusicNetwork(StackConfig(hidden_sizes=(4,), directions=("both",)))
