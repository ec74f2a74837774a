"""river takes the learners as its own."""

from __future__ import annotations

import csv
from collections.abc import Hashable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from river import compose, datasets, evaluate, preprocessing, time_series

from lamina.streaming.online import OnlineForecaster
from lamina.streaming.progressive import SeriesLearner
from lamina.streaming.progressive import evaluate as ours
from lamina.streaming.river_models import RiverClassifier, RiverForecaster, RiverRegressor

Rows = list[tuple[dict[Hashable, Any], Any]]
metrics: Any = import_module("river.metrics")  # river does not annotate how they are made


def rows(count: int) -> Rows:
    random = np.random.default_rng(0)
    return [({"a": a, "b": b}, 3 * a - b + 10) for a, b in random.normal(size=(count, 2)).tolist()]


def test_classifier_in_a_pipeline_under_progressive_validation() -> None:
    data: Rows = [(x, y > 10) for x, y in rows(800)]
    model = preprocessing.StandardScaler() | RiverClassifier(depth=1, max_delay=0)
    assert evaluate.progressive_val_score(data, model, metrics.Accuracy()).get() > 0.93
    assert evaluate.progressive_val_score(data, model.clone(), metrics.ROCAUC()).get() > 0.95


def test_rows_that_a_scaler_changes_do_not_pile_up() -> None:
    classifier = RiverClassifier(depth=0, max_delay=0)
    model = preprocessing.StandardScaler() | classifier
    evaluate.progressive_val_score([(x, y > 10) for x, y in rows(100)], model, metrics.Accuracy())
    assert len(classifier.learner._waiting) == 0


def test_classifier_with_delayed_labels() -> None:
    data: Rows = [(x, y > 10) for x, y in rows(600)]
    score = evaluate.progressive_val_score(data, RiverClassifier(depth=0), metrics.Accuracy(), delay=20)
    assert score.get() > 0.85


def test_several_classes_of_text() -> None:
    data: Rows = [(x, "low" if y < 8 else "middle" if y < 12 else "high") for x, y in rows(1200)]
    score = evaluate.progressive_val_score(data, RiverClassifier(depth=0), metrics.MacroF1())
    assert score.get() > 0.85


def test_regressor_under_progressive_validation() -> None:
    model = compose.Select("a", "b") | RiverRegressor(depth=0)
    assert evaluate.progressive_val_score(rows(1000), model, metrics.MAE()).get() < 0.4


def airline_passengers() -> Rows:
    """The months in order; read here, since river's own reader leaves its file open."""
    path = Path(datasets.__file__).parent / "airline-passengers.csv"
    with path.open(encoding="utf-8") as file:
        return [({}, float(row["passengers"])) for row in csv.DictReader(file)]


class LastValue(time_series.base.Forecaster):
    """No change."""

    def learn_one(self, y: float, x: dict[str, Any] | None = None) -> None:
        del x
        self.last = y

    def forecast(self, horizon: int, xs: Any = None) -> list[float]:
        del xs
        return [self.last] * horizon


def test_forecaster_under_evaluate() -> None:
    """river forecasts before it tells the value of the row it stands on: its first step lies two ahead."""
    ours, trivial = (
        [
            metric.get()
            for metric in evaluate.evaluate(airline_passengers(), model, metrics.SMAPE(), horizon=3).metrics
        ]
        for model in (RiverForecaster(depth=0), LastValue())
    )
    assert all(a < 0.9 * b for a, b in zip(ours, trivial, strict=True))


def test_clone_is_new_and_keeps_the_settings() -> None:
    model = RiverForecaster(depth=1, season=12)
    model.learn_one(1.0)
    other = model.clone()
    assert (other.depth, other.season) == (1, 12)
    assert other.forecast(1) == [0.0]


def test_airline_passengers_one_step_in_order() -> None:
    found = ours(SeriesLearner(OnlineForecaster()), airline_passengers(), metric="mae")
    assert found.score == pytest.approx(14.3, abs=1.5)  # no change: 25.9
