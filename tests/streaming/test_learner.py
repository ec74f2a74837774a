"""Learners that are written down go on as if nothing had happened."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamina.errors import ConfigError, DataError, SavedModelError
from lamina.streaming.learner import OnlineLearner
from lamina.streaming.online import OnlineClassifier, OnlineForecaster, OnlineRegressor
from lamina.streaming.recurrent_learner import WINDOW_ROWS
from lamina.streaming.session import Session

ROWS, CUT = 2600, 1500


NOISE = np.random.default_rng(0).normal(size=(4 * ROWS, 3)).tolist()


def inputs(row: int) -> dict[str, float]:
    """Two inputs, one that is missing at times, and one that first appears late."""
    a, b, late = NOISE[row]
    x = {"a": a, "b": math.nan if row % 7 == 3 else b}
    return x | ({"late": late} if row > 1800 else {})


def label(row: int) -> str:
    x = inputs(row)
    return "new" if row > 2000 and row % 9 == 0 else "up" if x["a"] > 0 else "down"


def value(row: int) -> float:
    return math.nan if row % 50 == 9 else 3 * math.sin(row / 5) + inputs(row)["a"]


def follow(learner: Any, begin: int, end: int) -> list[Any]:
    """Predict and learn rows, labels coming four rows late where the learner takes them so."""
    said: list[Any] = []
    for row in range(begin, end):
        if isinstance(learner, OnlineForecaster):
            said.append((learner.forecast(1, [inputs(row)]), row % 100 == 0 and learner.forecast(5)))
            learner.learn_one(value(row), inputs(row))
            continue
        if isinstance(learner, OnlineClassifier):
            said.append(learner.predict_proba_one(inputs(row)))
        else:
            said.append(learner.predict_one(inputs(row)))
        if row >= 4:
            known = row - 4
            learner.learn_one(
                inputs(known), label(known) if isinstance(learner, OnlineClassifier) else value(known)
            )
    return said


LEARNERS: dict[str, Callable[[], Any]] = {
    "classifier": lambda: OnlineClassifier(depth=2, seed=3),
    "classifier without stacks": lambda: OnlineClassifier(depth=0),
    "regressor": lambda: OnlineRegressor(depth=1, season=31),
    "forecaster": lambda: OnlineForecaster(depth=2, hidden_size=5),
}


@pytest.mark.parametrize("name", LEARNERS)
def test_a_learner_read_from_a_file_goes_on_exactly(name: str, tmp_path: Path) -> None:
    learner = LEARNERS[name]()
    follow(learner, 0, CUT)
    learner.save(tmp_path / "learner.bin")
    other = type(learner).load(tmp_path / "learner.bin")
    assert other.weights == learner.weights
    assert follow(other, CUT, ROWS) == follow(learner, CUT, ROWS)
    assert other.weights == learner.weights
    assert other.watch.rows == learner.watch.rows


@pytest.mark.parametrize("name", ["classifier without stacks", "regressor"])
def test_rows_that_wait_with_missing_inputs_go_on_exactly_wherever_the_cut_is(name: str) -> None:
    learner = LEARNERS[name]()
    follow(learner, 0, 60)
    for cut in range(60, 67):  # one of the four rows that wait at each cut has a missing input, or none
        other = type(learner).from_bytes(learner.to_bytes())
        assert len(other._waiting) == 4
        follow(learner, cut, cut + 1)
        follow(other, cut, cut + 1)
        follow(other, cut + 1, cut + 5)
        again = type(learner).from_bytes(learner.to_bytes())
        follow(again, cut + 1, cut + 5)
        assert again.to_bytes() == other.to_bytes()


def test_a_learner_of_no_rows_can_be_written_down() -> None:
    learner = OnlineForecaster.from_bytes(OnlineForecaster().to_bytes())
    assert learner.forecast(2) == OnlineForecaster().forecast(2)


def test_the_way_back_is_written_down_too() -> None:
    """After a restart, learning that runs away returns to the copy that was kept before it."""
    learner = OnlineForecaster(depth=1)
    follow(learner, 0, 1200)
    learner = OnlineForecaster.from_bytes(learner.to_bytes())
    learner._learner.models.linear.weights[:] = np.nan
    follow(learner, 1200, 2100)
    assert learner.watch.rollbacks == 1
    assert math.isfinite(learner.forecast(1)[0])


@pytest.mark.parametrize("kind", [OnlineClassifier, OnlineForecaster])
def test_memory_stays_below_its_bound_and_is_flat(
    kind: type[OnlineClassifier] | type[OnlineForecaster],
) -> None:
    learner: OnlineLearner = kind(depth=2, hidden_size=4)
    for begin in range(0, 50 * WINDOW_ROWS, WINDOW_ROWS):
        follow(learner, begin, begin + WINDOW_ROWS)
        assert learner.nbytes <= learner.bound_bytes
    full = learner.nbytes
    follow(learner, 50 * WINDOW_ROWS, 55 * WINDOW_ROWS)
    # all windows are full; what differs is how many rows the next one has, here and in the kept copy
    assert learner.nbytes == pytest.approx(full, rel=0.02)
    assert learner.bound_bytes < 4 * full


def test_damaged_and_foreign_bytes_are_refused() -> None:
    learner = OnlineForecaster(depth=0)
    follow(learner, 0, 50)
    data = learner.to_bytes()
    with pytest.raises(SavedModelError, match="cut off or damaged"):
        OnlineForecaster.from_bytes(data[:-40])
    with pytest.raises(SavedModelError, match="cut off or damaged"):
        OnlineForecaster.from_bytes(data[:200] + b"x" + data[201:])
    with pytest.raises(SavedModelError, match="of an OnlineForecaster, not of an OnlineClassifier"):
        OnlineClassifier.from_bytes(data)
    with pytest.raises(SavedModelError, match="no snapshot"):
        OnlineForecaster.from_bytes(b"\x80\x04K\x01.")


@pytest.mark.parametrize(("number", "step"), [(1, "Let a new one learn"), (3, "Upgrade: pip")])
def test_bytes_of_another_format_are_refused(number: int, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("lamina.streaming.learner.FORMAT", number)
        data = OnlineForecaster(depth=0).to_bytes()
    with pytest.raises(SavedModelError, match=f"in format {number}, and this version reads format 2. {step}"):
        OnlineForecaster.from_bytes(data)


def test_a_snapshot_of_a_session_is_no_learner_and_the_other_way_round() -> None:
    from lamina.nn.stack import Stack, StackConfig

    session = Session.of(Stack(StackConfig(input_size=2, hidden_sizes=(3,))))
    with pytest.raises(SavedModelError, match="of a session, not of an OnlineForecaster"):
        OnlineForecaster.from_bytes(session.snapshot())
    with pytest.raises(SavedModelError, match="of another model"):
        session.restore(OnlineForecaster(depth=0).to_bytes())


def test_labels_that_only_pickle_could_write_are_refused() -> None:
    learner: OnlineLearner = OnlineClassifier(depth=0)
    learner.learn_one({"a": 1.0}, ("a", "pair"))  # type: ignore[attr-defined]  # a classifier
    with pytest.raises(DataError, match="text, numbers, or true and false"):
        learner.to_bytes()


def test_experts_of_ones_own_are_given_again() -> None:
    own = {"twice": lambda x, _: 2.0 * x["a"]}
    learner = OnlineRegressor(depth=0, own=own)
    learner.learn_one({"a": 1.0}, 2.0)
    with pytest.raises(ConfigError, match="named twice, but own has none"):
        OnlineRegressor.from_bytes(learner.to_bytes())
    other = OnlineRegressor.from_bytes(learner.to_bytes(), own=own)
    assert other.predict_one({"a": 3.0}) == learner.predict_one({"a": 3.0})
