"""What an estimator chooses where the user left it open; the fitted estimator tells every choice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lamina.data.series import SeriesTable
from lamina.data.splits import DEFAULT_FRACTION, LEAST_HISTORY, LONG_SERIES_HORIZONS, Cuts
from lamina.data.windows import Windows, training_windows

LONGEST_WINDOW = 1024
LEAST_WINDOW = 24
UNSEGMENTED = 48  # a window without a season is read step by step up to this length


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


def window_form(table: SeriesTable, train_end: NDArray[np.int64], *, horizon: int) -> tuple[int, int]:
    """Steps of the past to read, and how many of them make one step of the recurrence.

    The window holds two horizons, and two of the longest season of which the typical training part has room
    for three; it is read in segments of the shortest season, or, where there is none, of about a sixteenth of
    a long window.

    Returns:
        (input_size, segment), the first a multiple of the second.

    Source: benchmarks/accuracy.py; on the validation part of M4 hourly two weeks beat one and three
    (MASE 0.99, 1.04 and 0.99), and on tourism monthly 48 months beat 36 and 24 (1.73, 1.75 and 1.77).
    """
    room = max(2.0, (float(np.median(train_end)) - horizon) / 1.5)
    seasons = [season for season in table.frequency.seasons if 2 * season <= min(room, LONGEST_WINDOW)]
    length = max(2 * horizon, LEAST_WINDOW, *(2 * season for season in seasons), 0)
    length = int(min(length, room, LONGEST_WINDOW))
    fitting = [season for season in seasons if 4 <= season <= length // 2]
    segment = fitting[0] if fitting else max(1, round(length / 16)) if length > UNSEGMENTED else 1
    return max(1, round(length / segment)) * segment, segment
