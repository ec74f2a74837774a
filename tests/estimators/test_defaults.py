from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from lamina.data.frequency import Frequency
from lamina.data.series import SeriesTable, read_series
from lamina.data.splits import Cuts
from lamina.estimators.defaults import hold_out, training_examples, window_form


def table_of(*lengths: int, frequency: Frequency | None = None) -> SeriesTable:
    parts = [pl.DataFrame({"unique_id": f"s{i}", "y": np.arange(float(n))}) for i, n in enumerate(lengths)]
    return read_series(pl.concat(parts), frequency=frequency or Frequency("1"))


def whole(table: SeriesTable, horizon: int) -> Cuts:
    return Cuts(table.lengths, table.lengths, table.lengths, horizon)


def test_a_long_series_holds_out_15_percent_a_short_one_a_horizon_and_a_tiny_one_nothing() -> None:
    cuts = hold_out(table_of(200, 100, 99, 12, 11), horizon=5)
    assert cuts.train_end.tolist() == [170, 85, 94, 7, 11]
    assert cuts.validation_end.tolist() == cuts.end.tolist() == [200, 100, 99, 12, 11]


def test_a_long_series_gives_whole_windows_only() -> None:
    table = table_of(40)
    windows, padded = training_examples(table, whole(table, 2), input_size=6, horizon=2)
    assert not padded
    assert windows.origins.tolist() == list(range(6, 39))


def test_a_short_series_gives_padded_windows_too() -> None:
    table = table_of(40, 10)
    windows, padded = training_examples(table, whole(table, 2), input_size=6, horizon=2)
    assert padded
    assert windows.origins[windows.series == 0].min() == 6
    # Rows 6, 7 and 8 begin three whole windows, fewer than two horizons of them.
    assert (windows.origins[windows.series == 1] - 40).tolist() == list(range(2, 9))


@pytest.mark.parametrize("horizon", [1, 3, 24, 500])
@pytest.mark.parametrize("rows", [3, 30, 300, 30_000])
@pytest.mark.parametrize("seasons", [(), (7,), (24, 168), (48, 336)])
def test_a_form_is_whole_segments_and_fits(seasons: tuple[int, ...], rows: int, horizon: int) -> None:
    table = table_of(4, frequency=Frequency("1", seasons))
    input_size, segment = window_form(table, np.array([rows]), horizon=horizon)
    assert input_size >= 1
    assert input_size % segment == 0
    assert input_size <= max(24, rows, 2 * segment)


def test_a_window_holds_two_of_the_longest_season_there_is_room_for() -> None:
    hourly = table_of(4, frequency=Frequency("1", (24, 168)))
    assert window_form(hourly, np.array([10_000]), horizon=24) == (336, 24)
    assert window_form(hourly, np.array([300]), horizon=24) == (48, 24)


def test_a_window_without_a_season_holds_two_horizons() -> None:
    assert window_form(table_of(4), np.array([10_000]), horizon=20) == (40, 1)
    assert window_form(table_of(4), np.array([10_000]), horizon=2) == (24, 1)
    assert window_form(table_of(4), np.array([10_000]), horizon=80) == (160, 10)
