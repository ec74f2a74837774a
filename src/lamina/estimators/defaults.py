"""What an estimator chooses where the user left it open. Every choice can be read off the fitted estimator."""

from __future__ import annotations

import math

import numpy as np

from lamina.data.series import SeriesTable
from lamina.data.splits import DEFAULT_FRACTION, LEAST_HISTORY, LONG_SERIES_HORIZONS, Cuts
from lamina.data.windows import Windows, training_windows


def hold_out(table: SeriesTable, *, horizon: int) -> Cuts:
    """A training and a validation part, and no test part.

    A series of at least 20 horizons gives its last 15 % to validation, a shorter one its last horizon, and
    one too short for both only trains.
    """
    lengths = table.lengths
    share = np.where(
        lengths >= LONG_SERIES_HORIZONS * horizon,
        np.maximum(np.rint(DEFAULT_FRACTION * lengths).astype(np.int64), horizon),
        horizon,
    )
    enough = lengths >= 2 * horizon + LEAST_HISTORY
    return Cuts(np.where(enough, lengths - share, lengths), lengths.copy(), lengths.copy(), horizon)


def training_examples(
    table: SeriesTable, cuts: Cuts, *, input_size: int, horizon: int
) -> tuple[Windows, bool]:
    """Training windows, and whether some begin before their series.

    A series long enough for two horizons of whole windows gives only those; a shorter one also gives windows
    that are padded on the left.
    """
    every = training_windows(table, cuts, input_size=input_size, horizon=horizon)
    whole = every.origins - table.starts[every.series] >= input_size
    counts = np.bincount(every.series[whole], minlength=table.n_series)
    kept = whole | (counts < 2 * horizon)[every.series]
    windows = Windows(table, input_size, horizon, every.origins[kept], every.series[kept])
    return windows, not bool(whole[kept].all())


def window_form(table: SeriesTable, train_end: np.ndarray, *, horizon: int) -> tuple[int, int]:
    """Steps of the past to read, and how many of them make one step of the recurrence.

    The window holds three horizons and two of the longest season of which the typical training part still
    has three windows; where it is longer than 48 steps, it is read in segments of the shortest season (or
    about an eighth of the window), so that a recurrence of few steps spans it.

    Returns:
        (input_size, segment), the first a multiple of the second.
    """
    history = float(np.median(train_end))
    seasons = table.frequency.seasons
    wanted = 3 * horizon
    for season in seasons:
        if 2 * season * 3 <= history:
            wanted = max(wanted, 2 * season)
    most = max(2, int((history - horizon) / 2)) if history > horizon else 2
    length = max(2, min(wanted, most, 1024))
    if length <= 48:
        return length, 1
    fitting = [season for season in seasons if 4 <= season <= length // 3]
    segment = fitting[0] if fitting else max(1, round(length / 16))
    return max(1, math.ceil(length / segment)) * segment, segment
