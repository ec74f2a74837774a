"""A whole study in a folder: the climb, the one reading of the test part, the record and the best model."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lamina.errors import ConfigError, SavedModelError
from lamina.study.bench import Bench
from lamina.study.budget import Budget
from lamina.study.ladder import SHARES, Climb, Findings, Listener, Pace
from lamina.study.record import (
    TestErrors,
    baseline,
    candidate,
    check,
    environment,
    unanswered,
    verdict,
    winner_of,
)
from lamina.study.space import Ladder
from lamina.study.trials import Trials
from lamina.study.verdict import Best, Check, Figures, Settings, StudyRecord, Verdict
from lamina.study.verdict import Budget as BudgetRecord

RECORD = "study.json"
STATE = "state.json"
BEST = "best"


class State:
    """What a resumed study has to know of its earlier sittings."""

    def __init__(self, folder: Path, plan: dict[str, Any], *, resume: bool) -> None:
        self._path = folder / STATE
        self.used_s, self.pace = 0.0, None
        self._plan = plan
        if self._path.exists() and resume:
            self._read()
        elif folder.exists() and any(folder.iterdir()):
            raise ConfigError(
                f"a study writes into a folder of its own, and {folder} holds "
                f"{'a study already' if self._path.exists() else 'something else'}. "
                "Go on with --resume, or name another folder with --out."
            )
        folder.mkdir(parents=True, exist_ok=True)

    def _read(self) -> None:
        try:
            saved = json.loads(self._path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise SavedModelError(
                f"{self._path} is damaged: {error}. Begin anew with another --out."
            ) from error
        changed = sorted(name for name, value in self._plan.items() if saved["plan"].get(name) != value)
        if changed:
            raise ConfigError(
                f"a study is resumed with the data and options it began with, but {', '.join(changed)} "
                "changed. Begin a new one with another --out."
            )
        self.used_s = float(saved["used_s"])
        self.pace = Pace(**saved["pace"]) if saved["pace"] else None

    def write(self, used_s: float, pace: Pace | None) -> None:
        """Replace the file whole."""
        content = {"plan": self._plan, "used_s": used_s, "pace": asdict(pace) if pace else None}
        unfinished = self._path.with_suffix(".tmp")
        unfinished.write_text(json.dumps(content, indent=1), encoding="utf-8")
        unfinished.replace(self._path)


class _Keeper:
    """Passes on what happens and keeps the state up to date."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.climb: Climb | None = None
        self.state: State | None = None
        self.budget: Budget | None = None

    def _keep(self) -> None:
        if self.state and self.budget and self.climb:
            self.state.write(self.budget.used_s, self.climb.findings.pace)

    def stage(self, name: str, detail: str, seconds: float) -> None:
        self._keep()
        self._listener.stage(name, detail, seconds)

    def advance(self, done: int, total: int) -> None:
        self._keep()
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
    listener: Listener,
    resume: bool,
    command: str,
    checks: tuple[Check, ...] = (),
) -> StudyRecord:
    """Run a study, or go on with one, and write study.json and best/ into ``folder``.

    Ctrl-C ends the climb; what is known by then is written, with the test part left unread.

    Args:
        checks: findings from before the bench was made.

    Raises:
        ConfigError: the folder holds another study, or this one and ``resume`` is False.
    """
    plan = {
        "task": bench.task,
        "data": bench.data.hash,
        "horizon": bench.data.horizon,
        "metric": bench.metric.name,
        "questions": list(questions),
        "depths": list(depths),
        "seed": seed,
        "rope": rope,
    }
    state = State(folder, plan, resume=resume)
    shares = {name: SHARES[name] for name in ("baselines", *questions, "finish")}
    budget = Budget(budget_s, used_before_s=min(state.used_s, 0.8 * budget_s), shares=shares)
    state.write(state.used_s, state.pace)
    keeper = _Keeper(listener)
    trials = Trials(folder, seed=seed, higher_is_better=bench.metric.direction == "higher")
    climb = Climb(
        bench,
        trials,
        budget,
        questions=questions,
        depths=depths,
        seed=seed,
        rope=rope,
        listener=keeper,
        pace=state.pace,
    )
    keeper.state, keeper.budget, keeper.climb = state, budget, climb
    found = checks + tuple(check(result) for result in bench.checks())
    finished = False
    with suppress(KeyboardInterrupt):
        climb.run()
        finished = True
    record = _record(bench, climb, folder, budget, keeper, finished=finished)
    settings = Settings(seed=seed, questions=questions, command=command)
    record = record.model_copy(
        update={
            "checks": found + record.checks,
            "settings": settings,
            "budget": BudgetRecord(asked_s=budget_s, used_s=budget.used_s),
        }
    )
    record.save(folder / RECORD)
    state.write(budget.used_s, climb.findings.pace)
    return record


def _record(
    bench: Bench, climb: Climb, folder: Path, budget: Budget, listener: Listener, *, finished: bool
) -> StudyRecord:
    """Read the test part (if the climb is finished), compose the record, refit and save the best model."""
    findings = climb.findings
    best = winner_of(findings)
    test: TestErrors = {}
    figures = Figures()
    saved = None
    if finished:
        stage = budget.begin("finish")
        listener.stage("test", "read once; then the best model is trained anew on all rows", stage.seconds)
        for design_id, standing in findings.standings.items():
            test[design_id] = [bench.test_errors(run.folder) for run in standing.trained if run.folder]
        if best is not None:
            ranked = sorted(
                best.trained, key=lambda run: run.score, reverse=bench.metric.direction == "higher"
            )
            chosen = ranked[len(ranked) // 2]  # the median seed: the best one would be luck
            assert chosen.folder is not None
            figures = bench.figures(chosen.folder)
            steps = max(1, int(chosen.history["best_step"]))
            bench.refit(chosen.folder, steps=steps, max_seconds=max(2.0, budget.left_s), out=folder / BEST)
            saved = Best(candidate=best.design.id, path=BEST)
    candidates = tuple(
        candidate(bench, standing, test)
        for standing in findings.standings.values()
        if standing.repeats or standing.search
    )
    return StudyRecord(
        schema=1,
        task=bench.task,
        metric=bench.metric,
        data=bench.data,
        environment=environment(),
        budget=BudgetRecord(used_s=budget.used_s),
        settings=Settings(seed=0),
        questions=_questions(bench, climb, test, {entry.id for entry in candidates}),
        candidates=candidates,
        baselines=tuple(baseline(bench, method, read_test=finished) for method in findings.trivial),
        best=saved,
        checks=_own_checks(findings, finished=finished),
        figures=figures,
    )


def _questions(bench: Bench, climb: Climb, test: TestErrors, known: set[str]) -> tuple[Verdict, ...]:
    findings = climb.findings
    methods = {method.id: method for method in findings.trivial}
    verdicts = []
    for question, designs in findings.compared.items():
        decision = findings.decisions.get(question)
        if decision is None:
            reason = findings.unanswered.get(question, "the study was interrupted")
            verdicts.append(unanswered(question, reason, designs, known))
        else:
            ids = {name: design.id for name, design in designs.items() if design.id in known}
            verdicts.append(verdict(bench, decision, ids, test, methods))
    trivial = climb.judge_trivial()
    if trivial is not None and findings.winner is not None:
        ids = {method.id: method.id for method in findings.trivial}
        ids[findings.winner.label] = findings.winner.id
        verdicts.append(verdict(bench, trivial, ids, test, methods))
    return tuple(verdicts)


def _own_checks(findings: Findings, *, finished: bool) -> tuple[Check, ...]:
    found = []
    if not finished:
        found.append(
            Check(
                code="ST01",
                outcome="warn",
                evidence="interrupted",
                sentence="the study was interrupted, so the test part was not read; --resume goes on with it",
            )
        )
    pace = findings.pace
    if pace is not None and (pace.seeds < 3 or pace.max_steps < 100):
        found.append(
            Check(
                code="ST02",
                outcome="warn",
                evidence=f"{pace.trials} trials and {pace.seeds} seeds of {pace.max_steps} steps for each arm",
                sentence="the budget is small for this data: runs are short or few; a larger --budget tells more",
            )
        )
    return tuple(found)
