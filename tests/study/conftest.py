"""A bench with known answers and no network, and a clock that only moves when it trains."""

# What a protocol asks for is taken, whether or not this bench needs it.
# ruff: noqa: ARG002

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from lamina.study import budget as budget_module
from lamina.study.bench import Array, Job, Run, Settings, Trivial
from lamina.study.checks import CheckResult
from lamina.study.cost import PredictCost
from lamina.study.pace import PROBE_STEPS
from lamina.study.scores import Layout
from lamina.study.space import Design
from lamina.study.verdict import Data, Figures, Metric

WINDOWS = 80


class Clock:
    """Stands in for the module ``time``."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


@dataclass
class FakeBench:
    """Scores with a known mean for each design; a run costs a second for each layer.

    Attributes:
        truth: mean error by design id; 1.0 where it has no entry.
        noise: standard deviation between seeds.
        collapses: ids of designs that never train.
        collapsing_seeds: (design, seed) of single runs that do not.
        slow: by design id, how many times the seconds of the others its runs take.
        slow_seeds: likewise by (design, seed), of single runs.
        predict_ms: by design id, milliseconds of an answer; 1.0 where it has no entry.
        timed: ids of designs whose answers were timed.
        scoring_s: seconds to read the validation or the test part.
        refit_s: seconds to train the best model anew.
        interrupt_at: number of the training at which Ctrl-C is pressed.
        trained: (design, seed) of every run, probes left out.
        events: "train", "test", "figures" and "refit" in the order in which they happened.
    """

    clock: Clock
    truth: dict[str, float] = field(default_factory=dict)
    noise: float = 0.002
    step_us: dict[str, float] = field(default_factory=dict)
    collapses: tuple[str, ...] = ()
    collapsing_seeds: tuple[tuple[str, int], ...] = ()
    interrupt_at: int | None = None
    interrupt_test: bool = False
    second_s: float = 1.0
    slow: dict[str, float] = field(default_factory=dict)
    slow_seeds: dict[tuple[str, int], float] = field(default_factory=dict)
    scoring_s: float = 0.0
    refit_s: float = 0.0
    trained: list[tuple[str, int]] = field(default_factory=list)
    settings: list[Settings] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    tested: list[str] = field(default_factory=list)
    predict_ms: dict[str, float] = field(default_factory=dict)
    timed: list[str] = field(default_factory=list)

    task = "forecast"
    most_steps = 300
    base = Design()
    metric = Metric(name="MASE", unit="errors of the naive rule", direction="lower")
    layout = Layout(np.zeros(WINDOWS, np.int64), block_windows=4)
    test_layout = layout
    data = Data(path="fake.csv", rows=1000, series=1, hash="f00d", splits={"train": 700, "test": 150})

    def checks(self) -> list[CheckResult]:
        return []

    def train(self, job: Job) -> Run:
        design, settings, seed = job.design, job.settings, job.seed
        max_steps, keep = job.max_steps, job.keep
        probe = keep is None and max_steps in PROBE_STEPS
        if not probe and len(self.trained) + 1 == self.interrupt_at:
            raise KeyboardInterrupt
        asked_s = self.second_s * design.layers * max_steps / self.most_steps
        asked_s *= self.slow.get(design.id, 1.0) * self.slow_seeds.get((design.id, seed), 1.0)
        cost_s = min(asked_s, job.max_seconds)
        self.clock.now_s += cost_s + self.scoring_s
        self.jobs += [] if probe else [job]
        if not probe:
            self.trained.append((design.id, seed))
            self.settings.append(settings)
            self.events.append("train")
        collapsed = design.searched.id in self.collapses or (design.id, seed) in self.collapsing_seeds
        outcome: Literal["complete", "collapsed"] = "collapsed" if collapsed else "complete"
        errors = np.zeros(0) if collapsed else self.errors(design.id, seed)
        if keep is not None and not collapsed:
            keep.mkdir(parents=True)
        return Run(
            design=design.id,
            settings=settings,
            seed=seed,
            score=float("nan") if collapsed else float(errors.mean()),
            errors=errors,
            seconds=cost_s,
            parameters=100 * design.layers,
            peak_mb=1.0,
            history={
                "steps": [max_steps],
                "train_loss": [1.0],
                "validation": [1.0],
                "validation_loss": [1.0],
                "clip_rate": 0.0,
                "best_step": max_steps,
                "outcome": "time" if cost_s < asked_s else "complete",
            },
            outcome=outcome,
            reason="loss is NaN" if collapsed else "",
            folder=None if collapsed else keep,
            scoring_s=self.scoring_s,
        )

    def errors(self, design: str, seed: int) -> Array:
        """The windows differ in difficulty, equally for all; a seed shifts all of its windows."""
        windows = np.random.default_rng(0).gamma(20.0, 0.05, WINDOWS)
        shift = np.random.default_rng(zlib.crc32(f"{design}.{seed}".encode())).normal(0.0, self.noise)
        return windows * self.truth.get(design.removesuffix("-full"), 1.0) + shift

    def trivial(self, seconds: float, seed: int) -> list[Trivial]:
        self.clock.now_s += 0.1
        errors = 1.3 * self.errors("naive", 0)
        return [
            Trivial("naive", errors, errors, train_s=0.0, predict_ms=0.0),
            Trivial("broken", np.zeros(0), np.zeros(0), train_s=0.0, predict_ms=0.0, failed="no season"),
        ]

    def summary(self, errors: Array) -> float:
        return float(np.nanmean(errors))

    def test_errors(self, folder: Path) -> Array:
        if self.interrupt_test:
            raise KeyboardInterrupt
        self.clock.now_s += self.scoring_s
        self.events.append("test")
        self.tested.append(folder.name)
        design, _, seed = folder.name.removesuffix(".model").partition(".seed-")
        return self.errors(design, int(seed))

    def trivial_test_errors(self, method: Trivial) -> Array:
        self.events.append("test")
        self.tested.append(method.id)
        return method.test_prediction

    def predict_cost(self, folder: Path) -> PredictCost:
        self.timed.append(folder.name.partition(".seed-")[0])
        single_ms = self.predict_ms.get(self.timed[-1], 1.0)
        return PredictCost(single_ms, many_ms=2.0, step_us=self.step_us.get(folder.parent.name))

    def figures(self, folder: Path) -> Figures:
        self.events.append("figures")
        return Figures()

    def refit(self, folder: Path, *, steps: int, max_seconds: float, out: Path) -> None:
        self.clock.now_s += self.refit_s
        self.events.append("refit")
        out.mkdir()

    def again(self) -> FakeBench:
        """The same bench as a new process would make it."""
        fresh: dict[str, Any] = {
            name: [] for name in ("trained", "settings", "jobs", "events", "tested", "timed")
        }
        return dataclasses.replace(self, interrupt_at=None, interrupt_test=False, **fresh)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(budget_module, "time", found)
    return found


@pytest.fixture
def fake(clock: Clock) -> Callable[..., FakeBench]:
    """Makes a ``FakeBench`` from its fields."""
    return partial(FakeBench, clock)
