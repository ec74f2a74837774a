from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamina.errors import ConfigError, SavedModelError
from lamina.study.constraints import Limits
from lamina.study.questions import Ladder
from lamina.study.replay import replay
from lamina.study.run import Quiet, run_study
from lamina.study.verdict import StudyRecord

TRUTH = {"lstm-1-forward": 1.0, "lstm-2-forward": 0.8, "gru-2-forward": 0.79}
QUESTIONS: tuple[Ladder, ...] = (
    "depth",
    "cell",
    "depth-parameters",
    "depth-time",
    "clipping",
    "overfitting",
    "data",
)


def studied(bench: Any, folder: Path) -> StudyRecord:
    """A study of every kind of question, one seed of which fails to train."""
    return run_study(
        bench,
        folder,
        budget_s=600.0,
        questions=QUESTIONS,
        depths=(1, 2),
        seed=0,
        rope=0.005,
        limits=Limits(params=150),
        listener=Quiet(),
        resume=False,
        command="",
    )


@pytest.fixture(scope="module")
def kept() -> dict[str, StudyRecord]:
    """The study, once one test has asked for it."""
    return {}


@pytest.fixture
def record(
    fake: Callable[..., Any],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    kept: dict[str, StudyRecord],
) -> StudyRecord:
    """Of a study whose folder is copied to ``out``, where a test may change it."""
    folder = tmp_path_factory.getbasetemp() / "studied-once"
    if not kept:
        failing = (("lstm-2-forward", 1001), ("gru-2-forward-500rows", 1000))
        kept["record"] = studied(fake(truth=TRUTH, collapsing_seeds=failing), folder)
    shutil.copytree(folder, tmp_path / "out")
    return kept["record"]


def with_answer(record: StudyRecord, question: str, **changes: Any) -> StudyRecord:
    entries = [
        entry.model_copy(update=changes) if entry.id == question else entry for entry in record.questions
    ]
    return record.model_copy(update={"questions": tuple(entries)})


def tampered(record: StudyRecord, folder: Path, part: str, factor: float) -> StudyRecord:
    """A record whose file of scores has one score changed, and the digest with it."""
    assert record.scores is not None
    path = folder / record.scores.path
    with np.load(path) as arrays:
        content = dict(arrays)
    content[part][0, 0] *= factor
    written = io.BytesIO()
    np.savez_compressed(written, **content)
    path.write_bytes(written.getvalue())
    digest = hashlib.sha256(written.getvalue()).hexdigest()
    return record.model_copy(update={"scores": record.scores.model_copy(update={"sha256": digest})})


def test_every_sentence_follows_from_the_scores(record: StudyRecord, tmp_path: Path) -> None:
    found = replay(StudyRecord.load(tmp_path / "out" / "study.json"), tmp_path / "out")
    assert found.differences == ()
    answered = {entry.id for entry in record.questions if not entry.sentence.startswith("Not answered")}
    assert set(found.sentences) == answered >= {"depth", "cell", "trivial", "limits", "depth-parameters"}
    assert found.following == len(found.sentences)
    failed = {entry.id for entry in record.questions if "failed to train" in entry.sentence}
    assert failed >= {"depth", "overfitting", "data"}
    assert all(entry.would_change for entry in record.questions)


def test_one_changed_score_is_found(record: StudyRecord, tmp_path: Path) -> None:
    changed = tampered(record, tmp_path / "out", "validation", 1.5)
    found = replay(changed, tmp_path / "out")
    assert "depth" in {difference.question for difference in found.differences}
    assert found.following < len(found.sentences)


def test_one_changed_test_score_is_found(record: StudyRecord, tmp_path: Path) -> None:
    found = replay(tampered(record, tmp_path / "out", "test", 1.5), tmp_path / "out")
    assert {difference.field for difference in found.differences} == {"test_effect", "test_interval"}


def test_a_file_of_other_scores_is_refused(record: StudyRecord, tmp_path: Path) -> None:
    tampered(record, tmp_path / "out", "validation", 1.5)  # and the digest is that of the study
    with pytest.raises(SavedModelError, match="is not the file that the study wrote"):
        replay(record, tmp_path / "out")
    (tmp_path / "out" / "scores.npz").unlink()
    with pytest.raises(SavedModelError, match="Copy the study whole"):
        replay(record, tmp_path / "out")


@pytest.mark.parametrize(
    ("question", "changes"),
    [
        ("depth", {"sentence": "4 layers."}),
        ("cell", {"effect": 0.5}),
        ("trivial", {"p": 0.9}),
        ("limits", {"sentence": "All keep them."}),
        ("overfitting", {"interval": (0.1, 0.2)}),
        ("data", {"sentence": "More rows would help."}),
        ("data", {"would_change": "nothing"}),
        ("depth", {"evidence": None}),
        ("depth", {"answer": 4}),
        ("depth", {"chosen": "lstm-1-forward"}),
        ("trivial", {"answer": "naive"}),
        ("limits", {"answer": "gru ×1"}),
        ("overfitting", {"answer": "grows with depth, surely"}),
        ("data", {"answer": "more rows"}),
        ("data", {"curves": ()}),
    ],
)
def test_a_changed_answer_is_found(
    record: StudyRecord, tmp_path: Path, question: str, changes: dict[str, Any]
) -> None:
    found = replay(with_answer(record, question, **changes), tmp_path / "out")
    field = "sentence" if "evidence" in changes else next(iter(changes))
    assert [(one.question, one.field) for one in found.differences] == [(question, field)]


def test_a_changed_sentence_of_sides_is_found(fake: Callable[..., Any], tmp_path: Path) -> None:
    bench = fake(truth={"lstm-2-forward": 0.8, "bert-small": 0.9})
    record = run_study(
        bench,
        tmp_path / "out",
        budget_s=600.0,
        questions=("depth", "bert"),
        depths=(1, 2),
        seed=0,
        rope=0.005,
        listener=Quiet(),
        resume=False,
        command="",
        bert="small",
    )
    (entry,) = (one for one in record.questions if one.id == "bert")
    assert entry.sides is not None
    assert entry.sides.startswith("By data size, in training rows: with 700 lstm ×2 is ahead.")
    assert replay(record, tmp_path / "out").differences == ()
    found = replay(with_answer(record, "bert", sides="BERT wins."), tmp_path / "out")
    assert [(one.question, one.field) for one in found.differences] == [("bert", "sides")]


def test_a_record_without_scores_cannot_be_replayed(record: StudyRecord, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="before scores were recorded"):
        replay(record.model_copy(update={"scores": None}), tmp_path / "out")
