from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from lamina.data.encoding import Encoding
from lamina.data.frequency import Frequency
from lamina.data.series import read_future, read_series
from lamina.errors import ConfigError, DataError

DAYS = [f"2024-01-{day:02d}" for day in range(1, 11)]


def write(folder: Path, text: str, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def daily(**columns: list[Any]) -> pl.DataFrame:
    n = len(next(iter(columns.values())))
    return pl.DataFrame({"ds": DAYS[:n], **columns})


class TestSources:
    def test_every_kind_of_source_gives_the_same_table(self, tmp_path: Path) -> None:
        frame = daily(y=[1.0, 2.5, None, 4.0], rain=[0, 1, 0, 1])
        frame.write_csv(tmp_path / "a.csv")
        (tmp_path / "a.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
        frame.write_parquet(tmp_path / "a.parquet")
        sources = (
            tmp_path / "a.csv",
            str(tmp_path / "a.csv.gz"),
            tmp_path / "a.parquet",
            frame,
            frame.lazy(),
            frame.to_arrow(),
            pd.DataFrame(
                {"ds": pd.to_datetime(DAYS[:4]), "y": [1.0, 2.5, np.nan, 4.0], "rain": [0, 1, 0, 1]}
            ),
        )
        for source in sources:
            table = read_series(source)
            np.testing.assert_array_equal(table.y, [1.0, 2.5, np.nan, 4.0])
            assert table.past[:, 0].tolist() == [0, 1, 0, 1]
            assert table.time.dtype == np.dtype("M8[us]")
            assert table.time.astype("M8[D]").astype(str).tolist() == DAYS[:4]
            assert (table.ids, table.target, table.frequency.step) == (("y",), "y", "1d")

    def test_every_word_for_missing_is_missing_and_stays_so(self, tmp_path: Path) -> None:
        path = write(tmp_path, "y,a\n1,NA\n,2\nNA,NaN\nnull,4\n NaN ,\n6,6\n")
        table = read_series(path)
        np.testing.assert_array_equal(table.y, [1, np.nan, np.nan, np.nan, np.nan, 6])
        np.testing.assert_array_equal(table.past[:, 0], [np.nan, 2, np.nan, 4, np.nan, 6])

    def test_a_decimal_after_many_integers_is_read(self, tmp_path: Path) -> None:
        path = write(tmp_path, "y\n" + "1\n" * 5000 + "2.5\n")
        assert read_series(path).y[-1] == 2.5

    @pytest.mark.parametrize(
        "stamps",
        [
            ["2024-01-01 00:00:00", "2024-01-01 01:00:00"],
            ["2024-01-01T00:00", "2024-01-01T01:00"],
            ["2024/01/01 00:00", "2024/01/01 01:00"],
            ["2024-01-01T00:00:00Z", "2024-01-01T01:00:00Z"],
            ["2024-01-01 02:00:00+02:00", "2024-01-01 03:00:00+02:00"],
        ],
    )
    def test_iso_times_are_read(self, stamps: list[str]) -> None:
        table = read_series(pl.DataFrame({"ds": stamps, "y": [1.0, 2.0]}))
        assert table.time.astype(str).tolist() == ["2024-01-01T00:00:00.000000", "2024-01-01T01:00:00.000000"]
        assert table.frequency.step == "1h"

    def test_months_are_read(self) -> None:
        table = read_series(pl.DataFrame({"ds": ["1949-11", "1949-12", "1950-01"], "y": [1.0, 2.0, 3.0]}))
        assert table.frequency.step == "1mo"

    def test_two_million_rows_stay_far_below_a_gigabyte(self) -> None:
        # A tenth of that number here; benchmarks read the whole. Rust's own memory is not traced.
        n = 200_000
        frame = pl.DataFrame({"y": np.arange(n, dtype=np.float64), "a": np.ones(n)})
        tracemalloc.start()
        table = read_series(frame)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert table.rows == n
        assert peak < 150 * n  # bytes a row: about 70 are kept or in flight


class TestSeries:
    def test_series_are_sorted_apart_and_keep_the_order_of_appearance(self) -> None:
        frame = pl.DataFrame(
            {
                "unique_id": ["b", "a", "b", "a", "b"],
                "ds": [2, 1, 1, 2, 3],
                "y": [20.0, 100.0, 10.0, 200.0, 30.0],
            }
        )
        table = read_series(frame)
        assert table.ids == ("b", "a")
        assert table.starts.tolist() == [0, 3, 5]
        assert table.y.tolist() == [10, 20, 30, 100, 200]
        assert table.lengths.tolist() == [3, 2]
        assert "rows were not in time order and have been sorted" in table.notes

    def test_interleaved_series_are_not_called_unsorted(self) -> None:
        frame = pl.DataFrame({"unique_id": ["a", "b"] * 2, "ds": [1, 1, 2, 2], "y": [1.0, 2.0, 3.0, 4.0]})
        assert not any("sorted" in note for note in read_series(frame).notes)

    def test_several_targets_become_series_and_no_covariates(self) -> None:
        frame = pl.DataFrame({"u": [1.0, 2.0, 3.0], "v": [4.0, 5.0, 6.0], "w": [7.0, 8.0, 9.0]})
        table = read_series(frame, target=["u", "v"])
        assert table.ids == ("u", "v")
        assert table.y.tolist() == [1, 2, 3, 4, 5, 6]
        assert table.past_names == ("w",)
        assert table.past[:, 0].tolist() == [7, 8, 9, 7, 8, 9]

    def test_several_targets_of_several_series(self) -> None:
        frame = pl.DataFrame({"unique_id": ["a", "a", "b", "b"], "u": [1.0, 2, 3, 4], "v": [5.0, 6, 7, 8]})
        table = read_series(frame, target=["u", "v"])
        assert table.ids == ("a/u", "b/u", "a/v", "b/v")
        assert table.y.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]

    def test_ids_that_look_like_numbers_stay_text(self, tmp_path: Path) -> None:
        path = write(tmp_path, "unique_id,y\n007,1\n007,2\n7,3\n7,5\n")
        assert read_series(path).ids == ("007", "7")

    def test_without_a_time_column_rows_count_within_their_series(self) -> None:
        table = read_series(pl.DataFrame({"unique_id": ["a", "b", "a"], "y": [1.0, 2.0, 3.0]}))
        assert table.time.tolist() == [0, 1, 0]
        assert any("no time column was named" in note for note in table.notes)

    def test_keep_and_slice_last(self) -> None:
        frame = pl.DataFrame({"unique_id": ["a"] * 4 + ["b"] * 2, "y": [1.0, 2, 3, 4, 5, 6]})
        table = read_series(frame)
        last = table.slice_last(3)
        assert last.y.tolist() == [2, 3, 4, 5, 6]
        assert last.starts.tolist() == [0, 3, 5]
        kept = table.keep(np.array([1, 0]), np.array([2, 1]))
        assert kept.y.tolist() == [2, 5]

    def test_describe_counts(self) -> None:
        facts = read_series(daily(y=[1.0, None, 3.0])).describe()
        assert (facts["rows"], facts["series"], facts["missing"]) == (3, 1, 1)
        assert facts["columns"]["y"] == {"missing": 1, "min": 1.0, "mean": 2.0, "max": 3.0}
        assert facts["span"][0].startswith("2024-01-01")


class TestCovariates:
    def test_roles(self) -> None:
        frame = pl.DataFrame({"y": [1.0, 2.0], "f": [3.0, 4.0], "s": ["x", "x"], "p": [5.0, 6.0]})
        table = read_series(frame, future=["f"], static=["s"])
        assert (table.future_names, table.past_names, table.static_names) == (("f",), ("p",), ("s=x",))
        assert table.static.tolist() == [[1.0]]
        assert any(note.startswith("p is taken as known up to now only") for note in table.notes)
        assert read_series(frame, past=()).past_names == ()

    def test_categories_are_columns_in_order_of_time(self) -> None:
        frame = pl.DataFrame({"ds": [3, 1, 2, 4], "y": [1.0, 2, 3, 4], "wind": ["N", "S", "N", None]})
        table = read_series(frame)
        assert table.past_names == ("wind=S", "wind=N")
        expected = np.array([[1, 0], [0, 1], [0, 1], [np.nan, np.nan]])
        np.testing.assert_array_equal(table.past, expected)

    def test_a_later_table_is_encoded_alike(self) -> None:
        table = read_series(daily(y=[1.0, 2, 3], wind=["N", "S", "N"], code=[1, 2, 3]))
        encoding = Encoding.from_dict(table.encoding.to_dict())
        assert encoding == table.encoding
        later = read_series(daily(y=[1.0, 2], wind=["W", "S"], code=[9, 8], extra=[0, 0]), encoding=encoding)
        assert later.past_names == ("wind=N", "wind=S", "code")
        assert later.past.tolist() == [[0, 0, 9], [0, 1, 8]]

    def test_more_than_64_categories_is_an_error(self) -> None:
        frame = pl.DataFrame({"y": [float(i) for i in range(65)], "name": [f"n{i}" for i in range(65)]})
        with pytest.raises(DataError, match=r"at most 64 values but 'name' has 65.*past="):
            read_series(frame)

    def test_a_static_column_that_changes_is_an_error(self) -> None:
        frame = pl.DataFrame({"unique_id": ["a", "a"], "y": [1.0, 2.0], "s": [1, 2]})
        with pytest.raises(
            DataError, match="static column 's' must not change within a series but does in 'a'"
        ):
            read_series(frame, static=["s"])

    def test_future_covariates_are_found_by_series_and_time(self) -> None:
        frame = pl.DataFrame(
            {"unique_id": ["a", "a", "b", "b"], "ds": DAYS[:2] * 2, "y": [1.0, 2, 3, 4], "f": [0.0, 0, 0, 0]}
        )
        table = read_series(frame, future=["f"])
        ahead = pl.DataFrame(
            {
                "unique_id": ["b", "b", "a", "a"],
                "ds": [DAYS[3], DAYS[2], DAYS[2], DAYS[3]],
                "f": [4.0, 3, 1, 2],
            }
        )
        assert read_future(ahead, table, horizon=2)[..., 0].tolist() == [[1, 2], [3, 4]]
        with pytest.raises(DataError, match=r"has no row for 2024-01-05.*forecast 2 steps"):
            read_future(ahead, table, horizon=3)


class TestRepairs:
    def test_duplicates_are_named_or_merged(self) -> None:
        frame = pl.DataFrame({"ds": [1, 2, 2, 3], "y": [1.0, 2.0, 4.0, 8.0], "p": [0.0, 1.0, None, 3.0]})
        with pytest.raises(DataError, match=r"has 2 at row 1, row 2.*--duplicates first, last or mean"):
            read_series(frame)
        assert read_series(frame, duplicates="first").y.tolist() == [1, 2, 8]
        assert read_series(frame, duplicates="last").y.tolist() == [1, 4, 8]
        merged = read_series(frame, duplicates="mean")
        assert merged.y.tolist() == [1, 3, 8]
        assert merged.past[:, 0].tolist() == [0, 1, 3]
        assert "1 rows of repeated time were merged (mean)" in merged.notes

    def test_gaps_are_named_or_inserted_as_missing(self, tmp_path: Path) -> None:
        path = write(tmp_path, "ds,y,p\n2024-01-01,1,5\n2024-01-02,2,6\n2024-01-05,5,7\n2024-01-06,6,8\n")
        with pytest.raises(
            DataError,
            match=r"1d apart but series 'y' jumps from 2024-01-02 to 2024-01-05 at line 4 .*--gaps missing",
        ):
            read_series(path)
        table = read_series(path, gaps="missing")
        np.testing.assert_array_equal(table.y, [1, 2, np.nan, np.nan, 5, 6])
        np.testing.assert_array_equal(table.past[:, 0], [5, 6, np.nan, np.nan, 7, 8])
        assert table.time.astype("M8[D]").astype(str).tolist() == DAYS[:6]

    def test_gaps_in_months_are_filled_per_series(self) -> None:
        frame = pl.DataFrame(
            {
                "unique_id": ["a"] * 3 + ["b"] * 3,
                "ds": ["2024-01-31", "2024-02-29", "2024-04-30", "2023-10-31", "2023-11-30", "2023-12-31"],
                "y": [1.0, 2, 4, 5, 6, 7],
            }
        )
        table = read_series(frame, gaps="missing")
        np.testing.assert_array_equal(table.y, [1, 2, np.nan, 4, 5, 6, 7])
        assert table.frequency == Frequency("1mo", (12,), month_end=True)
        assert str(table.time[2])[:10] == "2024-03-31"

    def test_stamps_off_the_grid_are_an_error(self) -> None:
        frame = pl.DataFrame(
            {
                "ds": ["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 02:00", "2024-01-01 02:20"],
                "y": [1.0] * 4,
            }
        )
        with pytest.raises(DataError, match=r"whole steps of 1h apart.*at row 3.*--frequency"):
            read_series(frame, gaps="missing")

    def test_a_grid_far_finer_than_the_data_is_an_error(self) -> None:
        frame = pl.DataFrame({"ds": ["2024-01-01", "2024-01-02", "2024-01-03"], "y": [1.0, 2, 3]})
        with pytest.raises(DataError, match="would turn 3 rows into"):
            read_series(frame, frequency="1s", gaps="missing")


class TestErrors:
    def test_missing_file_names_the_nearest(self, tmp_path: Path) -> None:
        write(tmp_path, "y\n1\n", "traffic.csv")
        with pytest.raises(DataError, match=r"no file 'trafic\.csv'.*did you mean 'traffic\.csv'"):
            read_series(tmp_path / "trafic.csv")

    def test_wrong_column_names_the_nearest(self) -> None:
        with pytest.raises(DataError, match="no column is called 'cras'; did you mean 'cars'"):
            read_series(pl.DataFrame({"cars": [1.0]}), target="cras")

    def test_text_in_a_numeric_column_names_line_and_value(self, tmp_path: Path) -> None:
        path = write(tmp_path, "y,p\n1,1\n2,2\nlots,3\n4,4\n")
        with pytest.raises(DataError, match=r"data\.csv: column 'y' must hold numbers but line 4 has 'lots'"):
            read_series(path)
        path = write(tmp_path, "y,p\n1,1\n2,oops\n3,3\n")
        with pytest.raises(DataError, match="column 'p' must hold numbers but line 3 has 'oops'"):
            read_series(path)

    @pytest.mark.parametrize("text", ["", "\n", "ds,y\n"])
    def test_an_empty_file_is_an_error(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(DataError, match=r"data\.csv"):
            read_series(write(tmp_path, text), target="y")

    def test_all_missing_target_is_an_error(self) -> None:
        with pytest.raises(DataError, match="target 'y' must have a value somewhere"):
            read_series(pl.DataFrame({"y": [None, None]}, schema={"y": pl.Float64}))

    def test_a_constant_series_is_noted(self) -> None:
        table = read_series(pl.DataFrame({"y": [3.0, 3.0, 3.0]}))
        assert any("1 of 1 series never change: 'y'" in note for note in table.notes)

    def test_infinite_values_are_an_error(self) -> None:
        with pytest.raises(DataError, match="column 'y' must be finite but is infinite at row 1"):
            read_series(pl.DataFrame({"y": [1.0, float("inf")]}))

    def test_missing_time_is_an_error(self, tmp_path: Path) -> None:
        path = write(tmp_path, "ds,y\n2024-01-01,1\n,2\n")
        with pytest.raises(DataError, match="column 'ds' must be filled in every row but is empty at line 3"):
            read_series(path)

    @pytest.mark.parametrize(
        ("stamps", "told"),
        [
            (["01.02.2024", "02.02.2024"], r"must hold ISO dates.*'01\.02\.2024'"),
            (["2024-01-01", "2024-13-01"], "must all look like '2024-01-01' but row 1 has '2024-13-01'"),
        ],
    )
    def test_unreadable_times_are_an_error(self, stamps: list[str], told: str) -> None:
        with pytest.raises(DataError, match=told):
            read_series(pl.DataFrame({"ds": stamps, "y": [1.0, 2.0]}))

    def test_a_damaged_file_is_an_error(self, tmp_path: Path) -> None:
        path = tmp_path / "data.parquet"
        path.write_bytes(b"not parquet at all")
        with pytest.raises(DataError, match=r"data\.parquet could not be read as a table"):
            read_series(path, target="y")

    def test_a_step_of_the_wrong_kind_is_an_error(self) -> None:
        with pytest.raises(DataError, match="the step is 1h but time is counted"):
            read_series(pl.DataFrame({"y": [1.0, 2.0]}), frequency="1h")

    def test_one_dated_row_needs_a_step(self) -> None:
        with pytest.raises(DataError, match="name it with frequency="):
            read_series(daily(y=[1.0]))

    def test_a_column_with_two_roles_is_an_error(self) -> None:
        with pytest.raises(DataError, match="a column has one role but p was given several"):
            read_series(daily(y=[1.0], p=[1.0]), future=["p"], past=["p"])

    def test_an_unknown_choice_is_an_error(self) -> None:
        with pytest.raises(ConfigError, match="did you mean 'missing'"):
            read_series(daily(y=[1.0]), gaps="mising")  # type: ignore[arg-type]  # the user's typo

    def test_time_in_a_pandas_index_is_not_overlooked(self) -> None:
        frame = pd.DataFrame({"y": [1.0, 2.0]}, index=pd.date_range("2024-01-01", periods=2, tz="UTC"))
        with pytest.raises(DataError, match=r"reset_index\(\)"):
            read_series(frame)
        assert read_series(frame.reset_index(), time="index").frequency.step == "1d"

    def test_what_is_no_table_is_an_error(self) -> None:
        with pytest.raises(
            DataError, match="must be a path or a frame of pandas, Polars or Arrow but is a list"
        ):
            read_series([1.0, 2.0])
