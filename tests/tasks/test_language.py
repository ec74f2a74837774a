from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from lamina.errors import ConfigError, DataError
from lamina.nn.stack import StackConfig
from lamina.tasks.language import (
    LanguageBatch,
    LanguageConfig,
    LanguageNetwork,
    LanguageObjective,
    StreamBatches,
    stream_nats,
)
from lamina.training.callbacks import Callback
from lamina.training.history import History
from lamina.training.loop import Run, fit
from lamina.training.optim import TrainingConfig

FORM = LanguageConfig(embedding_size=6)
STACK = StackConfig(hidden_sizes=(8, 6))


def network(form: LanguageConfig = FORM, stack: StackConfig = STACK) -> LanguageNetwork:
    torch.manual_seed(0)
    return LanguageNetwork(form, 11, stack)


def tokens(n: int = 400) -> np.ndarray:
    return np.random.default_rng(0).integers(11, size=n)


def test_windows_follow_one_another_in_every_row() -> None:
    batches = StreamBatches(np.arange(1000), streams=4, steps=10, seed=3)
    for number in range(3):
        epoch = list(batches.epoch(number))
        assert len(epoch) == len(batches) == 24
        assert [batch.first for batch in epoch] == [True] + [False] * 23
        rows = torch.cat([batch.ids for batch in epoch], 1)  # (streams, all steps)
        assert torch.equal(rows, rows[:, :1] + torch.arange(rows.shape[1]))
        assert all(torch.equal(batch.targets, batch.ids + 1) for batch in epoch)
        later = list(batches.epoch(number, start=20))
        assert torch.equal(later[0].ids, epoch[20].ids)
    assert len({int(next(batches.epoch(number)).ids[0, 0]) for number in range(20)}) > 5


def test_a_text_too_short_for_its_windows_says_how_long_it_must_be() -> None:
    assert len(StreamBatches(tokens(50), streams=4, steps=10, seed=0)) == 1
    with pytest.raises(DataError, match="needs 50, but has 49"):
        StreamBatches(tokens(49), streams=4, steps=10, seed=0)


def test_likelihood_is_the_sum_over_single_steps() -> None:
    net, text = network().eval(), tokens(40)
    state, expected = None, 0.0
    for now, after in itertools.pairwise(text):
        chances, state = net.log_chances(torch.tensor([[now]]), state)
        expected -= float(chances[0, 0, after].detach())
    nats, predicted = stream_nats(net, text, steps=7)
    assert predicted == 39
    assert nats == pytest.approx(expected, rel=1e-5)
    halves = [stream_nats(net, part) for part in (text[:20], text[20:])]
    both, predicted = stream_nats(net, text, streams=2)
    assert predicted == 38
    assert both == pytest.approx(sum(n for n, _ in halves))


def test_loss_in_two_carried_windows_is_the_loss_of_the_whole() -> None:
    objective, net = LanguageObjective(FORM, tokens(), streams=1), network().eval()
    ids = torch.from_numpy(tokens(41))[None]
    whole = objective.loss(net, LanguageBatch(ids[:, :-1], ids[:, 1:], first=True))
    first = objective.loss(net, LanguageBatch(ids[:, :20], ids[:, 1:21], first=True))
    second = objective.loss(net, LanguageBatch(ids[:, 20:40], ids[:, 21:], first=False))
    torch.testing.assert_close((first + second) / 2, whole)
    assert objective.carried.state is not None
    assert not objective.carried.state[0][0][0].requires_grad


def test_penalties_are_those_of_the_paper() -> None:
    form = FORM.replace(activation_penalty=2.0, change_penalty=3.0)
    net = network().eval()
    ids = torch.from_numpy(tokens(21))[None]
    batch = LanguageBatch(ids[:, :-1], ids[:, 1:], first=True)
    plain = LanguageObjective(FORM, tokens(), streams=1).loss(net, batch)
    _, y, _ = net(batch.ids, batch.targets)
    expected = plain + 2 * (y**2).mean() + 3 * y.diff(dim=1).square().mean()
    torch.testing.assert_close(LanguageObjective(form, tokens(), streams=1).loss(net, batch), expected)


def test_a_tied_output_layer_has_no_weights_of_its_own() -> None:
    tied, own = network(), network(FORM.replace(tied=False))
    extra = own.head.numel() if own.head is not None else 0
    assert sum(p.numel() for p in own.parameters()) == sum(p.numel() for p in tied.parameters()) + extra
    assert extra == 11 * 6
    wide = network(FORM, StackConfig(hidden_sizes=(9,)))
    assert isinstance(wide.project, torch.nn.Linear)
    assert wide.log_chances(torch.zeros(2, 3, dtype=torch.int64))[0].shape == (2, 3, 11)


def test_classes_of_rare_tokens_are_of_the_vocabulary() -> None:
    for tied in (True, False):
        net = network(FORM.replace(cutoffs=(3, 7), tied=tied), STACK).eval()
        chances = net.log_chances(torch.zeros(1, 1, dtype=torch.int64))[0].detach()
        assert chances.shape == (1, 1, 11)
        assert float(chances.exp().sum()) == pytest.approx(1)
    with pytest.raises(ConfigError, match="11 is not below its 11 tokens"):
        network(FORM.replace(cutoffs=(3, 11)))
    with pytest.raises(ConfigError, match="cutoffs rise"):
        FORM.replace(cutoffs=(7, 7))


def test_reading_both_directions_would_be_cheating() -> None:
    with pytest.raises(ConfigError, match="cannot predict the next token"):
        network(FORM, StackConfig(hidden_sizes=(4,), directions=("both",)))


class Killed(Exception):
    pass


class KillAt(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, run: Run) -> None:
        if run.step == self.step:
            raise Killed


def test_a_run_goes_on_with_the_state_it_carried(tmp_path: Path) -> None:
    settings = TrainingConfig(max_steps=12, batch_size=4, validations=6)

    def train(checkpoint: Path, *callbacks: Callback) -> tuple[History, LanguageNetwork]:
        net = network(FORM, STACK.replace(dropout=0.2))
        objective = LanguageObjective(FORM, tokens(), streams=2)
        batches = StreamBatches(tokens(), streams=4, steps=9, seed=0)
        history = fit(
            net,
            objective,
            batches,
            settings,
            checkpoint=checkpoint,
            carried=objective.carried,
            callbacks=callbacks,
        )
        return history, net

    whole, expected = train(tmp_path / "a.pt")
    with pytest.raises(Killed):
        train(tmp_path / "b.pt", KillAt(7))
    resumed, net = train(tmp_path / "b.pt")
    assert resumed.validation == whole.validation
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), expected.parameters(), strict=True))


def test_a_network_that_ignores_what_it_reads_has_collapsed() -> None:
    net, objective = network().eval(), LanguageObjective(FORM, tokens(), streams=1)
    assert objective.constant_output(net) is None
    with torch.no_grad():
        net.embed.weight.zero_()
    assert "do not depend" in str(objective.constant_output(net))
    assert objective.validate(net) == pytest.approx((math.log(11), math.log(11)))
