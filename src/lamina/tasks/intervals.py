"""Intervals whose coverage is calibrated on held-out windows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lamina.errors import ConfigError

Array = NDArray[np.float64]


def calibrate(quantiles: tuple[float, ...], forecast: Array, target: Array, scale: Array) -> Array:
    """What to add to each scaled quantile so that it covers held-out targets as often as it says.

    Split conformal, one side at a time, pooled over windows and apart for each step: the correction of level
    q is the q-quantile (with the finite-sample rank ``ceil((n + 1) q)``) of (target - forecast) / scale.

    Args:
        quantiles: levels, ascending.
        forecast: (windows, horizon, quantiles).
        target: (windows, horizon), NaN where missing.
        scale: each window's scale, (windows, 1).

    Returns:
        corrections in units of the scale, (horizon, quantiles); 0 for the median, which stays as trained,
        and 0 where fewer than ten targets are held out.

    Source: Romano, Patterson & Candès 2019 (arXiv:1905.03222), with an additive correction a level.
    """
    gaps = (target[..., None] - forecast) / scale[..., None]
    corrections = np.zeros(forecast.shape[1:])
    for step in range(forecast.shape[1]):
        for level, q in enumerate(quantiles):
            known = np.sort(gaps[:, step, level][~np.isnan(gaps[:, step, level])])
            n = len(known)
            if q == 0.5 or n < 10:
                continue
            rank = math.ceil((n + 1) * q) if q > 0.5 else math.floor((n + 1) * q)
            corrections[step, level] = known[min(max(rank, 1), n) - 1]
    return corrections


def interval(quantiles: tuple[float, ...], forecast: Array, level: float) -> tuple[Array, Array]:
    """Lower and upper bound of the central ``level`` percent, interpolated between the forecast quantiles.

    Args:
        quantiles: levels, ascending.
        forecast: (..., quantiles), ascending along the last axis.
        level: in percent, such as 80.

    Raises:
        ConfigError: for a level wider than the outermost quantiles.
    """
    tail = (100 - level) / 200
    widest = 100 * (1 - 2 * max(quantiles[0], 1 - quantiles[-1]))
    if not 0 < level < 100 or tail < quantiles[0] - 1e-9 or 1 - tail > quantiles[-1] + 1e-9:
        raise ConfigError(
            f"level must lie between 0 and {widest:g}, the widest interval of the forecast quantiles "
            f"{quantiles}, but is {level:g}. Fit with wider quantiles, or ask for level={widest:g}."
        )
    return _between(quantiles, forecast, tail), _between(quantiles, forecast, 1 - tail)


def _between(quantiles: tuple[float, ...], forecast: Array, q: float) -> Array:
    upper = int(np.searchsorted(quantiles, q - 1e-9))
    if abs(quantiles[upper] - q) < 1e-9:
        return forecast[..., upper]
    share = (q - quantiles[upper - 1]) / (quantiles[upper] - quantiles[upper - 1])
    result: Array = (1 - share) * forecast[..., upper - 1] + share * forecast[..., upper]
    return result
