"""From what the ladder found to what a person reads: the record of the study."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from pydantic import JsonValue

from lamina.estimators.saving import versions
from lamina.ops.scan import explain
from lamina.study.bench import Array, Bench, Run, Standing, Trivial
from lamina.study.checks import CheckResult
from lamina.study.collapse import Collapse as Failures
from lamina.study.constraints import Fit
from lamina.study.cost import PredictCost, energy_uj
from lamina.study.decide import Decision, effect_on_test
from lamina.study.estimates import Estimate
from lamina.study.findings import Findings
from lamina.study.ledger import ScoreBook
from lamina.study.scores import Arm
from lamina.study.sentences import OF_DEPTH
from lamina.study.space import Design
from lamina.study.trials import rates
from lamina.study.verdict import (
    NOT_ANSWERED,
    Baseline,
    Candidate,
    Check,
    Collapse,
    Curve,
    Environment,
    Evidence,
    Gap,
    LearningCurve,
    Option,
    Score,
    ScoredArm,
    Verdict,
)

TestErrors = dict[str, list[Array]]


def environment() -> Environment:
    """What the figures are measured on."""
    return Environment(
        versions={**versions(), "python": platform.python_version()},
        cpu=_processor(),
        threads=torch.get_num_threads(),
        energy="processor package counters" if energy_uj() else "not readable here",
        backend=explain().backend.name,
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def candidate(
    bench: Bench, standing: Standing, test: TestErrors, timed: Mapping[str, PredictCost]
) -> Candidate:
    """One design's entry.

    Args:
        test: the scores of its trained seeds, where the test part was read.
        timed: what an answer costs, by id; a design that is not among them is timed now.
    """
    design, repeats = standing.design, standing.repeats
    shown = repeats or standing.search
    trained = [run for run in shown if run.outcome == "complete"]
    on_test = iter(test.get(design.id, []))
    scores = []
    for run in repeats:
        value = next(on_test, None) if run.outcome == "complete" else None
        scores.append(
            Score(seed=run.seed, validation=run.score, test=None if value is None else bench.summary(value))
        )
    folders = [run.folder for run in trained if run.folder is not None]
    costs = timed.get(design.id) or (bench.predict_cost(folders[0]) if folders else None)
    first = trained[0].history if trained else {}
    return Candidate(
        id=design.id,
        label=design.label,
        config=_config(standing, higher_is_better=bench.metric.direction == "higher"),
        parameters=shown[0].parameters,
        scores=tuple(scores),
        train_s=float(np.mean([run.seconds for run in trained])) if trained else None,
        predict_ms=costs.single_ms if costs else None,
        predict_256_ms=costs.many_ms if costs else None,
        step_us=costs.step_us if costs else None,
        latency_us=costs.latency_us if costs else None,
        train_j=_mean_energy(trained),
        peak_mb=max((run.peak_mb for run in shown), default=None),
        outcome="complete" if trained else "collapsed",
        reason=None if len(trained) == len(shown) else "; ".join({r.reason for r in shown if r.reason}),
        curves=tuple(
            Curve(
                seed=run.seed,
                steps=tuple(run.history["steps"]),
                train=tuple(run.history["train_loss"]),
                validation=tuple(run.history["validation_loss"]),
                best_step=run.history["best_step"],
            )
            for run in trained
        ),
        gradient_norms={layer: tuple(values) for layer, values in first.get("gradient_norms", {}).items()},
        clip_rate=float(np.mean([run.history["clip_rate"] for run in trained])) if trained else None,
    )


def _mean_energy(runs: Sequence[Run]) -> float | None:
    """Joules of a run on average; None where the processor's counters could not be read."""
    known = [run.energy_j for run in runs if run.energy_j is not None]
    return float(np.mean(known)) if known else None


def _config(standing: Standing, *, higher_is_better: bool) -> dict[str, JsonValue]:
    settings = standing.settings(higher_is_better=higher_is_better)
    design = standing.design
    fields: dict[str, JsonValue] = {
        "learning_rate": settings.learning_rate,
        "learning_rates": [*rates(design)],
    }
    if design.bert:
        fields |= {"bert": design.bert, "dropout": settings.dropout}
    else:
        fields |= {"attention": design.attention, **design.body(settings.dropout).model_dump(mode="json")}
    plain: dict[str, JsonValue] = json.loads(json.dumps(fields))
    return plain


def baseline(bench: Bench, method: Trivial, test: TestErrors) -> Baseline:
    """One trivial method's entry; ``test`` holds its scores where the test part was read."""
    on_test = test.get(method.id)
    note = f"failed: {method.failed}" if method.failed else method.note
    return Baseline(
        id=method.id,
        label=method.id,
        validation=None if method.failed else bench.summary(method.validation),
        test=None if on_test is None else bench.summary(on_test[0]),
        train_s=method.train_s,
        predict_ms=method.predict_ms,
        note=note or None,
    )


def check(result: CheckResult, allow: Sequence[str]) -> Check:
    """One check's entry; a finding whose code is among ``allow`` is marked."""
    return Check(
        code=result.code,
        outcome=result.outcome,
        evidence=", ".join(f"{name} {_plain(value)}" for name, value in result.evidence.items()),
        sentence=result.sentence,
        allowed=result.outcome != "pass" and result.code in allow,
    )


def _plain(value: float | int | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def verdict(
    bench: Bench,
    decision: Decision,
    ids: dict[str, str],
    test: TestErrors,
    methods: set[str],
    *,
    book: ScoreBook | None = None,
    collapses: Sequence[Failures] = (),
) -> Verdict:
    """One question's entry.

    Args:
        book: takes the scores behind the entry, so that it can be replayed; None keeps none.
        ids: id of the candidate or trivial method behind each name in the decision.
        test: scores by id, empty where the test part was not read.
        methods: ids of the trivial methods.
        collapses: arms that failed to train.
    """
    answer, chosen = answered(decision, ids)
    effect, interval = _on_test(bench, decision, ids, test, methods)
    return Verdict(
        id=decision.question,
        answer=answer,
        status=decision.status,
        sentence=decision.sentence,
        effect=decision.effect,
        interval=decision.interval,
        n=decision.n,
        test=decision.test,
        p=decision.p,
        correction=decision.correction,
        cost=decision.cost if math.isfinite(decision.cost) else None,
        would_change=decision.would_change,
        test_effect=effect,
        test_interval=interval,
        arms=tuple(ids.values()),
        chosen=chosen,
        collapses=tuple(Collapse(**asdict(one)) for one in collapses),
        evidence=None if book is None else _evidence(decision, ids, test, methods, book),
    )


def _evidence(
    decision: Decision, ids: dict[str, str], test: TestErrors, methods: set[str], book: ScoreBook
) -> Evidence:
    """What the decision was made from, its scores kept in the book."""
    basis, frame = decision.basis, decision.frame
    return Evidence(
        arms=tuple(
            ScoredArm(
                name=arm.name,
                rows=book.validation(arm.scores),
                # what a decision left aside is not compared on the test part either
                test_rows=book.test(test.get(ids[arm.name], ())) if arm.name in ids else (),
                deterministic=arm.deterministic,
                test_deterministic=ids.get(arm.name) in methods,
                collapsed=arm.collapsed,
                train_s=arm.train_s,
                predict_ms=arm.predict_ms,
                id=ids.get(arm.name),
            )
            for arm in basis.arms
        ),
        looks=basis.looks.seeds,
        level=basis.level,
        last=basis.last,
        at_once=basis.at_once,
        units=frame.units,
        steps=frame.steps,
        clip_rate=frame.clip_rate,
    )


def limited(fit: Fit, known: set[str]) -> Verdict:
    """The entry of what limits on cost leave: a choice among measured means, not a test."""
    return Verdict(
        id="limits",
        answer=fit.chosen.label if fit.chosen else None,
        status="decided" if fit.chosen else "undecided",
        sentence=fit.sentence,
        effect=-fit.price if fit.chosen else None,
        test="means on the validation rows",
        would_change="tighter limits, or wider ones that a network of a better score keeps"
        if fit.chosen
        else "larger limits, or more time for smaller networks",
        arms=tuple(option.id for option in fit.options if option.id in known),
        chosen=fit.chosen.id if fit.chosen else None,
        options=tuple(Option(**asdict(option)) for option in fit.options),
    )


def estimated(
    question: str,
    estimate: Estimate,
    designs: dict[str, Design],
    known: set[str],
    book: ScoreBook,
    *,
    collapses: Sequence[Failures] = (),
) -> Verdict:
    """The entry of a question that measures a curve and chooses nothing; the book takes its scores."""
    points = [(label, point) for label, found in estimate.points.items() for point in found]
    arms = tuple(
        ScoredArm(name=label, rows=book.validation(point.scores), share=point.share)
        for label, point in points
    )
    return Verdict(
        id=question,
        answer=settled_answer(estimate),
        status=estimate.status,
        sentence=estimate.sentence,
        effect=estimate.effect,
        interval=estimate.interval,
        n=estimate.n,
        test=estimate.test,
        p=estimate.p,
        correction="none",
        would_change=estimate.would_change,
        arms=tuple(design.id for design in designs.values() if design.id in known),
        collapses=tuple(Collapse(**asdict(one)) for one in collapses),
        curves=recorded_curves(estimate),
        gaps=tuple(Gap(**asdict(gap)) for gap in estimate.gaps),
        evidence=Evidence(arms=arms) if arms else None,
    )


def answered(decision: Decision, ids: dict[str, str]) -> tuple[str | int | None, str | None]:
    """The arm that a settled decision names, and the id behind it; None twice while undecided."""
    if decision.status == "undecided":
        return None, None
    answer: str | int = int(decision.answer) if decision.question in OF_DEPTH else decision.answer
    return answer, ids.get(decision.answer)


def settled_answer(estimate: Estimate) -> str | None:
    """What a settled estimate answers."""
    return estimate.answer if estimate.status != "undecided" else None


def recorded_curves(estimate: Estimate) -> tuple[LearningCurve, ...]:
    """The entries of its learning curves."""
    return tuple(
        LearningCurve(
            label=curve.label,
            shares=curve.shares,
            scores=curve.means,
            law=curve.law,
            gain=curve.gain,
            interval=curve.interval,
            overtakes=curve.overtakes,
            ahead=curve.ahead,
            behind=curve.behind,
        )
        for curve in estimate.curves
    )


def _on_test(
    bench: Bench, decision: Decision, ids: dict[str, str], test: TestErrors, methods: set[str]
) -> tuple[float | None, tuple[float, float] | None]:
    """The decision's effect on the test part, between the same two arms; None where they share no window."""
    pair = [name for name in ids if name in (decision.answer, decision.rival)]  # the simpler first
    arms = [
        Arm(name, np.stack(found), deterministic=ids[name] in methods)
        for name in pair
        if (found := test.get(ids[name]))
    ]
    return effect_on_test(
        arms, decision.answer, bench.test_layout, higher_is_better=bench.metric.direction == "higher"
    )


def unanswered(question: str, reason: str, designs: dict[str, Design], known: set[str]) -> Verdict:
    """A question that the budget or an interruption left open."""
    return Verdict(
        id=question,
        answer=None,
        status="undecided",
        sentence=f"{NOT_ANSWERED}{reason}.",
        would_change="a larger --budget, or --resume after an interruption",
        arms=tuple(design.id for design in designs.values() if design.id in known),
    )


def winner_of(findings: Findings) -> Standing | None:
    """The standing of the design that the questions have chosen, where one of its seeds trained.

    On all training rows, where it trained there.
    """
    for design in (findings.final, findings.winner):
        standing = findings.standings.get(design.id) if design else None
        if standing is not None and standing.trained:
            return standing
    return None
