"""The learners: the floor, drift, delayed labels, several steps, errors."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from lamina.errors import ConfigError, DataError
from lamina.streaming.experts import Models, Said
from lamina.streaming.inputs import Row
from lamina.streaming.online import OnlineClassifier, OnlineForecaster, OnlineRegressor
from lamina.streaming.progressive import SeriesLearner, evaluate
from lamina.streaming.recurrent_learner import RecurrentExperts


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


def test_delayed_labels_are_learned_with_what_was_known_then(monkeypatch: pytest.MonkeyPatch) -> None:
    known: list[np.ndarray] = []
    learned: list[np.ndarray] = []
    learn = Models.learn

    def watched(self: Models, said: Said, truth: np.ndarray) -> None:
        learned.append(said.z)
        learn(self, said, truth)

    monkeypatch.setattr(Models, "learn", watched)
    learner, rows = OnlineClassifier(depth=0), drifting(300)
    for x, y in rows[:50]:
        learner.learn_one(x, y)
    learned.clear()
    for number in range(50, 300):
        learner.predict_one(rows[number][0])
        known.append(learner._waiting._entries[-1].prepared.said.z.copy())
        if number >= 80:
            learner.learn_one(*rows[number - 30])
    assert len(learned) == 220
    np.testing.assert_array_equal(learned, known[:220])
    assert evaluate(OnlineClassifier(depth=0), drifting(3000), delay=50).score == pytest.approx(
        0.92, abs=0.015
    )


def test_missing_values_take_their_place_in_a_season() -> None:
    learner = OnlineForecaster(depth=0, season=12)
    series = [math.sin(2 * math.pi * row / 12) + (row % 12 == 5) for row in range(260)]
    for row in range(240):
        learner.learn_one(series[row])
    for _ in range(3):
        learner.learn_one(math.nan)
    assert learner.forecast(1)[0] == pytest.approx(series[243], abs=0.05)
    assert learner.forecast(4) == pytest.approx(series[243:247], abs=0.1)


def test_a_missing_value_moves_neither_scale_nor_weights() -> None:
    learner = OnlineForecaster(depth=0)
    for row in range(100):
        learner.learn_one(float(row % 4))
    feedback, weights = learner._learner.feedback, learner.weights
    before = (feedback.rows, feedback.last, feedback.scale, feedback.means.tolist())
    learner.learn_one(math.nan)
    assert (feedback.rows, feedback.last, feedback.scale, feedback.means.tolist()) == before
    assert learner.weights == weights
    assert len(feedback.history) == 101


def test_an_evaluation_tells_of_missing_values() -> None:
    series = [math.sin(2 * math.pi * row / 12) + (row % 12 == 5) for row in range(260)]
    rows: list[tuple[Row, float]] = [
        ({}, y if row not in range(240, 243) else math.nan) for row, y in enumerate(series)
    ]
    said: list[float] = []
    learner = SeriesLearner(OnlineForecaster(depth=0, season=12))
    evaluate(learner, rows, metric="mae", seen=lambda _, each: said.append(each))
    assert said[243:] == pytest.approx(series[243:], abs=0.1)


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


@pytest.mark.parametrize("value", [math.inf, "three", "3", None, 10**400, 1e200])
def test_wrong_value_is_refused_and_the_learner_goes_on(value: object) -> None:
    learner = OnlineForecaster(depth=0)
    for row in range(50):
        learner.learn_one(float(row % 4))
    before = learner.forecast(3)
    with pytest.raises(DataError):
        learner.learn_one(value)  # type: ignore[arg-type]  # what is tested
    assert learner.forecast(3) == before


@pytest.mark.parametrize("gives", [math.inf, -1e308, math.nan, 10**400])
def test_a_runaway_expert_of_ones_own_is_held(gives: float) -> None:
    learner = OnlineForecaster(depth=0, own={"odd": lambda _, values: gives if len(values) == 60 else 0.0})
    for row in range(60):
        learner.learn_one(float(row % 4))
    assert -2 <= learner.forecast(1)[0] <= 5
    learner.learn_one(0.0)
    assert learner.forecast(1)[0] == pytest.approx(1.0, abs=0.5)


def test_an_expert_that_gives_no_number_is_refused() -> None:
    learner = OnlineForecaster(depth=0, own={"odd": lambda *_: "3"})  # type: ignore[dict-item]  # that is the test
    with pytest.raises(DataError, match="'odd' gave '3'; return a float"):
        learner.forecast(1)


@pytest.mark.parametrize(
    "x", [[1, 2], {"a": "x"}, {"a": 10**400}, {"a": 1e200}, {"a": 10**5000}, {"new": None}]
)
@pytest.mark.parametrize("kind", [OnlineClassifier, OnlineRegressor])
def test_a_row_that_is_refused_changes_nothing(
    kind: type[OnlineClassifier | OnlineRegressor], x: Any
) -> None:
    learner = kind(depth=0)
    for row in range(20):
        learner.predict_one({"a": row})
        learner.learn_one({"a": row}, row % 3)
    before = learner.to_bytes()
    with pytest.raises(DataError, match=r"a row must be numbers by name|finite numbers"):
        learner.predict_one(x)
    with pytest.raises(DataError, match=r"a row must be numbers by name|finite numbers"):
        learner.learn_one(x, 7)
    assert learner.to_bytes() == before


@pytest.mark.parametrize("label", [None, math.nan, np.float32("nan"), [1], {}])
def test_what_is_no_label_is_refused_and_changes_nothing(label: Any) -> None:
    learner = OnlineClassifier(depth=0)
    learner.learn_one({"a": 1.0}, "up")
    before = learner.to_bytes()
    with pytest.raises(DataError, match="a label must be"):
        learner.learn_one({"b": 2.0}, label)
    assert learner.to_bytes() == before


def test_more_inputs_than_a_learner_has_room_for_are_refused() -> None:
    learner = OnlineRegressor(depth=0)
    with pytest.raises(DataError, match="more than 1,024 names of inputs, the last 'n1024'"):
        learner.predict_one({f"n{number}": 1.0 for number in range(1025)})
    assert learner.predict_one({"n1024": 1.0}) == 0.0


def test_a_new_input_leaves_the_stacks_optimiser_alone() -> None:
    learner = OnlineRegressor(depth=1, hidden_size=2)
    for row in range(130):
        learner.learn_one({"a": row % 5}, float(row % 3))
    trainer = learner._learner.models.recurrent._trainer
    assert trainer is not None
    optimiser = trainer._optimiser
    learner.predict_one({"a": 1.0, "b": 2.0})
    assert trainer._optimiser is optimiser


def test_stacks_whose_weights_have_run_away_are_mute_until_the_way_back() -> None:
    learner = OnlineForecaster(depth=2, hidden_size=4)
    series = [math.sin(row / 3) for row in range(1300)]
    said = []
    for row, value in enumerate(series):
        if row == 300:
            trainer = learner._learner.models.recurrent._trainer
            assert trainer is not None
            with torch.no_grad():
                for parameter in trainer._parameters():
                    parameter.fill_(math.nan)
        said.append(learner.forecast(2)[0])
        learner.learn_one(value)
    assert learner.watch.rollbacks == 1
    assert np.abs(np.array(said[400:]) - series[400:]).max() < 0.5
    assert learner._learner.models.finite


def test_a_forecast_carries_the_state_of_the_stacks_over_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = OnlineForecaster(depth=1, hidden_size=2)
    for row in range(200):
        learner.learn_one(math.sin(row / 3))
    experts, seen = learner._learner.models.recurrent, []
    assert experts._steps is not None
    before = experts._steps.states
    look = RecurrentExperts.outputs_of

    def watched(self: RecurrentExperts, z: np.ndarray) -> np.ndarray:
        assert self._steps is not None
        seen.append(self._steps.states)
        return look(self, z)

    monkeypatch.setattr(RecurrentExperts, "outputs_of", watched)
    one = learner.forecast(3)
    assert seen[0] == before
    assert len(set(seen)) == 3
    assert experts._steps.states == before
    assert learner.forecast(3) == one


def test_intervals_and_scores_of_a_forecaster_go_on_from_its_bytes() -> None:
    random = np.random.default_rng(0)
    learner = OnlineForecaster(depth=0, level=0.8)
    assert learner.interval_one() == (-math.inf, math.inf)
    inside, alarms = [], []
    for row in range(1500):
        value = math.sin(row / 5) + 0.1 * (1 + row / 300) * random.normal()
        low, high = learner.interval_one()
        inside.append(low <= value <= high)
        alarms.append(learner.score_one(value) > learner.threshold)
        learner.learn_one(value)
    assert np.mean(inside[50:]) == pytest.approx(0.8, abs=0.02)
    assert np.mean(alarms) == pytest.approx(0.01, abs=0.007)
    assert learner.score_one(99.0) == 1.0
    other = OnlineForecaster.from_bytes(learner.to_bytes())
    for value in (0.5, 9.0, 0.2):
        assert other.interval_one() == learner.interval_one()
        assert other.score_one(value) == learner.score_one(value)
        learner.learn_one(value)
        other.learn_one(value)
        assert other.threshold == learner.threshold


def test_a_late_number_is_scored_by_what_was_said_of_its_row() -> None:
    learner = OnlineRegressor(depth=0)
    xs = [{"a": math.sin(row)} for row in range(400)]
    said = []
    for row, x in enumerate(xs):
        said.append(learner.predict_one(x))
        low, high = learner.interval_one(x)
        assert low <= high
        if row >= 5:
            assert learner.score_one(xs[row - 5], said[row - 5]) == 0.0
            learner.learn_one(xs[row - 5], 2 * xs[row - 5]["a"] + 0.1 * (-1) ** row)
            assert len(learner._waiting) == 5
    assert high - low < 1


def test_level_is_a_share() -> None:
    with pytest.raises(ConfigError, match=r"write 0\.9 for 90 %"):
        OnlineForecaster(depth=0, level=90)
    with pytest.raises(ConfigError, match="but is 'high'"):
        OnlineRegressor(depth=0, level="high")  # type: ignore[arg-type]  # what is tested


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="season"):
        OnlineForecaster(season=1)
    with pytest.raises(ConfigError, match="horizon"):
        OnlineForecaster(depth=0).forecast(0)
    with pytest.raises(ConfigError, match=r"a whole number of at least 1 row but is 2\.0"):
        OnlineForecaster(depth=0).forecast(2.0)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(
        ConfigError, match=r"depth must be a whole number of at least 0 but is 1\.5; season must"
    ):
        OnlineForecaster(depth=1.5, season=4.5)  # type: ignore[arg-type]  # what is tested
    numpy_s: Any = np.int64(0)
    OnlineForecaster.from_bytes(OnlineForecaster(depth=numpy_s).to_bytes())
    with pytest.raises(ConfigError, match="page-hinkley"):
        OnlineClassifier(drift="page-hinkly")  # type: ignore[arg-type]  # what is tested
