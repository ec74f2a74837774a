from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina.data.frequency import Frequency
from lamina.data.scaling import Standardizer
from lamina.data.series import SeriesTable, read_series
from lamina.data.splits import Cuts, split_in_time
from lamina.data.windows import Windows, evaluation_windows, last_windows, training_windows
from lamina.errors import ConfigError, DataError


def table_of(*lengths: int, seed: int = 0) -> SeriesTable:
    """Series whose y is 100 * series + row, with one covariate of each kind."""
    generator = np.random.default_rng(seed)
    frames = [
        pl.DataFrame(
            {
                "unique_id": f"s{i}",
                "ds": pl.datetime_range(
                    pl.datetime(2024, 1, 1),
                    pl.datetime(2024, 1, 1) + pl.duration(days=n - 1),
                    "1d",
                    eager=True,
                ),
                "y": 100.0 * i + np.arange(n),
                "future": np.arange(n) + 0.5,
                "past": generator.normal(size=n),
                "wind": generator.choice(["N", "S"], size=n),
                "static": float(i),
            }
        )
        for i, n in enumerate(lengths)
    ]
    return read_series(pl.concat(frames), future=["future"], static=["static"], frequency="1d")


def everything(windows: Windows) -> list[np.ndarray]:
    return list(windows.batch(slice(None)))


def test_a_window_is_the_rows_before_and_after_its_origin() -> None:
    table = table_of(30)
    windows = training_windows(table, split_in_time(table, horizon=2), input_size=4, horizon=2)
    batch = windows.batch(np.array([5]))
    assert batch.origin.tolist() == [7]
    assert batch.past_y.tolist() == [[3, 4, 5, 6]]
    assert batch.target.tolist() == [[7, 8]]
    assert batch.future_cov[0, :, 0].tolist() == [3.5, 4.5, 5.5, 6.5, 7.5, 8.5]
    np.testing.assert_array_equal(batch.past_cov[0], table.past[3:7])
    assert batch.time[0].astype("M8[D]").astype(str).tolist() == [f"2024-01-{d:02d}" for d in range(4, 10)]
    assert batch.past_valid.all()


def test_a_window_near_the_start_is_padded_on_the_left() -> None:
    table = table_of(30, 30)
    windows = training_windows(table, split_in_time(table, horizon=2), input_size=4, horizon=2)
    first_of_second = int(np.flatnonzero(windows.series == 1)[0])
    batch = windows.batch(np.array([first_of_second]))
    np.testing.assert_array_equal(batch.past_y, [[np.nan, np.nan, 100, 101]])
    assert batch.past_valid.tolist() == [[False, False, True, True]]
    assert np.isnan(batch.past_cov[0, :2]).all()
    assert np.isnan(batch.future_cov[0, :2]).all()
    assert batch.static.tolist() == [[1.0]]
    assert str(batch.time[0, 0])[:10] == "2023-12-30"


def test_training_targets_fill_the_training_part_and_no_more() -> None:
    table = table_of(60, 25)
    cuts = split_in_time(table, horizon=3)
    windows = training_windows(table, cuts, input_size=10, horizon=3)
    for series in range(2):
        origins = windows.origins[windows.series == series] - table.starts[series]
        assert origins.tolist() == list(range(2, int(cuts.train_end[series]) - 3 + 1))


def test_evaluation_targets_fill_their_part_and_inputs_reach_back() -> None:
    table = table_of(60)
    cuts = split_in_time(table, horizon=3)
    for part, first, stop in (
        ("validation", cuts.train_end[0], cuts.validation_end[0]),
        ("test", cuts.validation_end[0], cuts.end[0]),
    ):
        windows = evaluation_windows(table, cuts, part=part, input_size=10, horizon=3)  # type: ignore[arg-type]  # looped literals
        assert windows.origins.tolist() == list(range(first, stop - 2))
        assert windows.batch(np.array([0])).past_y[0, -1] == first - 1


def test_stride_keeps_every_so_many_origins() -> None:
    table = table_of(60)
    cuts = split_in_time(table, horizon=3)
    assert training_windows(table, cuts, input_size=5, horizon=3, stride=7).origins.tolist()[:3] == [2, 9, 16]


def test_windows_with_nothing_observed_are_left_out() -> None:
    table = table_of(30)
    y = table.y.copy()
    y[4:14] = np.nan
    table = replace(table, y=y)
    windows = training_windows(table, split_in_time(table, horizon=2), input_size=4, horizon=2)
    # origin 3: target rows 3, 4; from 4 on no target until row 14, whose input is observed from 14 on.
    assert windows.origins.tolist() == [2, 3, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]
    two = training_windows(table, split_in_time(table, horizon=2), input_size=4, horizon=2, min_observed=2)
    assert two.origins.tolist() == [2, 3, 16, 17, 18, 19, 20, 21, 22, 23, 24]


def test_the_last_window_continues_time_and_takes_the_future_given() -> None:
    table = table_of(10, 8)
    ahead = np.arange(4, dtype=np.float32).reshape(2, 2, 1)
    batch = last_windows(table, input_size=3, horizon=2, future=ahead).batch(slice(None))
    assert batch.past_y.tolist() == [[7, 8, 9], [105, 106, 107]]
    assert np.isnan(batch.target).all()
    assert batch.future_cov[:, 3:, 0].tolist() == [[0, 1], [2, 3]]
    assert batch.time[1].astype("M8[D]").astype(str).tolist()[-2:] == ["2024-01-09", "2024-01-10"]
    with pytest.raises(DataError, match=r"covariates known ahead \(future\) are needed.*none were given"):
        last_windows(table, input_size=3, horizon=2)


def test_a_part_without_a_window_is_an_error() -> None:
    table = table_of(12)
    cuts = split_in_time(table, horizon=2)
    with pytest.raises(DataError, match="a training example needs"):
        training_windows(table, cuts, input_size=4, horizon=9)
    with pytest.raises(DataError, match="the test part must hold a window"):
        evaluation_windows(table, cuts, part="test", input_size=4, horizon=3)
    with pytest.raises(ConfigError, match="input_size is at least 1"):
        training_windows(table, cuts, input_size=0, horizon=2)


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(12, 40), min_size=1, max_size=4),
    input_size=st.integers(1, 50),
    horizon=st.integers(1, 3),
    stride=st.integers(1, 5),
)
def test_no_window_crosses_its_series_or_its_part(
    lengths: list[int], input_size: int, horizon: int, stride: int
) -> None:
    table = table_of(*lengths)
    cuts = split_in_time(table, horizon=horizon)
    windows = training_windows(table, cuts, input_size=input_size, horizon=horizon, stride=stride)
    batch = windows.batch(slice(None))
    place = batch.origin - table.starts[batch.series]
    assert (place >= 2).all()
    assert (place + horizon <= cuts.train_end[batch.series]).all()
    np.testing.assert_array_equal(
        batch.target, 100.0 * batch.series[:, None] + place[:, None] + np.arange(horizon)
    )
    expected = place[:, None] + np.arange(-input_size, 0)
    np.testing.assert_array_equal(batch.past_valid, expected >= 0)
    np.testing.assert_array_equal(
        batch.past_y, np.where(expected >= 0, 100.0 * batch.series[:, None] + expected, np.nan)
    )


def changed_after(table: SeriesTable, cuts: Cuts) -> SeriesTable:
    """The table with every value after the training part replaced."""
    generator = np.random.default_rng(1)
    after = ~cuts.train_mask(table)
    y, past, future = table.y.copy(), table.past.copy(), table.future.copy()
    y[after] = generator.normal(1e6, 1e3, after.sum())
    past[after] = generator.normal(-1e6, 1e3, (after.sum(), past.shape[1]))
    future[after] = 1e9
    return replace(table, y=y, past=past, future=future)


def test_changing_the_future_moves_nothing_before_it() -> None:
    table = table_of(80, 40)
    cuts = split_in_time(table, horizon=4)
    changed = changed_after(table, cuts)
    changed_cuts = split_in_time(changed, horizon=4)
    for name in ("train_end", "validation_end", "end"):
        np.testing.assert_array_equal(getattr(cuts, name), getattr(changed_cuts, name))
    for values, others in ((table.y[:, None], changed.y[:, None]), (table.past, changed.past)):
        fitted = Standardizer.fit(values[cuts.train_mask(table)])
        refitted = Standardizer.fit(others[changed_cuts.train_mask(changed)])
        assert fitted.to_dict() == refitted.to_dict()
    before, after = (
        everything(training_windows(each, cuts, input_size=12, horizon=4)) for each in (table, changed)
    )
    for kept, moved in zip(before, after, strict=True):
        np.testing.assert_array_equal(kept, moved)


def test_the_first_forecast_of_a_part_has_not_seen_that_part() -> None:
    table = table_of(80)
    cuts = split_in_time(table, horizon=4)
    changed = changed_after(table, cuts)
    first, other = (
        evaluation_windows(each, cuts, part="validation", input_size=12, horizon=4).batch(np.array([0]))
        for each in (table, changed)
    )
    np.testing.assert_array_equal(first.past_y, other.past_y)
    np.testing.assert_array_equal(first.past_cov, other.past_cov)
    assert (first.target != other.target).all()


def test_a_new_category_in_the_future_moves_no_earlier_column() -> None:
    wind = ["N", "S", "N", "S", "N", "S", "N", "S"]
    frame = pl.DataFrame({"y": [1.0, 2, 3, 4, 5, 6, 7, 8], "wind": wind})
    table = read_series(frame)
    later = read_series(frame.with_columns(wind=pl.Series([*wind[:6], "A", "B"])))
    assert later.past_names[:2] == table.past_names
    np.testing.assert_array_equal(later.past[:6, :2], table.past[:6])


def test_memory_does_not_grow_with_the_length_of_the_windows() -> None:
    rows = 1_000_000
    table = SeriesTable(
        ids=("y",),
        starts=np.array([0, rows]),
        time=np.arange(rows),
        y=np.zeros(rows),
        future=np.empty((rows, 0), np.float32),
        past=np.empty((rows, 0), np.float32),
        static=np.empty((1, 0), np.float32),
        future_names=(),
        past_names=(),
        static_names=(),
        frequency=Frequency("1"),
        target="y",
    )
    cuts = Cuts(np.array([rows]), np.array([rows]), np.array([rows]), 24)
    peaks = []
    for input_size in (5, 500):
        tracemalloc.start()
        windows = training_windows(table, cuts, input_size=input_size, horizon=24)
        windows.batch(np.arange(64))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(windows) == rows - 25
    # A million windows of 524 float64 would be 4.2 GB; eight int64 a window are 64 MB.
    assert max(peaks) < 100e6
    assert peaks[1] < peaks[0] + 10e6
