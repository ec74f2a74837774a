"""Trained models join online learners: a better start, and a state that is written down with the learner."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest

from lamina.errors import ConfigError, DataError
from lamina.estimators.classifier import SequenceClassifier
from lamina.estimators.forecaster import Forecaster
from lamina.nn.stack import Stack, StackConfig
from lamina.streaming.online import OnlineClassifier, OnlineForecaster
from lamina.streaming.progressive import SeriesLearner, evaluate
from lamina.streaming.session import Session
from lamina.training.optim import TrainingConfig

SEASON, KNOWN, LATER = 24, 480, 96


def series() -> np.ndarray:
    """A daily course that is never the same twice, so that it cannot be looked up a day ago."""
    hours = np.arange(KNOWN + LATER)
    noise = np.random.default_rng(0).normal(size=len(hours))
    return np.asarray(20 + 8 * np.sin(2 * np.pi * hours / SEASON) + 3 * np.sin(hours / 7) + 0.1 * noise)


def table(rows: int) -> pl.DataFrame:
    begin = pl.datetime(2024, 1, 1)
    time = pl.datetime_range(begin, begin.dt.offset_by(f"{rows - 1}h"), "1h", eager=True)
    return pl.DataFrame({"ds": time, "y": series()[:rows]})


@cache
def forecaster() -> Forecaster:
    model: Forecaster = Forecaster(
        4,
        input_size=48,
        stack=StackConfig(cell="gru", hidden_sizes=(16,)),
        training=TrainingConfig(max_steps=60),
    ).fit(table(KNOWN), target="y", time="ds")
    return model


def error(learner: OnlineForecaster) -> float:
    """Mean absolute error of one-step forecasts of what follows the training rows."""
    off = []
    for value in series()[KNOWN:]:
        off.append(abs(learner.forecast(1)[0] - value))
        learner.learn_one(value)
    return float(np.mean(off))


def test_a_trained_forecaster_is_a_better_start() -> None:
    cold = OnlineForecaster(depth=0)
    warm = OnlineForecaster(depth=0, own={"trained": forecaster().stream()})
    assert error(warm) < 0.95 * error(cold)
    assert "trained" in warm.weights


def test_a_trained_forecaster_reads_what_the_learner_learns() -> None:
    learner = OnlineForecaster(depth=0, own={"trained": forecaster().stream()})
    for value in series()[KNOWN : KNOWN + 30]:
        learner.learn_one(value)
    expert = learner._learner.own["trained"]
    offline = forecaster().predict(df=table(KNOWN + 30))["Forecaster"].to_numpy()
    for ahead in range(4):
        said = expert.forecast({}, np.zeros(0), ahead)
        assert said == pytest.approx(offline[ahead], rel=1e-5)
    assert expert.forecast({}, np.zeros(0), 9) == pytest.approx(offline[3], rel=1e-5)


def test_a_missing_value_counts_as_a_step() -> None:
    learner = OnlineForecaster(depth=0, own={"trained": forecaster().stream()})
    learner.learn_one(math.nan)
    learner.learn_one(float(series()[KNOWN + 1]))
    session = forecaster().stream()
    expected = session.forecast()
    assert expected is not None
    session.step_next(float(expected.median[0]), {})  # what it expected stands in for the value
    expected = session.step_next(float(series()[KNOWN + 1]), {})
    assert expected is not None
    said = [learner._learner.own["trained"].forecast({}, np.zeros(0), ahead) for ahead in range(4)]
    assert said == pytest.approx(expected.median.tolist(), rel=1e-6)


def test_a_missing_value_of_an_evaluation_counts_as_a_step() -> None:
    learner = OnlineForecaster(depth=0, own={"trained": forecaster().stream()})
    values = series()[KNOWN : KNOWN + 6].tolist()
    evaluate(SeriesLearner(learner), [({}, y) for y in (*values[:2], math.nan, *values[3:])], metric="mae")
    other = OnlineForecaster(depth=0, own={"trained": forecaster().stream()})
    for value in (*values[:2], math.nan, *values[3:]):
        other.learn_one(value)
    assert learner.forecast(4) == pytest.approx(other.forecast(4), rel=1e-9)
    expected = forecaster().predict(df=table(KNOWN + 6))["Forecaster"].to_numpy()
    said = [learner._learner.own["trained"].forecast({}, np.zeros(0), ahead) for ahead in range(4)]
    assert said == pytest.approx(expected, abs=0.5)


def test_before_its_window_is_full_it_says_no_change() -> None:
    model = Forecaster(
        4,
        input_size=48,
        stack=StackConfig(cell="gru", hidden_sizes=(4,)),
        training=TrainingConfig(max_steps=2),
    ).fit(table(KNOWN).select("y"))
    session = model.stream()
    session.reset("")
    learner = OnlineForecaster(depth=0, own={"trained": session})
    learner.learn_one(5.0)
    assert learner._learner.own["trained"].forecast({}, np.array([5.0]), 0) == 5.0


def test_a_learner_with_a_session_goes_on_exactly() -> None:
    learner = OnlineForecaster(depth=0, own={"trained": forecaster().stream()})
    values = series()[KNOWN:].tolist()
    for value in values[:40]:
        learner.learn_one(value)
    other = OnlineForecaster.from_bytes(learner.to_bytes(), own={"trained": forecaster().stream()})
    for value in values[40:]:
        assert other.forecast(3) == learner.forecast(3)
        learner.learn_one(value)
        other.learn_one(value)


@cache
def classifier() -> SequenceClassifier:
    random = np.random.default_rng(1)
    x = [random.normal(size=(6, 2)) for _ in range(120)]
    y = ["up" if sequence[-1, 0] * sequence[-2, 1] > 0 else "down" for sequence in x]
    model: SequenceClassifier = SequenceClassifier(
        stack=StackConfig(cell="gru", hidden_sizes=(16,)), training=TrainingConfig(max_steps=60)
    ).fit(x, y)
    return model


def test_a_trained_classifier_joins_and_goes_on_exactly() -> None:
    def run(learner: OnlineClassifier, begin: int, end: int) -> list[Mapping[Any, float]]:
        random = np.random.default_rng(2)
        rows = [{"a": a, "b": b} for a, b in random.normal(size=(end, 2)).tolist()]
        said: list[Mapping[Any, float]] = []
        for row in range(begin, end):
            said.append(learner.predict_proba_one(rows[row]))
            learner.learn_one(rows[row], "up" if rows[row]["a"] * rows[row - 1]["b"] > 0 else "down")
        return said

    learner = OnlineClassifier(depth=0, own={"trained": classifier().stream()})
    run(learner, 1, 300)
    assert "trained" in learner.expert_names
    assert sum(learner.weights.values()) == pytest.approx(1.0)
    other = OnlineClassifier.from_bytes(learner.to_bytes(), own={"trained": classifier().stream()})
    assert run(other, 300, 400) == run(learner, 300, 400)


def test_a_peek_of_a_session_is_its_step_without_the_change() -> None:
    session = classifier().stream()
    session.step([0.5, 1.0])
    peeked = session.peek([1.0, -1.0])
    np.testing.assert_array_equal(session.peek([1.0, -1.0]), peeked)
    np.testing.assert_array_equal(session.step([1.0, -1.0]), peeked)


def test_a_function_of_a_row_joins_a_classifier() -> None:
    own: dict[str, Callable[[Any], Mapping[Any, float]]] = {
        "sign": lambda x: {1: 1.0 if x["a"] * x["b"] > 0 else 0.0, 0: 0.0 if x["a"] * x["b"] > 0 else 1.0}
    }
    learner = OnlineClassifier(depth=0, own=own)
    random = np.random.default_rng(0)
    right = 0
    for row in range(600):
        x = {"a": random.normal(), "b": random.normal()}
        y = int(x["a"] * x["b"] > 0)
        right += row >= 300 and learner.predict_one(x) == y
        learner.learn_one(x, y)
    assert right / 300 > 0.98
    assert learner.weights["sign"] > 0.9


def test_probabilities_below_zero_are_refused() -> None:
    learner = OnlineClassifier(depth=0, own={"odd": lambda _: {"a": -1.0}})
    with pytest.raises(DataError, match="probabilities are numbers from 0 to 1"):
        learner.learn_one({"x": 1.0}, "a")


def test_what_is_no_expert_is_refused() -> None:
    session = Session.of(Stack(StackConfig(input_size=2, hidden_sizes=(3,))))
    with pytest.raises(ConfigError, match="this session gives numbers"):
        OnlineClassifier(own={"stack": session})
    with pytest.raises(ConfigError, match=r"but is 3\. Give model\.stream\(\)"):
        OnlineForecaster(own={"three": 3})  # type: ignore[dict-item]  # that is the test
    covariate = table(KNOWN).with_columns(plan=pl.col("y"))
    model = Forecaster(
        4,
        input_size=48,
        stack=StackConfig(cell="gru", hidden_sizes=(4,)),
        training=TrainingConfig(max_steps=2),
    ).fit(covariate, target="y", time="ds", future=["plan"])
    with pytest.raises(ConfigError, match="fitted on columns known ahead"):
        OnlineForecaster(own={"planned": model.stream()})
