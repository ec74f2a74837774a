"""Quantiles of a forecaster that keep their coverage while a series changes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamina.errors import ConfigError
from lamina.streaming import kernels
from lamina.streaming.adaptive import ERRORS, STEP, WARM_UP
from lamina.streaming.state import Stateful

Array = NDArray[np.float64]

_SMALLEST = 1e-9
"""The least spread that errors are divided by, in units of the largest forecast."""


class AdaptiveQuantiles(Stateful):
    """Bounds of one series' forecasts, set by how its last values fell.

    Adaptive conformal inference, for each level q and each step of the horizon apart. Errors of the median
    are measured in the spread of the model's own forecast (its widest interval), so a bound is

        median + spread e,   e = the a-quantile of the last 500 errors of that step

    and a, at first q, moves after each value that is not on the bound: ``a <- a + STEP (q - below)``, below =
    1 where the value was below the bound. Where a is beyond the errors at hand, e is the outermost one, and
    from one STEP beyond on grows by its distance from the median error for each STEP more; where the two are
    equal, a stops at one STEP beyond. So over n values the share below a bound exceeds q, and the share at
    most the bound falls short of it, by no more than a constant over n, unless errors outgrow all before them
    without end. The median stays the model's; where that is far off, an interval may lie to one side of it.
    All levels are the model's until ten errors are known.

    Args:
        levels: of the bounds, ascending, with 0.5 among them.
        given: levels of the model's quantiles, ascending, at least as wide; between them lines are drawn.
        horizon: steps of a forecast.

    Sources: Gibbs & Candès 2021, arXiv:2106.00170; errors in units of a model's own spread: Lei et al. 2018,
    doi:10.1080/01621459.2017.1307116, section 5.2.
    """

    kept = ("rows", "counts", "_errors", "_ordered", "_now", "_medians", "_spreads", "_bounds")

    def __init__(self, levels: Sequence[float], given: Sequence[float], horizon: int) -> None:
        self._given = np.array(given)
        self.levels = np.array(levels)
        self.horizon = horizon
        self.rows = 0
        self.counts = np.zeros(horizon, np.int64)  # values seen by each step's forecasts
        self._middle = list(levels).index(0.5)
        self._errors = np.full(
            (horizon, ERRORS), np.nan, np.float32
        )  # as they came, the newest over the oldest
        self._ordered = self._errors.copy()  # the same, ascending
        self._now = np.tile(self.levels, (horizon, 1))  # (horizon, levels)
        # forecasts by the row they were made at, (rows, horizon[, levels]); of row r at r modulo horizon
        self._medians = np.full((horizon, horizon), np.nan)
        self._spreads = np.full((horizon, horizon), np.nan)
        self._bounds = np.full((horizon, horizon, len(levels)), np.nan)

    def learn(self, value: float, skipped: int = 0) -> None:
        """Learn the next value, NaN where missing, after some rows that were left out."""
        for _ in range(min(skipped, self.horizon)):
            self._pass()
        if not math.isnan(value):
            kernels.judge(
                value,
                self.rows,
                self.levels,
                self.counts,
                self._errors,
                self._ordered,
                self._now,
                self._medians,
                self._spreads,
                self._bounds,
                STEP,
                WARM_UP,
            )
        self._pass()

    def _pass(self) -> None:
        """A row goes by; until ``around`` there is no forecast made at it."""
        self._medians[self.rows % self.horizon] = np.nan
        self.rows += 1

    def around(self, quantiles: Array) -> Array:
        """The bounds of the forecast made after the last row: (horizon, given) -> (horizon, levels)."""
        place = (self.rows - 1) % self.horizon
        kernels.bound(
            quantiles,
            self._given,
            self.levels,
            self._middle,
            self.counts,
            self._ordered,
            self._now,
            self._medians[place],
            self._spreads[place],
            self._bounds[place],
            _SMALLEST,
            STEP,
            WARM_UP,
        )
        found: Array = self._bounds[place].copy()
        return found


class AdaptiveKeys:
    """``AdaptiveQuantiles`` of each key.

    Args:
        percent: central intervals whose coverage is kept.
        given: levels of the model's quantiles.
        horizon: steps of a forecast.

    Raises:
        ConfigError: an interval that is none, or wider than the model's quantiles.
    """

    def __init__(self, percent: Sequence[float], given: Sequence[float], horizon: int) -> None:
        tails = {(100 - each) / 200 for each in percent}
        if not all(0 < tail < 0.5 for tail in tails):
            raise ConfigError(
                f"adaptive intervals are between 0 and 100 percent but are {', '.join(map(str, percent))}. "
                "Use for example adaptive=[80, 90]."
            )
        if min(tails) < max(given[0], 1 - given[-1]) - 1e-9:
            raise ConfigError(
                f"this model forecasts quantiles from {given[0]:g} to {given[-1]:g}, narrower than an "
                f"interval of {max(percent):g} %. Fit with wider quantiles=."
            )
        self.percent = tuple(sorted(set(percent)))
        self.levels = tuple(sorted({*tails, 0.5, *(1 - tail for tail in tails)}))
        self._given = tuple(given)
        self._horizon = horizon
        self._keys: dict[str, AdaptiveQuantiles] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def of(self, key: str) -> AdaptiveQuantiles:
        """Those of a key; new ones for a new key."""
        found = self._keys.get(key)
        if found is None:
            found = self._keys[key] = AdaptiveQuantiles(self.levels, self._given, self._horizon)
        return found

    def forget(self, key: str) -> None:
        """Let a key start anew."""
        self._keys.pop(key, None)

    def keep(self, keys: Sequence[str]) -> None:
        """Forget all other keys."""
        self._keys = {key: self._keys[key] for key in keys if key in self._keys}

    @property
    def key_bytes(self) -> int:
        """What the numbers of one key take."""
        horizon, levels = self._horizon, len(self.levels)
        return 2 * 4 * ERRORS * horizon + 8 * horizon * (1 + levels + horizon * (2 + levels))

    def state(self) -> dict[str, Any]:
        """Key -> state."""
        return {"keys": list(self._keys), "states": [each.state() for each in self._keys.values()]}

    def take(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._keys = {}
        for key, then in zip(state["keys"], state["states"], strict=True):
            self.of(key).take(then)
