"""Where training ends, validation ends and the test ends, in time order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lamina.data.series import SeriesTable
from lamina.errors import ConfigError, DataError

# A series this many horizons long is split by fractions; a shorter one gives up single horizons.
LONG_SERIES_HORIZONS = 20
DEFAULT_FRACTION = 0.15
# History before the first forecast row, without which there is nothing to forecast from.
LEAST_HISTORY = 2


@dataclass(frozen=True, eq=False)
class Cuts:
    """Ends of the parts of every series, in rows from its start, (n,) int64 each.

    Rows [0, train_end) train, [train_end, validation_end) validate, [validation_end, end) test.
    """

    train_end: np.ndarray
    validation_end: np.ndarray
    end: np.ndarray
    horizon: int

    def train_mask(self, table: SeriesTable) -> np.ndarray:
        """(rows,) bool: the row belongs to a training part."""
        place = np.arange(table.rows) - np.repeat(table.starts[:-1], table.lengths)
        mask: np.ndarray = place < np.repeat(self.train_end, table.lengths)
        return mask

    @property
    def rows(self) -> dict[str, int]:
        """Rows of all series in each part."""
        return {
            "train": int(self.train_end.sum()),
            "validation": int((self.validation_end - self.train_end).sum()),
            "test": int((self.end - self.validation_end).sum()),
        }


def split_in_time(
    table: SeriesTable,
    *,
    horizon: int,
    validation: float | int | None = None,
    test: float | int | None = None,
) -> Cuts:
    """Cut every series into a training, a validation and a test part, in this order of time.

    A series of at least 20 horizons gives its last 15 % to the test and the 15 % before to
    validation; a shorter one gives one horizon to each.

    Args:
        table: the series.
        horizon: steps to forecast at once; no part is shorter.
        validation: rows (int) or share (float below 1) of every series; default as above.
        test: likewise.

    Raises:
        DataError: a series is too short, with the largest horizon that it permits.
        ConfigError: the horizon or a size is out of range.
    """
    if horizon < 1:
        raise ConfigError(f"horizon is at least 1 step but is {horizon}; use a positive number")
    lengths = table.lengths
    long = lengths >= LONG_SERIES_HORIZONS * horizon
    default = np.where(long, np.maximum(np.rint(DEFAULT_FRACTION * lengths), horizon), horizon).astype(
        np.int64
    )
    test_rows = _part_rows("test", test, lengths, horizon, default)
    validation_rows = _part_rows("validation", validation, lengths, horizon, default)
    train_end = lengths - test_rows - validation_rows
    _check_history(table, train_end, horizon, given=validation is not None or test is not None)
    return Cuts(train_end, lengths - test_rows, lengths.copy(), horizon)


def _part_rows(
    part: str, asked: float | int | None, lengths: np.ndarray, horizon: int, default: np.ndarray
) -> np.ndarray:
    if asked is None:
        return default
    if isinstance(asked, int):
        if asked < horizon:
            raise ConfigError(
                f"the {part} part holds at least one horizon ({horizon} rows) but has {asked}; give it "
                f"more rows "
                f"or forecast fewer steps"
            )
        return np.full(len(lengths), asked, dtype=np.int64)
    if not 0 < asked < 1:
        raise ConfigError(
            f"{part} is a share between 0 and 1, or whole rows, but is {asked}; use one of these"
        )
    return _share(asked, lengths, horizon)


def _share(fraction: float, lengths: np.ndarray, horizon: int) -> np.ndarray:
    rows: np.ndarray = np.maximum(np.rint(fraction * lengths), horizon).astype(np.int64)
    return rows


def _check_history(table: SeriesTable, train_end: np.ndarray, horizon: int, *, given: bool) -> None:
    """Every series keeps some history, and one of them a whole training example."""
    if train_end.min() >= LEAST_HISTORY and train_end.max() >= LEAST_HISTORY + horizon:
        return
    shortest, longest = int(table.lengths.argmin()), int(table.lengths.argmax())
    largest = min(
        (int(table.lengths[shortest]) - LEAST_HISTORY) // 2,
        (int(table.lengths[longest]) - LEAST_HISTORY) // 3,
    )
    culprit = int(train_end.argmin())
    step = (
        "give validation and test fewer rows"
        if given and largest >= horizon
        else f"use a horizon of at most {largest}"
        if largest >= 1
        else "add rows or leave the series out"
    )
    raise DataError(
        f"a series must hold training rows beside a validation and a test part of at least {horizon} rows "
        f"each, "
        f"but series '{table.ids[culprit]}' has {table.lengths[culprit]} rows; {step}"
    )
