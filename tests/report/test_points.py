from __future__ import annotations

import math
from typing import Any

import pytest

from lamina.report.points import LONGEST_CURVE, ends, mark_frontier, place_labels, short, thinned
from lamina.report.standings import Estimate
from lamina.study.verdict import Metric


def points(*pairs: tuple[float, float], best: int = 0) -> list[dict[str, Any]]:
    return [{"time": time, "mean": mean, "best": i == best} for i, (time, mean) in enumerate(pairs)]


@pytest.mark.parametrize(
    ("unit", "mean", "low", "high"),
    [("share of texts", 0.9, 0.1, 1.0), ("share of texts", 0.15, 0.0, 0.95), ("ratio", 0.9, 0.1, 1.7)],
)
def test_the_interval_of_a_share_ends_where_shares_do(
    unit: str, mean: float, low: float, high: float
) -> None:
    found = ends(Estimate(mean, 0.8, seeds=2), Metric(name="score", unit=unit, direction="higher"))
    assert found == pytest.approx({"low": low, "high": high})


@pytest.mark.parametrize(("lower", "frontier"), [(True, [True, False, True]), (False, [True, True, False])])
def test_the_frontier_follows_the_direction_of_the_metric(lower: bool, frontier: list[bool]) -> None:
    rows = points((1.0, 0.5), (2.0, 0.6), (3.0, 0.4))
    mark_frontier(rows, lower_is_better=lower)
    assert [row["frontier"] for row in rows] == frontier


def test_of_two_that_train_equally_fast_the_better_is_on_the_frontier() -> None:
    rows = points((1.0, 0.5), (1.0, 0.4))
    mark_frontier(rows, lower_is_better=True)
    assert [row["frontier"] for row in rows] == [False, True]


def test_the_best_is_always_named_and_crowds_are_not() -> None:
    rows = points((0.01, 1.0), (10.0, 0.611), (10.1, 0.610), best=2)
    mark_frontier(rows, lower_is_better=True)
    place_labels(rows, 0.6, 1.0)
    assert [row.get("label") for row in rows] == ["right", None, "above"]


def test_a_single_point_is_named() -> None:
    rows = points((1.0, 0.5))
    mark_frontier(rows, lower_is_better=True)
    place_labels(rows, 0.4, 0.6)
    assert rows[0]["label"] == "right"


@pytest.mark.parametrize("length", [0, 1, LONGEST_CURVE, LONGEST_CURVE + 1, 1_000])
def test_thinning_keeps_order_and_the_last_point(length: int) -> None:
    kept = thinned(list(range(length)))
    assert len(kept) <= LONGEST_CURVE
    assert kept == sorted(kept)
    assert kept[-1:] == list(range(length))[-1:]
    assert length > LONGEST_CURVE or len(kept) == length


def test_short_keeps_five_digits() -> None:
    assert short(math.pi) == 3.1416
    assert short(None) is None
