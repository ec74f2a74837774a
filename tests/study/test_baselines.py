from __future__ import annotations

import numpy as np
import pytest

from lamina.errors import DataError
from lamina.study.baselines import filled, run_baseline


def test_a_run_keeps_predictions_by_part_and_what_the_method_noted() -> None:
    notes: list[str] = []
    first, second = np.ones((2, 3)), np.zeros((1, 3))
    done = run_baseline("m", lambda: notes.append("season 7"), [lambda: first, lambda: second], notes)
    assert (done.name, done.outcome, done.notes, done.reason) == ("m", "complete", ("season 7",), "")
    assert done.predictions[0] is first
    assert done.predictions[1] is second


@pytest.mark.parametrize("fails", ["fit", "predict"])
def test_a_failure_is_an_outcome_with_its_reason(fails: str) -> None:
    def broken() -> np.ndarray:
        raise ZeroDivisionError("odd data")

    fit, predict = (broken, lambda: np.ones(1)) if fails == "fit" else (lambda: None, broken)
    done = run_baseline("m", fit, [predict], [])
    assert (done.outcome, done.predictions) == ("failed", ())
    assert done.reason == "ZeroDivisionError: odd data"


def test_gaps_are_filled_by_straight_lines_and_flat_at_the_ends() -> None:
    history = np.array([np.nan, 1.0, np.nan, np.nan, 4.0, np.nan])
    np.testing.assert_array_equal(filled(history), [1, 1, 2, 3, 4, 4])
    whole = np.array([1.0, 2.0])
    assert filled(whole) is whole
    with pytest.raises(DataError, match="needs an observed value"):
        filled(np.full(3, np.nan))
