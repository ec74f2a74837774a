from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lamina.report import question_charts
from lamina.study.verdict import Gap, StudyRecord

Rows = Callable[[Any], list[list[dict[str, Any]]]]


def test_a_question_without_arms_has_no_chart(forecast_record: StudyRecord) -> None:
    verdict = forecast_record.questions[0].model_copy(update={"arms": (), "chosen": None})
    assert question_charts.question_scores(forecast_record, verdict) is None
    assert question_charts.question_costs(forecast_record, verdict) is None


def test_only_the_chosen_arm_is_drawn_as_the_answer(forecast_record: StudyRecord, rows_of: Rows) -> None:
    (bars,) = rows_of(question_charts.question_costs(forecast_record, forecast_record.questions[0]))
    assert [(row["arm"], row["train_s"], row["role"]) for row in bars] == [
        ("lstm ×1", 9, "other"),
        ("lstm ×2", 14, "answer"),
        ("lstm ×3", 21, "other"),
        ("lstm ×4", 28, "other"),
    ]


def test_the_learning_curve_goes_on_to_twice_the_rows(forecast_record: StudyRecord, rows_of: Rows) -> None:
    verdict = forecast_record.questions[-1]
    rows = rows_of(question_charts.learning_curve(forecast_record, verdict))
    laws = next(part for part in rows if "law" in part[0])
    a, b, c = verdict.curves[0].law
    last = [row for row in laws if row["model"] == "lstm ×2"][-1]
    assert (last["share"], last["law"]) == (2.0, pytest.approx(c + a * 2**-b, rel=1e-4))
    fan = next(part for part in rows if "low" in part[0])
    ends = [row for row in fan if row["model"] == "lstm ×2"][-1]
    assert ends["low"] / ends["high"] == pytest.approx(0.99 / 0.95, rel=1e-3)
    assert question_charts.learning_curve(forecast_record, forecast_record.questions[0]) is None


def test_gaps_stand_with_their_intervals(forecast_record: StudyRecord, rows_of: Rows) -> None:
    depth = forecast_record.questions[0]
    assert question_charts.gaps_by_arm(depth) is None
    gaps = (
        Gap(arm="1", train=0.9, validation=1.0, gap=0.1, spread=0.02, seeds=4),
        Gap(arm="4", train=0.7, validation=1.0, gap=0.3, spread=0.04, seeds=4),
    )
    chart = question_charts.gaps_by_arm(depth.model_copy(update={"gaps": gaps}))
    rows = rows_of(chart)[0]
    reach = 3.182 * 0.02 / 2  # Student's t with 3 degrees of freedom
    assert [row["arm"] for row in rows] == ["1", "4"]
    assert [rows[0][name] for name in ("low", "gap", "high")] == pytest.approx(
        [100 * (0.1 - reach), 10.0, 100 * (0.1 + reach)], abs=1e-2
    )
    assert chart is not None
    assert "1: 10.0 % (6.8 to 13.2 %); 4: 30.0 % (23.6 to 36.4 %)" in chart.to_dict()["description"]
