"""Methods a recurrent network has to beat: how each is run, and what they share.

Those for forecasts are in forecast_baselines.py and lag_baselines.py, for labelled sequences in
sequence_baselines.py, for texts in text_baselines.py. A method tells in ``notes`` every cap it needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lamina.errors import DataError

Array = NDArray[np.float64]
FIT_SHARE = 0.6  # of a deadline that fitting takes at most; the rest is for one call of predict


@dataclass(frozen=True, eq=False)
class BaselineRun:
    """How a baseline did: its predictions by part, or why there are none."""

    name: str
    outcome: Literal["complete", "failed"]
    predictions: tuple[Array, ...]
    train_s: float
    predict_s: float
    notes: tuple[str, ...] = ()
    reason: str = ""


def run_baseline(
    name: str, fit: Callable[[], object], predict: list[Callable[[], Array]], notes: list[str]
) -> BaselineRun:
    """Fit a method and make its predictions, timed; a failure is an outcome, not an error."""
    begin = fitted = time.perf_counter()
    try:
        fit()
        fitted = time.perf_counter()
        predictions = tuple(one() for one in predict)
    except Exception as error:
        # Whatever a foreign package raises on odd data, the study goes on and tells.
        seconds = time.perf_counter() - begin
        return BaselineRun(name, "failed", (), seconds, 0.0, tuple(notes), f"{type(error).__name__}: {error}")
    done = time.perf_counter()
    return BaselineRun(name, "complete", predictions, fitted - begin, done - fitted, tuple(notes))


def filled(history: Array) -> Array:
    """History with gaps on straight lines between observed values, flat at its ends."""
    seen = np.flatnonzero(~np.isnan(history))
    if len(seen) == len(history):
        return history
    if not len(seen):
        raise DataError("a series needs an observed value in its history but has none; leave it out")
    whole: Array = np.interp(np.arange(len(history)), seen, history[seen])
    return whole
