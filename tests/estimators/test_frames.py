from __future__ import annotations

from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from lamina.estimators.frames import Kind, as_kind, kind_of

FRAME = pl.DataFrame({"ds": [1, 2], "y": [0.5, 1.5], "name": ["a", "b"]})


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (FRAME, "polars"),
        (FRAME.lazy(), "polars"),
        (pd.DataFrame(), "pandas"),
        (pa.table({"y": [1]}), "arrow"),
        (Path("data.csv"), "polars"),
        ("data.parquet", "polars"),
    ],
)
def test_the_answer_is_of_the_kind_that_came_in(source: object, kind: Kind) -> None:
    assert kind_of(source) == kind


def test_values_are_the_same_in_every_kind() -> None:
    assert as_kind(FRAME, "polars") is FRAME
    assert as_kind(FRAME, "arrow").to_pydict() == FRAME.to_dict(as_series=False)
    frame = as_kind(FRAME, "pandas")
    assert isinstance(frame, pd.DataFrame)
    assert frame.to_dict("list") == FRAME.to_dict(as_series=False)
