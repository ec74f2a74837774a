"""Stretches of rows that two parts have in common: the sign of overlapping windows and of pasted rows.

Each run of ``length`` rows is reduced to one number, its fingerprint; two parts share a run where
fingerprints agree. Runs with little in them (constants, ramps, a few repeated values) agree by chance and do
not count.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

RESOLUTION = 1_000  # steps of a run's own range that tell two scaled runs apart
CHUNK_VALUES = 4_000_000
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def shared_runs(
    known: Sequence[NDArray[np.floating]],
    asked: Sequence[NDArray[np.floating]],
    *,
    length: int,
    stride: int = 1,
    scaled: bool = False,
) -> NDArray[np.float64]:
    """(len(asked),) share of each sequence's runs that stand in a known sequence.

    Args:
        known, asked: sequences, (rows, features) each; missing values equal missing values.
        length: rows of a run; a sequence that is shorter shares none.
        stride: rows between the runs asked for.
        scaled: runs also agree that differ in offset and scale alone, feature by feature.

    >>> rows = np.random.default_rng(0).normal(size=(40, 1))
    >>> shared_runs([rows[:30]], [rows[20:], rows[30:] + 1, rows[:8]], length=8).round(2).tolist()
    [0.23, 0.0, 1.0]
    """
    runs = [_runs(sequence, length)[::stride] for sequence in asked]
    owner = np.repeat(np.arange(len(asked)), [len(one) for one in runs])
    prints = _joined([_fingerprints(one, scaled=scaled) for one in runs])
    pool = np.unique(_joined([_fingerprints(_runs(one, length), scaled=scaled) for one in known]))
    found = np.isin(prints, pool)
    for i in np.unique(owner[found]):
        mine = owner == i
        here = found[mine]
        here[here] = _is_rich(runs[i][here], scaled=scaled)
        found[mine] = here
    of_each = np.bincount(owner, minlength=len(asked))
    share: NDArray[np.float64] = np.bincount(owner, found, minlength=len(asked)) / np.maximum(of_each, 1)
    return share


def shape(sequence: NDArray[np.floating]) -> tuple[int, int] | None:
    """Length, and a number for the whole sequence up to offset and scale; None where it is too plain."""
    run = _runs(sequence, len(sequence))
    if not _is_rich(run, scaled=True)[0]:
        return None
    return len(sequence), int(_fingerprints(run, scaled=True)[0])


def _runs(sequence: NDArray[np.floating], length: int) -> NDArray[np.float32]:
    """(rows - length + 1, features, length), a view; (0, features, length) of a shorter sequence."""
    values = np.asarray(sequence, np.float32)
    if len(values) < length:
        return np.zeros((0, values.shape[1], length), np.float32)
    return sliding_window_view(values, length, axis=0)


def _fingerprints(runs: NDArray[np.float32], *, scaled: bool) -> NDArray[np.int64]:
    """(runs,) a number each, the same for equal runs."""
    size = max(1, CHUNK_VALUES // (runs.shape[1] * runs.shape[2]))
    parts = []
    for first in range(0, len(runs), size):
        digits = _digits(runs[first : first + size], scaled=scaled)
        flat = digits.reshape(len(digits), -1).astype(np.uint64)
        mixed = (flat ^ (flat >> np.uint64(29))) * _MULTIPLIER
        mixed ^= mixed >> np.uint64(32)
        # Odd weights that differ by place: the order of the values counts.
        weights = _MULTIPLIER * (2 * np.arange(flat.shape[1], dtype=np.uint64) + np.uint64(1))
        parts.append((mixed * weights).sum(axis=1, dtype=np.uint64).view(np.int64))
    return _joined(parts)


def _digits(runs: NDArray[np.float32], *, scaled: bool) -> NDArray[np.int64]:
    """Whole numbers that stand for the values: their bits, or their place in the range of their own run."""
    missing = np.isnan(runs)
    if not scaled:
        bits = np.where(missing, np.float32(0), runs).view(np.int32).astype(np.int64)
        return np.where(missing, np.int64(-1), bits)
    wide = np.where(missing, 0.0, runs.astype(np.float64))
    low, high = wide.min(axis=2, keepdims=True), wide.max(axis=2, keepdims=True)
    place: NDArray[np.float64] = RESOLUTION * (wide - low) / np.where(high > low, high - low, 1.0)
    return np.rint(place).astype(np.int64)


def _is_rich(runs: NDArray[np.float32], *, scaled: bool) -> NDArray[np.bool_]:
    """(runs,) whether a run has enough in it that another like it is no accident.

    Half of its values differ; of a scaled run, a quarter of its bends do, of which a ramp has none.
    """
    digits = _digits(runs, scaled=scaled)
    if scaled:
        digits = np.abs(np.diff(digits, n=2, axis=2))
    flat = np.sort(digits.reshape(len(digits), -1), axis=1)
    distinct = 1 + (np.diff(flat, axis=1) != 0).sum(axis=1)
    rich: NDArray[np.bool_] = distinct >= np.maximum(4, flat.shape[1] / (4 if scaled else 2))
    return rich


def _joined(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)
