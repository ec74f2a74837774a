"""The protocol: one question at a time, other things equal, each arm with its own equal search.

1. Every arm of a question gets the same number of trials over learning rate and dropout, of the same number
   of steps; the settings of its best trial on the validation part are kept.
2. With those settings each arm is trained anew on fresh seeds, so that its score is not the luck of the
   search. Arms are compared on the validation part by these runs alone.
3. While a question is undecided and its share of the budget lasts, seeds are added.
4. The answer carries over to the next question. The test part is read once, after the last question.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from lamina.errors import LaminaError
from lamina.study.bench import Bench, Job, Run, Settings, Standing, Trivial
from lamina.study.budget import Budget, Stage
from lamina.study.decide import Decision, decide
from lamina.study.scores import Arm
from lamina.study.sentences import Question
from lamina.study.space import Design, Ladder, arms
from lamina.study.trials import FIRST, Trials
from lamina.study.workers import Workers

SHARES = {
    "baselines": 12.0,
    "depth": 34.0,
    "direction": 16.0,
    "cell": 9.0,
    "attention": 9.0,
    "transformer": 9.0,
    "finish": 11.0,
}
PLANS = (
    (5, 5),
    (4, 4),
    (3, 4),
    (3, 3),
    (2, 3),
    (2, 2),
    (1, 2),
)  # trials and seeds of each arm, the best first
ENOUGH_STEPS = 250  # a plan with more trials is taken only where its runs have this many steps
LEAST_STEPS = 30
MORE_SEEDS = 2
MOST_SEEDS = 15
PROBE_STEPS = (10, 40)  # both have ten validations, so that the difference is of steps alone
DEEP = 4
# Arms that a question adds to those already trained, in layers at a winner of two.
ARM_COSTS = {"direction": (4.0, 3.0), "cell": (2.0,), "attention": (2.3,), "transformer": (3.0,)}


class Listener(Protocol):
    """Hears what the study does; the command line draws it."""

    def stage(self, name: str, detail: str, seconds: float) -> None:
        """A stage begins, with its share of the budget."""

    def advance(self, done: int, total: int) -> None:
        """Runs finished of those planned in this stage."""

    def answer(self, question: str, sentence: str) -> None:
        """A question is answered, or is left open."""


class Silent:
    """A listener that does nothing."""

    def stage(self, name: str, detail: str, seconds: float) -> None:
        del name, detail, seconds

    def advance(self, done: int, total: int) -> None:
        del done, total

    def answer(self, question: str, sentence: str) -> None:
        del question, sentence


@dataclass(frozen=True)
class Pace:
    """What each arm gets."""

    trials: int
    seeds: int
    max_steps: int


@dataclass
class Findings:
    """What is known so far; complete once every question was asked."""

    standings: dict[str, Standing] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    compared: dict[str, dict[str, Design]] = field(default_factory=dict)
    unanswered: dict[str, str] = field(default_factory=dict)
    trivial: list[Trivial] = field(default_factory=list)
    winner: Design | None = None
    pace: Pace | None = None


class Climb:
    """One study's way through its questions.

    Args:
        bench: the task.
        trials: where runs are kept.
        budget: the clock, with ``SHARES`` of the stages that will be begun.
        workers: where runs happen.
        questions: in order.
        depths: rungs of the depth question.
        seed: of the study.
        rope: relative difference below which two arms are practically equal.
        listener: hears of progress.
        pace: of an earlier sitting, so that a resumed study goes on as it began.

    Attributes:
        findings: filled while climbing, so that an interrupted climb leaves what it knows.
    """

    def __init__(
        self,
        bench: Bench,
        trials: Trials,
        budget: Budget,
        workers: Workers,
        *,
        questions: tuple[Ladder, ...],
        depths: tuple[int, ...],
        seed: int,
        rope: float,
        listener: Listener,
        pace: Pace | None = None,
    ) -> None:
        self._bench, self._trials, self._budget, self._listener = bench, trials, budget, listener
        self._workers = workers
        self._questions, self._depths, self._seed, self._rope = questions, depths, seed, rope
        self._higher = bench.metric.direction == "higher"
        self.findings = Findings(winner=bench.base, pace=pace)

    def run(self) -> None:
        """Try the trivial methods, then ask every question."""
        stage = self._budget.begin("baselines")
        self._listener.stage("baselines", "", stage.seconds)
        self.findings.trivial = self._bench.trivial(stage.seconds, self._seed)
        if self.findings.pace is None:
            self.findings.pace = self._choose_pace()
        for question in self._questions:
            self._ask(question)

    def _choose_pace(self) -> Pace:
        """The best plan whose runs have enough steps, from the measured cost of a run and of a step."""
        self._probe(self._bench.base)  # the first runs also load and compile; they are not counted
        fixed, step = self._probe(self._bench.base)
        _, deep_step = self._probe(replace(self._bench.base, layers=DEEP))
        layer = max(0.0, (deep_step - step) / (DEEP - 1))
        planned = self._planned_layers()
        seconds = 0.9 * self._workers.count * self._budget.left_s * (1 - SHARES["finish"] / 100)
        for trials, seeds in PLANS:
            per_arm = seconds / (trials + seeds) - fixed * len(planned)
            steps = int(per_arm / sum(step + layer * (layers - 1) for layers in planned))
            if steps >= ENOUGH_STEPS:
                break
        return Pace(trials, seeds, min(max(steps, LEAST_STEPS), self._bench.most_steps))

    def _planned_layers(self) -> list[float]:
        """Cost of every arm that will be trained, in layers; later questions are priced at two layers."""
        planned = [float(depth) for depth in self._depths] if "depth" in self._questions else [1.0]
        for question in self._questions:
            planned += ARM_COSTS.get(question, ())
        return planned

    def _probe(self, design: Design) -> tuple[float, float]:
        """Seconds of a run that do not depend on its steps, and seconds of a step."""
        short, long = (
            self._workers.train(
                Job(
                    design,
                    Settings(**FIRST),
                    seed=self._seed,
                    max_steps=steps,
                    max_seconds=max(1.0, self._budget.left_s / 8),
                )
            ).seconds
            for steps in PROBE_STEPS
        )
        step = max(1e-4, (long - short) / (PROBE_STEPS[1] - PROBE_STEPS[0]))
        return max(0.0, short - step * PROBE_STEPS[0]), step

    def _ask(self, question: Ladder) -> None:
        findings, pace = self.findings, self.findings.pace
        assert findings.winner is not None
        assert pace is not None
        designs = arms(question, findings.winner, depths=self._depths)
        stage = self._budget.begin(question)
        detail = (
            f"{' '.join(designs)} · {pace.trials} {'trial' if pace.trials == 1 else 'trials'} and "
            f"{pace.seeds} seeds each, {pace.max_steps} steps"
        )
        self._listener.stage(question, detail, stage.seconds)
        standings = {name: self._standing(design) for name, design in designs.items()}
        findings.compared[question] = designs
        total = sum(
            max(0, pace.trials - len(s.search)) + max(0, pace.seeds - len(s.repeats))
            for s in standings.values()
        )
        if self._least_s(standings) > max(1.5 * stage.left_s, 1.0):
            self._leave_open(question, "the budget ended before it")
            return
        done = 0
        # A round is for all arms or for none, so that every arm gets the same.
        for number in range(pace.trials):
            waiting = [s for s in standings.values() if number >= len(s.search)]
            if number > 0 and self._expected_s(waiting) > stage.left_s:
                break
            for _ in self._workers.each([partial(self._search, s, number) for s in waiting]):
                self._listener.advance(done := done + 1, total)
        for number in range(pace.seeds):
            waiting = [s for s in standings.values() if number >= len(s.repeats)]
            if number > 1 and self._expected_s(waiting) > stage.left_s:
                break
            for _ in self._workers.each([partial(self._repeat, s) for s in waiting]):
                self._listener.advance(done := done + 1, total)
        self._decide(question, standings, stage)

    def _standing(self, design: Design) -> Standing:
        return self.findings.standings.setdefault(design.id, Standing(design))

    def _expected_s(self, standings: list[Standing]) -> float:
        """Seconds of one more run of each, from those it had."""
        spent = [[run.seconds for run in (*s.search, *s.repeats)] for s in standings]
        return sum(float(np.mean(seconds)) for seconds in spent if seconds) / self._workers.count

    def _least_s(self, standings: dict[str, Standing]) -> float:
        """Seconds of one trial and two seeds of every new arm, at the mean cost of all runs so far."""
        known = [run.seconds for s in self.findings.standings.values() for run in (*s.search, *s.repeats)]
        new = sum(not standing.search for standing in standings.values())
        return 3 * new * float(np.mean(known)) / self._workers.count if known else 0.0

    def _leave_open(self, question: str, reason: str) -> None:
        self.findings.unanswered[question] = reason
        self._listener.answer(question, f"Not answered: {reason}.")

    def _guard_s(self) -> float:
        """No single run may eat more than a third of what is left."""
        return max(1.0, self._budget.left_s / 3)

    def _search(self, standing: Standing, number: int) -> None:
        def train(settings: Settings) -> Run:
            return self._train(standing.design, settings, seed=self._seed + number)

        standing.search.append(self._trials.search(standing.design, number, train))

    def _repeat(self, standing: Standing) -> None:
        settings = standing.settings(higher_is_better=self._higher)
        seed = self._seed + 1000 + len(standing.repeats)  # fresh: no trial of a search has it

        def train(folder: Path) -> Run:
            return self._train(standing.design, settings, seed=seed, keep=folder)

        standing.repeats.append(self._trials.repeat(standing.design, seed, train))

    def _train(self, design: Design, settings: Settings, *, seed: int, keep: Path | None = None) -> Run:
        assert self.findings.pace is not None
        return self._workers.train(
            Job(
                design,
                settings,
                seed=seed,
                max_steps=self.findings.pace.max_steps,
                max_seconds=self._guard_s(),
                keep=keep,
            )
        )

    def _decide(self, question: Ladder, standings: dict[str, Standing], stage: Stage) -> None:
        findings = self.findings
        decision = self._decision(question, standings)
        while decision is not None and decision.status == "undecided" and (pair := self._open_pair(decision)):
            contested = [standings[name] for name in pair]
            cost = self._expected_s(contested) * MORE_SEEDS
            if cost > stage.left_s or len(contested[0].repeats) + MORE_SEEDS > MOST_SEEDS:
                break
            for _ in range(MORE_SEEDS):
                list(self._workers.each([partial(self._repeat, standing) for standing in contested]))
            decision = self._decision(question, standings)
        if decision is None:
            self._leave_open(question, "fewer than two of the designs trained")
            return
        findings.decisions[question] = decision
        findings.winner = findings.compared[question][decision.answer]
        self._listener.answer(question, decision.sentence)

    def _open_pair(self, decision: Decision) -> tuple[str, str] | None:
        """The two arms more seeds might tell apart, or None where seeds cannot."""
        pairs = [(c.a, c.b) for c in decision.comparisons if {c.a, c.b} == {decision.answer, decision.rival}]
        open_ones = [c for c in decision.comparisons if (c.a, c.b) in pairs and c.more_seeds]
        return pairs[0] if open_ones else None

    def _decision(self, question: Question, standings: dict[str, Standing]) -> Decision | None:
        candidates = [self.arm(name, standing) for name, standing in standings.items()]
        try:
            return decide(
                question, candidates, self._bench.layout, higher_is_better=self._higher, rope=self._rope
            )
        except LaminaError:
            return None  # fewer than two arms trained; told as unanswered

    def arm(self, name: str, standing: Standing) -> Arm:
        """A standing as the statistics take it."""
        trained = standing.trained
        windows = len(self._bench.layout.series)
        return Arm(
            name=name,
            scores=np.stack([run.errors for run in trained]) if trained else np.zeros((0, windows)),
            collapsed=len(standing.repeats) - len(trained),
            train_s=float(np.mean([run.seconds for run in trained])) if trained else math.nan,
        )

    def judge_trivial(self) -> Decision | None:
        """Whether the winner beats the trivial methods.

        Where nothing beats the simplest of them, that is the answer; else it is the winner against the best.
        """
        findings = self.findings
        assert findings.winner is not None
        standing = findings.standings.get(findings.winner.id)
        sound = [t for t in findings.trivial if not t.failed and np.isfinite(t.validation).mean() > 0.5]
        if standing is None or not standing.trained or not sound:
            return None
        best = self.arm(findings.winner.label, standing)
        methods = [Arm(t.id, t.validation[None], deterministic=True, train_s=t.train_s) for t in sound]

        def judged(candidates: list[Arm]) -> Decision:
            return decide(
                "trivial", candidates, self._bench.layout, higher_is_better=self._higher, rope=self._rope
            )

        sign = -1.0 if self._higher else 1.0
        simplest = methods[0]
        strongest = min(methods, key=lambda arm: sign * float(np.nanmean(arm.scores)))
        if strongest is simplest:
            return judged([simplest, best])
        against_simplest = judged([simplest, strongest, best])
        return against_simplest if against_simplest.answer == simplest.name else judged([strongest, best])
