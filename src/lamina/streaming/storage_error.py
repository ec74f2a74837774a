"""What weights in fewer bits cost on rows of one's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from lamina.errors import ConfigError, DataError
from lamina.streaming.forecast_session import Forecast
from lamina.streaming.session import Session


class StorageError(NamedTuple):
    """How far the answers of a session lie from those of another, in the unit of the answers.

    Attributes:
        rows: rows that both answered.
        largest: largest absolute difference of a number.
        mean: mean absolute difference.
        size: mean absolute number of the exact answers, to compare with.
    """

    rows: int
    largest: float
    mean: float
    size: float


def storage_error(session: Session, exact: Session, rows: Iterable[Any], *, key: str = "") -> StorageError:
    """Step two sessions of one model with the same rows, and compare their answers.

    Both go on from their states, so they should begin alike, and keep what they come to.

    Args:
        session: with weights in fewer bits, such as ``model.stream(storage="int8")``.
        exact: of the same model, such as ``model.stream()``.
        rows: as ``step`` reads them.
        key: what the rows belong to.

    Raises:
        ConfigError: the sessions are of different kinds.
        DataError: a row breaks a rule, or none was answered.
    """
    if type(session) is not type(exact):
        kinds = f"{type(session).__name__} and {type(exact).__name__}"
        raise ConfigError(f"sessions of one model are compared, but these are {kinds}.")
    count, numbers, largest, total, size = 0, 0, 0.0, 0.0, 0.0
    for row in rows:
        found, truth = session.step(row, key=key), exact.step(row, key=key)
        if found is None or truth is None:  # a window that is not full
            continue
        if isinstance(found, Forecast):
            found, truth = found.quantiles, truth.quantiles
        gaps = np.abs(np.asarray(found, np.float64) - truth)
        count, numbers, largest = count + 1, numbers + gaps.size, max(largest, float(gaps.max()))
        total, size = total + float(gaps.sum()), size + float(np.abs(truth).sum())
    if count == 0:
        raise DataError("no row was answered, so there is nothing to compare. Give more rows.")
    return StorageError(count, largest, total / numbers, size / numbers)
