"""Where each of the two networks of a question is ahead: at which data size, latency and cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import NamedTuple

from lamina.study.learning_curve import SURE
from lamina.study.verdict import Candidate, LearningCurve, StudyRecord, Verdict

LEAST_RATIO = 1.05  # of two costs, below which neither is ahead
OPEN, TIE = "not told apart", "no difference that matters"
WORDS = {OPEN: "the two are not told apart", TIE: "they differ by nothing that matters"}
CASES = {"forecast": "rows", "classify": "sequences", "classify-text": "texts"}


class Size(NamedTuple):
    """Both networks with a number of training cases: the metric of each, and which is ahead."""

    cases: int
    scores: tuple[float | None, float | None]
    ahead: str


def pair(record: StudyRecord, verdict: Verdict) -> tuple[Candidate, Candidate] | None:
    """The two networks of a question; None where they are not both known by a score."""
    known = {one.id: one for one in record.candidates if _mean(one) is not None}
    found = [known[arm] for arm in verdict.arms if arm in known]
    return (found[0], found[1]) if len(found) == len(verdict.arms) == 2 else None


def sizes(record: StudyRecord, verdict: Verdict) -> list[Size]:
    """Shares of the training cases, from the question after more data; then all of them, from the verdict."""
    both = pair(record, verdict)
    return [] if both is None else list(_sizes(record, verdict, *both))


def sentence(record: StudyRecord, verdict: Verdict) -> str | None:
    """Where each of the two is ahead, for a person; None where they are not both known."""
    both = pair(record, verdict)
    if both is None:
        return None
    words = (_by_size(record, sizes(record, verdict)), _by_latency(*both), _by_cost(*both))
    return " ".join(words).strip()


def _mean(candidate: Candidate) -> float | None:
    known = [score.validation for score in candidate.scores if score.validation is not None]
    return fmean(known) if known else None


def _sizes(record: StudyRecord, verdict: Verdict, a: Candidate, b: Candidate) -> Iterator[Size]:
    cases = record.data.splits.get("train", 0)
    curves = {curve.label: curve for one in record.questions for curve in one.curves}
    if a.label in curves and b.label in curves:
        first, second = (
            dict(zip(curves[one.label].shares, curves[one.label].scores, strict=True)) for one in (a, b)
        )
        for share in first:
            if share is not None and share < 1 and share in second:
                ahead = _ahead_at(share, curves[a.label], curves[b.label])
                yield Size(round(share * cases), (first[share], second[share]), ahead)
    chosen = {a.id: a.label, b.id: b.label}.get(verdict.chosen or "", OPEN)
    yield Size(
        cases, (_mean(a), _mean(b)), {"decided": chosen, "tie": TIE, "undecided": OPEN}[verdict.status]
    )


def _ahead_at(share: float, *both: LearningCurve) -> str:
    """Which of two curves is ahead, where one of them is what the other was set beside."""
    (reference, other) = sorted(both, key=lambda curve: len(curve.ahead))
    if reference.ahead or not other.ahead:
        return OPEN
    place = other.shares.index(share)
    if (other.ahead[place] or 0) >= SURE:
        return other.label
    return reference.label if (other.behind[place] or 0) >= SURE else OPEN


def _by_size(record: StudyRecord, found: Sequence[Size]) -> str:
    by_side: dict[str, list[str]] = {}
    for size in found:
        by_side.setdefault(size.ahead, []).append(f"{size.cases:,}")
    told = "; ".join(
        f"with {_listed(cases)} {WORDS.get(side, f'{side} is ahead')}" for side, cases in by_side.items()
    )
    words = f"By data size, in training {CASES[record.task]}: {told}."
    if len(found) == 1:
        words += " With fewer they were not compared; --ask bert,data does, where the budget has room."
    return words


def _by_latency(a: Candidate, b: Candidate) -> str:
    if a.predict_ms is None or b.predict_ms is None:
        return ""
    (fast_ms, fast), (slow_ms, slow) = sorted(
        [(a.predict_ms, a.label), (b.predict_ms, b.label)], key=lambda one: one[0]
    )
    if slow_ms < LEAST_RATIO * fast_ms:
        return f"By latency: both answer in {_figure(slow_ms)} ms."
    return (
        f"By latency: {fast} answers in {_figure(fast_ms)} ms, {slow} in {_figure(slow_ms)} ms; where an "
        f"answer may take less than {_figure(slow_ms)} ms, {fast} alone will do."
    )


def _by_cost(a: Candidate, b: Candidate) -> str:
    if None in (a.train_s, b.train_s, a.parameters, b.parameters):
        return ""
    return (
        f"By cost: {a.label} trains a seed in {_figure(a.train_s, 3)} s with {a.parameters:,} parameters, "
        f"{b.label} in {_figure(b.train_s, 3)} s with {b.parameters:,}."
    )


def _figure(value: float | None, digits: int = 2) -> str:
    assert value is not None
    return f"{value:,.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:.{digits}g}"


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]
