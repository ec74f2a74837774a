"""Trials that cannot catch up are ended halfway; only trials of one design are compared with one another.

Deep and heavily regularised networks start slowly, so a trial is never set against another design's. All
runs have the same length and the same schedule, whose rate is constant from 5 to 70 % of the steps: halfway,
no run has begun its final descent.
"""

from __future__ import annotations

from collections.abc import Sequence

from lamina.study.bench import Run as TrialRun
from lamina.training.callbacks import Callback
from lamina.training.loop import Run

CATCH_UP = 2.0  # a trial goes on while so many times the best one's later gain would bring it level
LEAST_GAIN = 0.05  # the later gain counts as at least this share of the best score


class TrialEndedError(Exception):
    """Raised out of the training of a trial that is ended; ``run`` holds what is known of it."""

    def __init__(self, run: Run) -> None:
        super().__init__(f"ended after {run.step} steps")
        self.run = run


class Halfway(Callback):
    """Ends a run whose best score after half of its steps is worse than a bound.

    Args:
        max_steps: of the run.
        bound: the worst score to go on with.

    Raises:
        TrialEndedError: from the training.
    """

    def __init__(self, max_steps: int, bound: float, *, higher_is_better: bool) -> None:
        self._half, self._bound = max_steps / 2, bound
        self._sign = -1.0 if higher_is_better else 1.0
        self._judged = False

    def on_validation(self, run: Run) -> None:
        if self._judged or run.step < self._half:
            return
        self._judged = True
        best = min(self._sign * score for score in run.history.validation)
        if best > self._sign * self._bound:
            raise TrialEndedError(run)


def halfway_bound(trials: Sequence[TrialRun], max_steps: int, *, higher_is_better: bool) -> float | None:
    """The worst halfway score with which a new trial of the same design may still win, or None.

    The best trial so far had ``half`` at that point and ``end`` at last. A new one is given up where it would
    remain behind ``end`` even if it gained ``CATCH_UP`` times as much as that trial after the point.
    """
    sign = -1.0 if higher_is_better else 1.0
    complete = [trial for trial in trials if trial.outcome == "complete"]
    if not complete:
        return None
    best = min(complete, key=lambda trial: sign * trial.score)
    scores = [sign * score for score in best.history["validation"]]
    place = next((i for i, step in enumerate(best.history["steps"]) if step >= max_steps / 2), None)
    if place is None:
        return None
    half, end = min(scores[: place + 1]), min(scores)
    bound: float = sign * (end + CATCH_UP * max(half - end, LEAST_GAIN * abs(end)))
    return bound
