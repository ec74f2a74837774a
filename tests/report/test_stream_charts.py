"""What the charts about a stream draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lamina.report import stream_charts
from lamina.report.drawing import specification
from lamina.report.points import LONGEST_CURVE
from lamina.streaming.progressive import Evaluation, Point

Rows = Callable[[Any], list[list[dict[str, Any]]]]
EXPERTS = ("no change", *(f"expert {number}" for number in range(12)))


def evaluation(
    windows: int = 4, *, drifts: tuple[int, ...] = (), coverage: float | None = None
) -> Evaluation:
    """Later experts have larger weights."""
    total = sum(range(1, 14))
    weights = {name: place / total for place, name in enumerate(EXPERTS, start=1)}
    curve = tuple(
        Point(
            100 * (number + 1), 0.9, 0.8, 0.5, None if coverage is None else coverage + 0.01 * number, weights
        )
        for number in range(windows)
    )
    return Evaluation(
        metric="accuracy" if coverage is None else "mae",
        rows=100 * windows,
        delay=0,
        window=100,
        score=0.9,
        no_change=0.8,
        kappa=0.5,
        windows_below=0.0,
        curve=curve,
        drifts=drifts,
        rollbacks=0,
        coverage=coverage,
        rows_per_s=1000.0,
        nbytes=1,
        bound_bytes=2,
        weights=weights,
    )


def test_each_window_has_a_point_of_the_learner_and_of_no_change(rows_of: Rows) -> None:
    (rows,) = rows_of(stream_charts.score_by_window(evaluation()))
    assert [(row["row"], row["score"]) for row in rows if row["who"] == "learner"] == [
        (100, 0.9), (200, 0.9), (300, 0.9), (400, 0.9),
    ]  # fmt: skip
    assert {row["score"] for row in rows if row["who"] == "no change"} == {0.8}


def test_each_drift_has_a_rule_in_every_chart(rows_of: Rows) -> None:
    found = evaluation(drifts=(150, 390), coverage=0.9)
    for draw in (
        stream_charts.score_by_window,
        stream_charts.coverage_by_window,
        stream_charts.weights_by_window,
    ):
        assert [{"row": 150}, {"row": 390}] in rows_of(draw(found))
    assert (
        "a change was noticed 2 times" in specification(stream_charts.score_by_window(found))["description"]
    )


def test_small_weights_are_drawn_together_and_no_change_always_alone(rows_of: Rows) -> None:
    found = evaluation()
    names = stream_charts.shown_experts(found)
    assert names == ["no change", *(f"expert {number}" for number in range(11, 5, -1))]
    (rows,) = rows_of(stream_charts.weights_by_window(found))
    first = {row["expert"]: row["share"] for row in rows if row["row"] == 100}
    assert list(first) == [*names, "all others"]
    assert sum(first.values()) == pytest.approx(1.0, abs=1e-4)


def test_what_is_not_there_is_not_drawn() -> None:
    assert stream_charts.coverage_by_window(evaluation()) is None


def test_a_share_is_never_drawn_above_one() -> None:
    chart = stream_charts.coverage_by_window(evaluation(coverage=0.97))
    assert chart is not None
    text = str(specification(chart))
    assert "'domain': [0.89, 1.0]" in text


def test_long_curves_are_thinned(rows_of: Rows) -> None:
    (rows,) = rows_of(stream_charts.score_by_window(evaluation(1000)))
    assert len(rows) <= 2 * LONGEST_CURVE
    assert rows[-1]["row"] == 100_000
