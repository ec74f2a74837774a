"""What the ladder needs of a task: train a design, score it, try the trivial methods."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from lamina.study.checks import CheckResult
from lamina.study.cost import PredictCost
from lamina.study.scores import Layout
from lamina.study.space import Design
from lamina.study.verdict import Data, Figures, Metric
from lamina.training.optim import Schedule

Array = NDArray[np.float64]
# The rate is constant from 5 to 70 % of the steps, so that what runs show halfway does not hang on their
# length.
SCHEDULE: Schedule = "warmup-stable-decay"


@dataclass(frozen=True)
class Settings:
    """What the search of each design tunes."""

    learning_rate: float
    dropout: float


@dataclass(frozen=True)
class Job:
    """One training run that is to be done.

    Attributes:
        max_steps: optimiser steps at most.
        max_seconds: the run ends, with what it has learned, after this time.
        keep: folder to save the model in, or None to keep only its scores.
        resample: train on a bootstrap sample of the training examples.
        bound: end the run, as hopeless, where its best score halfway is worse; None never does.
    """

    design: Design
    settings: Settings
    seed: int
    max_steps: int
    max_seconds: float
    keep: Path | None = None
    resample: bool = False
    bound: float | None = None

    @property
    def draw(self) -> np.random.Generator | None:
        """Random numbers for the bootstrap; designs of equal seed draw independently, as their weights do."""
        design = zlib.crc32(self.design.id.encode())
        return np.random.default_rng((design, self.seed)) if self.resample else None


@dataclass
class Run:
    """One training run; its model lies in ``folder`` where it was kept.

    Attributes:
        score: the study's metric on the validation part.
        errors: score of each validation window or sequence; empty for a run that collapsed or was ended.
        outcome: ``ended`` is a trial that was given up halfway.
        scoring_s: seconds in which the trained network read the validation part.
    """

    design: str
    settings: Settings
    seed: int
    score: float
    errors: Array
    seconds: float
    parameters: int
    peak_mb: float
    history: dict[str, Any]
    outcome: Literal["complete", "collapsed", "ended"]
    reason: str
    folder: Path | None = None
    energy_j: float | None = None
    scoring_s: float = 0.0

    @property
    def cut(self) -> bool:
        """Whether time ended it before its steps did."""
        return self.history.get("outcome") == "time"


@dataclass(frozen=True)
class Trivial:
    """One trivial method: its scores by validation window, its predictions for the test part, and its cost.

    Attributes:
        validation: NaN where it gave no forecast; empty where it failed.
        test_prediction: not scored before the study ends.
        failed: why it could not be used, or "".
    """

    id: str
    validation: Array
    test_prediction: Array
    train_s: float
    predict_ms: float
    note: str = ""
    failed: str = ""


class Bench(Protocol):
    """A task on one data set, cut once into training, validation and test."""

    metric: Metric
    data: Data
    task: str
    base: Design
    most_steps: int
    layout: Layout
    test_layout: Layout

    def checks(self) -> list[CheckResult]:
        """What may be wrong with the data."""

    def train(self, job: Job) -> Run:
        """Train once, and save the model where the job says."""

    def trivial(self, seconds: float, seed: int) -> list[Trivial]:
        """All trivial methods, simplest first, within about ``seconds``."""

    def summary(self, errors: Array) -> float:
        """The metric from scores by window."""

    def test_errors(self, folder: Path) -> Array:
        """Scores of a saved model on the test part."""

    def trivial_test_errors(self, method: Trivial) -> Array:
        """Scores of a trivial method on the test part."""

    def predict_cost(self, folder: Path) -> PredictCost:
        """What one answer of a saved model costs."""

    def figures(self, folder: Path) -> Figures:
        """What the charts show of a saved model on the test part."""

    def refit(self, folder: Path, *, steps: int, max_seconds: float, out: Path) -> None:
        """Train the saved model anew on all rows for ``steps`` and save it under ``out``."""


@dataclass
class Standing:
    """A design in the study: its search, its repeated seeds."""

    design: Design
    search: list[Run] = field(default_factory=list)
    repeats: list[Run] = field(default_factory=list)

    def settings(self, *, higher_is_better: bool) -> Settings:
        """Those of the best trial, complete ones first; or of its runs, where it took those of another."""
        trained = [run for run in self.search if run.outcome == "complete"] or self.search or self.repeats
        sign = -1.0 if higher_is_better else 1.0
        return min(trained, key=lambda run: sign * run.score).settings

    @property
    def trained(self) -> list[Run]:
        return [run for run in self.repeats if run.outcome == "complete"]

    @property
    def cut(self) -> bool:
        """Whether time ended a run before its steps did, so that the design is no equal of the others."""
        return any(run.cut for run in (*self.search, *self.repeats))

    def has_trained(self, *, whole: bool) -> bool:
        """Whether a trial or a seed has trained, and, if ``whole``, with all of its steps."""
        runs = (*self.search, *self.repeats)
        return any(run.outcome == "complete" and not (whole and run.cut) for run in runs)
