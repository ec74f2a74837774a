from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from lamina.data.series import SeriesTable, read_series
from lamina.estimators.stored_table import ARRAYS, stored_table, table_fields, table_tensors


def dated() -> SeriesTable:
    frame = pl.DataFrame(
        {
            "unique_id": ["a"] * 4 + ["b"] * 3,
            "ds": [f"2024-01-0{d}" for d in (1, 2, 3, 4, 2, 3, 4)],
            "y": [1.0, None, 3.0, 1e300, -1.0, 0.1, 2.0],
            "promo": [0, 1, 0, 1, 1, 0, 1],
            "wind": ["N", "S", None, "N", "S", "N", "S"],
            "size": [5.0] * 4 + [6.0] * 3,
        }
    )
    return read_series(frame, future=["promo"], static=["size"])


@pytest.mark.parametrize("table", [dated(), read_series(pl.DataFrame({"y": [1.0, 2.0, 3.0]}))])
def test_a_table_comes_back_exactly(table: SeriesTable) -> None:
    fields = json.loads(json.dumps(table_fields(table)))
    again = stored_table(table_tensors(table), fields)
    for name in (*ARRAYS, "time"):
        ours, theirs = getattr(table, name), getattr(again, name)
        assert ours.dtype == theirs.dtype, name
        np.testing.assert_array_equal(theirs, ours)
    for name in (
        "ids",
        "future_names",
        "past_names",
        "static_names",
        "frequency",
        "target",
        "encoding",
        "notes",
    ):
        assert getattr(again, name) == getattr(table, name), name
