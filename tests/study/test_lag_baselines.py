from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from lamina.data.series import SeriesTable, read_series
from lamina.data.splits import split_in_time
from lamina.data.windows import evaluation_windows
from lamina.study.lag_baselines import BoostedLags, LinearWindow

HORIZON, INPUT_SIZE = 5, 21


def sine() -> SeriesTable:
    """y[t] = 2 cos(0.3) y[t-1] - y[t-2] holds for any sine of this frequency."""
    days = np.datetime64("2024-01-01") + np.arange(240)
    return read_series(pl.DataFrame({"ds": days, "y": np.sin(0.3 * np.arange(240.0))}), target="y")


@pytest.mark.parametrize(("make", "most"), [(LinearWindow, 1e-3), (BoostedLags, 0.2)])
def test_a_linear_recurrence_is_found(make: type[LinearWindow | BoostedLags], most: float) -> None:
    table = sine()
    cuts = split_in_time(table, horizon=HORIZON)
    windows = evaluation_windows(table, cuts, part="test", input_size=INPUT_SIZE, horizon=HORIZON)
    model = make()
    model.fit(table, cuts, input_size=INPUT_SIZE, horizon=HORIZON, deadline_s=20.0, seed=0)
    truth = np.stack([table.y[origin : origin + HORIZON] for origin in windows.origins])
    error = np.abs(model.predict(windows) - truth).mean()
    assert error < most  # the mean size of a sine is 0.64
