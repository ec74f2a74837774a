"""Which training examples a run sees: a share of them, and a bootstrap sample of those.

Seeds, initialisation, order and sample vary together between the repeats of a design, so that the spread of
its scores holds all that chance does in training (Bouthillier et al. 2021, arXiv:2103.03098).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lamina.data.windows import Windows

Indices = NDArray[np.int64]


def newest(series: Indices, share: float) -> Indices:
    """Positions of the newest share of each series' windows, at least one of each.

    >>> newest(np.array([0, 0, 0, 0, 1, 1]), 0.5).tolist()
    [2, 3, 5]
    """
    counts = np.bincount(series)
    ends = np.cumsum(counts)
    kept = np.ceil(share * counts).astype(np.int64)
    return np.flatnonzero(np.arange(len(series)) >= (ends - kept)[series])


def moving_blocks(series: Indices, length: int, generator: np.random.Generator) -> Indices:
    """A moving-block bootstrap of windows: positions of as many as there are of each series.

    Runs of ``length`` neighbours are drawn with replacement, each from one series; the last run of a series
    is cut short.

    Args:
        series: (windows,) the series of each, equal values adjacent and in order of time.

    Source: Künsch 1989, doi:10.1214/aos/1176347265.
    """
    drawn = []
    begins = np.flatnonzero(np.r_[True, series[1:] != series[:-1]])
    for begin, stop in zip(begins, [*begins[1:], len(series)], strict=True):
        count = stop - begin
        size = min(length, count)
        firsts = generator.integers(begin, stop - size + 1, size=-(-count // size))
        drawn.append((firsts[:, None] + np.arange(size)).ravel()[:count])
    chosen: Indices = np.concatenate(drawn).astype(np.int64)
    return chosen


def draw_windows(windows: Windows, share: float, generator: np.random.Generator | None) -> Windows:
    """The newest share of each series' windows, and a moving-block bootstrap of those with a generator.

    A block is as long as a horizon, as far as neighbouring windows share what they forecast.
    """
    chosen = newest(windows.series, share)
    if generator is not None:
        chosen = chosen[moving_blocks(windows.series[chosen], windows.horizon, generator)]
    return Windows(
        windows.table, windows.input_size, windows.horizon, windows.origins[chosen], windows.series[chosen]
    )


def stratified(labels: Indices, share: float) -> Indices:
    """Positions of a share of each class, at least one of each, evenly spread over its sequences.

    >>> stratified(np.array([0, 0, 0, 0, 1, 1]), 0.5).tolist()
    [0, 2, 4]
    """
    chosen = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = max(1, round(share * len(members)))
        chosen.append(members[(np.arange(count) * len(members)) // count])
    return np.sort(np.concatenate(chosen))


def draw_sequences(
    labels: Indices,
    groups: NDArray[np.generic] | None,
    share: float,
    generator: np.random.Generator | None,
) -> Indices:
    """Positions of a share of each class, and a bootstrap of those with a generator; groups stay together."""
    chosen = stratified(labels, share)
    if generator is None:
        return chosen
    if groups is None:
        return np.sort(generator.choice(chosen, size=len(chosen)))
    names, member = np.unique(groups[chosen], return_inverse=True)
    drawn = generator.integers(len(names), size=len(names))
    return np.concatenate([chosen[member == group] for group in np.sort(drawn)])
