from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from lamina.data.calendar import calendar_features
from lamina.data.frequency import Frequency
from lamina.data.series import SeriesTable, read_series
from lamina.data.splits import Cuts, split_in_time
from lamina.data.windows import Windows, evaluation_windows, last_windows, training_windows
from lamina.errors import DataError
from lamina.tasks.forecast_inputs import ForecastBatch, ForecastInputs, seasonal_anchor, window_scale

NAN = float("nan")


def rich_table(rows: int = 40, *, seed: int = 0) -> SeriesTable:
    """Two series with gaps and covariates of every kind."""
    generator = np.random.default_rng(seed)
    frames = []
    for name, level in (("a", 10.0), ("b", -3.0)):
        y = level + generator.normal(size=rows)
        y[5:8] = NAN
        rain = generator.normal(size=rows)
        rain[10] = NAN
        frames.append(
            pl.DataFrame(
                {
                    "unique_id": name,
                    "ds": np.datetime64("2024-01-01", "us") + np.arange(rows) * np.timedelta64(1, "D"),
                    "y": y,
                    "promo": generator.normal(size=rows),
                    "rain": rain,
                    "wind": generator.choice(["N", "S"], size=rows),
                    "size": level,
                }
            )
        )
    return read_series(pl.concat(frames), future=["promo"], static=["size"], frequency="1d")


def counted(y: np.ndarray) -> SeriesTable:
    return read_series(pl.DataFrame({"y": y}))


def batch_of(table: SeriesTable, cuts: Cuts, *, input_size: int = 6, horizon: int = 3) -> ForecastBatch:
    windows = training_windows(table, cuts, input_size=input_size, horizon=horizon)
    return ForecastInputs.fit(table, cuts, padded=True).collate(windows.batch(slice(None)))


def test_the_scale_of_a_window_by_hand() -> None:
    past = np.array([[1.0, 2.0, 3.0, 6.0], [NAN, 4.0, NAN, 8.0], [5.0, 9.0, 7.0, NAN]])
    offset, scale = window_scale(past, season=1)
    assert offset[:, 0].tolist() == [6.0, 8.0, 7.0]  # the last observed value
    assert scale[:, 0].tolist() == pytest.approx([np.sqrt(14 / 4), 2.0, np.sqrt(8 / 3)])


def test_the_offset_is_the_mean_of_the_newest_season_of_observed_values() -> None:
    past = np.array([[1.0, 2.0, 3.0, 6.0], [NAN, 4.0, NAN, 8.0]])
    assert window_scale(past, season=2)[0][:, 0].tolist() == [4.5, 6.0]
    assert window_scale(past, season=100)[0][:, 0].tolist() == [3.0, 6.0]


@pytest.mark.parametrize("value", [0.0, 1e9, -1e-9])
def test_a_flat_window_stays_finite(value: float) -> None:
    offset, scale = window_scale(np.full((1, 5), value), season=1)
    assert offset.item() == value
    assert scale.item() == pytest.approx(1e-3 * abs(value) + 1e-8)


def test_a_window_without_an_observed_value_stays_finite() -> None:
    offset, scale = window_scale(np.full((1, 5), NAN), season=3)
    assert offset.item() == 0.0
    assert np.isfinite(scale).all()


def test_the_anchor_is_the_seasonal_naive_forecast() -> None:
    past = np.array([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])
    unit, zero = np.ones((1, 1)), np.zeros((1, 1))
    anchor = seasonal_anchor(past, season=3, horizon=7, offset=zero, scale=unit)
    assert anchor.tolist() == [[4, 5, 6, 4, 5, 6, 4]]
    assert seasonal_anchor(past, season=1, horizon=3, offset=zero, scale=unit).tolist() == [[6, 6, 6]]
    scaled = seasonal_anchor(past, season=3, horizon=2, offset=zero + 2, scale=unit * 4)
    assert scaled.tolist() == [[0.5, 0.75]]


def test_the_anchor_goes_a_season_further_back_where_a_value_is_missing() -> None:
    past = np.array([[1.0, 2.0, NAN, 4.0, NAN, NAN]])
    anchor = seasonal_anchor(past, season=3, horizon=4, offset=np.full((1, 1), 9.0), scale=np.ones((1, 1)))
    assert anchor.tolist() == [[-5.0, -7.0, 0.0, -5.0]]  # the third phase was never observed: the offset


def test_a_window_shorter_than_its_season_is_anchored_at_what_it_has() -> None:
    anchor = seasonal_anchor(
        np.array([[7.0, 8.0]]), season=4, horizon=4, offset=np.zeros((1, 1)), scale=np.ones((1, 1))
    )
    assert anchor.tolist() == [[0.0, 0.0, 7.0, 8.0]]


def test_a_window_by_hand() -> None:
    table = counted(np.array([2.0, 4.0, 6.0, NAN, 10.0, 12.0, 14.0, 16.0]))
    cuts = Cuts(np.array([8]), np.array([8]), np.array([8]), 2)
    inputs = ForecastInputs.fit(table, cuts, padded=False)
    windows = Windows(table, 4, 2, np.array([5]), np.array([0]))
    batch = inputs.collate(windows.batch(slice(None)))  # reads 4, 6, NAN, 10 and forecasts 12, 14
    deviation = np.sqrt(((4 - 20 / 3) ** 2 + (6 - 20 / 3) ** 2 + (10 - 20 / 3) ** 2) / 3)
    np.testing.assert_allclose(batch.past.numpy()[0], np.array([-6, -4, 0, 0]) / deviation, rtol=1e-6)
    np.testing.assert_allclose(batch.target.numpy()[0], np.array([2, 4]) / deviation, rtol=1e-6)
    assert batch.anchor.tolist() == [[0.0, 0.0]]
    assert batch.weight.tolist() == [[1.0, 1.0]]
    assert batch.steps[0, :, 0].tolist() == [1, 1, 0, 1]  # observed
    np.testing.assert_allclose(batch.steps.numpy()[0, :, 1], np.log1p([0, 0, 1, 0]), rtol=1e-6)
    assert batch.future.shape == (1, 2, 0)
    assert batch.static.shape == (1, 0)
    assert batch.offset.item() == 10.0
    assert batch.scale.item() == pytest.approx(deviation)


def test_missing_values_and_padding_are_masked() -> None:
    table = rich_table()
    cuts = split_in_time(table, horizon=3)
    windows = training_windows(table, cuts, input_size=6, horizon=3)
    raw = windows.batch(slice(None))
    batch = ForecastInputs.fit(table, cuts, padded=True).collate(raw)
    observed = ~np.isnan(raw.past_y)
    assert not raw.past_valid.all()
    np.testing.assert_array_equal(batch.steps.numpy()[..., 0].astype(bool), observed)
    assert (batch.past.numpy()[~observed] == 0).all()
    np.testing.assert_array_equal(batch.weight.numpy().astype(bool), ~np.isnan(raw.target))
    assert (batch.target.numpy()[np.isnan(raw.target)] == 0).all()
    for part in batch:
        assert torch.isfinite(part).all()


def test_a_covariate_with_gaps_has_a_mask_of_its_own() -> None:
    table = rich_table()
    cuts = split_in_time(table, horizon=3)
    inputs = ForecastInputs.fit(table, cuts, padded=False)
    assert table.past_names == ("rain", "wind=S", "wind=N")
    assert inputs.past_gaps == (0,)
    assert inputs.future_gaps == ()
    # observed, elapsed | rain, wind=S, wind=N, mask of rain | promo
    assert inputs.step_features == 7
    windows = Windows(table, 6, 3, np.array([14]), np.array([0]))  # reads rows 8 to 13
    batch = inputs.collate(windows.batch(slice(None)))
    assert batch.steps[0, :, 5].tolist() == [1, 1, 0, 1, 1, 1]
    rain = table.past[8:14, 0].astype(np.float64)
    seen = table.past[cuts.train_mask(table), 0].astype(np.float64)
    expected = (rain - np.nanmean(seen)) / np.nanstd(seen)
    np.testing.assert_allclose(batch.steps.numpy()[0, :, 2], np.nan_to_num(expected), rtol=1e-4, atol=1e-6)


def test_a_model_without_gaps_refuses_a_window_with_some() -> None:
    table = counted(np.arange(20.0))
    cuts = split_in_time(table, horizon=2)
    inputs = ForecastInputs.fit(table, cuts, padded=False)
    table = replace(table, y=np.where(np.arange(20) == 17, NAN, table.y))
    with pytest.raises(DataError, match="fitted on a target without missing values, and a window of series"):
        inputs.collate(last_windows(table, input_size=5, horizon=2).batch(slice(None)))


def test_changing_the_future_leaves_all_fitted_state_and_every_training_window() -> None:
    table = rich_table()
    cuts = split_in_time(table, horizon=3)
    after = ~cuts.train_mask(table)

    def changed(values: np.ndarray, to: float) -> np.ndarray:
        copy = values.copy()
        copy[after] = to
        return copy

    other = replace(
        table, y=changed(table.y, 1e6), past=changed(table.past, 5e5), future=changed(table.future, -77.0)
    )
    first, second = (ForecastInputs.fit(t, cuts, padded=True).to_dict() for t in (table, other))
    assert json.dumps(first) == json.dumps(second)
    for left, right in zip(batch_of(table, cuts), batch_of(other, cuts), strict=True):
        assert torch.equal(left, right)


def test_a_window_does_not_see_its_own_target() -> None:
    table = rich_table()
    cuts = split_in_time(table, horizon=3)
    inputs = ForecastInputs.fit(table, cuts, padded=True)
    windows = evaluation_windows(table, cuts, part="test", input_size=6, horizon=3)
    first = int(windows.origins[0])
    one = Windows(table, 6, 3, windows.origins[:1], windows.series[:1])
    before = inputs.collate(one.batch(slice(None)))
    later = np.arange(table.rows) >= first
    other = replace(table, y=np.where(later, 1e9, table.y), past=np.where(later[:, None], 1e9, table.past))
    after = inputs.collate(replace(one, table=other).batch(slice(None)))
    for name in ("past", "anchor", "steps", "future", "static", "offset", "scale"):
        assert torch.equal(getattr(before, name), getattr(after, name)), name
    assert not torch.equal(before.target, after.target)


def test_calendar_features_belong_to_the_steps_ahead() -> None:
    table = rich_table()
    cuts = split_in_time(table, horizon=3)
    inputs = ForecastInputs.fit(table, cuts, padded=False)
    windows = Windows(table, 6, 3, np.array([14]), np.array([0]))  # forecasts 15 to 17 January 2024
    future = inputs.collate(windows.batch(slice(None))).future.numpy()[0]
    ahead = np.array(["2024-01-15", "2024-01-16", "2024-01-17"], dtype="M8[us]")
    # two weeks of training have shown no year
    assert inputs.calendar == ("day_of_week",)
    expected = calendar_features(ahead, table.frequency, inputs.calendar)
    np.testing.assert_array_equal(future[:, 1:], expected)
    promo = table.future[cuts.train_mask(table), 0].astype(np.float64)
    np.testing.assert_allclose(
        future[:, 0], (table.future[14:17, 0] - promo.mean()) / promo.std(), rtol=1e-4, atol=1e-6
    )


def test_counted_time_has_no_calendar() -> None:
    table = counted(np.arange(20.0))
    inputs = ForecastInputs.fit(table, split_in_time(table, horizon=2), padded=False)
    assert inputs.calendar == ()
    assert (inputs.future_features, inputs.step_features) == (0, 0)


def test_inputs_come_back_from_json_exactly() -> None:
    table = rich_table()
    cuts = split_in_time(table, horizon=3)
    inputs = ForecastInputs.fit(table, cuts, padded=True)
    again = ForecastInputs.from_dict(json.loads(json.dumps(inputs.to_dict())))
    assert again.frequency == Frequency.of("1d")
    raw = training_windows(table, cuts, input_size=6, horizon=3).batch(slice(None))
    for left, right in zip(inputs.collate(raw), again.collate(raw), strict=True):
        assert torch.equal(left, right)
