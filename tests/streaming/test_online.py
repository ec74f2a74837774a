"""The learners: the floor, drift, delayed labels, several steps, errors."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from lamina.errors import ConfigError, DataError
from lamina.streaming.inputs import Row
from lamina.streaming.online import OnlineClassifier, OnlineForecaster, OnlineRegressor
from lamina.streaming.progressive import SeriesLearner, evaluate


def drifting(rows: int) -> list[tuple[dict[str, float], int]]:
    """Two classes by a line that turns round halfway."""
    random = np.random.default_rng(0)
    found = []
    for row in range(rows):
        a, b = random.normal(size=2)
        found.append(({"a": a, "b": b}, int(a + b > 0) if row < rows // 2 else int(a - b > 0)))
    return found


def test_loads_neither_river_nor_torch() -> None:
    code = "import lamina.streaming.online, sys; print({'river', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_classifier_follows_a_drift() -> None:
    found = evaluate(OnlineClassifier(), drifting(4000), window=500)
    before, turning, after = (found.curve[window].score for window in (3, 4, 5))
    assert before > 0.95
    assert after > 0.93
    assert turning > 0.85


def test_classifier_is_not_below_no_change_where_labels_only_persist() -> None:
    random = np.random.default_rng(0)
    label, rows = 0, []
    for _ in range(4000):
        label = label if random.random() < 0.95 else int(random.integers(3))
        rows.append(({"noise": random.normal()}, label))
    found = evaluate(OnlineClassifier(), rows)
    assert found.score >= found.no_change - 0.005


def test_nothing_is_forecast_before_there_is_a_value() -> None:
    assert OnlineForecaster(depth=0).forecast(3) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("kind", ["walk", "heavy", "jumps", "alternating"])
def test_forecaster_is_never_much_worse_than_no_change(kind: str) -> None:
    random = np.random.default_rng(3)
    steps = {
        "walk": random.normal(size=1500),
        "heavy": random.standard_t(1.5, size=1500),
        "jumps": np.where(random.random(1500) < 0.01, 50 * random.normal(size=1500), 0.0),
        "alternating": np.where(np.arange(1500) < 750, 1.0, -1.0) * (-1.0) ** np.arange(1500),
    }[kind]
    rows: list[tuple[Row, float]] = [({}, value) for value in np.cumsum(steps).tolist()]
    found = evaluate(SeriesLearner(OnlineForecaster()), rows, metric="mae")
    assert found.score <= 1.02 * found.no_change


def test_one_jump_of_a_flat_series_costs_little() -> None:
    rows: list[tuple[Row, float]] = [({}, float(row > 700)) for row in range(1500)]
    found = evaluate(SeriesLearner(OnlineForecaster()), rows, metric="mae")
    assert found.score * found.rows <= 1.1  # no change errs by 1, once


def test_forecaster_finds_an_autoregression() -> None:
    random = np.random.default_rng(0)
    values = [0.0, 0.0]
    for _ in range(3000):
        values.append(0.5 * values[-1] - 0.7 * values[-2] + random.normal())
    found = evaluate(SeriesLearner(OnlineForecaster(depth=0)), [({}, v) for v in values], metric="mae")
    assert found.score < 1.05 * math.sqrt(2 / math.pi)  # the error of who knows the rule


def test_forecast_of_several_steps_continues_a_season() -> None:
    learner = OnlineForecaster(depth=1)
    series = [math.sin(2 * math.pi * row / 12) + 0.01 * row for row in range(240)]
    for value in series:
        learner.learn_one(value)
    expected = [math.sin(2 * math.pi * row / 12) + 0.01 * row for row in range(240, 264)]
    assert np.abs(np.array(learner.forecast(24)) - expected).max() < 0.2


def test_predicting_changes_nothing() -> None:
    one, other = OnlineClassifier(), OnlineClassifier()
    for x, y in drifting(400):
        for _ in range(3):
            other.predict_proba_one(x)
        other.predict_proba_one({"a": 9.0, "b": -9.0})
        one.predict_proba_one(x)
        one.learn_one(x, y)
        other.learn_one(x, y)
    probe = {"a": 0.3, "b": 0.1}
    assert one.predict_proba_one(probe) == pytest.approx(other.predict_proba_one(probe))


def test_delayed_labels_are_learned_with_what_was_known_then() -> None:
    found = evaluate(OnlineClassifier(depth=0), drifting(3000), delay=50)
    assert found.score > 0.9


def test_regressor_learns_inputs_and_skips_missing_values() -> None:
    random = np.random.default_rng(0)
    learner = OnlineRegressor(depth=1)
    for row in range(1500):
        a, b = random.normal(size=2)
        learner.learn_one({"a": a, "b": b}, math.nan if row % 7 == 0 else 2 * a - b + 5)
    assert learner.predict_one({"a": 1.0, "b": 1.0}) == pytest.approx(6.0, abs=0.1)


def test_a_trained_model_joins_as_an_expert_of_its_own() -> None:
    random = np.random.default_rng(0)
    truth = {row: float(random.normal()) for row in range(600)}

    def oracle(x: Row, history: np.ndarray) -> float:
        assert len(history) == x["row"]
        return truth[x["row"]]

    learner = OnlineRegressor(depth=0, own={"oracle": oracle})
    for row in range(599):
        learner.learn_one({"row": row}, truth[row])
    assert learner.weights["oracle"] > 0.8


def test_new_inputs_and_classes_join_while_the_stream_runs() -> None:
    learner = OnlineClassifier()
    random = np.random.default_rng(0)
    for row in range(900):
        x = {"a": random.normal()} | ({"b": random.normal()} if row > 300 else {})
        learner.learn_one(x, "c" if row > 500 and x["b"] > 1 else "a" if x["a"] > 0 else "b")
    assert learner.predict_proba_one({"a": 0.0, "b": 3.0})["c"] > 0.8


def test_weights_sum_to_one_and_name_every_depth() -> None:
    learner = OnlineClassifier(depth=3)
    for x, y in drifting(300):
        learner.learn_one(x, y)
    assert sum(learner.weights.values()) == pytest.approx(1.0)
    assert {"stack of 1", "stack of 2", "stack of 3"} <= learner.weights.keys()


@pytest.mark.parametrize("value", [math.inf, "three", None])
def test_wrong_value_is_refused_and_the_learner_goes_on(value: object) -> None:
    learner = OnlineForecaster(depth=0)
    for row in range(50):
        learner.learn_one(float(row % 4))
    before = learner.forecast(3)
    with pytest.raises(DataError):
        learner.learn_one(value)  # type: ignore[arg-type]  # what is tested
    assert learner.forecast(3) == before


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="season"):
        OnlineForecaster(season=1)
    with pytest.raises(ConfigError, match="horizon"):
        OnlineForecaster(depth=0).forecast(0)
    with pytest.raises(ConfigError, match="page-hinkley"):
        OnlineClassifier(drift="page-hinkly")  # type: ignore[arg-type]  # what is tested
