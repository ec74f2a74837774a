from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from lamina.data.series import SeriesTable, read_series
from lamina.data.splits import split_in_time
from lamina.errors import ConfigError, DataError


def table_of(*lengths: int) -> SeriesTable:
    frame = pl.concat(
        pl.DataFrame({"unique_id": f"s{i}", "y": np.arange(n, dtype=np.float64)})
        for i, n in enumerate(lengths)
    )
    return read_series(frame)


def test_a_long_series_is_cut_70_15_15() -> None:
    cuts = split_in_time(table_of(17_520), horizon=24)
    assert cuts.rows == {"train": 12_264, "validation": 2_628, "test": 2_628}


def test_a_short_series_gives_one_horizon_to_each_part() -> None:
    cuts = split_in_time(table_of(67, 309), horizon=24)
    assert cuts.train_end.tolist() == [19, 261]
    assert cuts.validation_end.tolist() == [43, 285]
    assert cuts.end.tolist() == [67, 309]


def test_rows_and_shares_can_be_given() -> None:
    cuts = split_in_time(table_of(100), horizon=5, validation=10, test=0.3)
    assert (cuts.train_end[0], cuts.validation_end[0]) == (60, 70)


def test_the_training_mask_covers_each_training_part() -> None:
    table = table_of(10, 12)
    cuts = split_in_time(table, horizon=2)
    assert np.flatnonzero(cuts.train_mask(table)).tolist() == [*range(6), *range(10, 18)]


@pytest.mark.parametrize("length", [8, 29, 30, 31, 99])
def test_the_largest_horizon_named_in_the_error_works_and_the_next_does_not(length: int) -> None:
    table = table_of(length)
    with pytest.raises(
        DataError, match=rf"series 's0' has {length} rows; use a horizon of at most"
    ) as caught:
        split_in_time(table, horizon=1000)
    largest = int(str(caught.value).rsplit(" ", 1)[1])
    split_in_time(table, horizon=largest)
    with pytest.raises(DataError):
        split_in_time(table, horizon=largest + 1)


def test_a_series_too_short_for_any_horizon_is_an_error() -> None:
    with pytest.raises(DataError, match="add rows or leave the series out"):
        split_in_time(table_of(3), horizon=1)


def test_sizes_out_of_range_are_errors() -> None:
    table = table_of(100)
    with pytest.raises(ConfigError, match="horizon is at least 1"):
        split_in_time(table, horizon=0)
    with pytest.raises(ConfigError, match="test is a share between 0 and 1"):
        split_in_time(table, horizon=2, test=1.5)
    with pytest.raises(ConfigError, match="validation part holds at least one horizon"):
        split_in_time(table, horizon=9, validation=3)
    with pytest.raises(DataError, match="give validation and test fewer rows"):
        split_in_time(table, horizon=9, validation=50, test=50)
