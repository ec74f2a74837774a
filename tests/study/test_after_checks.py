from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lamina.study.after_checks import check_findings, earlier_readings
from lamina.study.checks import CheckResult
from lamina.study.space import Design
from lamina.study.trials import rates
from lamina.study.verdict import (
    Baseline,
    Best,
    Budget,
    Candidate,
    Data,
    Environment,
    Metric,
    Score,
    Settings,
    StudyRecord,
    Verdict,
)


def candidate(layers: int, score: float, **config: Any) -> Candidate:
    fields: dict[str, Any] = {
        "hidden_sizes": [8] * layers,
        "directions": ["forward"],
        "learning_rate": 2e-3,
        "learning_rates": [5e-4, 1e-2],
        "dropout": 0.1,
    }
    return Candidate(
        id=f"lstm-{layers}",
        label=f"lstm ×{layers}",
        config=fields | config,
        scores=tuple(Score(seed=seed, validation=score, test=score) for seed in range(3)),
    )


def study(*, scores: tuple[float, ...] = (0.8, 0.9), answer: int = 1, **config: Any) -> StudyRecord:
    candidates = tuple(candidate(i + 1, score, **config) for i, score in enumerate(scores))
    arms = tuple(one.id for one in candidates)
    depth = Verdict(
        id="depth", answer=answer, status="decided", sentence="", arms=arms, chosen=f"lstm-{answer}"
    )
    return StudyRecord(
        task="forecast",
        metric=Metric(name="MASE", unit="ratio", direction="lower"),
        data=Data(path="x.csv", rows=1, series=1, hash="abc", splits={}),
        environment=Environment(versions={}, cpu="", threads=1, backend=""),
        budget=Budget(used_s=1.0),
        settings=Settings(seed=0),
        questions=(depth,),
        candidates=candidates,
        baselines=(
            Baseline(id="naive", label="naive", validation=1.0),
            Baseline(id="theta", label="AutoTheta", validation=0.7),
        ),
        best=Best(candidate=f"lstm-{answer}", path="best"),
    )


def by_code(record: StudyRecord, *, streams: bool = False) -> dict[str, CheckResult]:
    return {result.code: result for result in check_findings(record, streams=streams)}


def test_a_finding_in_order_passes() -> None:
    assert {result.outcome for result in by_code(study(), streams=True).values()} == {"pass"}


def test_nothing_is_said_of_a_study_without_an_answer() -> None:
    record = study().model_copy(update={"best": None, "questions": ()})
    assert check_findings(record) == []


def test_both_directions_matter_only_where_it_has_to_stream() -> None:
    record = study(directions=["both"])
    assert by_code(record)["NC01"].outcome == "pass"
    assert by_code(record, streams=True)["NC01"].outcome == "warn"


def test_losing_to_the_simplest_method_names_the_best_one() -> None:
    result = by_code(study(scores=(1.2, 1.3)))["PS01"]
    assert result.outcome == "warn"
    assert "use AutoTheta" in result.sentence


@pytest.mark.parametrize(
    ("fields", "setting"),
    [
        ({"learning_rate": 9.8e-3}, "learning_rate"),
        ({"learning_rate": 5.1e-4}, "learning_rate"),
        ({"dropout": 0.39}, "dropout"),
        ({"answer": 2}, "depth"),
    ],
)
def test_values_at_the_edge_are_named(fields: dict[str, Any], setting: str) -> None:
    result = by_code(study(**fields))["ED01"]
    assert (result.outcome, result.evidence["setting"]) == ("warn", setting)


@pytest.mark.parametrize(
    ("design", "rate", "outcome"),
    [
        (Design(bert="some/checkpoint"), 4e-5, "pass"),  # the first of its trials
        (Design(bert="some/checkpoint"), 9.8e-5, "warn"),
        (Design(bert="small"), 5e-4, "pass"),
        (Design(careful=True), 3.25e-3, "warn"),
        (Design(careful=True), 4.9e-4, "pass"),
    ],
)
def test_the_edge_is_that_of_the_range_the_design_was_searched_in(
    design: Design, rate: float, outcome: str
) -> None:
    result = by_code(study(learning_rate=rate, learning_rates=[*rates(design)]))["ED01"]
    assert result.outcome == outcome


def test_no_dropout_is_no_edge() -> None:
    assert by_code(study(dropout=0.0))["ED01"].outcome == "pass"


def test_studies_that_read_the_same_test_part_are_counted(tmp_path: Path) -> None:
    for name, record in {
        "first": study(),
        "other-data": study().model_copy(update={"data": study().data.model_copy(update={"hash": "def"})}),
        "own": study(),
    }.items():
        (tmp_path / name).mkdir()
        record.save(tmp_path / name / "study.json")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "study.json").write_text("{")
    result = earlier_readings(tmp_path / "own", "abc")
    assert (result.outcome, result.evidence["earlier"]) == ("warn", 1)
    assert "by first:" in result.sentence
    assert earlier_readings(tmp_path / "own", "123").outcome == "pass"
