"""Training in rounds: a trial or a seed for all arms of a question, or for none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from lamina.study.bench import Job, Run, Settings, Standing
from lamina.study.budget import Budget, Stage
from lamina.study.early_stop import halfway_bound
from lamina.study.pace import Pace
from lamina.study.space import Design
from lamina.study.trials import Trials
from lamina.study.workers import Workers

FIRST_FRESH_SEED = 1000  # no trial of a search has it
LEAST_SEEDS = 2  # given even where the time has run out: one alone has no spread


@dataclass
class Rounds:
    """Trains designs, equally, and keeps what each has shown.

    Attributes:
        advance: called after each run.
        standings: by id of the design.
    """

    trials: Trials
    workers: Workers
    budget: Budget
    pace: Pace
    seed: int
    higher_is_better: bool
    advance: Callable[[], None]
    standings: dict[str, Standing] = field(default_factory=dict)

    def standing(self, design: Design) -> Standing:
        """What is known of a design; it begins with the first question that asks for it."""
        return self.standings.setdefault(design.id, Standing(design))

    def missing(self, standings: Iterable[Standing]) -> int:
        """Runs until all of these have their trials and first seeds."""
        return sum(
            max(0, self._trials_of(s) - len(s.search)) + max(0, self.pace.seeds - len(s.repeats))
            for s in standings
        )

    def first(self, standings: Sequence[Standing], stage: Stage) -> None:
        """Trials and first seeds of all; where time is short, all get fewer: at least one, and two."""
        for number in range(self.pace.trials):
            waiting = [s for s in standings if len(s.search) <= number < self._trials_of(s)]
            if number > 0 and self.expected_s(waiting) > stage.left_s:
                break
            self._together([partial(self._search, s, number) for s in waiting])
        for number in range(self.pace.seeds):
            waiting = [s for s in standings if number >= len(s.repeats)]
            if number >= LEAST_SEEDS and self.expected_s(waiting) > stage.left_s:
                break
            self._together([partial(self._repeat, s) for s in waiting])

    def up_to(self, standings: Sequence[Standing], seeds: int) -> None:
        """Train each of these until it has so many seeds."""
        while waiting := [s for s in standings if len(s.repeats) < seeds]:
            self._together([partial(self._repeat, s) for s in waiting])

    def up_to_s(self, standings: Sequence[Standing], seeds: int) -> float:
        """Seconds that ``up_to`` will take."""
        return sum(self.expected_s([s]) * max(0, seeds - len(s.repeats)) for s in standings)

    def expected_s(self, standings: Sequence[Standing]) -> float:
        """Seconds of one more run of each, from those it had."""
        return sum(self.run_s(s) for s in standings if s.search or s.repeats) / self.workers.count

    def least_s(self, standings: Sequence[Standing]) -> float:
        """Seconds of one trial and two seeds of every new design, at the mean cost of all runs so far."""
        known = [self.run_s(s) for s in self.standings.values() if s.search or s.repeats]
        new = sum(1 + LEAST_SEEDS if self._trials_of(s) else LEAST_SEEDS for s in standings if not s.repeats)
        return new * float(np.mean(known)) / self.workers.count if known else 0.0

    def run_s(self, standing: Standing) -> float:
        """Mean seconds of a run that was not given up."""
        runs = [run for run in (*standing.search, *standing.repeats) if run.outcome != "ended"]
        return float(np.mean([run.seconds for run in runs or standing.search]))

    def cost(self, design: Design) -> float:
        """Measured seconds of a run of the study's steps; a design that has none yet has its first trial."""
        standing = self.standing(design)
        if not standing.search:
            self._search(standing, 0)
        return self.run_s(standing) / design.steps

    def _trials_of(self, standing: Standing) -> int:
        """A design on other rows takes the settings that the search has found."""
        return self.pace.trials if standing.design == standing.design.searched else 0

    def _together(self, calls: list[Callable[[], None]]) -> None:
        for _ in self.workers.each(calls):
            self.advance()

    def _search(self, standing: Standing, number: int) -> None:
        steps = self._steps(standing.design)
        bound = halfway_bound(standing.search, steps, higher_is_better=self.higher_is_better)

        def train(settings: Settings) -> Run:
            return self.workers.train(
                Job(standing.design, settings, self.seed + number, steps, self._guard_s(), bound=bound)
            )

        standing.search.append(self.trials.search(standing.design, number, train))

    def _repeat(self, standing: Standing) -> None:
        settings = self.standing(standing.design.searched).settings(higher_is_better=self.higher_is_better)
        seed = self.seed + FIRST_FRESH_SEED + len(standing.repeats)
        design, steps = standing.design, self._steps(standing.design)

        def train(folder: Path) -> Run:
            return self.workers.train(
                Job(design, settings, seed, steps, self._guard_s(), keep=folder, resample=not design.full)
            )

        standing.repeats.append(self.trials.repeat(standing.design, seed, train))

    def _steps(self, design: Design) -> int:
        return max(1, round(design.steps * self.pace.max_steps))

    def _guard_s(self) -> float:
        """No single run may eat more than a third of what is left."""
        return max(1.0, self.budget.left_s / 3)
