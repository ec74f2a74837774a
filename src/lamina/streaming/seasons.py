"""Seasons of a series, found in the numbers alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SHORTEST = 4
CYCLES = 3
"""A season counts only where the rows at hand hold this many of it."""


def find_seasons(values: Array, most: int = 2) -> tuple[int, ...]:
    """At most ``most`` season lengths in rows, strongest first; empty where none stands out.

    The autocorrelation of first differences must peak at the season, above 0.25 and above three times
    its standard error under independence, ``3 / sqrt(n)``.

    Args:
        values: (rows,) without NaN, oldest first.

    >>> hours = np.arange(240.0)
    >>> find_seasons(np.sin(2 * np.pi * hours / 24), most=1)
    (24,)
    >>> find_seasons(np.random.default_rng(0).normal(size=240))
    ()
    """
    steps = np.diff(values)
    steps -= steps.mean()
    n, power = len(steps), float(steps @ steps)
    if power <= 0 or n // CYCLES <= SHORTEST + 1:
        return ()
    spectrum = np.fft.rfft(steps, 1 << (2 * n - 1).bit_length())
    lags = np.arange(n // CYCLES + 1)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[: len(lags)] / power * n / (n - lags)
    inner = np.arange(SHORTEST, len(lags) - 1)
    here = correlation[inner]
    peaks = inner[
        (here >= correlation[inner - 1])
        & (here >= correlation[inner + 1])
        & (here > max(0.25, 3 / np.sqrt(n)))
    ]
    found: list[int] = []
    for lag in peaks[np.argsort(-correlation[peaks], kind="stable")]:
        if len(found) < most and all(abs(lag - other) > max(2, 0.05 * other) for other in found):
            found.append(int(lag))
    return tuple(found)
