"""What more data would bring: scores at growing shares of the training rows, and a power law through them.

The error with a share s of the rows is taken to be c + a s^-b with a, b and c not below zero: the form that
learning curves of many networks follow (Hestness et al. 2017, arXiv:1712.00409). Intervals come from a
bootstrap of seeds, independently for each point, and of blocks of windows, together for all.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lamina.errors import ConfigError
from lamina.study.scores import Array, Layout

LEAST_POINTS = 3  # of a curve, as many as the law has constants
TWICE = 2.0
DRAWS = 1_000
MANY_SERIES = 20  # from here on whole series are drawn
EXPONENTS = np.geomspace(0.05, 2.0, 120)
SURE = 0.95  # share of draws from which on a curve is said to overtake; below 1 - SURE, not to


Standing = Literal["ahead", "behind", "not told apart"]
BESIDE: dict[Standing, str] = {
    "ahead": "ahead of",
    "behind": "behind",
    "not told apart": "not told apart from",
}


@dataclass(frozen=True, eq=False)
class Point:
    """Scores of one design with one share of the training rows: (seeds, windows)."""

    share: float
    scores: Array


@dataclass(frozen=True, eq=False)
class Curve:
    """The learning curve of one design.

    Attributes:
        shares: of the training rows, ascending.
        means: the metric at each.
        law: constants (a, b, c) of its error c + a s^-b.
        gain: share of the error that twice the rows would remove, with its 95 % ``interval``.
        overtakes: share of resamples in which it is better than the first curve with twice the rows, by more
            than the rope; None for the first.
        ahead, behind: share of resamples in which it is better, or worse, than the first at each of its
            shares, by more than the rope; NaN where the first has no point; empty for the first.
    """

    label: str
    shares: tuple[float, ...]
    means: tuple[float, ...]
    law: tuple[float, float, float]
    gain: float
    interval: tuple[float, float]
    overtakes: float | None
    ahead: tuple[float, ...] = ()
    behind: tuple[float, ...] = ()

    def standing(self, place: int) -> Standing | None:
        """How it stands beside the first at one of its shares; None where that is not known."""
        ahead, behind = self.ahead[place], self.behind[place]
        if math.isnan(ahead):
            return None
        return "ahead" if ahead >= SURE else "behind" if behind >= SURE else "not told apart"


def learning_curves(
    points: Mapping[str, Sequence[Point]],
    layout: Layout,
    *,
    higher_is_better: bool,
    rope: float,
    seed: int = 0,
) -> list[Curve]:
    """A curve for each design, the chosen one first.

    Args:
        points: by label; a design with fewer than ``LEAST_POINTS`` points is left out.
        higher_is_better: for accuracies, whose error is what they lack to one.
        rope: share of the error below which a difference does not matter.

    Raises:
        ConfigError: the first design has too few points.
    """
    first = next(iter(points))
    if len(points[first]) < LEAST_POINTS:
        raise ConfigError(
            f"a learning curve needs {LEAST_POINTS} points, but {first} trained at {len(points[first])}. "
            "Raise the budget."
        )
    generator = np.random.default_rng(seed)
    windows = _window_weights(layout, generator)  # (draws, windows)
    curves: list[Curve] = []
    reference = np.zeros(0)
    known_errors: dict[float, Array] = {}  # of the first curve in all resamples, by share
    for label, known in points.items():
        if len(known) < LEAST_POINTS:
            continue
        shares = np.array([point.share for point in known])
        means = layout.metric(np.array([np.nanmean(point.scores) for point in known]))
        drawn = np.stack([_resampled(point.scores, windows, generator) for point in known], axis=1)
        drawn = layout.metric(drawn)
        errors, drawn_errors = (1 - means, 1 - drawn) if higher_is_better else (means, drawn)
        law = fit_law(shares, errors[None])
        laws = fit_law(shares, drawn_errors)  # (draws, 3)
        ahead = law_at(laws, TWICE)
        if not curves:
            reference, known_errors = ahead, dict(zip(shares.tolist(), drawn_errors.T, strict=True))
        beside = [
            _beside(theirs, known_errors.get(share), rope)
            for share, theirs in zip(shares.tolist(), drawn_errors.T, strict=True)
        ]
        gains = _gain(laws)
        curves.append(
            Curve(
                label=label,
                shares=tuple(shares.tolist()),
                means=tuple(means.tolist()),
                law=(float(law[0, 0]), float(law[0, 1]), float(law[0, 2])),
                gain=float(_gain(law)[0]),
                interval=(float(np.quantile(gains, 0.025)), float(np.quantile(gains, 0.975))),
                overtakes=float((ahead < (1 - rope) * reference).mean()) if curves else None,
                ahead=tuple(better for better, _ in beside) if curves else (),
                behind=tuple(worse for _, worse in beside) if curves else (),
            )
        )
    return curves


def _beside(errors: Array, others: Array | None, rope: float) -> tuple[float, float]:
    """Shares of resamples in which an error is lower than another, and higher, by more than the rope."""
    if others is None:
        return math.nan, math.nan
    return float((errors < (1 - rope) * others).mean()), float((errors > (1 + rope) * others).mean())


def fit_law(shares: Array, errors: Array) -> Array:
    """Constants (a, b, c) of c + a s^-b by least squares, none below zero: (rows, points) -> (rows, 3).

    For each exponent of a grid the other two are found in closed form; the best exponent is kept.
    """
    best = np.full(len(errors), np.inf)
    found = np.zeros((len(errors), 3))
    level = errors.mean(axis=1)
    for exponent in EXPONENTS:
        x = shares**-exponent
        apart = x - x.mean()
        slope = np.maximum((errors @ apart) / (apart @ apart), 0.0)
        rest = level - slope * x.mean()
        through_zero = np.maximum((errors @ x) / (x @ x), 0.0)
        slope = np.where(rest < 0, through_zero, slope)
        rest = np.maximum(rest, 0.0)
        misfit = ((errors - rest[:, None] - slope[:, None] * x) ** 2).sum(axis=1)
        better = misfit < best
        best = np.where(better, misfit, best)
        found[better] = np.stack([slope, np.full(len(errors), exponent), rest], axis=1)[better]
    return found


def law_at(laws: Array, share: float) -> Array:
    """The error at a share of the rows, (rows,)."""
    result: Array = laws[:, 2] + laws[:, 0] * share ** -laws[:, 1]
    return result


def _gain(laws: Array) -> Array:
    now = law_at(laws, 1.0)
    result: Array = (now - law_at(laws, TWICE)) / np.where(now > 0, now, 1.0)
    return result


def _resampled(scores: Array, windows: Array, generator: np.random.Generator) -> Array:
    """Mean scores under resampled seeds and windows, (draws,).

    The spread of a mean of n resampled seeds is too small by (n - 1) / n; the seeds' part is widened to it.
    """
    count = len(scores)
    known = np.where(np.isfinite(scores), scores, np.nanmean(scores, axis=0, keepdims=True))
    by_seed = windows @ np.nan_to_num(known).T  # (draws, seeds)
    times = generator.multinomial(count, np.full(count, 1 / count), size=len(windows))
    widen = np.sqrt(count / (count - 1)) if count > 1 else 1.0
    middle = by_seed.mean(axis=1)
    result: Array = middle + widen * ((by_seed * times).sum(axis=1) / count - middle)
    return result


def _window_weights(layout: Layout, generator: np.random.Generator) -> Array:
    """Weights of windows in each draw, (draws, windows), each row of sum one.

    Whole series are drawn where there are many, else runs of windows as long as neighbours share data,
    which start anywhere and wrap around.
    """
    count = len(layout.series)
    names, member = np.unique(layout.series, return_inverse=True)
    if len(names) >= MANY_SERIES:
        times = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=DRAWS)
        weights: Array = times[:, member].astype(np.float64)
    else:
        size = min(layout.block_windows, count)
        starts = generator.multinomial(max(1, round(count / size)), np.full(count, 1 / count), size=DRAWS)
        weights = _spread(starts, size)
    shares: Array = weights / weights.sum(axis=1, keepdims=True)
    return shares


def _spread(starts: NDArray[np.int64], size: int) -> Array:
    """How often each window lies in one of the runs that begin at ``starts``."""
    wrapped = np.concatenate([starts[:, -size + 1 :] if size > 1 else starts[:, :0], starts], axis=1)
    sums = np.cumsum(np.concatenate([np.zeros((len(starts), 1)), wrapped], axis=1), axis=1)
    result: Array = sums[:, size:] - sums[:, :-size]
    return result


def sentence(curves: Sequence[Curve], *, rope: float) -> str:
    """What more data would bring, for a person."""
    chosen, *others = curves
    low, high = chosen.interval
    words = (
        f"twice the rows would remove {_percent(chosen.gain)} of the error "
        f"(95 %: {_percent(low)} to {_percent(high)})"
    )
    if high <= rope:
        words += ": no difference that matters"
    elif low <= rope:
        words += ": it may or may not matter"
    for other in others:
        assert other.overtakes is not None
        verb = "might overtake" if 1 - SURE < other.overtakes < SURE else "would not overtake"
        words += f"; {other.label} {'would overtake' if other.overtakes >= SURE else verb} {chosen.label}"
        words += f" ({_percent(other.overtakes)} of resamples)"
    words = words[0].upper() + words[1:] + "."
    for other in others:
        words += f" {_where(other, chosen)}"
    return words


def _where(other: Curve, chosen: Curve) -> str:
    """At which of the sizes measured a curve stands ahead of the chosen one, and where behind.

    >>> from dataclasses import replace
    >>> flat, steep = (Curve(name, (0.5, 1.0), (0.8, 0.9), (0, 1, 0), 0, (0, 0), None) for name in "ab")
    >>> _where(replace(steep, ahead=(0.0, 0.97), behind=(0.99, 0.0)), flat)
    'b is behind a with 1/2 of the rows, ahead of it with all of the rows.'
    """
    sizes: dict[Standing, list[str]] = {}
    for place, share in enumerate(other.shares):
        if (standing := other.standing(place)) is not None:
            sizes.setdefault(standing, []).append(share_in_words(share))
    names = itertools.chain([chosen.label], itertools.repeat("it"))
    clauses = [
        f"{BESIDE[standing]} {name} with {_listed(found)} of the rows"
        for (standing, found), name in zip(sizes.items(), names, strict=False)
    ]
    return f"{other.label} is {', '.join(clauses)}."


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]


def share_in_words(share: float) -> str:
    """A share of the rows as a fraction."""
    return "all" if share == 1 else str(Fraction(share).limit_denominator(64))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if abs(share) >= 0.0995 else f"{100 * share:.1f} %"
