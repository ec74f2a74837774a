"""Progressive evaluation against sums by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from lamina.errors import ConfigError, DataError
from lamina.streaming.adaptive import AdaptiveIntervals
from lamina.streaming.inputs import Row
from lamina.streaming.online import OnlineClassifier, OnlineForecaster
from lamina.streaming.progressive import LEVEL, SeriesLearner, evaluate


class Constant:
    """Always says the same, and notes what it is taught and when."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.seen: list[tuple[str, object]] = []

    def predict_one(self, x: dict[str, float]) -> object:
        self.seen.append(("predict", x["n"]))
        return self.answer

    def learn_one(self, x: dict[str, float], y: object) -> None:
        del y
        self.seen.append(("learn", x["n"]))


def test_accuracy_no_change_and_kappa_by_hand() -> None:
    rows = [({"n": n}, y) for n, y in enumerate([1, 1, 0, 1, 1])]
    found = evaluate(Constant(1), rows, window=2)
    assert (found.rows, found.score, found.no_change) == (4, 0.75, 0.5)
    assert found.kappa == pytest.approx((0.75 - 0.5) / (1 - 0.5))
    points = [(p.row, p.score, p.no_change, p.kappa) for p in found.curve]
    assert points == [(3, 0.5, 0.5, 0.0), (5, 1.0, 0.5, 1.0)]
    assert found.windows_below == 0.0


def test_a_window_in_which_no_change_is_perfect_has_no_kappa() -> None:
    rows = [({"n": n}, y) for n, y in enumerate([1, 1, 1, 0, 0])]
    found = evaluate(Constant(1), rows, window=2)
    assert [point.kappa for point in found.curve] == [None, -1.0]


def test_where_no_change_is_never_wrong_there_is_no_kappa() -> None:
    found = evaluate(Constant(1), [({"n": n}, 1) for n in range(5)])
    assert (found.no_change, found.kappa) == (1.0, None)
    assert found.to_dict()["kappa"] is None


def test_a_learner_that_says_nan_is_wrong() -> None:
    rows = [({"n": n}, float(n % 3)) for n in range(60)]
    found = evaluate(Constant(math.nan), rows, metric="mae", window=10)
    assert (found.windows_below, found.coverage) == (1.0, 0.0)
    assert evaluate(Constant(math.nan), rows, window=10).score == 0.0


def test_absolute_error_by_hand_without_missing_values() -> None:
    rows = [({"n": n}, y) for n, y in enumerate([1.0, 3.0, math.nan, 2.0])]
    found = evaluate(Constant(2.0), rows, metric="mae")
    assert (found.rows, found.score, found.no_change) == (2, 0.5, 1.5)
    assert found.kappa == pytest.approx(2 / 3)
    assert found.windows_below == 0.0


def test_each_row_is_predicted_before_it_is_learned_and_labels_come_late() -> None:
    learner = Constant(1)
    evaluate(learner, [({"n": n}, 1) for n in range(5)], delay=2)
    assert learner.seen == [
        ("predict", 0), ("predict", 1), ("predict", 2), ("learn", 0),
        ("predict", 3), ("learn", 1), ("predict", 4), ("learn", 2),
    ]  # fmt: skip


def test_result_is_strict_json() -> None:
    rows = [({"n": n}, n % 2) for n in range(50)]
    text = json.dumps(evaluate(OnlineClassifier(depth=0), rows).to_dict(), allow_nan=False)
    assert json.loads(text)["rows"] == 49


def test_rows_of_the_curve_and_of_drifts_are_counted_as_they_come() -> None:
    """Rows without a label count, though they are not scored."""
    labels = [1.0, math.nan, 1.0, math.nan, 1.0, 0.0, 0.0]
    rows = [({"n": n}, y) for n, y in enumerate(labels)]
    found = evaluate(Constant(1.0), rows, window=2)
    assert [point.row for point in found.curve] == [5, 7]
    learner = OnlineClassifier(depth=0)
    rows = [({"n": n % 7}, (n % 7 > 3) ^ (n > 700)) for n in range(1400)]
    learner.watch.drifts = [3]  # from before
    learner.learn_one({"n": 0}, True)

    def notice(truth: object, said: object) -> None:
        del truth, said
        if learner.watch.rows == 900:
            learner.watch.drifts = [*learner.watch.drifts, 900]

    assert evaluate(learner, rows, seen=notice).drifts == (901,)


def test_each_window_tells_its_coverage_and_weights() -> None:
    generator = np.random.default_rng(0)
    rows: list[tuple[dict[str, float], float]] = [({}, y) for y in generator.normal(size=400)]
    found = evaluate(SeriesLearner(OnlineForecaster(depth=0)), rows, metric="mae", window=100)
    shares = [point.coverage for point in found.curve]
    assert all(share is not None and 0.8 < share <= 1.0 for share in shares)
    assert found.coverage == pytest.approx(0.9, abs=0.03)
    assert [sum(each.weights.values()) for each in found.curve] == pytest.approx([1.0] * 4)
    assert sum(found.weights.values()) == pytest.approx(1.0)
    short = evaluate(SeriesLearner(OnlineForecaster(depth=0)), rows[:20], metric="mae", window=3)
    assert [sum(each.weights.values()) for each in short.curve] == pytest.approx([1.0] * 7)
    assert 0 < found.nbytes <= found.bound_bytes


class Zero:
    """Forecasts 0."""

    def predict_one(self, x: Any) -> float:
        del x
        return 0.0

    def learn_one(self, x: Any, y: float) -> None:
        del x, y


@pytest.mark.parametrize("delay", [0, 40])
def test_coverage_is_that_of_intervals_known_at_the_prediction(delay: int) -> None:
    """Errors that grow from row to row outgrow intervals that are made ``delay`` rows before."""
    values = (np.random.default_rng(0).normal(size=1200) * 1.01 ** np.arange(1200)).tolist()
    intervals, inside = AdaptiveIntervals(LEVEL), []
    for row, value in enumerate(values):
        if row > delay:
            intervals.learn(0.0, values[row - delay - 1])
        low, high = intervals.around(0.0)
        if intervals.ready and row + delay < len(values):
            inside.append(low <= value <= high)
    found = evaluate(Zero(), [({}, value) for value in values], metric="mae", delay=delay)
    assert found.coverage == pytest.approx(np.mean(inside), abs=1e-12)


def test_rows_before_there_is_an_interval_are_not_counted_as_covered() -> None:
    rows: list[tuple[Row, float]] = [({}, float(n)) for n in range(20)]  # each value above all before it
    assert evaluate(Zero(), rows[:19], metric="mae").coverage is None
    assert evaluate(Zero(), rows, metric="mae").coverage == 0.0


def test_late_values_of_a_series_are_forecast_as_many_rows_ahead() -> None:
    class Ahead:
        """Says how far it looked."""

        def forecast(self, horizon: int, xs: list[Any]) -> list[float]:
            assert [x["n"] for x in xs] == list(range(xs[0]["n"], xs[0]["n"] + horizon))
            return [float(step) for step in range(1, horizon + 1)]

        def learn_one(self, y: float, x: Any) -> None:
            del y, x

    said: list[float] = []
    rows = [({"n": n}, 0.0) for n in range(6)]
    evaluate(
        SeriesLearner(Ahead(), horizon=3), rows, metric="mae", delay=2, seen=lambda _, each: said.append(each)
    )
    assert said == [1.0, 2.0, 3.0, 3.0, 3.0, 3.0]


def test_wrong_options_are_told() -> None:
    with pytest.raises(ConfigError, match="delay"):
        evaluate(Constant(1), [], delay=-1)
    with pytest.raises(ConfigError, match="metric is one of accuracy, mae but is 'acc'"):
        evaluate(Constant(1), [], metric="acc")  # type: ignore[arg-type]  # what is tested
    with pytest.raises(DataError, match="at least two labels"):
        evaluate(Constant(1), [({"n": 0}, 1)])
