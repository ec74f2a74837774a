"""Intervals whose coverage holds while the stream changes, and anomaly scores from the same errors."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from lamina.errors import ConfigError

STEP = 0.05
"""How far the level moves after a row. Of 0.02, 0.05 and 0.1, and of a weighted choice among them, this kept
to its share best at the least width on the streams that no benchmark reports (docs/online.md)."""

ERRORS = 500
"""Past errors that quantiles are taken of."""

WARM_UP = 10
"""Errors that must be known before quantiles are taken of them."""


class AdaptiveIntervals:
    """Bounds around one-step forecasts that cover a stated share of the values, whatever the stream does.

    Adaptive conformal inference: the interval is the forecast plus the ``a/2`` and ``1 - a/2`` quantiles of
    the last 500 errors, and after each row the level moves by how the value fell,

        a <- a + STEP ((1 - level) - outside),   outside = 1 where the value was not covered, else 0

    so that over n rows the share outside differs from ``1 - level`` by at most ``(1 + STEP) / (STEP n)``,
    without any assumption on the stream.

    Args:
        level: share of the values to cover, such as 0.9.

    Source: Gibbs & Candès 2021, arXiv:2106.00170, proposition 4.1 for the bound.

    >>> intervals = AdaptiveIntervals(level=0.9)
    >>> inside = 0
    >>> for value in np.random.default_rng(0).normal(size=2000):
    ...     low, high = intervals.around(0.0)
    ...     inside += low <= value <= high
    ...     intervals.learn(0.0, value)
    >>> bool(abs(inside / 2000 - 0.9) < 0.015)
    True
    """

    def __init__(self, level: float = 0.9) -> None:
        if not 0 < level < 1:
            raise ConfigError(f"level is a share between 0 and 1 but is {level}; write 0.9 for 90 %")
        self.miss = 1.0 - level
        self._now = self.miss
        self._errors: deque[float] = deque(maxlen=ERRORS)
        self._sorted: list[float] = []
        self.rows = 0

    def around(self, forecast: float) -> tuple[float, float]:
        """The interval around a forecast of the next value; endless before ten errors are known."""
        if len(self._errors) < WARM_UP:
            return -math.inf, math.inf
        low, high = self._quantiles()
        return forecast + low, forecast + high

    def learn(self, forecast: float, value: float) -> None:
        """Learn how far a forecast was from the value; NaN changes nothing."""
        error = value - forecast
        if math.isnan(error):
            return
        if len(self._errors) >= WARM_UP:
            low, high = self._quantiles()
            self._now += STEP * (self.miss - (not low <= error <= high))
        self._errors.append(error)
        self._sorted = []
        self.rows += 1

    def score(self, forecast: float, value: float) -> float:
        """How unusual a value is: the share of the last errors that were smaller than this one's, 0 to 1.

        Raising an alarm above ``1 - q`` gives alarms at a rate of about q while nothing changes; the
        threshold adapts since the errors it stands on are the last 500.
        """
        if len(self._errors) < WARM_UP:
            return 0.0
        return float(np.mean(np.abs(np.array(self._errors)) < abs(value - forecast)))

    def _quantiles(self) -> tuple[float, float]:
        """The a/2 and 1 - a/2 quantiles of the errors; endless where a is 0 or less."""
        if self._now <= 0:
            return -math.inf, math.inf
        if not self._sorted:
            self._sorted = sorted(self._errors)
        n = len(self._sorted)
        rank = math.floor((n + 1) * min(self._now, 1.0) / 2)
        if rank == 0:
            return -math.inf, math.inf
        return self._sorted[rank - 1], self._sorted[n - rank]
