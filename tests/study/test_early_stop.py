from __future__ import annotations

import numpy as np
import pytest

from lamina.study.bench import Run, Settings
from lamina.study.early_stop import CATCH_UP, LEAST_GAIN, Halfway, TrialEndedError, halfway_bound
from lamina.training.history import History
from lamina.training.loop import Run as TrainingRun


def trial(scores: list[float], *, outcome: str = "complete") -> Run:
    steps = [10 * (place + 1) for place in range(len(scores))]
    return Run(
        design="lstm-1-forward",
        settings=Settings(0.01, 0.1),
        seed=0,
        score=scores[-1],
        errors=np.array(scores[-1:]),
        seconds=1.0,
        parameters=1,
        peak_mb=1.0,
        history={"steps": steps, "validation": scores},
        outcome=outcome,  # type: ignore[arg-type]  # one of its values
        reason="",
    )


def test_a_trial_may_gain_twice_what_the_best_one_gained_late() -> None:
    bound = halfway_bound([trial([2.0, 1.5, 1.2, 1.0])], 40, higher_is_better=False)
    assert bound == pytest.approx(1.0 + CATCH_UP * 0.5)
    bound = halfway_bound([trial([0.2, 0.5, 0.7, 0.8])], 40, higher_is_better=True)
    assert bound == pytest.approx(0.8 - CATCH_UP * 0.3)


def test_a_best_trial_that_gained_nothing_late_leaves_some_room() -> None:
    bound = halfway_bound([trial([2.0, 1.0, 1.0, 1.0])], 40, higher_is_better=False)
    assert bound == pytest.approx(1.0 + CATCH_UP * LEAST_GAIN)


def test_trials_that_ended_or_collapsed_set_no_bound() -> None:
    assert halfway_bound([], 40, higher_is_better=False) is None
    failed = [trial([2.0, 1.0], outcome="ended"), trial([1.0, 1.0], outcome="collapsed")]
    assert halfway_bound(failed, 40, higher_is_better=False) is None
    assert halfway_bound([trial([2.0])], 40, higher_is_better=False) is None  # stopped before half its steps


def validated(callback: Halfway, scores: list[float]) -> int | None:
    """Steps of the run when the callback ended it."""
    run = TrainingRun(history=History())
    for place, score in enumerate(scores):
        run.step = 10 * (place + 1)
        run.history.steps.append(run.step)
        run.history.validation.append(score)
        try:
            callback.on_validation(run)
        except TrialEndedError:
            return run.step
    return None


def test_a_run_is_judged_once_halfway_and_by_its_best_score() -> None:
    assert validated(Halfway(40, 1.0, higher_is_better=False), [3.0, 1.1, 0.5, 0.1]) == 20
    assert validated(Halfway(40, 1.0, higher_is_better=False), [0.9, 1.1, 5.0, 5.0]) is None
    assert validated(Halfway(40, 0.7, higher_is_better=True), [0.1, 0.6, 0.9, 0.9]) == 20
    assert validated(Halfway(40, 0.7, higher_is_better=True), [0.8, 0.2, 0.2, 0.2]) is None
