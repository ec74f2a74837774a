from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lamina.study.compare import Change, compare_records
from lamina.study.run import Quiet, run_study
from lamina.study.verdict import StudyRecord

TRUTH = {"lstm-1-forward": 1.0, "lstm-2-forward": 0.8}


def study(bench: Any, folder: Path, **changes: Any) -> StudyRecord:
    options: dict[str, Any] = {
        "budget_s": 300.0,
        "questions": ("depth",),
        "depths": (1, 2),
        "seed": 0,
        "rope": 0.005,
        "listener": Quiet(),
        "resume": False,
        "command": "",
    }
    return run_study(bench, folder, **(options | changes))


def by_name(changes: list[Change], part: str) -> dict[str, Change]:
    return {change.name: change for change in changes if change.part == part}


def test_a_study_is_like_itself(fake: Callable[..., Any], tmp_path: Path) -> None:
    record = study(fake(truth=TRUTH), tmp_path / "a")
    assert compare_records(record, record) == []


def test_answers_scores_and_settings_that_changed_are_named(fake: Callable[..., Any], tmp_path: Path) -> None:
    before = study(fake(truth=TRUTH), tmp_path / "a")
    after = study(fake(truth={"lstm-2-forward": 1.2}), tmp_path / "b", seed=5)
    changes = compare_records(before, after)
    assert [change.part for change in changes] == sorted(
        (change.part for change in changes), key=["data", "settings", "answers", "scores", "costs"].index
    )
    assert (by_name(changes, "settings")["seed"].before, by_name(changes, "settings")["seed"].after) == (0, 5)
    answers = by_name(changes, "answers")
    assert answers["depth"].before == "decided: 2"
    assert answers["depth"].after == "decided: 1"
    assert "2 layers" in answers["depth sentence"].before
    assert answers["depth effect"].before == before.questions[0].effect
    assert answers["depth interval"].after == after.questions[0].interval
    scores = by_name(changes, "scores")
    ratio = scores["lstm-2-forward (test)"].ratio
    assert ratio is not None
    assert abs(ratio - 1.5) < 0.01
    assert scores["lstm-2-forward-full (test)"].after is None  # it is no longer the winner
    json.dumps([change.to_dict() for change in changes], allow_nan=False)


def test_other_data_are_told_and_small_differences_of_time_are_not(
    fake: Callable[..., Any], tmp_path: Path
) -> None:
    before = study(fake(truth=TRUTH), tmp_path / "a")
    data = before.data.model_copy(update={"hash": "beef", "splits": {"train": 900, "test": 150}})
    candidates = tuple(
        entry.model_copy(update={"train_s": (entry.train_s or 0) * factor})
        for entry, factor in zip(before.candidates, (1.05, 2.0, 1.0), strict=False)
    )
    after = before.model_copy(update={"data": data, "candidates": candidates})
    changes = compare_records(before, after)
    assert set(by_name(changes, "data")) == {"hash", "splits train"}
    assert [change.ratio for change in changes if change.part == "costs"] == [2.0]


def test_energy_and_predictions_of_many_are_costs_too(fake: Callable[..., Any], tmp_path: Path) -> None:
    record = study(fake(truth=TRUTH), tmp_path / "a")
    first, *others = record.candidates
    before = record.model_copy(update={"candidates": (first.model_copy(update={"train_j": 4.0}), *others)})
    changed = first.model_copy(update={"train_j": 6.0, "predict_256_ms": 3.0})
    after = record.model_copy(update={"candidates": (changed, *others)})
    costs = {change.name: change.ratio for change in compare_records(before, after)}
    assert costs == {f"{first.id} train_j": 1.5, f"{first.id} predict_256_ms": 1.5}
