"""What changed between two studies: data, settings, answers, scores and costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from lamina.study.verdict import Baseline, Candidate, StudyRecord

COSTS = (
    "parameters",
    "train_s",
    "train_j",
    "predict_ms",
    "predict_256_ms",
    "step_us",
    "latency_us",
    "peak_mb",
)
EVIDENCE = ("effect", "interval", "sentence")
# Measured twice on one machine, times differ by so much without a cause.
NOISE = 0.1


@dataclass(frozen=True)
class Change:
    """One thing that is not as it was; None where it was not there.

    Attributes:
        part: data, settings, answers, scores or costs.
        name: of the field, question or model.
        before, after: what it was and is.
        ratio: after over before, of figures.
    """

    part: str
    name: str
    before: Any
    after: Any
    ratio: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)


def compare_records(before: StudyRecord, after: StudyRecord) -> list[Change]:
    """Every change from one study to another, in the order data, settings, answers, scores, costs.

    Of a question in both, its effect, interval and sentence are compared too. Scores are means over seeds, on
    the test part where both have read it. Scores and costs of a model are compared where both studies have
    it, and its coming or going is told. Times that differ by less than a tenth are left out.
    """
    return [
        *_data(before, after),
        *_settings(before, after),
        *_answers(before, after),
        *_scores(before, after),
        *_costs(before, after),
    ]


def _data(before: StudyRecord, after: StudyRecord) -> Iterator[Change]:
    yield from _fields("data", before.data.model_dump(), after.data.model_dump(), leave_out=("notes",))
    yield from _fields("data", {"metric": before.metric.name}, {"metric": after.metric.name})


def _settings(before: StudyRecord, after: StudyRecord) -> Iterator[Change]:
    yield from _fields(
        "settings", before.settings.model_dump(), after.settings.model_dump(), leave_out=("command",)
    )
    yield from _fields("settings", {"budget_s": before.budget.asked_s}, {"budget_s": after.budget.asked_s})
    yield from _fields("settings", before.environment.model_dump(), after.environment.model_dump())


def _fields(
    part: str, before: Mapping[str, Any], after: Mapping[str, Any], *, leave_out: tuple[str, ...] = ()
) -> Iterator[Change]:
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            inner = _fields(part, old, new)
            yield from (Change(part, f"{name} {one.name}", one.before, one.after, one.ratio) for one in inner)
        elif old != new and name not in leave_out:
            yield Change(part, name, old, new, _ratio(old, new))


def _answers(before: StudyRecord, after: StudyRecord) -> Iterator[Change]:
    old = {verdict.id: verdict for verdict in before.questions}
    new = {verdict.id: verdict for verdict in after.questions}
    for question in dict.fromkeys((*old, *new)):
        first, second = old.get(question), new.get(question)
        told = [None if one is None else f"{one.status}: {one.answer}" for one in (first, second)]
        if told[0] != told[1]:
            yield Change("answers", question, told[0], told[1])
        if first is not None and second is not None:
            for name in EVIDENCE:
                before_it, after_it = getattr(first, name), getattr(second, name)
                if before_it != after_it:
                    ratio = _ratio(before_it, after_it)
                    yield Change("answers", f"{question} {name}", before_it, after_it, ratio)
    best = [None if record.best is None else record.best.candidate for record in (before, after)]
    if best[0] != best[1]:
        yield Change("answers", "best model", best[0], best[1])


def _scores(before: StudyRecord, after: StudyRecord) -> Iterator[Change]:
    part = "test" if _has_test(before) and _has_test(after) else "validation"
    old, new = _entries(before), _entries(after)
    for name in dict.fromkeys((*old, *new)):
        first, second = _score(old.get(name), part), _score(new.get(name), part)
        if first != second:
            yield Change("scores", f"{name} ({part})", first, second, _ratio(first, second))


def _costs(before: StudyRecord, after: StudyRecord) -> Iterator[Change]:
    old, new = _entries(before), _entries(after)
    for name in (name for name in old if name in new):
        for cost in COSTS:
            first, second = getattr(old[name], cost, None), getattr(new[name], cost, None)
            ratio = _ratio(first, second)
            if first != second and (ratio is None or abs(ratio - 1) > NOISE or cost == "parameters"):
                yield Change("costs", f"{name} {cost}", first, second, ratio)


def _entries(record: StudyRecord) -> dict[str, Candidate | Baseline]:
    entries: list[Candidate | Baseline] = [*record.candidates, *record.baselines]
    return {entry.id: entry for entry in entries}


def _has_test(record: StudyRecord) -> bool:
    return any(score.test is not None for entry in record.candidates for score in entry.scores)


def _score(entry: Candidate | Baseline | None, part: str) -> float | None:
    if entry is None:
        return None
    if isinstance(entry, Baseline):
        value: float | None = getattr(entry, part)
        return value
    known = [value for score in entry.scores if (value := getattr(score, part)) is not None]
    return fmean(known) if known else None


def _ratio(before: object, after: object) -> float | None:
    if isinstance(before, int | float) and isinstance(after, int | float) and before > 0:
        return after / before
    return None
