from __future__ import annotations

from typing import Any

import pytest

from lamina.report.render import page
from lamina.report.sides import sides
from lamina.study.sides import sentence
from lamina.study.verdict import LearningCurve, StudyRecord, Verdict

PAIR = ("lstm-1", "lstm-2")


def question(status: str, chosen: str | None = None, **changes: Any) -> Verdict:
    fields = {
        "id": "bert",
        "answer": chosen,
        "status": status,
        "sentence": "",
        "arms": PAIR,
        "chosen": chosen,
    }
    return Verdict(**(fields | changes))


def curves(
    *, first: str, other: str, ahead: tuple[float | None, ...], behind: tuple[float | None, ...]
) -> Verdict:
    common: dict[str, Any] = {"law": (0.1, 0.5, 0.5), "gain": 0.1, "interval": (0.0, 0.2)}
    shares = (1 / 8, 1 / 4, 1 / 2, 1.0)
    found = (
        LearningCurve(label=first, shares=shares, scores=(0.9, 0.8, 0.7, 0.6), **common),
        LearningCurve(
            label=other,
            shares=shares,
            scores=(1.2, 0.9, 0.7, 0.5),
            ahead=ahead,
            behind=behind,
            overtakes=1,
            **common,
        ),
    )
    return Verdict(id="data", answer=None, status="undecided", sentence="", curves=found)


def with_questions(record: StudyRecord, *questions: Verdict) -> StudyRecord:
    data = record.data.model_copy(update={"splits": {"train": 800}})
    return record.model_copy(update={"questions": questions, "data": data})


def test_sizes_and_costs_say_who_is_ahead(forecast_record: StudyRecord) -> None:
    verdict = question("decided", "lstm-2")
    data = curves(first="lstm ×1", other="lstm ×2", ahead=(0, 0, 0.5, 1), behind=(1, 0.96, 0.2, 0))
    record = with_questions(forecast_record, verdict, data)
    found = sides(record, verdict)
    assert found is not None
    rows = [[cell.text for cell in row.cells] for row in found.rows]
    assert found.columns == ("where (MASE, or a cost)", "lstm ×1", "lstm ×2", "ahead")
    assert rows[:4] == [
        ["100 training rows", "0.9", "1.2", "lstm ×1"],
        ["200 training rows", "0.8", "0.9", "lstm ×1"],
        ["400 training rows", "0.7", "0.7", "not told apart"],
        ["800 training rows", rows[3][1], rows[3][2], "lstm ×2"],
    ]
    costs = {row[0]: row[1:] for row in rows[4:]}
    assert costs["predict one (ms)"] == ["0.6", "0.933", "lstm ×1, 1.6 ×"]
    assert costs["train a seed (s)"] == ["9", "14", "lstm ×1, 1.6 ×"]
    assert costs["parameters"] == ["19,000", "52,000", "lstm ×1, 2.7 ×"]
    assert sentence(record, verdict) == (
        "By data size, in training rows: with 100 and 200 lstm ×1 is ahead; "
        "with 400 the two are not told apart; with 800 lstm ×2 is ahead. "
        "By latency: lstm ×1 answers in 0.6 ms, lstm ×2 in 0.93 ms; "
        "where an answer may take less than 0.93 ms, lstm ×1 alone will do. "
        "By cost: lstm ×1 trains a seed in 9 s with 19,000 parameters, lstm ×2 in 14 s with 52,000."
    )


def test_latencies_that_hardly_differ_put_nobody_ahead(forecast_record: StudyRecord) -> None:
    close = [
        one.model_copy(update={"predict_ms": {"lstm-1": 0.92, "lstm-2": 0.94}.get(one.id, one.predict_ms)})
        for one in forecast_record.candidates
    ]
    verdict = question("decided", "lstm-2")
    record = with_questions(forecast_record.model_copy(update={"candidates": tuple(close)}), verdict)
    found, told = sides(record, verdict), sentence(record, verdict)
    assert found is not None
    assert told is not None
    assert "By latency: both answer in 0.94 ms." in told
    ahead = {row.cells[0].text: row.cells[3].text for row in found.rows}
    assert ahead["predict one (ms)"] == "not told apart"


def test_the_order_of_the_curves_does_not_matter(forecast_record: StudyRecord) -> None:
    verdict = question("tie", "lstm-1")
    data = curves(first="lstm ×2", other="lstm ×1", ahead=(0, 1, None, 1), behind=(1, 0, None, 0))
    found = sides(with_questions(forecast_record, verdict, data), verdict)
    assert found is not None
    ahead = [row.cells[3].text for row in found.rows[:4]]
    assert ahead == ["lstm ×2", "lstm ×1", "not told apart", "no difference that matters"]


def test_where_more_data_were_not_asked_about_it_is_said_how_to(forecast_record: StudyRecord) -> None:
    verdict = question("undecided")
    record = with_questions(forecast_record, verdict)
    found, told = sides(record, verdict), sentence(record, verdict)
    assert found is not None
    assert told is not None
    assert "with 800 the two are not told apart. With fewer they were not compared; --ask bert,data" in told
    assert found.rows[0].cells[3].text == "not told apart"


@pytest.mark.parametrize("arms", [(), ("lstm-1",), ("lstm-1", "gone")])
def test_a_question_without_two_networks_has_no_sides(
    forecast_record: StudyRecord, arms: tuple[str, ...]
) -> None:
    verdict = question("undecided", arms=arms)
    record = with_questions(forecast_record, verdict)
    assert sides(record, verdict) is None
    assert sentence(record, verdict) is None


def test_the_page_prints_the_sentence_of_the_record(forecast_record: StudyRecord) -> None:
    verdict = question("decided", "lstm-2", sides="By data size: as the record says.")
    text = page(with_questions(forecast_record, verdict))
    assert '<p class="sentence">By data size: as the record says.</p>' in text
    assert "By latency" not in page(with_questions(forecast_record, question("decided", "lstm-2")))
