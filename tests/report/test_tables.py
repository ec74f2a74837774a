from __future__ import annotations

import pytest

from lamina.report import tables
from lamina.report.tables import Table
from lamina.study.verdict import Figures, Forecast, StudyRecord


def texts(table: Table | None) -> list[list[str]]:
    assert table is not None
    return [[cell.text for cell in row.cells] for row in table.rows]


def test_the_leaderboard_holds_every_model_and_marks_the_saved_one(forecast_record: StudyRecord) -> None:
    table = tables.leaderboard(forecast_record)
    assert table is not None
    assert len(table.rows) == len(forecast_record.candidates) + len(forecast_record.baselines)
    assert [row.cells[0].text for row in table.rows if row.marked] == ["lstm ×2"]
    lightgbm = next(row for row in texts(table) if row[0] == "LightGBM")
    assert lightgbm == ["LightGBM", "0.740", "0.730", "2.1", "4", "–", "–", "–"]


def test_columns_without_a_figure_are_left_out(baselines_record: StudyRecord) -> None:
    table = tables.leaderboard(baselines_record)
    assert table is not None
    assert table.columns == ("model", "MASE test", "MASE validation", "train (s)", "predict (ms)")


def test_a_question_shows_its_arms_in_its_own_order(forecast_record: StudyRecord) -> None:
    table = tables.arms(forecast_record, forecast_record.questions[0])
    assert [row[0] for row in texts(table)] == ["lstm ×1", "lstm ×2", "lstm ×3", "lstm ×4"]
    assert [row[2] for row in texts(table)] == ["5"] * 4


def test_the_gap_is_that_of_the_weights_that_were_kept(forecast_record: StudyRecord) -> None:
    table = tables.fit_quality(forecast_record)
    assert table is not None
    curves = forecast_record.candidates[0].curves
    assert {curve.best_step for curve in curves} == {20}  # of 25
    gaps = [1 - (curve.train[19] or 0.0) / (curve.validation[19] or 1.0) for curve in curves]
    cells = dict(zip(table.columns, table.rows[0].cells, strict=True))
    assert cells["gap"].figure == pytest.approx(sum(gaps) / len(gaps))
    assert cells["gap"].text.endswith(" %")
    assert cells["training loss"].figure == pytest.approx(sum(curve.train[19] or 0 for curve in curves) / 3)


def test_coverage_counts_only_steps_whose_truth_is_known(baselines_record: StudyRecord) -> None:
    forecast = Forecast(
        series="a",
        time=(0, 1, 2, 3),
        history=(),
        truth=(1.0, 5.0, None, 2.0),
        median=(1.0, 2.0, 3.0, 4.0),
        lo_80=(0.0, 1.0, 2.0, 2.0),
        hi_80=(2.0, 3.0, 4.0, 6.0),
    )
    record = baselines_record.model_copy(update={"figures": Figures(forecasts=(forecast,))})
    # |0|, |3|, |2| over three known steps; the first and the last lie inside
    assert texts(tables.coverage(record)) == [["a", "4", "1.67", "66.7 %"]]


def test_recall_and_precision_follow_the_matrix(classify_record: StudyRecord) -> None:
    assert texts(tables.recall(classify_record)) == [
        ["walk", "43", "93.0 %", "88.9 %"],
        ["run", "37", "83.8 %", "91.2 %"],
        ["sit", "22", "100.0 %", "95.7 %"],
        ["never seen", "0", "–", "–"],
    ]


def test_a_record_without_the_data_has_no_table(empty_record: StudyRecord) -> None:
    made = [tables.leaderboard, tables.fit_quality, tables.coverage, tables.recall]
    assert [make(empty_record) for make in made] == [None] * 4
