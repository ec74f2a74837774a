"""Training in rounds: a trial or a seed for all arms of a question, or for none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
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
GENEROUS = 1.5  # times what a run took, so that chance cuts none of its like
# Seconds at the end of a study of TREC, 2 cores: for each network to time its predictions, and for each kept
# model to be loaded before it reads the test part.
TIMING_S, LOADING_S = 0.4, 0.1


@dataclass
class Rounds:
    """Trains designs, equally, and keeps what each has shown.

    Attributes:
        advance: called after each run.
        opening_s: what reading and preparing the data took, which training anew on all rows takes again.
        standings: by id of the design.
        timed: ids of the networks that were timed.
    """

    trials: Trials
    workers: Workers
    budget: Budget
    pace: Pace
    seed: int
    higher_is_better: bool
    advance: Callable[[], None]
    opening_s: float = 0.0
    standings: dict[str, Standing] = field(default_factory=dict)
    timed: Collection[str] = ()

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
        """Trials and first seeds of all; where time is short, all get fewer: at least one, and two.

        Where time ends a first trial before its steps are done, there is none for seeds either.
        """
        arms = " ".join(s.design.id for s in standings)
        for number in range(self.pace.trials):
            waiting = [s for s in standings if len(s.search) <= number < self._trials_of(s)]
            paid = number == 0 or not waiting
            if not paid and not stage.pays(f"trial {number} of {arms}", self.expected_s(waiting)):
                break
            self._together([partial(self._search, s, number) for s in waiting])
            if number == 0 and any(s.cut for s in standings):
                return
        for number in range(self.pace.seeds):
            waiting = [s for s in standings if number >= len(s.repeats)]
            paid = number < LEAST_SEEDS or not waiting
            if not paid and not stage.pays(f"seed {number} of {arms}", self.expected_s(waiting)):
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

    def end_s(self, winner: Standing, *, seeds: int) -> float:
        """Seconds that all takes after the last question.

        So many seeds of the winner are trained on all rows, one after another; each kept model reads the test
        part, the winner is trained anew, and every network is timed.
        """
        run_s = self.run_s(winner) if winner.search or winner.repeats else 0.0
        return (seeds + 1) * run_s + self.opening_s + self._figures_s()

    def _figures_s(self) -> float:
        """Seconds in which every kept model reads the test part, and every network that was not is timed."""
        trained = {name: standing.trained for name, standing in self.standings.items() if standing.trained}
        timing_s = TIMING_S * sum(name not in self.timed for name in trained)
        return timing_s + sum(LOADING_S + run.scoring_s for runs in trained.values() for run in runs)

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
        before_s = self._figures_s()
        for _ in self.workers.each(calls):
            self.advance()
        self.budget.keep_more(self._figures_s() - before_s)

    def _search(self, standing: Standing, number: int) -> None:
        steps = self._steps(standing.design)
        bound = halfway_bound(standing.search, steps, higher_is_better=self.higher_is_better)

        def train(settings: Settings) -> Run:
            return self.workers.train(
                Job(
                    standing.design,
                    settings,
                    self.seed + number,
                    steps,
                    self._guard_s(standing),
                    bound=bound,
                )
            )

        standing.search.append(self.trials.search(standing.design, number, train))

    def _repeat(self, standing: Standing) -> None:
        settings = self.standing(standing.design.searched).settings(higher_is_better=self.higher_is_better)
        seed = self.seed + FIRST_FRESH_SEED + len(standing.repeats)
        design, steps = standing.design, self._steps(standing.design)

        def train(folder: Path) -> Run:
            return self.workers.train(
                Job(
                    design,
                    settings,
                    seed,
                    steps,
                    self._guard_s(standing),
                    keep=folder,
                    resample=not design.full,
                )
            )

        standing.repeats.append(self.trials.repeat(standing.design, seed, train))

    def _steps(self, design: Design) -> int:
        return max(1, round(design.steps * self.pace.max_steps))

    def _guard_s(self, standing: Standing) -> float:
        """Seconds after which a run is cut.

        A first run, of unknown cost, may take a third of what is left, and one after the last question all; a
        design that has been trained gets what it took and half of that again.
        """
        left_s = self.budget.left_s / (1 if standing.design.full else 3)
        whole = [run.seconds for run in (*standing.search, *standing.repeats) if not run.cut]
        return max(1.0, left_s, GENEROUS * max(whole, default=0.0))
