"""A finished study decided once more from its recorded scores, and held against what its record says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from lamina.errors import ConfigError, LaminaError
from lamina.study.collapse import Collapse, told
from lamina.study.constraints import Limits, Option, pick
from lamina.study.decide import Decision, decide, effect_on_test
from lamina.study.estimates import Estimate, of_gaps, of_points
from lamina.study.learning_curve import Point
from lamina.study.ledger import Recorded, read_scores
from lamina.study.overfitting import Gap
from lamina.study.questions import ABOUT_DEPTH
from lamina.study.record import answered, recorded_curves, settled_answer
from lamina.study.scores import Arm
from lamina.study.sentences import Frame, Question, failures, framed
from lamina.study.sequential import Looks
from lamina.study.sides import sentence as sides_sentence
from lamina.study.verdict import Evidence, LearningCurve, StudyRecord, Verdict

CLOSE = 1e-9  # relative: a replay on another machine may sum in another order


@dataclass(frozen=True)
class Difference:
    """One figure or sentence of the record that does not follow from its scores.

    Attributes:
        question: id of the entry, and ``field`` of it.
        recorded: what study.json says; ``replayed`` what follows, or why nothing does.
    """

    question: str
    field: str
    recorded: Any
    replayed: Any


@dataclass(frozen=True)
class Replay:
    """What a replay found.

    Attributes:
        sentences: ids of the entries that were made again.
        open: ids of questions that were left open, of which no score tells.
        differences: none where every sentence and figure follows.
    """

    sentences: tuple[str, ...]
    open: tuple[str, ...]
    differences: tuple[Difference, ...]

    @property
    def following(self) -> int:
        """Entries of which every field follows."""
        return len(self.sentences) - len({difference.question for difference in self.differences})


def replay(record: StudyRecord, folder: Path) -> Replay:
    """Make every answer again from the recorded scores.

    Raises:
        ConfigError: the study was made before scores were recorded.
        SavedModelError: the file of scores is missing or is not the one that the study wrote.
    """
    if record.scores is None:
        raise ConfigError(
            f"the study in {folder} was made before scores were recorded, so that it cannot be replayed. "
            "Run it again."
        )
    scores = read_scores(folder, record.scores)
    made = [entry for entry in record.questions if not _left_open(entry)]
    differences = [difference for entry in made for difference in _differences(entry, record, scores)]
    return Replay(
        sentences=tuple(entry.id for entry in made),
        open=tuple(entry.id for entry in record.questions if _left_open(entry)),
        differences=tuple(differences),
    )


def _left_open(entry: Verdict) -> bool:
    return entry.evidence is None and not entry.options and not entry.gaps and entry.answer is None


def _differences(entry: Verdict, record: StudyRecord, scores: Recorded) -> list[Difference]:
    try:
        replayed = _fields(entry, record, scores)
    except (LaminaError, IndexError) as error:
        return [Difference(entry.id, "sentence", entry.sentence, f"nothing: {error}")]
    return [
        Difference(entry.id, name, recorded, value)
        for name, value in replayed.items()
        if not _agree(recorded := getattr(entry, name), value)
    ]


def _fields(entry: Verdict, record: StudyRecord, scores: Recorded) -> dict[str, Any]:
    """What the fields of an entry must be."""
    higher = record.metric.direction == "higher"
    if entry.id == "limits":
        options = [Option(**one.model_dump()) for one in entry.options]
        limits = Limits(**record.settings.limits)
        found = pick(options, limits, higher_is_better=higher, rope=record.settings.rope)
        return {
            "sentence": found.sentence,
            "status": "decided" if found.chosen else "undecided",
            "answer": next((one.label for one in options if one.id == found.chosen), None),
            "chosen": found.chosen,
            "effect": -found.price if found.chosen else None,
        }
    if entry.id == "overfitting":
        gaps = [Gap(**gap.model_dump()) for gap in entry.gaps]
        return _of_estimate(of_gaps(gaps), entry)
    if entry.evidence is None:
        raise ConfigError(f"the record holds no evidence of '{entry.id}'")
    if entry.id == "data":
        points: dict[str, list[Point]] = {}
        for arm in entry.evidence.arms:
            points.setdefault(arm.name, []).append(Point(arm.share or 0.0, scores.rows(arm.rows)))
        rope = record.settings.rope
        return _of_estimate(of_points(points, scores.layout, higher_is_better=higher, rope=rope), entry)
    return _of_decision(entry, entry.evidence, record, scores)


def _of_estimate(found: Estimate | None, entry: Verdict) -> dict[str, Any]:
    if found is None:
        raise ConfigError("too few points")
    names = ("status", "effect", "interval", "p", "n", "test", "would_change")
    fields = {name: getattr(found, name) for name in names}
    fields["sentence"] = found.sentence + _failures_of(entry)
    return {**fields, "answer": settled_answer(found), "curves": recorded_curves(found)}


def _of_decision(entry: Verdict, evidence: Evidence, record: StudyRecord, scores: Recorded) -> dict[str, Any]:
    higher = record.metric.direction == "higher"
    arms = [
        Arm(
            arm.name,
            scores.rows(arm.rows),
            deterministic=arm.deterministic,
            collapsed=arm.collapsed,
            train_s=math.nan if arm.train_s is None else arm.train_s,
            predict_ms=math.nan if arm.predict_ms is None else arm.predict_ms,
        )
        for arm in evidence.arms
    ]
    decision = decide(
        _question(entry.id),
        arms,
        scores.layout,
        higher_is_better=higher,
        rope=record.settings.rope,
        looks=Looks(evidence.looks),
        level=evidence.level or 0.0,
        last=evidence.last,
        at_once=evidence.at_once,
    )
    effect, interval = effect_on_test(
        _on_test(decision, evidence, scores), decision.answer, scores.test_layout, higher_is_better=higher
    )
    answer, chosen = answered(decision, {arm.name: arm.id for arm in evidence.arms if arm.id is not None})
    return {
        "sentence": _sentence(entry, evidence, decision, arms),
        "answer": answer,
        "chosen": chosen,
        "test": decision.test,
        "sides": sides_sentence(record, entry) if entry.id == "bert" else None,
        "status": decision.status,
        "effect": decision.effect,
        "interval": decision.interval,
        "p": decision.p,
        "n": decision.n,
        "cost": decision.cost if math.isfinite(decision.cost) else None,
        "correction": decision.correction,
        "would_change": decision.would_change,
        "test_effect": effect,
        "test_interval": interval,
    }


def _sentence(entry: Verdict, evidence: Evidence, decision: Decision, arms: Sequence[Arm]) -> str:
    if entry.id == "trivial":
        return decision.sentence
    words = decision.sentence.removesuffix(failures(decision.question, arms))
    frame = Frame(evidence.units, evidence.steps, evidence.clip_rate)
    return framed(words, frame) + _failures_of(entry)


def _failures_of(entry: Verdict) -> str:
    collapses = [Collapse(**one.model_dump()) for one in entry.collapses]
    return told(collapses, about_depth=entry.id in ABOUT_DEPTH)


def _on_test(decision: Decision, evidence: Evidence, scores: Recorded) -> list[Arm]:
    """The answer and its rival with their scores on the test part, the simpler first."""
    return [
        Arm(arm.name, scores.test_rows(arm.test_rows), deterministic=arm.test_deterministic)
        for arm in evidence.arms
        if arm.name in (decision.answer, decision.rival) and arm.test_rows
    ]


def _question(name: str) -> Question:
    for question in get_args(Question):
        if name == question:
            found: Question = question
            return found
    raise ConfigError(f"there is no question '{name}'")


def _agree(recorded: Any, replayed: Any) -> bool:
    if isinstance(recorded, tuple) and isinstance(replayed, tuple):
        pairs = zip(recorded, replayed, strict=False)
        return len(recorded) == len(replayed) and all(_agree(*pair) for pair in pairs)
    if isinstance(recorded, LearningCurve) and isinstance(replayed, LearningCurve):
        names = LearningCurve.model_fields
        return all(_agree(getattr(recorded, name), getattr(replayed, name)) for name in names)
    if isinstance(recorded, float) and isinstance(replayed, float | int):
        return math.isclose(recorded, replayed, rel_tol=CLOSE, abs_tol=CLOSE)
    return bool(recorded == replayed)
