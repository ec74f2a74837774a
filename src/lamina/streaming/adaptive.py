"""Intervals whose coverage holds while the stream changes, and anomaly scores from the same errors."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping
from typing import Any

import numpy as np
from typing_extensions import override

from lamina.errors import ConfigError
from lamina.streaming.inputs import is_number, shown
from lamina.streaming.state import Stateful

STEP = 0.05
"""How far the level moves after a row. Of 0.02, 0.05 and 0.1, and of a weighted choice among them, this kept
to its share best at the least width on the streams that no benchmark reports (docs/online.md)."""

ERRORS = 500
"""Past errors that quantiles are taken of."""

WARM_UP = 10
"""Errors that must be known before quantiles are taken of them."""

ALARMS = 0.01
"""The share of values that are to be unusual."""

_ALARM_STEP = ALARMS / 5
"""How far the threshold of scores moves after an alarm: the rank of one error among 500."""

_LEAST_THRESHOLD = 1.0 - 5 * ALARMS
_ROUNDING = 1e-9
"""(n + 1) a/2 may fall short of a whole number by rounding alone."""


class AdaptiveIntervals(Stateful):
    """Bounds around one-step forecasts that cover at least a stated share of the values of a changing stream.

    Adaptive conformal inference: the interval is the forecast plus the ``a/2`` and ``1 - a/2`` quantiles of
    the last 500 errors, and after each row the level moves by how the value fell,

        a <- min(a + STEP ((1 - level) - outside), 1),   outside = 1 where the value was not covered, else 0

    Over any n rows, once enough errors are known, the share outside exceeds ``1 - level`` by at most
    ``(1 + STEP) / (STEP n)``, on any stream. It falls short of it by more only where a stops at 1: there the
    interval is the middle error alone, and holds the values of a series that stands still.

    Args:
        level: share of the values to cover, such as 0.9.

    Attributes:
        rows: errors learned.
        threshold: a score above it is unusual; it moves so that about one value in a hundred is.

    Source: Gibbs & Candès 2021, arXiv:2106.00170, proposition 4.1 for the bound; stopping at 1 is ours.

    >>> intervals = AdaptiveIntervals(level=0.9)
    >>> inside = 0
    >>> for value in np.random.default_rng(0).normal(size=2000):
    ...     low, high = intervals.around(0.0)
    ...     inside += low <= value <= high
    ...     intervals.learn(0.0, value)
    >>> bool(abs(inside / 2000 - 0.9) < 0.015)
    True
    """

    kept = ("rows", "threshold", "_now", "_errors")

    def __init__(self, level: float = 0.9) -> None:
        if not is_number(level) or not 0 < level < 1:
            raise ConfigError(f"level is a share between 0 and 1 but is {shown(level)}; write 0.9 for 90 %")
        self.miss = 1.0 - level
        self.rows = 0
        self.threshold = 1.0 - ALARMS
        self._now = self.miss
        self._errors = np.full(ERRORS, np.nan)  # the newest over the oldest
        self._ordered: list[float] = []

    @property
    def ready(self) -> bool:
        """Whether enough errors are known for an interval of this level to end: 19 for 0.9."""
        return self.rows >= WARM_UP and self._rank(self.miss) > 0

    def around(self, forecast: float) -> tuple[float, float]:
        """The interval around a forecast of the next value; endless before it is ``ready``."""
        low, high = self._quantiles()
        return forecast + low, forecast + high

    def learn(self, forecast: float, value: float) -> None:
        """Learn how far a forecast was from the value; NaN changes nothing."""
        error = float(value - forecast)
        if math.isnan(error):
            return
        if self.ready:
            low, high = self._quantiles()
            self._now = min(self._now + STEP * (self.miss - (not low <= error <= high)), 1.0)
            moved = self.threshold + _ALARM_STEP * ((self.score(forecast, value) > self.threshold) - ALARMS)
            self.threshold = min(max(moved, _LEAST_THRESHOLD), 1.0)
        place = self.rows % ERRORS
        if self.rows >= ERRORS:
            del self._ordered[bisect_left(self._ordered, self._errors[place])]
        self._errors[place] = error
        insort(self._ordered, error)
        self.rows += 1

    def score(self, forecast: float, value: float) -> float:
        """How unusual a value is: the share of the last errors that were smaller than this one's, 0 to 1.

        0 before it is ``ready``, and where the value is NaN.
        """
        error = abs(value - forecast)
        if not self.ready or not error > 0:
            return 0.0
        smaller = bisect_left(self._ordered, error) - bisect_right(self._ordered, -error)
        return smaller / len(self._ordered)

    def _rank(self, level: float) -> int:
        """Which error from either end bounds an interval; 0 where too few are known."""
        return math.floor((min(self.rows, ERRORS) + 1) * level / 2 + _ROUNDING)

    def _quantiles(self) -> tuple[float, float]:
        """The a/2 and 1 - a/2 quantiles of the errors; endless where too few are known, or a is 0 or less."""
        rank = self._rank(self._now)
        if not self.ready or rank <= 0:
            return -math.inf, math.inf
        return self._ordered[rank - 1], self._ordered[-rank]

    @override
    def take(self, state: Mapping[str, Any]) -> None:
        super().take(state)
        self._ordered = sorted(self._errors[: min(self.rows, ERRORS)].tolist())
