"""Questions that measure a curve and choose nothing: overfitting over depth, and more data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lamina.errors import ConfigError
from lamina.study.bench import Run, Standing
from lamina.study.learning_curve import TWICE, Curve, Point, learning_curves
from lamina.study.learning_curve import sentence as curve_sentence
from lamina.study.overfitting import Gap, gap_of, growth
from lamina.study.overfitting import sentence as gap_sentence
from lamina.study.scores import Layout
from lamina.study.sentences import Status


@dataclass(frozen=True)
class Estimate:
    """What was measured: the effect that the sentence names, its 95 % interval, and the points behind it."""

    answer: str
    status: Status
    sentence: str
    effect: float
    interval: tuple[float, float]
    n: int
    test: str
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
        p=found.p,
        gaps=found.gaps,
    )


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
    elif high <= rope:
        answer, status = "more rows would make no difference that matters", "tie"
    else:
        answer, status = "unclear", "undecided"
    return Estimate(
        answer=answer,
        status=status,  # type: ignore[arg-type]  # one of the three above
        sentence=curve_sentence(curves, rope=rope),
        effect=curves[0].gain,
        interval=curves[0].interval,
        n=min(len(point.scores) for point in points[curves[0].label]),
        test="power law, bootstrap of seeds and blocks of windows",
        curves=tuple(curves),
        points=dict(points),
    )
