from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from lamina.errors import SavedModelError
from lamina.study.verdict import (
    Baseline,
    Best,
    Budget,
    Candidate,
    Confusion,
    Curve,
    Data,
    Environment,
    Figures,
    Forecast,
    Metric,
    Score,
    Settings,
    StudyRecord,
    Verdict,
)


def record(**parts: Any) -> StudyRecord:
    required: dict[str, Any] = {
        "task": "forecast",
        "metric": Metric(name="MASE", unit="ratio", direction="lower"),
        "data": Data(
            path="a.csv", rows=100, series=1, hash="0f", splits={"train": 70}, horizon=24, season=(24,)
        ),
        "environment": Environment(versions={"torch": "2.13"}, cpu="cpu", threads=2, backend="aten"),
        "budget": Budget(asked_s=300, used_s=287.25),
        "settings": Settings(seed=0, questions=("depth",), command="lamina study a.csv"),
    }
    return StudyRecord(**{**required, **parts})


def full_record() -> StudyRecord:
    candidates = tuple(
        Candidate(
            id=f"lstm-{depth}",
            label=f"lstm ×{depth}",
            config={"cell": "lstm", "hidden_sizes": [64] * depth, "dropout": 0.1},
            parameters=19_000 * depth,
            scores=(Score(seed=0, validation=0.1 + 0.2, test=1 / 3),),
            train_s=9.5,
            curves=(Curve(seed=0, steps=(1, 2), train=(1.0, 0.5), validation=(1.1, 0.7)),),
            gradient_norms={"layer 1": (0.5, 0.25)},
            clip_rate=0.125,
        )
        for depth in (1, 2)
    )
    verdict = Verdict(
        id="depth",
        answer=2,
        status="decided",
        sentence="2 layers.",
        effect=0.071,
        interval=(0.05, 0.093),
        n=9,
        test="paired bootstrap",
        p=0.001,
        correction="holm",
        arms=("lstm-1", "lstm-2"),
    )
    forecast = Forecast(
        series="a",
        time=("2026-01-01", "2026-01-02", "2026-01-03"),
        history=(1.0,),
        truth=(2.0, None),
        median=(2.0, 2.5),
        lo_80=(1.0, 1.0),
        hi_80=(3.0, 3.5),
    )
    return record(
        questions=(verdict,),
        candidates=candidates,
        baselines=(Baseline(id="naive", label="naive", test=0.98),),
        best=Best(candidate="lstm-2", path="best"),
        figures=Figures(
            forecasts=(forecast,), confusion=Confusion(classes=("a", "b"), matrix=((3, 1), (0, 2)))
        ),
    )


def test_a_saved_record_loads_equal_with_every_digit(tmp_path: Path) -> None:
    written = full_record()
    written.save(tmp_path / "study.json")
    read = StudyRecord.load(tmp_path / "study.json")
    assert read == written
    assert read.candidates[0].scores[0].validation == 0.1 + 0.2
    assert read.candidates[0].scores[0].test == 1 / 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study.json"]


def test_the_file_says_its_schema_first_and_needs_no_study_to_have_finished(tmp_path: Path) -> None:
    record().save(tmp_path / "study.json")
    content = json.loads((tmp_path / "study.json").read_text())
    assert next(iter(content.items())) == ("schema", 1)
    assert content["questions"] == content["candidates"] == content["baselines"] == []
    assert content["best"] is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan"), np.float64("inf")])
def test_figures_that_are_not_finite_are_none_everywhere(value: Any, tmp_path: Path) -> None:
    candidate = Candidate(
        id="x",
        label="x",
        config={"lr": value, "sizes": [value, 1]},
        scores=(Score(seed=0, validation=value),),
        gradient_norms={"layer 1": (value, 1.0)},
    )
    verdict = Verdict(
        id="depth", answer=None, status="undecided", sentence="", effect=value, interval=(0.0, value)
    )
    record(candidates=(candidate,), questions=(verdict,)).save(tmp_path / "study.json")
    read = StudyRecord.load(tmp_path / "study.json")  # load refuses NaN and Infinity
    assert read.candidates[0].config == {"lr": None, "sizes": [None, 1]}
    assert read.candidates[0].scores[0].validation is None
    assert read.candidates[0].gradient_norms == {"layer 1": (None, 1.0)}
    assert (read.questions[0].effect, read.questions[0].interval) == (None, None)


def test_numpy_figures_are_accepted() -> None:
    score = Score(seed=0, validation=np.float32(0.5))  # type: ignore[arg-type] # float32 is no float to mypy
    assert score.validation == 0.5


def test_an_answer_keeps_its_type(tmp_path: Path) -> None:
    answers: list[str | int | None] = [2, "2", "both", None]
    verdicts = [Verdict(id=str(i), answer=a, status="tie", sentence="") for i, a in enumerate(answers)]
    record(questions=tuple(verdicts)).save(tmp_path / "study.json")
    assert [v.answer for v in StudyRecord.load(tmp_path / "study.json").questions] == answers


def test_a_record_cannot_be_changed_and_refuses_unknown_keys() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        record().task = "classify"
    with pytest.raises(ValidationError, match="hiden"):
        record(hiden=1)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"baselines": (Baseline(id="a", label=""), Baseline(id="a", label=""))}, r"\['a'\] are repeated"),
        (
            {"questions": (Verdict(id="depth", answer=1, status="tie", sentence="", arms=("lstm-9",)),)},
            r"arms of question 'depth' .* \['lstm-9'\] are not among \[\]",
        ),
        ({"best": Best(candidate="lstm-9", path="best")}, r"best .* \['lstm-9'\] are not among \[\]"),
    ],
)
def test_ids_must_agree(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        record(**parts)


def test_the_chosen_arm_is_one_of_the_arms() -> None:
    with pytest.raises(ValidationError, match=r"chosen .* \['b'\] are not among \['a'\]"):
        Verdict(id="depth", answer=2, status="decided", sentence="", arms=("a",), chosen="b")


def test_columns_of_a_figure_must_have_equal_lengths() -> None:
    with pytest.raises(ValidationError, match="'steps': 2, 'train': 1, 'validation': 2"):
        Curve(seed=0, steps=(1, 2), train=(1.0,), validation=(1.0, 2.0))
    with pytest.raises(ValidationError, match="'time': 1, 'history_and_median': 2"):
        Forecast(
            series="a", time=(0,), history=(1.0,), truth=(1.0,), median=(1.0,), lo_80=(0.0,), hi_80=(2.0,)
        )
    with pytest.raises(ValidationError, match="'classes': 2, \"row 'b'\": 1"):
        Confusion(classes=("a", "b"), matrix=((1, 2), (3,)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"schema": 1, "task"', "not strict JSON"),
        ('{"schema": 1, "task": NaN}', "NaN is not a JSON number"),
        ("\udcff", "not strict JSON"),
        ("[1]", "one JSON object but holds a list"),
        ("{}", "must hold schema 1 but says None"),
        ('{"schema": 2}', "has schema 2 and this Lamina reads up to 1"),
        ('{"schema": 1, "tusk": "x"}', "damaged: task: Field required.*tusk: Extra inputs"),
    ],
)
def test_a_file_that_is_no_record_is_named_with_its_fault(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(SavedModelError, match=message) as caught:
        StudyRecord.load(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SavedModelError, match=r"absent\.json cannot be read: No such file"):
        StudyRecord.load(tmp_path / "absent.json")
