"""The protocol: one question at a time, other things equal, each arm with its own equal search.

1. Every arm of a question gets the same number of trials over learning rate and dropout, of the same number
   of steps; the settings of its best trial on the validation part are kept.
2. With those settings each arm is trained anew on fresh seeds and bootstrap samples of the training rows, so
   that its score is not the luck of the search. Arms are compared on the validation part by these runs alone.
3. An arm that fails to train in many seeds is repaired once, and counted.
4. While a question is undecided and its share of the budget lasts, seeds are added up to the next look.
5. The answer carries over to the next question. The test part is read once, after the last question.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial

import numpy as np

from lamina.errors import LaminaError
from lamina.study.bench import Bench, Standing
from lamina.study.budget import Budget, Stage
from lamina.study.collapse import counted, fails_too_often, mark, told
from lamina.study.constraints import Limits, choose, first_costs, smaller, within_time
from lamina.study.cost import PredictCost
from lamina.study.decide import Decision, decide
from lamina.study.estimates import of_data, of_overfitting
from lamina.study.findings import Findings, Listener, Progress
from lamina.study.pace import Pace, choose_pace
from lamina.study.questions import ABOUT_DEPTH, CARRIED, ESTIMATES, SHAPING, Known, Ladder, arms
from lamina.study.rounds import LEAST_SEEDS, Rounds
from lamina.study.scores import Arm
from lamina.study.sentences import Frame, failures, framed
from lamina.study.sequential import MOST_SEEDS, Looks, error_level, plan_looks
from lamina.study.space import Design, repaired
from lamina.study.trials import Trials
from lamina.study.workers import Workers

SHARES = {
    "baselines": 12.0,
    "depth": 34.0,
    "direction": 16.0,
    "cell": 9.0,
    "attention": 9.0,
    "transformer": 9.0,
    "bert": 12.0,
    "finish": 15.0,
    "depth-parameters": 16.0,
    "depth-time": 9.0,
    "residual": 9.0,
    "transformer-time": 6.0,
    "clipping": 6.0,
    "overfitting": 2.0,
    "data": 16.0,
}
NO_LIMITS = Limits()


class Climb:
    """One study's way through its questions.

    Args:
        bench: the task.
        trials: where runs are kept.
        budget: the clock, with ``SHARES`` of the stages that will be begun.
        workers: where runs happen.
        questions: in order.
        further: questions for which no time is planned; asked, in order, with what the others leave.
        depths: rungs of the depth question.
        seed: of the study.
        rope: relative difference below which two arms are practically equal.
        listener: hears of progress.
        limits: what the recommended network may cost.
        bert: source of the BERT that is asked about; "" for none.
        pace: of an earlier sitting, so that a resumed study goes on as it began.
        opening_s: what reading and preparing the data took.

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
        further: tuple[Ladder, ...] = (),
        limits: Limits = NO_LIMITS,
        bert: str = "",
        pace: Pace | None = None,
        opening_s: float = 0.0,
    ) -> None:
        self._bench, self._trials, self._budget, self._listener = bench, trials, budget, listener
        self._workers = workers
        self._questions, self._further = questions, further
        self._depths, self._seed, self._rope = depths, seed, rope
        self._higher = bench.metric.direction == "higher"
        self._progress = Progress(listener)
        self._cleared: set[str] = set()
        self._limits, self._bert, self._opening_s = limits, bert, opening_s
        self.findings = Findings(winner=bench.base, pace=pace)

    def run(self) -> None:
        """Try the methods to beat, ask every question, and train the winner on all training rows."""
        stage = self._budget.begin("baselines")
        self._listener.stage("baselines", "", stage.seconds)
        findings = self.findings
        findings.trivial = self._trials.methods(lambda: self._bench.trivial(stage.seconds, self._seed))
        if findings.pace is None:
            findings.pace = choose_pace(
                self._bench,
                self._workers,
                self._budget,
                questions=self._questions,
                depths=self._depths,
                seed=self._seed,
                kept_share=SHARES["finish"] / 100,
            )
        rounds = Rounds(
            self._trials,
            self._workers,
            self._budget,
            findings.pace,
            self._seed,
            self._higher,
            self._progress.advance,
            self._opening_s,
            findings.standings,
            findings.timed,
        )
        for question in self._questions:
            self._ask(question, rounds)
        self._budget.add({str(question): SHARES[question] for question in self._further})
        for question in self._further:
            self._ask(question, rounds)
        if self._limits.given:
            self._keep_limits(rounds)
        self._train_final(rounds)

    def _ask(self, question: Ladder, rounds: Rounds) -> None:
        findings = self.findings
        assert findings.winner is not None
        self._budget.keep(rounds.end_s(rounds.standing(findings.winner), seeds=LEAST_SEEDS))
        stage = self._budget.begin(question)
        known = Known(
            findings.winner, self._bench.base, self._depths, rounds.cost, self._bert, findings.beaten_by_bert
        )
        designs = arms(question, known)
        findings.compared[question] = designs
        if not designs:
            self._leave_open(question, "it is about recurrent layers, and a Transformer was chosen")
            return
        standings = {name: rounds.standing(design) for name, design in designs.items()}
        pace = rounds.pace
        detail = (
            f"{' '.join(designs)} · {pace.trials} {'trial' if pace.trials == 1 else 'trials'} and "
            f"{pace.seeds} seeds each, {pace.max_steps} steps"
        )
        if short := stage.once("short of", lambda: self._short_of(list(standings.values()), stage, rounds)):
            self._leave_open(question, short)
            return
        self._listener.stage(question, detail, stage.seconds)
        self._progress.begin(rounds.missing(standings.values()))
        rounds.first(list(standings.values()), stage)
        if question in ESTIMATES:
            self._estimate(question, standings)
        else:
            self._decide(question, standings, stage, rounds)

    def _short_of(self, standings: Sequence[Standing], stage: Stage, rounds: Rounds) -> str:
        """What time is missing for one trial and two seeds of each new arm; "" where none is."""
        least = rounds.least_s(standings)
        if least <= max(min(1.5 * stage.left_s, self._budget.left_s), 1.0):
            return ""
        return f"it needs about {least:.0f} s, and {stage.left_s:.0f} s of the budget are left for it"

    def _leave_open(self, question: Ladder, reason: str) -> None:
        self.findings.unanswered[question] = reason
        self._listener.answer(question, f"Not answered: {reason}.")

    def _left_open_by_cuts(self, question: Ladder, standings: dict[str, Standing]) -> bool:
        """Whether time ended runs before their steps were done: such arms are not the equals of others."""
        cut = [standing.design.label for standing in standings.values() if standing.cut]
        if cut:
            self._leave_open(question, f"time ended runs of {' and '.join(cut)} before their steps were done")
        return bool(cut)

    def _repaired(self, standings: dict[str, Standing], stage: Stage, rounds: Rounds) -> dict[str, Standing]:
        """The standings, with arms that failed too often replaced by what makes them train."""
        self._mark(standings)
        judged = dict(standings)
        for name, standing in standings.items():
            design = repaired(standing.design) if fails_too_often(standing) else None
            if design is None:
                continue
            other = rounds.standing(design)
            if not stage.pays(f"repair of {standing.design.id}", rounds.least_s([other])):
                continue
            self._progress.total += rounds.missing([other])
            rounds.first([other], stage)
            self._mark({**judged, name: other})
            if len(other.trained) >= min(LEAST_SEEDS, len(standing.trained) + 1):
                judged[name] = other
        return judged

    def _mark(self, standings: dict[str, Standing]) -> None:
        """Mark runs that learned nothing; those on few rows are compared with others on as many."""
        sound = [method for method in self.findings.trivial if not method.failed]
        level = self._bench.summary(sound[0].validation) if sound else math.nan
        for rows in {standing.design.rows for standing in standings.values()}:
            alike = [standing for standing in standings.values() if standing.design.rows == rows]
            mark(alike, level, higher_is_better=self._higher)

    def _decide(self, question: Ladder, asked: dict[str, Standing], stage: Stage, rounds: Rounds) -> None:
        """Look, and add seeds up to the next look, until the question is settled or its time has ended."""
        findings = self.findings
        if self._left_open_by_cuts(question, asked):
            return
        looks, level = self._looks(asked, stage, rounds), self._level(question)
        standings = self._repaired(asked, stage, rounds)
        findings.compared[question] = {name: standing.design for name, standing in standings.items()}
        if self._left_open_by_cuts(question, standings):
            return
        decision = self._decision(question, standings, looks, level)
        while decision is not None and (seeds := decision.next_seeds) is not None:
            contested = [standings[name] for name in decision.contested]
            arms = " ".join(standing.design.id for standing in contested)
            if not stage.pays(f"{seeds} seeds of {arms}", rounds.up_to_s(contested, seeds)):
                decision = self._decision(question, standings, looks, level, last=True)
                break
            rounds.up_to(contested, seeds)
            if self._left_open_by_cuts(question, standings):
                return
            self._mark(standings)
            decision = self._decision(question, standings, looks, level)
        findings.collapses[question] = counted(asked, standings)
        if decision is None:
            self._leave_open(question, "fewer than two of the designs trained")
            return
        if decision.cleared:
            self._cleared.add(question)
        designs, frame = findings.compared[question], self._frame(question, rounds)
        words = framed(decision.sentence, frame)
        words += told(findings.collapses[question], about_depth=question in ABOUT_DEPTH)
        decision = replace(decision, sentence=words, frame=frame)
        findings.decisions[question] = decision
        # Of a question outside the main ones only a proven gain shapes the recommended model.
        if question in SHAPING or (
            question in CARRIED and decision.status == "decided" and findings.winner in designs.values()
        ):
            findings.winner = designs[decision.answer]
        self._listener.answer(question, decision.sentence)

    def _looks(self, standings: dict[str, Standing], stage: Stage, rounds: Rounds) -> Looks:
        """Looks up to as many seeds as the rest of the time gives to two arms; no score has a part in it.

        Nor have failures to train, since repairs come after: time that they take ends the looks sooner.
        """
        first = min(len(standing.repeats) for standing in standings.values())
        pair_s = 2 * rounds.expected_s(list(standings.values())) / len(standings)
        more = int(stage.left_s / pair_s) if pair_s > 0 else MOST_SEEDS
        most = stage.once("most seeds", lambda: max(first, min(first + more, MOST_SEEDS)))
        return plan_looks(max(1, first), most=most)

    def _level(self, question: Ladder) -> float:
        """Error that the question may spend, of what all comparisons of the study may err together."""
        compared, further = (
            [name for name in asked if name not in ESTIMATES] for asked in (self._questions, self._further)
        )
        return error_level(question, compared, self._cleared, further=further)

    def _decision(
        self,
        question: Ladder,
        standings: dict[str, Standing],
        looks: Looks,
        level: float,
        *,
        last: bool = False,
    ) -> Decision | None:
        assert question != "overfitting"
        assert question != "data"
        candidates = [
            replace(self.arm(name, standing), predict_ms=self._predict_ms(standing))
            for name, standing in standings.items()
        ]
        try:
            decision = decide(
                question,
                candidates,
                self._bench.layout,
                higher_is_better=self._higher,
                rope=self._rope,
                looks=looks,
                level=level,
                last=last,
                at_once=self._workers.count,
            )
        except LaminaError:
            return None  # fewer than two arms trained; told as unanswered
        # What failed to train is told with its repair, which the statistics know nothing of.
        return replace(decision, sentence=decision.sentence.removesuffix(failures(question, candidates)))

    def _predict_ms(self, standing: Standing) -> float:
        """Milliseconds of one answer, measured once; NaN where no model was kept."""
        timed, name = self.findings.timed, standing.design.id
        kept = [run.folder for run in standing.trained if run.folder is not None]
        if not kept:
            return math.nan
        if name not in timed:
            measured = self._budget.settled.once(
                f"{name}: costs of an answer", lambda: asdict(self._bench.predict_cost(kept[0]))
            )
            timed[name] = PredictCost(**measured)
        return timed[name].single_ms

    def _frame(self, question: Ladder, rounds: Rounds) -> Frame:
        """What the question's sentence says of its setting."""
        designs = list(self.findings.compared[question].values())
        if question == "depth-parameters":
            return Frame(units=tuple(design.hidden for design in designs))
        if question == "depth-time":
            return Frame(steps=tuple(design.steps for design in designs))
        clipped = rounds.standing(designs[-1]).trained
        if question == "clipping" and clipped:
            return Frame(clip_rate=float(np.mean([run.history["clip_rate"] for run in clipped])))
        return Frame()

    def _estimate(self, question: Ladder, standings: dict[str, Standing]) -> None:
        if self._left_open_by_cuts(question, standings):
            return
        self._mark(standings)
        if question == "overfitting":
            found = of_overfitting({name: standing.trained for name, standing in standings.items()})
        else:
            found = of_data(
                list(standings.values()), self._bench.layout, higher_is_better=self._higher, rope=self._rope
            )
        if found is None:
            self._leave_open(question, "too few runs trained")
            return
        collapses = counted(standings, standings)
        words = found.sentence + told(collapses, about_depth=question in ABOUT_DEPTH)
        found = replace(found, sentence=words)
        self.findings.collapses[question] = collapses
        self.findings.estimates[question] = found
        self._listener.answer(question, found.sentence)

    def _keep_limits(self, rounds: Rounds) -> None:
        """Train smaller networks for the limits; the winner stays where it keeps them."""
        findings, limits = self.findings, self._limits
        assert findings.winner is not None
        stage = self._budget.begin("limits")
        self._listener.stage("limits", "smaller networks", stage.seconds)
        probe = partial(first_costs, self._bench, limits=limits, seed=self._seed)
        winner = findings.winner
        probed = stage.once("probed", lambda: [asdict(one) for one in smaller(winner, limits, probe)])
        tried = [within_time(Design(**fields), limits, rounds) for fields in probed]
        standings = [rounds.standing(design) for design in tried]
        self._progress.begin(rounds.missing(standings))
        rounds.first(standings, stage)
        known = [s for s in findings.standings.values() if s.trained and s.design.rows == 1]
        if not known:
            return
        self._mark({standing.design.id: standing for standing in known})
        findings.fit = choose(
            self._bench,
            [standing for standing in known if standing.trained],
            limits,
            recommended=findings.winner,
            rope=self._rope,
        )
        findings.winner = findings.fit.chosen or findings.winner
        self._listener.answer("limits", findings.fit.sentence)

    def _train_final(self, rounds: Rounds) -> None:
        """The winner on the training rows themselves, as many fresh seeds as an arm gets first."""
        winner = self.findings.winner = self._affordable(rounds)
        if winner is None:
            return
        self.findings.final = replace(winner, full=True)
        standing = rounds.standing(self.findings.final)
        self._budget.keep(rounds.end_s(rounds.standing(winner), seeds=0))
        left_s, run_s = self._budget.left_s, rounds.run_s(rounds.standing(winner))
        paid_for = int(left_s / run_s) if run_s > 0 else rounds.pace.seeds
        seeds = self._budget.settled.once(
            "final: seeds", lambda: min(rounds.pace.seeds, max(LEAST_SEEDS, paid_for))
        )
        self._progress.begin(seeds)
        self._listener.stage("final", f"{winner.label} on all training rows, {seeds} seeds", left_s)
        rounds.up_to([standing], seeds)

    def _affordable(self, rounds: Rounds) -> Design | None:
        """The winner; where it has no seed that trained, the cheapest trained arm of the main questions.

        Runs whose steps were all done come before those that time ended. None where no run trained.
        """
        winner = self.findings.winner
        assert winner is not None
        standing = rounds.standing(winner)
        if standing.trained:
            return winner
        asked = [self.findings.compared.get(question, {}) for question in self._questions]
        others = [rounds.standing(design) for designs in asked for design in designs.values()]
        for whole in (True, False):
            ended = [one for one in (standing, *others) if one.has_trained(whole=whole)]
            if standing in ended:
                return winner
            if ended:
                return min(ended, key=rounds.run_s).design
        return None

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
        """Whether the winner, on all training rows, beats the trivial methods.

        Where nothing beats the simplest of them, that is the answer; else it is the winner against the best.
        """
        findings = self.findings
        standing = findings.standings.get(findings.final.id) if findings.final else None
        sound = [t for t in findings.trivial if not t.failed and np.isfinite(t.validation).mean() > 0.5]
        if standing is None or not standing.trained or not sound:
            return None
        best = self.arm(standing.design.searched.label, standing)
        methods = [Arm(t.id, t.validation[None], deterministic=True, train_s=t.train_s) for t in sound]

        def judged(candidates: Sequence[Arm]) -> Decision:
            return decide(
                "trivial",
                candidates,
                self._bench.layout,
                higher_is_better=self._higher,
                rope=self._rope,
                at_once=self._workers.count,
            )

        sign = -1.0 if self._higher else 1.0
        simplest = methods[0]
        strongest = min(methods, key=lambda arm: sign * float(np.nanmean(arm.scores)))
        if strongest is simplest:
            return judged([simplest, best])
        against_simplest = judged([simplest, strongest, best])
        return against_simplest if against_simplest.answer == simplest.name else judged([strongest, best])
