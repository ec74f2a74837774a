from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lamina.errors import SavedModelError
from lamina.training.callbacks import Callback
from lamina.training.history import History
from lamina.training.loop import Run, fit
from lamina.training.optim import ParameterGroup, TrainingConfig


class Kill(Exception):
    """Stands for the signal that ends a process."""


@dataclass
class KillAfterValidation(Callback):
    """Ends the process once its n-th validation, and with it the checkpoint, is done."""

    n: int

    def on_validation(self, run: Run) -> None:
        if len(run.history.steps) == self.n:
            raise Kill


@dataclass
class Seen(Callback):
    """Keeps what an observer is told."""

    steps: list[int] = field(default_factory=list)
    validations: list[int] = field(default_factory=list)

    def on_step(self, run: Run) -> None:
        self.steps.append(run.step)

    def on_validation(self, run: Run) -> None:
        self.validations.append(run.history.steps[-1])


class Examples:
    """y = x w + noise in batches of 8; the order depends on the epoch alone."""

    def __init__(self, rows: int = 40) -> None:
        generator = np.random.default_rng(0)
        self.x = torch.from_numpy(generator.normal(size=(rows, 3)).astype(np.float32))
        self.y = self.x @ torch.tensor([[1.0], [-2.0], [0.5]])

    def __len__(self) -> int:
        return len(self.x) // 8

    def epoch(self, number: int, *, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.from_numpy(np.random.default_rng(number).permutation(len(self.x)))
        for batch in range(start, len(self)):
            chosen = order[8 * batch : 8 * batch + 8]
            yield self.x[chosen], self.y[chosen]


class SameBatch(Examples):
    """The first eight examples at every step."""

    def epoch(self, number: int, *, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:  # noqa: ARG002
        for _ in range(start, len(self)):
            yield self.x[:8], self.y[:8]


class Regression:
    """Mean squared error; validation scores may be given instead of computed."""

    def __init__(
        self,
        *,
        scores: list[float] | None = None,
        higher_is_better: bool = False,
        bad_at: int | None = None,
        constant: str | None = None,
    ) -> None:
        self.higher_is_better = higher_is_better
        self._scores, self._bad_at, self._constant = scores, bad_at, constant
        self._losses = self._validations = 0
        self.weights_at_validation: list[Tensor] = []

    def loss(self, network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        self._losses += 1
        x, y = batch
        loss: Tensor = ((network(x) - y) ** 2).mean()
        return loss * float("nan") if self._losses == self._bad_at else loss

    def validate(self, network: nn.Module) -> tuple[float, float]:
        self._validations += 1
        assert not network.training
        self.weights_at_validation.append(torch.cat([p.detach().flatten() for p in network.parameters()]))
        data = Examples()
        with torch.no_grad():
            loss = float(((network(data.x) - data.y) ** 2).mean())
        return (loss if self._scores is None else self._scores[self._validations - 1]), loss

    def constant_output(self, network: nn.Module) -> str | None:  # noqa: ARG002  # the interface
        return self._constant


def network(dropout: float = 0.3) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Dropout(dropout), nn.Linear(6, 1))


def weights(module: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def apart_from_time(history: History) -> dict[str, object]:
    return {name: value for name, value in history.to_dict().items() if name != "seconds"}


@pytest.fixture(autouse=True)
def _own_random_state() -> Iterator[None]:
    with torch.random.fork_rng():
        yield


@pytest.mark.parametrize("average", [0.0, 0.9])
@pytest.mark.parametrize("killed_at", [1, 3])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    tmp_path: Path, average: float, killed_at: int
) -> None:
    """Dropout, moving average, optimiser, schedule, order of data and records all go on where they were."""
    config = TrainingConfig(max_steps=23, validations=5, average=average, clip_norm=2.0, learning_rate=0.05)
    whole = network()
    expected = fit(whole, Regression(), Examples(), config, seed=3)

    checkpoint = tmp_path / "run.pt"
    with pytest.raises(Kill):
        fit(
            network(),
            Regression(),
            Examples(),
            config,
            seed=3,
            callbacks=[KillAfterValidation(killed_at)],
            checkpoint=checkpoint,
        )
    torch.manual_seed(999)  # the new process starts elsewhere
    resumed = network()
    seen = Seen()
    history = fit(resumed, Regression(), Examples(), config, seed=3, callbacks=[seen], checkpoint=checkpoint)
    assert seen.steps == list(range(4 * killed_at + 1, 24))
    assert torch.equal(weights(resumed), weights(whole))
    assert apart_from_time(history) == apart_from_time(expected)
    assert len(history.steps) == 6
    assert 0 < history.clip_rate < 1


@pytest.mark.parametrize(("scores", "outcome"), [(None, "complete"), ([1.0] * 9, "stopped")])
def test_resuming_a_run_that_ended_takes_no_further_step(
    tmp_path: Path, scores: list[float] | None, outcome: str
) -> None:
    config = TrainingConfig(max_steps=8, validations=8, patience=3)
    first, second, seen = network(), network(), Seen()
    expected = fit(first, Regression(scores=scores), Examples(), config, checkpoint=tmp_path / "run.pt")
    history = fit(second, Regression(), Examples(), config, callbacks=[seen], checkpoint=tmp_path / "run.pt")
    assert seen.steps == []
    assert history.outcome == outcome
    assert apart_from_time(history) == apart_from_time(expected)
    assert torch.equal(weights(first), weights(second))


def test_a_resumed_run_counts_the_time_of_its_earlier_sittings(tmp_path: Path) -> None:
    config = TrainingConfig(max_steps=4, validations=2, max_seconds=1e6)
    fit(network(), Regression(), Examples(), config, checkpoint=tmp_path / "run.pt")
    saved = torch.load(tmp_path / "run.pt", weights_only=True)
    saved["run"]["seconds"] = 1000.0
    torch.save(saved, tmp_path / "run.pt")
    assert fit(network(), Regression(), Examples(), config, checkpoint=tmp_path / "run.pt").seconds >= 1000


@pytest.mark.parametrize("damage", ["truncated", "not a checkpoint", "another network"])
def test_a_checkpoint_that_does_not_fit_says_so(tmp_path: Path, damage: str) -> None:
    path, config = tmp_path / "run.pt", TrainingConfig(max_steps=2)
    other = nn.Linear(3, 1) if damage == "another network" else network()
    fit(other, Regression(), Examples(), config, checkpoint=path)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:300])
    if damage == "not a checkpoint":
        path.write_text("hello")
    with pytest.raises(SavedModelError, match=r"run\.pt is damaged or of another one\. Delete it"):
        fit(network(), Regression(), Examples(), config, checkpoint=path)


def test_a_checkpoint_leaves_no_unfinished_file(tmp_path: Path) -> None:
    config = TrainingConfig(max_steps=2, validations=2)
    fit(network(), Regression(), Examples(), config, checkpoint=tmp_path / "run.pt")
    assert [file.name for file in tmp_path.iterdir()] == ["run.pt"]


def test_the_same_seed_gives_the_same_numbers_again() -> None:
    config = TrainingConfig(max_steps=12, validations=3, learning_rate=0.05)
    runs = []
    for seed in (1, 1, 2):
        module = network()
        history = fit(module, Regression(), Examples(), config, seed=seed)
        runs.append((weights(module), history))
    assert torch.equal(runs[0][0], runs[1][0])
    assert apart_from_time(runs[0][1]) == apart_from_time(runs[1][1])
    assert not torch.equal(runs[0][0], runs[2][0])  # dropout draws otherwise


@pytest.mark.parametrize("higher_is_better", [False, True])
def test_early_stopping_restores_the_best_weights(higher_is_better: bool) -> None:
    scores = [5.0, 3.0, 4.0, 3.0, 3.5, 0.0, 0.0]  # an equal score is no new best
    objective = Regression(
        scores=[-s for s in scores] if higher_is_better else scores, higher_is_better=higher_is_better
    )
    module = network()
    history = fit(module, objective, Examples(), TrainingConfig(max_steps=20, validations=10, patience=3))
    assert history.outcome == "stopped"
    assert history.steps == [2, 4, 6, 8, 10]
    assert history.best_step == 4
    assert history.best == (-3.0 if higher_is_better else 3.0)
    assert torch.equal(weights(module), objective.weights_at_validation[1])
    assert not torch.equal(weights(module), objective.weights_at_validation[-1])
    assert not module.training


def test_a_run_without_a_better_validation_completes_with_the_first_best() -> None:
    history = fit(
        network(), Regression(scores=[2.0, 1.0, 3.0]), Examples(), TrainingConfig(max_steps=9, validations=3)
    )
    assert (history.outcome, history.reason, history.best_step) == ("complete", "", 6)


def test_a_loss_that_is_nan_is_an_outcome_with_its_step() -> None:
    module, objective = network(), Regression(bad_at=6)
    config = TrainingConfig(max_steps=20, validations=10)
    history = fit(module, objective, Examples(), config)
    assert history.outcome == "collapsed"
    assert history.reason == "the loss became nan at step 6"
    assert history.steps == [2, 4]
    assert torch.isfinite(weights(module)).all()
    assert not module.training


def test_a_learning_rate_beyond_reason_is_an_outcome() -> None:
    config = TrainingConfig(max_steps=50, learning_rate=1e30, schedule="constant", validations=1)
    history = fit(network(), Regression(), Examples(), config)
    assert history.outcome == "collapsed"
    assert "the loss became" in history.reason


def test_a_validation_that_is_nan_is_an_outcome() -> None:
    module = network()
    objective = Regression(scores=[1.0, math.nan, 0.0])
    history = fit(module, objective, Examples(), TrainingConfig(max_steps=9, validations=3))
    assert (history.outcome, history.reason) == ("collapsed", "the validation metric became nan at step 6")
    assert history.best_step == 3
    assert torch.equal(weights(module), objective.weights_at_validation[0])


def test_a_constant_output_is_an_outcome() -> None:
    objective = Regression(constant="always 3")
    history = fit(network(), objective, Examples(), TrainingConfig(max_steps=2))
    assert (history.outcome, history.reason) == ("collapsed", "always 3")


def test_a_time_limit_ends_the_run_with_a_validation() -> None:
    config = TrainingConfig(max_steps=10_000_000, validations=1, max_seconds=0.05)
    history = fit(network(), Regression(), Examples(), config)
    assert history.outcome == "time"
    assert len(history.steps) == 1
    assert history.best_step == history.steps[0]
    assert 0.05 < history.seconds < 5


class Scale(nn.Module):
    """One weight w, whose output is w for every row, so that d/dw mean(c w) = c."""

    def __init__(self) -> None:
        super().__init__()
        self.only = nn.Linear(1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.only(x)
        return out


@dataclass
class Slopes:
    """The gradient of step k is ``slopes[k]``, whatever the weight."""

    slopes: list[float]
    higher_is_better = False

    def __len__(self) -> int:
        return len(self.slopes)

    def epoch(self, number: int, *, start: int = 0) -> Iterator[Tensor]:  # noqa: ARG002  # the interface
        for slope in self.slopes[start:]:
            yield torch.tensor([[slope]])

    def loss(self, network: nn.Module, batch: Tensor) -> Tensor:
        loss: Tensor = network(batch).mean()
        return loss

    def validate(self, network: nn.Module) -> tuple[float, float]:  # noqa: ARG002  # the interface
        return 0.0, 0.0

    def constant_output(self, network: nn.Module) -> None:  # noqa: ARG002  # the interface
        return None


def test_clip_rate_and_gradient_norms_are_those_of_a_hand_computation() -> None:
    slopes = [0.5, -3.0, 1.0, 2.0, 0.25, -0.5, 4.0, 1.0, -0.75, 1.5, 9.0, 0.1]
    clipped = [abs(slope) > 1 for slope in slopes]
    batches = Slopes(slopes)
    config = TrainingConfig(max_steps=12, validations=2, clip_norm=1.0)
    history = fit(Scale(), batches, batches, config)
    assert history.clip_rate == sum(clipped) / 12 == 5 / 12
    # Taken at steps 0 to 5: the first; at steps 6 to 11: the first, and step 8 as a multiple of 8.
    assert history.gradient_norms == {"only": [0.5, pytest.approx((4.0 + 0.75) / 2)]}
    assert history.steps == [6, 12]


def test_without_clipping_the_clip_rate_is_zero() -> None:
    batches = Slopes([5.0, 7.0])
    history = fit(Scale(), batches, batches, TrainingConfig(max_steps=2, clip_norm=None))
    assert history.clip_rate == 0.0


def test_every_list_of_the_history_runs_in_step() -> None:
    history = fit(
        network(), Regression(), Examples(), TrainingConfig(max_steps=11, validations=11, patience=99)
    )
    assert history.steps == list(range(1, 12))
    assert len(history.train_loss) == len(history.validation) == 11
    assert {layer: len(norms) for layer, norms in history.gradient_norms.items()} == {"0": 11, "3": 11}


def test_training_loss_is_the_mean_since_the_validation_before() -> None:
    batches = Slopes([1.0, 2.0, 3.0, 4.0])
    module = Scale()
    nn.init.constant_(module.only.weight, 10.0)
    config = TrainingConfig(max_steps=4, validations=2, learning_rate=1e-9)
    assert fit(module, batches, batches, config).train_loss == pytest.approx([15.0, 35.0])


def test_the_averaged_weights_are_scored_and_kept() -> None:
    objective = Regression()
    module = network()
    live: list[Tensor] = []

    class Live(Callback):
        def on_step(self, run: Run) -> None:  # noqa: ARG002  # the interface
            live.append(weights(module).clone())

    start = weights(module).clone()
    config = TrainingConfig(max_steps=3, validations=1, average=0.5, learning_rate=0.1)
    fit(module, objective, Examples(), config, callbacks=[Live()])
    mean = start
    for n, now in enumerate(live, start=1):
        decay = min(0.5, (1 + n) / (10 + n))
        mean = decay * mean + (1 - decay) * now
    torch.testing.assert_close(objective.weights_at_validation[0], mean)
    torch.testing.assert_close(weights(module), mean)


def halves(module: nn.Sequential, begin: float) -> list[ParameterGroup]:
    """The last layer, and the first, which waits."""
    return [
        ParameterGroup(tuple(module[3].parameters()), begin=0.0),
        ParameterGroup(tuple(module[0].parameters()), begin=begin),
    ]


def test_a_frozen_layer_keeps_its_weights_until_its_turn() -> None:
    module = network()
    seen: list[tuple[Tensor, Tensor]] = []

    class Weights(Callback):
        def on_step(self, run: Run) -> None:  # noqa: ARG002  # the interface
            seen.append((weights(module[0]), weights(module[3])))

    first = weights(module[0])
    config = TrainingConfig(max_steps=8, average=0.9, learning_rate=0.05)
    history = fit(
        module, Regression(), Examples(), config, groups=halves(module, begin=0.5), callbacks=[Weights()]
    )
    assert all(torch.equal(below, first) for below, _ in seen[:4])
    assert not any(torch.equal(below, first) for below, _ in seen[4:])
    assert not any(torch.equal(one, other) for (_, one), (_, other) in itertools.pairwise(seen))
    assert history.outcome == "complete"
    assert all(p.requires_grad for p in module.parameters())


def test_a_layer_that_waits_is_trained_as_if_the_run_began_with_its_turn() -> None:
    """Its optimiser has seen no gradient before. The layer above has no gradient, and stays."""
    config = TrainingConfig(
        max_steps=6,
        schedule="constant",
        learning_rate=0.05,
        weight_decay=0.0,
        clip_norm=None,
        validations=1,
    )
    found = []
    for begin, steps in ((0.0, 3), (0.5, 6)):
        module = network(dropout=0.0)
        for parameter in module[3].parameters():
            parameter.register_hook(torch.zeros_like)  # type: ignore[no-untyped-call]  # torch's own
        groups = [ParameterGroup(tuple(module[0].parameters()), begin=begin)]
        fit(module, Regression(), SameBatch(), config.replace(max_steps=steps), groups=groups)
        found.append(weights(module))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("killed_at", [1, 3])
def test_a_resumed_run_thaws_at_the_same_step(tmp_path: Path, killed_at: int) -> None:
    config = TrainingConfig(max_steps=20, validations=5, average=0.9, learning_rate=0.05)
    whole = network()
    fit(whole, Regression(), Examples(), config, seed=3, groups=halves(whole, begin=0.5))
    path, broken, resumed = tmp_path / "run.pt", network(), network()
    kill = [KillAfterValidation(killed_at)]
    with pytest.raises(Kill):
        fit(
            broken,
            Regression(),
            Examples(),
            config,
            seed=3,
            groups=halves(broken, begin=0.5),
            callbacks=kill,
            checkpoint=path,
        )
    fit(resumed, Regression(), Examples(), config, seed=3, groups=halves(resumed, begin=0.5), checkpoint=path)
    assert torch.equal(weights(resumed), weights(whole))


def test_a_run_says_what_it_is_called_and_how_long_it_is() -> None:
    seen: list[tuple[str, int]] = []

    class Names(Callback):
        def on_step(self, run: Run) -> None:
            seen.append((run.stage, run.config.max_steps))

    config = TrainingConfig(max_steps=1)
    fit(network(), Regression(), Examples(), config, callbacks=[Names()])
    fit(network(), Regression(), Examples(), config, callbacks=[Names()], stage="pre-training")
    assert seen == [("training", 1), ("pre-training", 1)]


def test_observers_are_told_of_each_step_and_validation() -> None:
    seen = Seen()
    fit(network(), Regression(), Examples(), TrainingConfig(max_steps=6, validations=2), callbacks=[seen])
    assert seen.steps == [1, 2, 3, 4, 5, 6]
    assert seen.validations == [3, 6]


def test_mixed_precision_trains() -> None:
    history = fit(network(), Regression(), Examples(), TrainingConfig(max_steps=4, precision="bf16-mixed"))
    assert history.outcome == "complete"
    assert math.isfinite(history.best)
