"""Runs that failed to train: found, counted, and told apart from what a design can do where it trains.

A deep stack that does not train is often read as "depth does not help" (Britz et al. 2017, arXiv:1703.03906:
a decoder of 8 plain layers scored 1.4 BLEU against 22.4 of 4, and 17.0 with residuals).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lamina.study.bench import Run, Standing

MUCH_WORSE = 2.0  # an error so many times the simplest method's, or that part of its accuracy, is a failure
LEARNABLE = 0.1  # where the best run gains this much on the simplest method, the data can be learned,
LEAST_PART = 0.05  # and a run with less than this part of that gain has not learned them
TOO_OFTEN = 0.25  # a design that fails in this share of its seeds is repaired


@dataclass(frozen=True)
class Collapse:
    """How often an arm failed to train, and what stands for it.

    Attributes:
        arm: its name in the question.
        design: id of the design that failed.
        failed: runs with a fresh seed that did, of ``seeds``.
        repaired: id of the design with residuals, norm and smaller steps that stands for it, or None.
        repaired_failed: runs of that design that failed, of ``repaired_seeds``.
    """

    arm: str
    design: str
    failed: int
    seeds: int
    repaired: str | None = None
    repaired_failed: int = 0
    repaired_seeds: int = 0


def mark(standings: Iterable[Standing], level: float, *, higher_is_better: bool) -> None:
    """Mark runs that ended, but no better than without training, as collapsed.

    ``level`` is the score of the simplest method; where it is NaN nothing is marked. Collapsed is an error of
    more than ``MUCH_WORSE`` times that, or an accuracy of less than that part of it; or, where the best run
    of all gains ``LEARNABLE`` on it, less than ``LEAST_PART`` of that gain. The network that outputs a
    constant or NaN was found when it was trained.
    """
    if not math.isfinite(level):
        return
    runs = [run for standing in standings for run in standing.repeats if run.outcome == "complete"]
    gains = [_gain(run, level, higher_is_better=higher_is_better) for run in runs]
    best = max(gains, default=0.0)
    for run, gain in zip(runs, gains, strict=True):
        times = 1 + gain if higher_is_better else 1 - gain
        if times < 1 / MUCH_WORSE if higher_is_better else times > MUCH_WORSE:
            run.outcome = "collapsed"
            name = "accuracy" if higher_is_better else "error"
            run.reason = f"its {name} is {times:.1f} times that of the simplest method"
        elif best >= LEARNABLE and gain < LEAST_PART * best:
            run.outcome = "collapsed"
            run.reason = f"it gains {_percent(gain)} on the simplest method, another run {_percent(best)}"


def _gain(run: Run, level: float, *, higher_is_better: bool) -> float:
    """Improvement on the simplest method, as a fraction of its score."""
    sign = -1.0 if higher_is_better else 1.0
    return sign * (level - run.score) / (abs(level) or 1.0)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def fails_too_often(standing: Standing) -> bool:
    """Whether so many seeds failed that the design cannot be judged by the others."""
    return _failed(standing) >= max(1.0, TOO_OFTEN * len(standing.repeats))


def counted(asked: Mapping[str, Standing], judged: Mapping[str, Standing]) -> tuple[Collapse, ...]:
    """The arms of which seeds failed, by name.

    Args:
        asked: what the question compared at first.
        judged: what stands in the comparison: the same, or the repaired design.
    """
    found = []
    for name, standing in asked.items():
        failed, other = _failed(standing), judged[name]
        if other is not standing:
            repair = (other.design.id, _failed(other), len(other.repeats))
            found.append(Collapse(name, standing.design.id, failed, len(standing.repeats), *repair))
        elif failed:
            found.append(Collapse(name, standing.design.id, failed, len(standing.repeats)))
    return tuple(found)


def _failed(standing: Standing) -> int:
    return len(standing.repeats) - len(standing.trained)


def told(collapses: Sequence[Collapse], *, about_depth: bool) -> str:
    """What is said of arms that failed to train, after the answer; "" where none did.

    >>> told([Collapse("gru", "gru-2-forward", 1, 8)], about_depth=False)
    ' gru failed to train in 1 of 8 seeds.'
    """
    words = ""
    for one in collapses:
        name = f"Depth {one.arm}" if about_depth else one.arm
        words += f" {name} failed to train in {one.failed} of {one.seeds} seeds"
        if one.repaired:
            trained = one.repaired_seeds - one.repaired_failed
            words += (
                f"; with residuals, norm and smaller steps it trained in {trained} of {one.repaired_seeds}"
            )
            words += ", and stands so in the comparison"
        words += "."
    return words
