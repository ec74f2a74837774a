"""Bounds that follow a series: their coverage where it drifts, gaps, keys and snapshots."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lamina.errors import ConfigError, SavedModelError
from lamina.estimators.forecaster import Forecaster
from lamina.nn.stack import StackConfig
from lamina.streaming.adaptive import ERRORS, STEP, WARM_UP
from lamina.streaming.adaptive_quantiles import AdaptiveKeys, AdaptiveQuantiles
from lamina.streaming.forecast_session import ForecastSession
from lamina.streaming.opening import open_parts
from lamina.streaming.session import Session
from lamina.training.optim import TrainingConfig

LEVELS = (0.05, 0.5, 0.95)


class InNumPy:
    """The equations of ``AdaptiveQuantiles`` written for arrays, with all errors sorted anew at each row."""

    def __init__(self, levels: tuple[float, ...], given: tuple[float, ...], horizon: int) -> None:
        self.levels, self.given, self.horizon = np.array(levels), np.array(given), horizon
        self.middle = levels.index(0.5)
        self.errors: list[list[float]] = [[] for _ in range(horizon)]
        self.now = np.tile(self.levels, (horizon, 1))
        self.made: list[tuple[np.ndarray, np.ndarray, np.ndarray] | None] = []

    def learn(self, value: float) -> None:
        for step, made in enumerate(reversed(self.made[-self.horizon :])):
            if made is None or math.isnan(value):
                continue
            median, spread, bounds = (each[step] for each in made)
            error = np.float32((value - median) / spread)
            reached = ((bounds - median) / spread).astype(np.float32)
            if len(self.errors[step]) >= WARM_UP:
                self.now[step] += STEP * (self.levels - (error < reached)) * (error != reached)
            self.errors[step].append(float(error))
            last = np.sort(self.errors[step][-ERRORS:])
            if last[0] == last[len(last) // 2]:
                self.now[step] = np.maximum(self.now[step], -STEP)
            if last[-1] == last[len(last) // 2]:
                self.now[step] = np.minimum(self.now[step], 1 + STEP)
        self.made.append(None)

    def around(self, quantiles: np.ndarray) -> np.ndarray:
        plain = np.stack([np.interp(self.levels, self.given, each) for each in quantiles])
        median = plain[:, self.middle]
        spread = np.maximum(quantiles[:, -1] - quantiles[:, 0], 1e-9 * max(1.0, np.abs(median).max()))
        found = plain.copy()
        for step, errors in enumerate(self.errors):
            if len(errors) >= WARM_UP:
                last = np.sort(errors[-ERRORS:])
                found[step] = median[step] + spread[step] * self.quantiles(last, self.now[step])
        others = np.sort(np.delete(found, self.middle, axis=1), axis=1)
        found = np.insert(others, self.middle, median, axis=1)
        self.made[-1] = (median, spread, found)
        return found

    def quantiles(self, ordered: np.ndarray, now: np.ndarray) -> np.ndarray:
        n = len(ordered)
        rank = np.where(self.levels < 0.5, np.floor(now * (n + 1)), np.ceil(now * (n + 1)))
        chosen = ordered[np.clip(rank, 1, n).astype(int) - 1]
        beyond = np.maximum(1 / (n + 1) - now, 0) + np.maximum(now - n / (n + 1), 0)
        found: np.ndarray = chosen + (chosen - ordered[n // 2]) * np.maximum(beyond - STEP, 0) / STEP
        return found


@pytest.mark.parametrize("levels", [(0.05, 0.5, 0.95), (0.05, 0.1, 0.5, 0.9, 0.95)])
def test_native_bounds_are_those_of_the_equations(levels: tuple[float, ...]) -> None:
    """Over missing rows, values that repeat, rows without a forecast, and a jump that outruns all errors."""
    given, horizon = (0.025, 0.1, 0.5, 0.9, 0.975), 4
    generator = np.random.default_rng(0)
    native, truth = AdaptiveQuantiles(levels, given, horizon), InNumPy(levels, given, horizon)
    for row in range(1400):
        value = float(np.round(generator.normal(), 1)) * (1 + row / 300) + 50 * (row > 1100)
        value = math.nan if row % 11 == 5 else value
        native.learn(value)
        truth.learn(value)
        if row % 13 != 7:
            quantiles = np.sort(generator.normal(size=(horizon, 5)), axis=1)
            np.testing.assert_allclose(
                native.around(quantiles), truth.around(quantiles), rtol=1e-12, atol=1e-12
            )
    assert native.counts.max() > ERRORS


def covered(noise: np.ndarray, horizon: int) -> np.ndarray:
    """Whether each value lay in the 90 % interval of each step's forecast, (rows, horizon), NaN at first."""
    adaptive = AdaptiveQuantiles(LEVELS, LEVELS, horizon)
    model = np.tile([-1.0, 0.0, 1.0], (horizon, 1))  # says always the same
    inside = np.full((len(noise), horizon), np.nan)
    made: list[np.ndarray] = []
    for row, value in enumerate(noise):
        for step, bounds in enumerate(reversed(made[-horizon:])):
            inside[row, step] = bounds[step, 0] <= value <= bounds[step, 2]
        adaptive.learn(float(value))
        made.append(adaptive.around(model))
    return inside


@pytest.mark.parametrize("horizon", [1, 5])
@pytest.mark.parametrize("kind", ["grows", "jumps", "skews", "waves"])
def test_coverage_holds_while_the_series_changes(kind: str, horizon: int) -> None:
    random = np.random.default_rng(0)
    normal, rows = random.normal(size=4000), np.arange(4000)
    noise = {
        "grows": normal * (1 + rows / 400),
        "jumps": normal * np.where(rows < 2000, 1.0, 9.0) + np.where(rows < 2000, 0.0, 4.0),
        "skews": np.where(rows < 2000, normal, random.exponential(size=4000)),
        "waves": normal * (2 + np.sin(rows / 150)),
    }[kind]
    inside = covered(noise, horizon)[10 + horizon :]
    window = np.ones(500) / 500
    for step in range(horizon):
        rolling = np.convolve(inside[:, step], window, "valid")
        assert abs(inside[:, step].mean() - 0.9) <= 0.015
        assert rolling.min() >= 0.86
        assert rolling.max() <= 0.94


@pytest.mark.parametrize("level", [0.0, 0.3])
@pytest.mark.parametrize("flat", [500, 10_000])
def test_intervals_of_a_series_that_stood_still_suit_what_follows(flat: int, level: float) -> None:
    noise = np.append(np.full(flat, level), np.random.default_rng(0).normal(size=2000))
    adaptive = AdaptiveQuantiles(LEVELS, LEVELS, 1)
    inside, widths = np.zeros(len(noise)), np.zeros(len(noise))
    low, high = -1.0, 1.0
    for row, value in enumerate(noise):
        inside[row], widths[row] = low <= value <= high, high - low
        adaptive.learn(float(value))
        low, _, high = adaptive.around(np.array([[-1.0, 0.0, 1.0]]))[0]
    assert inside[flat + 20 : flat + 520].mean() == pytest.approx(0.9, abs=0.04)
    assert np.median(widths[flat + 1000 :]) == pytest.approx(2 * 1.645, abs=0.6)
    assert widths[flat : flat + 2000].max() < 20


def test_a_series_of_mostly_zeros_is_covered_by_bounds_that_stay_small() -> None:
    random = np.random.default_rng(0)
    noise = np.where(random.random(6000) < 0.8, 0.0, random.exponential(size=6000))
    adaptive = AdaptiveQuantiles(LEVELS, LEVELS, 1)
    found = []
    for value in noise:
        adaptive.learn(float(value))
        found.append(adaptive.around(np.array([[-1.0, 0.0, 1.0]]))[0])
    low, high = np.array(found)[:-1, 0], np.array(found)[:-1, 2]
    assert np.mean(noise[1:] > high) == pytest.approx(0.05, abs=0.01)
    assert np.mean(noise[1:] < low) < 0.06
    assert np.median(high) == pytest.approx(np.log(0.2 / 0.05), abs=0.5)  # the quantile in truth


def test_a_model_left_to_itself_would_not_cover() -> None:
    noise = np.random.default_rng(0).normal(size=4000) * (1 + np.arange(4000) / 400)
    assert np.mean(np.abs(noise) <= 1.645) < 0.5


def test_missing_and_left_out_rows_are_not_judged() -> None:
    adaptive = AdaptiveQuantiles(LEVELS, LEVELS, 2)
    model = np.tile([-1.0, 0.0, 1.0], (2, 1))
    adaptive.learn(0.0)
    adaptive.around(model)
    adaptive.learn(math.nan)
    assert adaptive.counts.tolist() == [0, 0]
    adaptive.around(model)
    adaptive.learn(0.5)  # the second row after the first forecast
    assert adaptive.counts.tolist() == [1, 1]
    adaptive.around(model)
    adaptive.learn(0.5, skipped=1)  # one row after was left out: only the second step is told
    assert adaptive.counts.tolist() == [1, 2]
    adaptive.around(model)
    adaptive.learn(0.5, skipped=2)
    assert adaptive.counts.tolist() == [1, 2]


def test_until_ten_errors_are_known_the_model_speaks() -> None:
    adaptive = AdaptiveQuantiles((0.1, 0.5, 0.9), LEVELS, 1)
    model = np.array([[-9.0, 0.0, 9.0]])
    for _ in range(10):
        adaptive.learn(1.0)
        np.testing.assert_allclose(adaptive.around(model), [[-8.0, 0.0, 8.0]])
    adaptive.learn(1.0)
    assert adaptive.around(model)[0, 2] == pytest.approx(1.0)


@cache
def forecaster() -> Forecaster:
    y = np.sin(np.arange(300) / 4) + 0.1 * np.random.default_rng(0).normal(size=300)
    model: Forecaster = Forecaster(
        3, input_size=12, stack=StackConfig(hidden_sizes=(4,)), training=TrainingConfig(max_steps=20)
    ).fit(pl.DataFrame({"y": y}))
    return model


def later(row: int) -> float:
    """Like the training rows, five times as noisy."""
    return math.sin((300 + row) / 4) + 0.5 * float(np.random.default_rng(row).normal())


def test_a_forecaster_keeps_the_coverage_of_its_stream() -> None:
    plain, adaptive = forecaster().stream(), forecaster().stream(adaptive=[90])
    inside = np.zeros((2, 800))
    for number, session in enumerate((plain, adaptive)):
        found = session.forecast()
        for row in range(800):
            assert found is not None
            low, high = found.interval(90)
            inside[number, row] = low[0] <= later(row) <= high[0]
            found = session.step_next(later(row), {})
    assert inside[0].mean() < 0.85
    assert abs(inside[1, 50:].mean() - 0.9) <= 0.02
    assert adaptive.levels == (0.05, 0.5, 0.95)


def test_the_median_stays_the_model_s() -> None:
    plain, adaptive = forecaster().stream(), forecaster().stream(adaptive=[80])
    for row in range(40):
        one, other = plain.step_next(later(row), {}), adaptive.step_next(later(row), {})
        assert one is not None
        assert other is not None
        np.testing.assert_array_equal(one.median, other.median)


def test_a_snapshot_holds_what_was_adapted(tmp_path: Path) -> None:
    session = forecaster().stream(adaptive=[80, 90])
    for row in range(60):
        session.step_next(later(row), {})
    session.save(tmp_path / "states.bin")
    forecaster().save(tmp_path / "model")
    other = Session.open(tmp_path / "model", adaptive=[80, 90])
    other.restore(tmp_path / "states.bin")
    one, two = session.step_next(1.0, {}), other.step_next(1.0, {})  # type: ignore[attr-defined]  # of forecasts
    assert one is not None
    np.testing.assert_array_equal(one.quantiles, two.quantiles)
    made = "this snapshot was made with adaptive intervals of 80, 90 %, and this session has"
    with pytest.raises(
        SavedModelError, match=f"{made} no adaptive intervals. Open it with the same adaptive="
    ):
        forecaster().stream().restore(tmp_path / "states.bin")
    with pytest.raises(SavedModelError, match=f"{made} adaptive intervals of 90 %"):
        forecaster().stream(adaptive=[90]).restore(tmp_path / "states.bin")


def test_keys_are_apart_forgotten_and_bounded() -> None:
    session = forecaster().stream(adaptive=[90], max_keys=3)
    held = session.used_bytes
    for row in range(40):
        for key in "abc"[: 1 + row // 20]:
            session.step_next(later(row), {}, key=key)
        assert session.used_bytes <= session.bound_bytes
    assert session.used_bytes > held
    for key in ("d", "e", "f"):
        session.step_next(1.0, {}, key=key)
    assert sorted(session.keys()) == ["d", "e", "f"]
    assert session.used_bytes <= session.bound_bytes
    assert session.reset("d")
    assert not session.reset("d")
    session.clear()
    assert session._adaptive is not None
    assert len(session._adaptive) == 0


def test_a_key_that_makes_room_takes_its_intervals_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the keys are not counted over for it."""
    session = forecaster().stream(adaptive=[90], max_keys=3)
    with monkeypatch.context() as patch:
        patch.setattr(ForecastSession, "keys", lambda _: pytest.fail("went through all keys"))
        for key in ("a", "b", "c", "d", "b", "e", "a"):
            session.step_next(1.0, {}, key=key)
    assert session._adaptive is not None
    assert sorted(session._adaptive.state()["keys"]) == sorted(session.keys()) == ["a", "b", "e"]


def test_a_row_that_is_not_kept_moves_no_interval() -> None:
    session = forecaster().stream(adaptive=[90])
    for row in range(30):
        session.step_next(later(row), {})
    before, native = session.snapshot(), session._native

    class Full:
        def push(self, *_: object) -> None:
            raise MemoryError

        def __getattr__(self, name: str) -> object:
            return getattr(native, name)

    session._native = Full()
    with pytest.raises(MemoryError):
        session.step_next(1.0, {})
    session._native = native
    assert session.snapshot() == before


def test_intervals_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="between 0 and 100 percent but are 100"):
        forecaster().stream(adaptive=[100])
    with pytest.raises(ConfigError, match=r"from 0.025 to 0.975, narrower than an interval of 99 %"):
        forecaster().stream(adaptive=[99])

    with pytest.raises(ConfigError, match="a SequenceClassifier gives none"):
        open_parts("SequenceClassifier", {}, {}, {}, {}, storage="float32", max_keys=1, adaptive=[90])


def test_what_a_key_takes_is_stated() -> None:
    keys = AdaptiveKeys([80, 90], (0.025, 0.5, 0.975), horizon=4)
    state = keys.of("a").state()
    arrays = sum(value.nbytes for value in state.values() if isinstance(value, np.ndarray))
    assert keys.key_bytes == arrays
