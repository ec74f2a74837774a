"""How far training loss falls below validation loss, by depth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from lamina.study.bench import Run

LEAST_SEEDS = 2


@dataclass(frozen=True)
class Gap:
    """Losses of one arm where its best weights were kept, means over its seeds.

    Attributes:
        gap: (validation - train) / validation.
        spread: standard deviation of the gap between seeds.
    """

    arm: str
    train: float
    validation: float
    gap: float
    spread: float
    seeds: int


@dataclass(frozen=True)
class Growth:
    """How much the gap of the deepest arm exceeds that of the first, with its 95 % interval and p."""

    gaps: tuple[Gap, ...]
    difference: float
    interval: tuple[float, float]
    p: float

    @property
    def grows(self) -> bool:
        return self.interval[0] > 0


def gap_of(arm: str, runs: Sequence[Run]) -> Gap | None:
    """The gap of the arm's runs, or None where fewer than two have losses to compare.

    Training loss is the mean of the steps before a validation, with dropout; validation loss is without.
    """
    pairs = [pair for run in runs if (pair := _losses(run)) is not None]
    if len(pairs) < LEAST_SEEDS:
        return None
    train, validation = np.array(pairs).T
    gaps = (validation - train) / validation
    return Gap(arm, train.mean(), validation.mean(), float(gaps.mean()), float(gaps.std(ddof=1)), len(pairs))


def _losses(run: Run) -> tuple[float, float] | None:
    history = run.history
    if history["best_step"] not in history["steps"]:
        return None
    place = history["steps"].index(history["best_step"])
    train, validation = history["train_loss"][place], history["validation_loss"][place]
    sound = math.isfinite(train) and math.isfinite(validation) and validation > 0
    return (train, validation) if sound else None


def growth(gaps: Sequence[Gap]) -> Growth | None:
    """The deepest arm's gap against the first one's, by Welch's t; None for fewer than two arms."""
    if len(gaps) < 2:
        return None
    first, last = gaps[0], gaps[-1]
    parts = [gap.spread**2 / gap.seeds for gap in (first, last)]
    difference, error = last.gap - first.gap, math.sqrt(sum(parts))
    if error == 0:
        return Growth(tuple(gaps), difference, (difference, difference), float(difference == 0))
    freedom = sum(parts) ** 2 / sum(
        part**2 / (gap.seeds - 1) for part, gap in zip(parts, (first, last), strict=True)
    )
    reach = float(stats.t.isf(0.025, freedom)) * error
    p = float(2 * stats.t.sf(abs(difference) / error, freedom))
    return Growth(tuple(gaps), difference, (difference - reach, difference + reach), p)


def sentence(found: Growth) -> str:
    """How the gap changes with depth, for a person."""
    first, last = found.gaps[0], found.gaps[-1]
    low, high = found.interval
    span = f"{100 * low:.1f} to {100 * high:.1f}"
    return (
        f"Training loss lies {_side(first.gap)} validation loss with {first.arm} "
        f"{'layer' if first.arm == '1' else 'layers'} and {_side(last.gap)} it with {last.arm}: the gap "
        f"{'grows' if found.grows else 'is not shown to grow'} with depth "
        f"(by {100 * found.difference:.1f} points, 95 %: {span}, {min(first.seeds, last.seeds)} seeds)."
    )


def _side(gap: float) -> str:
    return f"{abs(100 * gap):.0f} % {'below' if gap >= 0 else 'above'}"
