"""Questions that measure a curve and choose nothing: overfitting over depth, and more data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lamina.errors import ConfigError
from lamina.study.bench import Run, Standing
from lamina.study.learning_curve import TWICE, Curve, Point, learning_curves, share_in_words
from lamina.study.learning_curve import sentence as curve_sentence
from lamina.study.overfitting import Gap, Growth, gap_of, growth
from lamina.study.overfitting import sentence as gap_sentence
from lamina.study.scores import Layout
from lamina.study.sentences import Status

_OUTSIDE = "only a true effect outside the interval"


@dataclass(frozen=True)
class Estimate:
    """What was measured: the effect that the sentence names, its 95 % interval, and the points behind it.

    Attributes:
        would_change: which point needs more seeds, or what would overturn the answer.
    """

    answer: str
    status: Status
    sentence: str
    effect: float
    interval: tuple[float, float]
    n: int
    test: str
    would_change: str
    p: float | None = None
    curves: tuple[Curve, ...] = ()
    gaps: tuple[Gap, ...] = ()
    points: dict[str, list[Point]] = field(default_factory=dict)


def of_overfitting(runs: dict[str, Sequence[Run]]) -> Estimate | None:
    """The gap between training and validation loss, by arm; None where fewer than two arms have one."""
    return of_gaps(
        [gap for name, trained in runs.items() if (gap := gap_of(name, list(trained))) is not None]
    )


def of_gaps(gaps: Sequence[Gap]) -> Estimate | None:
    """What the gaps of arms say; None for fewer than two."""
    found = growth(gaps)
    if found is None:
        return None
    return Estimate(
        answer="grows with depth" if found.grows else "not shown to grow",
        status="decided" if found.grows or found.interval[1] < 0 else "undecided",
        sentence=gap_sentence(found),
        effect=found.difference,
        interval=found.interval,
        n=min(gap.seeds for gap in found.gaps),
        test="Welch's t on the gaps of the first and the deepest arm",
        would_change=_steadier(found) if found.interval[0] <= 0 <= found.interval[1] else _OUTSIDE,
        p=found.p,
        gaps=found.gaps,
    )


def _steadier(found: Growth) -> str:
    """The arm whose seeds leave most of the error of the growth."""
    ends = (found.gaps[0], found.gaps[-1])
    least = max(ends, key=lambda gap: gap.spread**2 / gap.seeds)
    layers = "layer" if least.arm == "1" else "layers"
    return f"more seeds with {least.arm} {layers}, where the gap is least certain"


def _surer(points: Sequence[Point]) -> str:
    """The point whose seeds leave most of the error of its mean; of one seed nothing is known."""

    def error(point: Point) -> float:
        seeds = len(point.scores)
        return float(np.nanmean(point.scores, axis=1).var(ddof=1)) / seeds if seeds > 1 else math.inf

    least = max(points, key=error)
    return f"more seeds with {share_in_words(least.share)} of the rows, the least certain point"


def of_data(
    standings: Sequence[Standing], layout: Layout, *, higher_is_better: bool, rope: float
) -> Estimate | None:
    """What twice the rows would bring; None where the chosen design has too few points."""
    points: dict[str, list[Point]] = {}
    for standing in standings:
        label = standing.design.searched.label
        points.setdefault(label, [])
        if standing.trained:
            scores = np.stack([run.errors for run in standing.trained])
            points[label].append(Point(standing.design.rows, scores))
    return of_points(points, layout, higher_is_better=higher_is_better, rope=rope)


def of_points(
    points: Mapping[str, list[Point]], layout: Layout, *, higher_is_better: bool, rope: float
) -> Estimate | None:
    """What the points of learning curves say; None where the first has too few."""
    try:
        curves = learning_curves(points, layout, higher_is_better=higher_is_better, rope=rope)
    except ConfigError:
        return None  # told as unanswered
    low, high = curves[0].interval
    if low > rope:
        answer, status = f"{TWICE:g} times the rows would help", "decided"
        flip = f"a rope of {100 * low:.3g} % or more"
    elif high <= rope:
        answer, status = "more rows would make no difference that matters", "tie"
        flip = f"a rope below {100 * high:.3g} %" if high > 0 else _OUTSIDE
    else:
        answer, status = "unclear", "undecided"
        flip = _surer(points[curves[0].label])
    return Estimate(
        answer=answer,
        status=status,  # type: ignore[arg-type]  # one of the three above
        sentence=curve_sentence(curves, rope=rope),
        effect=curves[0].gain,
        interval=curves[0].interval,
        n=min(len(point.scores) for point in points[curves[0].label]),
        test="power law, bootstrap of seeds and blocks of windows",
        would_change=flip,
        curves=tuple(curves),
        points=dict(points),
    )
