"""Two sources of chance in a mean score: the seeds of training and the windows it is measured on.

A score is that of an arm, a seed and a window:

    score = mean of arm + window + arm x window + seed of arm + rest

The windows are the same for all arms, so what a window does to all of them drops out of a difference. What it
does to one arm stays, however many seeds there are. Seeds are each arm's own, and the rest has both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lamina.study.scores import Arm, Array, Layout

# With this many series, whole series are the units: they are what a new data set would bring.
MANY_SERIES = 20
FARTHEST = math.log(1_000)  # of a logarithm of a ratio: an interval that reaches beyond says nothing


class Windows:
    """How much a mean over windows owes to chance in the windows.

    ``units`` turns scores into contributions whose squares sum to the variance of the mean. The units are

    - series, where there are many of them: windows of one series may hang together in any way;
    - windows, where each is independent;
    - else the slow waves within each series: projections on cosines that are long beside the reach of a
      window, so that neighbours that share data are counted for what they are worth.

    Source: for series, Liang & Zeger 1986, doi:10.1093/biomet/73.1.13; for cosines, Lazarus, Lewis, Stock &
    Watson 2018, doi:10.1080/07350015.2018.1506926, in comparisons of forecasts Coroneo & Iacone 2020,
    doi:10.1002/jae.2756.
    """

    def __init__(self, layout: Layout) -> None:
        begins = np.flatnonzero(np.r_[True, layout.series[1:] != layout.series[:-1]])
        lengths = np.diff(np.r_[begins, len(layout.series)])
        self.n_windows, self.power = len(layout.series), layout.power
        self._begins, self._lengths, self._reach = begins, lengths, layout.block_windows
        waves = [_waves(int(length), layout.block_windows) for length in lengths]
        few_waves = sum(waves) < len(begins) - 1
        self._by_series = len(begins) > 1 and (len(begins) >= MANY_SERIES or few_waves)
        self._independent = not self._by_series and layout.block_windows == 1
        self._waves = [] if self._by_series or self._independent else waves

    @property
    def enough(self) -> bool:
        """Whether there is any evidence of how the windows vary."""
        if self._by_series:
            return True
        return self.n_windows > 1 if self._independent else sum(self._waves) > 0

    def units(self, scores: Array) -> Array:
        """Contributions of units to each row's mean, (rows, units), from scores (rows, windows)."""
        apart = scores - scores.mean(axis=1, keepdims=True)
        if self._independent:
            contributions: Array = apart / math.sqrt(self.n_windows * (self.n_windows - 1))
            return contributions
        if self._by_series:
            n_series = len(self._begins)
            sums: Array = np.add.reduceat(apart, self._begins, axis=1)
            return sums * (math.sqrt(n_series / (n_series - 1)) / self.n_windows)
        return np.hstack(
            [
                apart[:, begin : begin + length]
                @ _cosines(length, waves, self._reach)
                * (length / self.n_windows)
                for begin, length, waves in zip(self._begins, self._lengths, self._waves, strict=True)
                if waves
            ]
        )

    def least(self, scores: Array) -> float:
        """Least variance of the mean of scores (rows, windows) that are right or wrong, 1 or 0.

        Where few cases are alike for all seeds, their variance is zero, which says more than so few can. One
        case more might yet be told apart.
        """
        counted = self._independent and bool(np.isin(scores, (0.0, 1.0)).all())
        return 1 / self.n_windows**2 if counted else 0.0

    def freedom(self, squares: Array) -> float:
        """Degrees of freedom of a variance, the sum of ``squares`` of units, (units,)."""
        if not self._waves:
            return len(squares) - 1
        ends = np.cumsum([waves for waves in self._waves if waves])
        parts = np.add.reduceat(squares, np.r_[0, ends[:-1]])
        return satterthwaite(parts, [waves for waves in self._waves if waves])


def _waves(length: int, block_windows: int) -> int:
    """Cosines on which to project ``length`` windows: each at least four blocks long, and not too many.

    0.4 length^(2/3) is the number that Lazarus et al. recommend.
    """
    return min(length // (2 * block_windows), math.floor(0.4 * math.pow(length, 2 / 3)))


def _cosines(length: int, waves: int, block_windows: int) -> Array:
    """Orthogonal cosines, (length, waves), so scaled that squares of projections sum to a mean's variance.

    Windows that share data with ``block_windows`` neighbours are like sums of so many shocks, of which a wave
    passes less the shorter it is. Each wave is raised by what is missing.
    """
    number = np.arange(1, waves + 1)
    phase = np.pi * (np.arange(length) + 0.5) / length
    cosines: Array = np.cos(np.outer(phase, number))
    half_turn = np.pi * number / (2 * length)
    passed = np.sin(block_windows * half_turn) / (block_windows * np.sin(half_turn))
    scaled: Array = cosines * (math.sqrt(2 / waves) / length) / passed
    return scaled


def satterthwaite(parts: Array | Sequence[float], freedoms: Sequence[float]) -> float:
    """Degrees of freedom of a sum of variances. Source: Satterthwaite 1946, doi:10.2307/3002019."""
    total = float(sum(parts))
    below = sum(part**2 / freedom for part, freedom in zip(parts, freedoms, strict=True) if part != 0)
    return total**2 / below if below > 0 else math.inf


@dataclass(frozen=True, eq=False)
class Spread:
    """The chance in one arm's mean score.

    Attributes:
        mean: over seeds and windows.
        n_seeds: that trained.
        of_seed: variance of the mean of one more seed; 0 for a deterministic arm.
        units: contributions of windows, mean over seeds, (units,).
        rest: the part of the variance of ``units`` that seeds bring, so that more of them would remove it.
        least: variance that the windows bring at least.
    """

    mean: float
    n_seeds: int
    of_seed: float
    units: Array
    rest: float
    least: float


def spread(arm: Arm, windows: Windows) -> Spread:
    """The chance in the mean score of an arm with at least two seeds, or of a deterministic one."""
    n_seeds = len(arm.scores)
    units = windows.units(arm.scores)  # (seeds, units)
    chance = not arm.deterministic
    return Spread(
        mean=float(arm.scores.mean()),
        n_seeds=n_seeds,
        of_seed=float(arm.scores.mean(axis=1).var(ddof=1)) if chance else 0.0,
        units=units.mean(axis=0),
        rest=float(units.var(axis=0, ddof=1).sum()) / n_seeds if chance else 0.0,
        least=windows.least(arm.scores),
    )


@dataclass(frozen=True)
class Gap:
    """The difference of two arms' scores with its standard error, on a scale where it is nearly normal.

    The scale is the logarithm of the ratio of the metrics that the means make: scores of two arms rise and
    fall together from window to window, and a ratio keeps the power of that. Where a mean is not above zero
    it is the plain difference.

    Attributes:
        size: above zero where b is better.
        of_seed: variance that one seed of a, and of b, brings.
        of_windows: variance that stays however many seeds there are.
        freedom: degrees of freedom of the standard error.
    """

    size: float
    of_seed: tuple[float, float]
    n_seeds: tuple[int, int]
    of_windows: float
    freedom: float

    @property
    def error(self) -> float:
        """Standard error."""
        return self.error_at(*self.n_seeds)

    def error_at(self, n_a: float, n_b: float) -> float:
        """Standard error with other numbers of seeds."""
        return math.sqrt(self.of_seed[0] / n_a + self.of_seed[1] / n_b + self.of_windows)


def gap(a: Spread, b: Spread, windows: Windows, scale: Scale) -> Gap:
    """The difference of two arms.

    The variance over windows of the difference of mean scores has a part that seeds bring, since each
    window's mean is over few of them. That part is in the variance between seeds already and is taken out.

    Source: the model is that of readers and cases with readers nested in treatments, Hillis 2007,
    doi:10.1002/sim.2532; like him we take a variance below zero as zero.
    """
    weight_a, weight_b = scale.weights(a.mean, b.mean)
    squares = (weight_a * a.units - weight_b * b.units) ** 2
    rest_a, rest_b = weight_a**2 * a.rest, weight_b**2 * b.rest
    seed_a, seed_b = weight_a**2 * a.of_seed, weight_b**2 * b.of_seed
    seen = float(squares.sum()) - rest_a - rest_b
    least = max(weight_a**2 * a.least, weight_b**2 * b.least)
    of_windows = max(least, seen)
    parts = [seed_a / a.n_seeds, seed_b / b.n_seeds]
    freedoms: list[float] = [max(1, a.n_seeds - 1), max(1, b.n_seeds - 1)]
    if seen < of_windows:
        parts, freedoms = [*parts, least], [*freedoms, len(squares) - 1]
    elif of_windows > 0:
        # All four make up the error; the two rests enter below zero, and their own error is small.
        parts += [float(squares.sum()), -rest_a, -rest_b]
        n_units = len(squares)
        freedoms += [windows.freedom(squares), n_units * freedoms[0], n_units * freedoms[1]]
    return Gap(
        size=scale.size(a.mean, b.mean),
        of_seed=(seed_a, seed_b),
        n_seeds=(a.n_seeds, b.n_seeds),
        of_windows=of_windows,
        freedom=max(satterthwaite(parts, freedoms), min(freedoms)),
    )


@dataclass(frozen=True)
class Scale:
    """Where a gap is measured, and how it becomes an effect: a share of a's score, above zero if b is better.

    Attributes:
        sign: 1 where lower scores are better, -1 where higher ones are.
        unit: None for the logarithm of a ratio, else the score that a plain difference is a fraction of.
        power: of a mean score that is the metric, as in ``Layout``; a ratio's logarithm is so many times that
            of the means.
    """

    sign: float
    unit: float | None
    power: float = 1.0

    @staticmethod
    def of(a: float, b: float, *, higher_is_better: bool, power: float = 1.0) -> Scale:
        """The scale of a gap between mean scores a and b."""
        unit = None if min(a, b) > 0 else abs(a) or abs(b) or 1.0
        return Scale(-1.0 if higher_is_better else 1.0, unit, power)

    def weights(self, a: float, b: float) -> tuple[float, float]:
        """What a small change of each mean changes the gap by, without the sign."""
        return (self.power / a, self.power / b) if self.unit is None else (1 / self.unit, 1 / self.unit)

    def size(self, a: float, b: float) -> float:
        """The gap between the metrics of mean scores."""
        return self.sign * (self.power * math.log(a / b) if self.unit is None else (a - b) / self.unit)

    def effect(self, size: float) -> float:
        """The effect that a gap of this size is; ratios beyond a thousand are cut there."""
        if self.unit is not None:
            return size
        return -self.sign * math.expm1(-self.sign * min(max(size, -FARTHEST), FARTHEST))

    def gap(self, effect: float) -> float:
        """The gap that is this effect; effects of which there can be none are infinite gaps."""
        if self.unit is not None:
            return effect
        inside = -self.sign * effect
        return -self.sign * math.log1p(inside) if inside > -1 else math.inf * self.sign
