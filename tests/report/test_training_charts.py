from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lamina.report import training_charts
from lamina.report.points import LONGEST_CURVE
from lamina.study.verdict import Candidate, Curve, StudyRecord

Rows = Callable[[Any], list[list[dict[str, Any]]]]


@pytest.mark.parametrize("draw", [training_charts.training_curves, training_charts.gradient_norms])
def test_a_record_without_the_data_has_no_chart(draw: Any, empty_record: StudyRecord) -> None:
    assert draw(empty_record) is None


def test_long_curves_are_thinned_to_their_last_point(forecast_record: StudyRecord, rows_of: Rows) -> None:
    steps = tuple(range(1, 1_001))
    losses = tuple(1 / step for step in steps)
    curve = Curve(seed=0, steps=steps, train=losses, validation=losses)
    candidate = Candidate(id="lstm-2", label="lstm ×2", curves=(curve,))
    record = forecast_record.model_copy(update={"candidates": (candidate,), "questions": ()})
    (points,) = rows_of(training_charts.training_curves(record))
    assert len(points) <= 2 * LONGEST_CURVE
    assert points[-1] == {"id": "lstm-2", "seed": 0, "step": 1_000, "part": "validation", "loss": 0.001}
