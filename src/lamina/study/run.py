"""A whole study in a folder: the climb, the one reading of the test part, the record and the best model."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from lamina.errors import ConfigError, SavedModelError
from lamina.places import why_no_folder
from lamina.study.after_checks import check_findings, earlier_readings
from lamina.study.bench import Bench
from lamina.study.budget import Budget, Settled
from lamina.study.checks import CheckResult, require_passed
from lamina.study.constraints import SHARE, Limits, kept
from lamina.study.cost import measure
from lamina.study.findings import Findings, Listener, Silent
from lamina.study.ladder import NO_LIMITS, SHARES, Climb
from lamina.study.ledger import ScoreBook
from lamina.study.pace import Pace
from lamina.study.questions import Ladder
from lamina.study.record import (
    TestErrors,
    baseline,
    candidate,
    check,
    environment,
    estimated,
    limited,
    unanswered,
    verdict,
    winner_of,
)
from lamina.study.rounds import GENEROUS
from lamina.study.sides import sentence
from lamina.study.trials import Trials
from lamina.study.verdict import Best, Data, Environment, Figures, Settings, StudyRecord, Verdict
from lamina.study.verdict import Budget as BudgetRecord
from lamina.study.workers import Here, Processes

RECORD = "study.json"
STATE = "state.json"
BEST = "best"
INTERRUPTED = "ST01"


@dataclass(frozen=True)
class Opening:
    """What a person is told before the work begins.

    Attributes:
        facts: of the data, a few words each.
        budget_s: seconds for everything.
    """

    data: Data
    facts: tuple[str, ...]
    environment: Environment
    budget_s: float


class StudyListener(Listener, Protocol):
    """Hears of a whole study: first what it is about, then its stages."""

    def opening(self, opening: Opening) -> None:
        """The data are read, every choice is made, and the long work begins."""


class Quiet(Silent):
    """A listener that does nothing."""

    def opening(self, opening: Opening) -> None:
        del opening


class State:
    """What a resumed study has to know of its earlier sittings."""

    def __init__(self, folder: Path, plan: dict[str, Any], *, resume: bool) -> None:
        self._path = folder / STATE
        self.used_s = 0.0
        self.pace: Pace | None = None
        self.settled: dict[str, Any] = {}
        self._plan = plan
        if resume and not self._path.exists():
            raise ConfigError(
                f"--resume goes on with a study, and {folder} holds none. "
                "Name its folder with --out, or leave out --resume."
            )
        if resume:
            self._read()
        else:
            require_place(folder)
        folder.mkdir(parents=True, exist_ok=True)

    def _read(self) -> None:
        try:
            saved = json.loads(self._path.read_text(encoding="utf-8"))
            plan, self.used_s = dict(saved["plan"]), float(saved["used_s"])
            self.pace = Pace(**saved["pace"]) if saved["pace"] else None
            self.settled = dict(saved["settled"])
        except (ValueError, KeyError, TypeError) as error:
            raise SavedModelError(
                f"{self._path} is damaged: {error}. Begin anew with another --out."
            ) from error
        changed = sorted(name for name, value in self._plan.items() if plan.get(name) != value)
        if changed:
            raise ConfigError(
                f"a study is resumed with the data and options it began with, but {', '.join(changed)} "
                "changed. Begin a new one with another --out."
            )

    def write(self, used_s: float, pace: Pace | None) -> None:
        """Replace the file whole."""
        content = {
            "plan": self._plan,
            "used_s": used_s,
            "pace": asdict(pace) if pace else None,
            "settled": self.settled,
        }
        unfinished = self._path.with_suffix(".tmp")
        unfinished.write_text(json.dumps(content, indent=1), encoding="utf-8")
        unfinished.replace(self._path)


def require_place(folder: Path) -> None:
    """Raise ConfigError where a new study cannot have a folder: it holds something, or cannot be made."""
    if reason := why_no_folder(folder):
        raise ConfigError(
            f"a study writes into a folder of its own, and {folder} cannot be one: {reason}. "
            "Name another with --out."
        )
    if not folder.exists() or not any(folder.iterdir()):
        return
    if (folder / STATE).exists():
        raise ConfigError(
            f"a study writes into a folder of its own, and {folder} holds a study already. "
            "Go on with it by --resume, or name another folder with --out."
        )
    raise ConfigError(
        f"a study writes into a folder of its own, and {folder} holds something else. "
        "Name another with --out."
    )


class _Keeper:
    """Passes on what happens and keeps the state up to date."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.climb: Climb | None = None
        self.state: State | None = None
        self.budget: Budget | None = None

    def keep(self) -> None:
        """Write the state as it is now."""
        if self.state and self.budget and self.climb:
            self.state.write(self.budget.used_s, self.climb.findings.pace)

    def stage(self, name: str, detail: str, seconds: float) -> None:
        self.keep()
        self._listener.stage(name, detail, seconds)

    def advance(self, done: int, total: int) -> None:
        self.keep()
        self._listener.advance(done, total)

    def answer(self, question: str, sentence: str) -> None:
        self._listener.answer(question, sentence)


def run_study(
    bench: Bench,
    folder: Path,
    *,
    budget_s: float,
    questions: tuple[Ladder, ...],
    depths: tuple[int, ...],
    seed: int,
    rope: float,
    listener: StudyListener,
    resume: bool,
    command: str,
    further: tuple[Ladder, ...] = (),
    limits: Limits = NO_LIMITS,
    bert: str = "",
    checks: tuple[CheckResult, ...] = (),
    allow: tuple[str, ...] = (),
    facts: tuple[str, ...] = (),
    workers: int = 1,
    began: float | None = None,
) -> StudyRecord:
    """Run a study, or go on with one, and write study.json and best/ into ``folder``.

    Ctrl-C ends it; what is known by then is written, with no score of the test part.

    Args:
        questions: asked in order, each with its share of the budget.
        further: asked in order with the time that the others leave.
        limits: what the recommended network may cost.
        bert: source of the BERT that is asked about; "" for none.
        checks: findings from before the bench was made.
        allow: codes of checks that are told but do not end the study.
        facts: of the data, for the listener's opening.
        began: ``time.monotonic()`` from which the budget counts; None counts from now.
        workers: runs at the same time, each in a process of its own where it is more than one.

    Raises:
        DataError: a check of the data failed, and its code is not allowed.
        ConfigError: the folder holds something, or nothing to resume, or a study of other data or options, or
            one that has read its test part and cannot use more budget.
    """
    of_data = bench.checks()
    require_passed(of_data, allow)
    plan = {
        "task": bench.task,
        "data": bench.data.hash,
        "horizon": bench.data.horizon,
        "metric": bench.metric.name,
        "questions": list(questions),
        "further": list(further),
        "depths": list(depths),
        "seed": seed,
        "rope": rope,
        "limits": limits.given,
        **({"bert": bert} if bert else {}),
    }
    state = State(folder, plan, resume=resume)
    if resume and (finished := _finished(folder, budget_s)) is not None:
        return finished
    here = environment()
    listener.opening(Opening(bench.data, facts, here, budget_s))
    shares = {name: SHARES[name] for name in ("baselines", *questions, "finish")}
    if limits.given:
        shares["limits"] = SHARE
    reading_s = 0.0 if began is None else time.monotonic() - began
    keeper = _Keeper(listener)
    settled = Settled(state.settled, keeper.keep)
    opening_s = settled.once("opening: seconds", lambda: reading_s)
    # What an interruption lost, a second reading of the data among it, is no time of the study.
    used_before_s = max(state.used_s, opening_s)
    budget = Budget(budget_s, used_before_s=used_before_s, shares=shares, settled=settled)
    state.write(used_before_s, state.pace)
    pool = Here(bench) if workers == 1 else Processes(bench, workers)
    climb = Climb(
        bench,
        Trials(folder, seed=seed, higher_is_better=bench.metric.direction == "higher"),
        budget,
        pool,
        questions=questions,
        further=further,
        depths=depths,
        seed=seed,
        rope=rope,
        limits=limits,
        bert=bert,
        listener=keeper,
        pace=state.pace,
        opening_s=opening_s,
    )
    keeper.state, keeper.budget, keeper.climb = state, budget, climb
    before = [*checks, *of_data, earlier_readings(folder, bench.data.hash)]
    ending = None
    with suppress(KeyboardInterrupt):
        with pool:
            climb.run()
        ending = _finish(bench, climb.findings, folder, budget, keeper)
    shown = ending or Ending()
    candidates = tuple(
        candidate(bench, standing, shown.test, climb.findings.timed)
        for standing in climb.findings.standings.values()
        if (standing.repeats or standing.search) and standing.design.rows == 1
    )
    book = ScoreBook(bench.layout, bench.test_layout)
    verdicts = _questions(bench, climb, shown.test, {entry.id for entry in candidates}, book)
    record = StudyRecord(
        schema=1,
        task=bench.task,
        metric=bench.metric,
        data=bench.data,
        environment=here,
        budget=BudgetRecord(asked_s=budget_s, used_s=budget.used_s),
        settings=Settings(
            seed=seed,
            questions=(*questions, *further),
            rope=rope,
            limits=limits.given,
            allow=allow,
            command=command,
        ),
        questions=verdicts,
        candidates=candidates,
        baselines=tuple(baseline(bench, method, shown.test) for method in climb.findings.trivial),
        best=shown.best,
        scores=book.save(folder),
        figures=shown.figures,
    )
    record = _with_sides(record)
    after = check_findings(record, streams=limits.latency_us is not None)
    if limits.given and record.best is not None:
        saved = {**_parameters(record), **shown.costs, **_latency(bench, folder / BEST, limits)}
        after.append(kept(limits, saved))
    results = [*before, *after, *_own_checks(climb.findings, finished=ending is not None)]
    record = record.model_copy(update={"checks": tuple(check(result, allow) for result in results)})
    record.save(folder / RECORD)
    return record


def _finished(folder: Path, budget_s: float) -> StudyRecord | None:
    """The record of a study that has read its test part, or None where there is something to go on with."""
    if not (folder / RECORD).exists():
        return None
    record = StudyRecord.load(folder / RECORD)
    if any(check.code == INTERRUPTED for check in record.checks):
        return None
    if record.budget.asked_s != budget_s:
        raise ConfigError(
            f"the study in {folder} is finished and has read its test part, so that another budget may not "
            "change its answers. Begin a new one with another --out."
        )
    return record


@dataclass(frozen=True)
class Ending:
    """What the last stage gives: scores on the test part by id, what charts show of them, the best model.

    ``costs`` are those of training the best model anew, by the names of their limits.
    """

    test: TestErrors = field(default_factory=dict)
    figures: Figures = field(default_factory=Figures)
    best: Best | None = None
    costs: dict[str, float] = field(default_factory=dict)


def _finish(bench: Bench, findings: Findings, folder: Path, budget: Budget, listener: Listener) -> Ending:
    """Read the test part, once; train the median seed of the winner anew on all rows and save it."""
    budget.keep(0.0)
    stage = budget.begin("finish")
    listener.stage("test", "read once; then the best model is trained on all rows", stage.seconds)
    test: TestErrors = {
        design_id: [bench.test_errors(run.folder) for run in standing.trained if run.folder]
        for design_id, standing in findings.standings.items()
        if standing.design.rows == 1
    }
    for method in findings.trivial:
        if not method.failed:
            test[method.id] = [bench.trivial_test_errors(method)]
    best = winner_of(findings)
    if best is None:
        return Ending(test)
    ranked = sorted(best.trained, key=lambda run: run.score, reverse=bench.metric.direction == "higher")
    chosen = ranked[len(ranked) // 2]  # the median seed: the best one would be luck
    assert chosen.folder is not None
    figures = bench.figures(chosen.folder)
    steps = max(1, int(chosen.history["best_step"]))
    max_seconds = max(2.0, budget.left_s, GENEROUS * chosen.seconds)
    measured = measure(
        partial(bench.refit, chosen.folder, steps=steps, max_seconds=max_seconds, out=folder / BEST)
    )
    costs = {"train_s": measured.seconds, "memory_mb": measured.growth_bytes / 1e6}
    return Ending(test, figures, Best(candidate=best.design.id, path=BEST), costs)


def _questions(
    bench: Bench, climb: Climb, test: TestErrors, known: set[str], book: ScoreBook
) -> tuple[Verdict, ...]:
    findings = climb.findings
    methods = {method.id for method in findings.trivial}
    verdicts = []
    for question, designs in findings.compared.items():
        decision, estimate = findings.decisions.get(question), findings.estimates.get(question)
        collapses = findings.collapses.get(question, ())
        if estimate is not None:
            verdicts.append(estimated(question, estimate, designs, known, book, collapses=collapses))
        elif decision is None:
            reason = findings.unanswered.get(question, "the study was interrupted")
            verdicts.append(unanswered(question, reason, designs, known))
        else:
            ids = {name: design.id for name, design in designs.items() if design.id in known}
            verdicts.append(verdict(bench, decision, ids, test, methods, book=book, collapses=collapses))
    trivial = climb.judge_trivial()
    if trivial is not None and findings.final is not None:
        ids = {method.id: method.id for method in findings.trivial}
        ids[findings.final.searched.label] = findings.final.id
        verdicts.append(verdict(bench, trivial, ids, test, methods, book=book))
    if findings.fit is not None:
        verdicts.append(limited(findings.fit, known))
    return tuple(verdicts)


def _with_sides(record: StudyRecord) -> StudyRecord:
    """The record with the sentence of where BERT and the stack are each ahead, which other entries tell."""
    questions = [
        one.model_copy(update={"sides": sentence(record, one)}) if one.id == "bert" else one
        for one in record.questions
    ]
    return record.model_copy(update={"questions": tuple(questions)})


def _parameters(record: StudyRecord) -> dict[str, float]:
    """Of the saved model, by the name of their limit."""
    assert record.best is not None
    (best,) = (entry for entry in record.candidates if entry.id == record.best.candidate)
    return {} if best.parameters is None else {"params": float(best.parameters)}


def _latency(bench: Bench, model: Path, limits: Limits) -> dict[str, float]:
    """Of the saved model, by the name of its limit, where it is limited."""
    return {} if limits.latency_us is None else {"latency_us": bench.predict_cost(model).latency_us}


def _own_checks(findings: Findings, *, finished: bool) -> list[CheckResult]:
    """ST01 and ST02."""
    found = []
    if not finished:
        sentence = "the study was interrupted, so the test part was not read; --resume goes on with it"
        found.append(CheckResult(INTERRUPTED, "warn", {"interrupted": "yes"}, sentence))
    pace = findings.pace
    if pace is not None and (pace.seeds < 3 or pace.max_steps < 100):
        evidence: dict[str, float | int | str] = {
            "trials": pace.trials,
            "seeds": pace.seeds,
            "steps": pace.max_steps,
        }
        sentence = (
            f"the budget is small for this data, {pace.trials} "
            f"{'trial' if pace.trials == 1 else 'trials'} and {pace.seeds} seeds of "
            f"{pace.max_steps} steps an arm: a larger --budget tells more"
        )
        found.append(CheckResult("ST02", "warn", evidence, sentence))
    return found
