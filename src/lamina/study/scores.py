"""What the statistics take: the scores of one candidate, and how the scored windows hang together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lamina.errors import ConfigError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Arm:
    """One candidate and its scores on the windows that all candidates of a question share.

    Args:
        name: what sentences call it, such as ``"gru"``, or the number of layers.
        scores: per-window score of every seed that trained, (seeds, windows); NaN where not evaluated.
        deterministic: no chance in its training, so that one row tells all.
        collapsed: seeds that failed to train; counted and told, not averaged in.
        train_s: seconds to train one seed.
        predict_ms: milliseconds to predict one window.
    """

    name: str
    scores: Array
    deterministic: bool = False
    collapsed: int = 0
    train_s: float = math.nan
    predict_ms: float = math.nan

    @property
    def seeds(self) -> float:
        """Seeds that trained; infinitely many where training has no chance in it."""
        return math.inf if self.deterministic else len(self.scores)

    @property
    def tried(self) -> float:
        """Seeds tried, collapsed ones among them: what a plan of looks counts."""
        return self.seeds + self.collapsed


@dataclass(frozen=True, eq=False)
class Layout:
    """How windows hang together, and how their scores make the metric.

    Args:
        series: the series of each window, (windows,), equal values adjacent, in time order within each.
        block_windows: windows that share data with one, about horizon / stride; 1 if independent.
        power: of the mean score that is the metric; 0.5 for RMSE, whose windows have squared errors.
    """

    series: NDArray[np.int64]
    block_windows: int = 1
    power: float = 1.0

    def metric(self, means: Array) -> Array:
        """The metric from mean scores, (...)."""
        return means if self.power == 1.0 else np.maximum(means, 0.0) ** self.power


def on_shared_windows(arms: Sequence[Arm], layout: Layout) -> tuple[list[Arm], Layout]:
    """The arms on the windows that all of them evaluated.

    Raises:
        ConfigError: an arm without scores, arms on different windows, or none evaluated by all.
    """
    n_windows = len(layout.series)
    for arm in arms:
        if arm.scores.ndim != 2 or arm.scores.shape[0] == 0 or arm.scores.shape[1] != n_windows:
            raise ConfigError(
                f"scores of a candidate are (seeds, windows) with {n_windows} windows and at least one seed; "
                f"'{arm.name}' has shape {arm.scores.shape}. Score all candidates on the same windows."
            )
    shared = np.logical_and.reduce([np.isfinite(arm.scores).all(axis=0) for arm in arms])
    if not shared.any():
        raise ConfigError(
            f"a comparison needs windows that every candidate evaluated; {', '.join(a.name for a in arms)} "
            f"share none of {n_windows}. Leave out the candidate that evaluated the fewest."
        )
    kept = [replace(arm, scores=np.asarray(arm.scores[:, shared], np.float64)) for arm in arms]
    return kept, replace(layout, series=layout.series[shared])
