"""Candidates and baselines in one order: the best first."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from lamina.study.verdict import Baseline, Candidate, StudyRecord


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and half its 95 % interval (Student's t); one seed has no interval."""

    mean: float
    half_width: float | None
    seeds: int

    def __str__(self) -> str:
        """Three significant digits of the mean, and the half width to the same decimal.

        >>> str(Estimate(0.6123, 0.0191, 5)), str(Estimate(12.34, None, 1)), str(Estimate(0.0, None, 1))
        ('0.612 ± 0.019', '12.3', '0.00')
        """
        magnitude = math.floor(math.log10(abs(self.mean))) if self.mean else 0
        decimals = max(0, 2 - magnitude)
        mean = f"{self.mean:,.{decimals}f}"
        return mean if self.half_width is None else f"{mean} ± {self.half_width:,.{decimals}f}"


@dataclass(frozen=True)
class Standing:
    """One line of the leaderboard; `is_network` is False for a baseline."""

    id: str
    name: str
    is_network: bool
    is_best: bool
    validation: Estimate | None
    test: Estimate | None
    train_s: float | None
    predict_ms: float | None
    predict_256_ms: float | None = None
    step_us: float | None = None
    latency_us: float | None = None
    peak_mb: float | None = None
    train_j: float | None = None
    parameters: int | None = None
    note: str | None = None


def estimate(values: Iterable[float | None]) -> Estimate | None:
    """Mean and interval of the values that are known; None when none is.

    >>> str(estimate([1.0, 2.0, 3.0, None]))
    '2.00 ± 2.48'
    >>> estimate([0.5])
    Estimate(mean=0.5, half_width=None, seeds=1)
    """
    known = [value for value in values if value is not None]
    if not known:
        return None
    if len(known) == 1:
        return Estimate(known[0], None, 1)
    from scipy.special import stdtrit

    quantile = float(stdtrit(len(known) - 1, 0.975))
    half_width = quantile * statistics.stdev(known) / math.sqrt(len(known))
    return Estimate(statistics.fmean(known), half_width, len(known))


def display_names(record: StudyRecord) -> dict[str, str]:
    """Id to label, with the id added where two entries share a label."""
    entries: list[Candidate | Baseline] = [*record.candidates, *record.baselines]
    uses = Counter(entry.label for entry in entries)
    return {
        entry.id: entry.label if uses[entry.label] == 1 else f"{entry.label} ({entry.id})"
        for entry in entries
    }


def standings(record: StudyRecord) -> list[Standing]:
    """Every candidate and baseline; by test score, then those that only have a validation score."""
    names = display_names(record)
    best = record.best.candidate if record.best else None
    lines = [_of_candidate(candidate, names, best) for candidate in record.candidates]
    lines += [_of_baseline(baseline, names) for baseline in record.baselines]
    sign = 1 if record.metric.direction == "lower" else -1

    def rank(line: Standing) -> tuple[int, float]:
        if line.test is not None:
            return 0, sign * line.test.mean
        if line.validation is not None:
            return 1, sign * line.validation.mean
        return 2, 0.0

    return sorted(lines, key=rank)


def _of_candidate(candidate: Candidate, names: dict[str, str], best: str | None) -> Standing:
    outcome = None if candidate.outcome == "complete" else candidate.outcome
    return Standing(
        id=candidate.id,
        name=names[candidate.id],
        is_network=True,
        is_best=candidate.id == best,
        validation=estimate(score.validation for score in candidate.scores),
        test=estimate(score.test for score in candidate.scores),
        train_s=candidate.train_s,
        predict_ms=candidate.predict_ms,
        predict_256_ms=candidate.predict_256_ms,
        step_us=candidate.step_us,
        latency_us=candidate.latency_us,
        peak_mb=candidate.peak_mb,
        train_j=candidate.train_j,
        parameters=candidate.parameters,
        note=": ".join(part for part in (outcome, candidate.reason) if part) or None,
    )


def _of_baseline(baseline: Baseline, names: dict[str, str]) -> Standing:
    return Standing(
        id=baseline.id,
        name=names[baseline.id],
        is_network=False,
        is_best=False,
        validation=estimate([baseline.validation]),
        test=estimate([baseline.test]),
        train_s=baseline.train_s,
        predict_ms=baseline.predict_ms,
        note=baseline.note,
    )
