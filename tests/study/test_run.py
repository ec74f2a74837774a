# A listener takes all it hears, whether or not a test needs it.
# ruff: noqa: ARG002

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamina.errors import ConfigError, SavedModelError
from lamina.study.constraints import Limits
from lamina.study.replay import replay
from lamina.study.run import Opening, Quiet, run_study
from lamina.study.sequential import MOST_SEEDS
from lamina.study.verdict import StudyRecord

TRUTH = {"lstm-1-forward": 1.0, "lstm-2-forward": 0.8, "gru-2-forward": 0.79}


def run(bench: Any, folder: Path, **changes: Any) -> StudyRecord:
    options: dict[str, Any] = {
        "budget_s": 300.0,
        "questions": ("depth", "cell"),
        "depths": (1, 2),
        "seed": 0,
        "rope": 0.005,
        "listener": Quiet(),
        "resume": False,
        "command": "lamina study fake.csv",
    }
    return run_study(bench, folder, **(options | changes))


def codes(record: StudyRecord) -> set[str]:
    return {check.code for check in record.checks if check.outcome != "pass"}


def answers(record: StudyRecord) -> dict[str, Any]:
    return {verdict.id: (verdict.answer, verdict.status, verdict.effect) for verdict in record.questions}


def test_a_study_leaves_its_record_and_the_best_model(fake: Callable[..., Any], tmp_path: Path) -> None:
    record = run(fake(truth=TRUTH), tmp_path / "out")
    assert StudyRecord.load(tmp_path / "out" / "study.json") == record
    assert (tmp_path / "out" / "best").is_dir()
    assert record.best is not None
    assert record.best.candidate in ("lstm-2-forward-full", "gru-2-forward-full")
    assert "ST01" not in codes(record)
    assert record.budget.asked_s == 300.0
    assert 0 < record.budget.used_s <= 300.0
    assert (record.settings.command, record.settings.seed) == ("lamina study fake.csv", 0)
    depth = record.questions[0]
    assert (depth.answer, depth.status, depth.chosen) == (2, "decided", "lstm-2-forward")
    assert depth.arms == ("lstm-1-forward", "lstm-2-forward")
    assert depth.test_effect == pytest.approx(0.2, abs=0.01)
    assert depth.test_interval is not None
    assert depth.test_interval[0] < 0.2 < depth.test_interval[1]


def test_the_test_part_is_read_once_and_after_the_last_training(
    fake: Callable[..., Any], tmp_path: Path
) -> None:
    bench = fake(truth=TRUTH)
    record = run(bench, tmp_path / "out")
    assert len(bench.tested) == len(set(bench.tested))
    assert bench.events.index("test") > max(
        place for place, event in enumerate(bench.events) if event == "train"
    )
    assert bench.events[-2:] == ["figures", "refit"]
    scored = sum(score.test is not None for entry in record.candidates for score in entry.scores)
    assert len(bench.tested) == scored + 1  # the runs, and the trivial method that works


def test_what_predicts_more_slowly_is_said_to_and_timed_once(
    fake: Callable[..., Any], tmp_path: Path
) -> None:
    bench = fake(truth={"transformer-2": 1.1}, predict_ms={"transformer-2": 1.9})
    record = run(bench, tmp_path / "out", questions=("transformer",))
    (entry,) = [verdict for verdict in record.questions if verdict.id == "transformer"]
    assert entry.answer == "lstm ×1"
    assert ", 1.9 × slower to predict" in entry.sentence
    assert bench.timed == ["lstm-1-forward", "transformer-2", "lstm-1-forward-full"]
    shown = next(one for one in record.candidates if one.id == "transformer-2")
    assert shown.predict_ms == 1.9
    assert replay(record, tmp_path / "out").differences == ()


def test_a_failed_trivial_method_is_told_and_not_scored(fake: Callable[..., Any], tmp_path: Path) -> None:
    record = run(fake(truth=TRUTH), tmp_path / "out")
    naive, broken = record.baselines
    assert naive.test == naive.validation == pytest.approx(1.3, abs=0.1)
    assert (broken.test, broken.validation, broken.note) == (None, None, "failed: no season")


@pytest.mark.parametrize("press", [1, 4, 30])
def test_ctrl_c_leaves_a_record_without_the_test_part(
    fake: Callable[..., Any], tmp_path: Path, press: int
) -> None:
    bench = fake(truth=TRUTH, interrupt_at=press)
    record = run(bench, tmp_path / "out")
    assert StudyRecord.load(tmp_path / "out" / "study.json") == record
    assert "ST01" in codes(record)
    assert record.best is None
    assert bench.tested == []
    assert all(score.test is None for entry in record.candidates for score in entry.scores)
    assert [entry.id for entry in record.baselines] == ["naive", "broken"]
    open_ones = [verdict for verdict in record.questions if verdict.answer is None]
    assert all("interrupted" in v.sentence for v in open_ones if v.sentence.startswith("Not answered"))


def test_ctrl_c_while_the_test_part_is_read_shows_none_of_it(
    fake: Callable[..., Any], tmp_path: Path
) -> None:
    record = run(fake(truth=TRUTH, interrupt_test=True), tmp_path / "out")
    assert "ST01" in codes(record)
    assert all(score.test is None for entry in record.candidates for score in entry.scores)
    assert all(method.test is None for method in record.baselines)
    assert all(verdict.test_effect is None for verdict in record.questions)
    assert record.questions[0].answer == 2


@pytest.mark.parametrize("press", [1, 7, 30])
def test_resume_repeats_no_run_and_ends_as_if_never_interrupted(
    fake: Callable[..., Any], tmp_path: Path, press: int
) -> None:
    whole = fake(truth=TRUTH)
    expected = run(whole, tmp_path / "whole")
    cut = fake(truth=TRUTH, interrupt_at=press)
    run(cut, tmp_path / "cut")
    rest = cut.again()
    record = run(rest, tmp_path / "cut", resume=True)
    assert cut.trained + rest.trained == whole.trained
    assert cut.settings + rest.settings == whole.settings
    assert answers(record) == answers(expected)
    assert [entry.scores for entry in record.candidates] == [entry.scores for entry in expected.candidates]
    assert "ST01" not in codes(record)


@pytest.mark.parametrize(
    ("budget_s", "further", "press"),
    [(90.0, (), 23), (120.0, ("clipping", "overfitting"), 37), (160.0, (), 17)],
)
def test_interruptions_change_no_answer_where_time_decides(
    fake: Callable[..., Any], tmp_path: Path, budget_s: float, further: tuple[str, ...], press: int
) -> None:
    """Scores lie so close that looks are many, and time is so short that it ends them."""
    options: dict[str, Any] = {"budget_s": budget_s, "further": further}
    truth = {"lstm-1-forward": 1.0, "lstm-2-forward": 0.97}
    whole = fake(truth=truth, noise=0.05, scoring_s=0.1)
    expected = run(whole, tmp_path / "whole", **options)
    trained: list[Any] = []
    part = fake(truth=truth, noise=0.05, scoring_s=0.1, interrupt_at=press)
    record = run(part, tmp_path / "cut", **options)
    while "ST01" in codes(record):
        trained += part.trained
        part = part.again()
        part.interrupt_at = press
        record = run(part, tmp_path / "cut", resume=True, **options)
    assert trained + part.trained == whole.trained
    assert record.questions == expected.questions
    assert [entry.scores for entry in record.candidates] == [entry.scores for entry in expected.candidates]
    assert record.budget.used_s == pytest.approx(expected.budget.used_s)


def test_methods_to_beat_are_not_tried_again(fake: Callable[..., Any], tmp_path: Path) -> None:
    bench = fake(truth=TRUTH, interrupt_at=20)
    before = run(bench, tmp_path / "out")
    again = bench.again()
    again.trivial = None
    assert run(again, tmp_path / "out", resume=True).baselines[0].validation == before.baselines[0].validation


def test_a_larger_budget_leaves_settled_what_was_settled(fake: Callable[..., Any], tmp_path: Path) -> None:
    """Looks are planned before scores are compared, so that more time may not add to them."""
    truth = {"lstm-1-forward": 1.0, "lstm-2-forward": 0.97}
    bench = fake(truth=truth, noise=0.05, interrupt_at=30)
    run(bench, tmp_path / "out", budget_s=90.0)
    before = json.loads((tmp_path / "out" / "state.json").read_text())["settled"]
    record = run(bench.again(), tmp_path / "out", resume=True, budget_s=1000.0)
    after = json.loads((tmp_path / "out" / "state.json").read_text())["settled"]
    assert {name: after[name] for name in before} == before
    evidence = record.questions[0].evidence
    assert evidence is not None
    assert evidence.looks[-1] == before["depth: most seeds"] < MOST_SEEDS


def test_earlier_sittings_count(fake: Callable[..., Any], tmp_path: Path) -> None:
    bench = fake(truth=TRUTH, interrupt_at=20)
    before = run(bench, tmp_path / "out").budget.used_s
    after = run(bench.again(), tmp_path / "out", resume=True).budget.used_s
    assert before < after <= 300.0


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"depths": (1, 3)}, "depths"),
        ({"seed": 1}, "seed"),
        ({"rope": 0.1, "questions": ("depth",)}, "questions, rope"),
    ],
)
def test_resuming_with_another_option_is_an_error_that_loses_nothing(
    fake: Callable[..., Any], tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    bench = fake(truth=TRUTH, interrupt_at=4)
    run(bench, tmp_path / "out")
    before = contents(tmp_path / "out")
    with pytest.raises(ConfigError, match=f"began with, but {named} changed"):
        run(bench.again(), tmp_path / "out", resume=True, **changes)
    assert contents(tmp_path / "out") == before


def test_resuming_with_other_data_is_an_error(fake: Callable[..., Any], tmp_path: Path) -> None:
    bench = fake(truth=TRUTH, interrupt_at=4)
    run(bench, tmp_path / "out")
    other = bench.again()
    other.data = other.data.model_copy(update={"hash": "beef"})
    with pytest.raises(ConfigError, match="but data changed"):
        run(other, tmp_path / "out", resume=True)


def test_a_finished_study_is_read_again_and_takes_no_other_budget(
    fake: Callable[..., Any], tmp_path: Path
) -> None:
    bench = fake(truth=TRUTH)
    record = run(bench, tmp_path / "out")
    again = bench.again()
    assert run(again, tmp_path / "out", resume=True) == record
    assert (again.trained, again.tested) == ([], [])
    with pytest.raises(ConfigError, match="is finished and has read its test part"):
        run(again, tmp_path / "out", resume=True, budget_s=600.0)
    assert StudyRecord.load(tmp_path / "out" / "study.json") == record


def test_an_interrupted_study_takes_a_larger_budget(fake: Callable[..., Any], tmp_path: Path) -> None:
    bench = fake(truth=TRUTH, interrupt_at=4)
    run(bench, tmp_path / "out")
    record = run(bench.again(), tmp_path / "out", resume=True, budget_s=600.0)
    assert record.budget.asked_s == 600.0
    assert "ST01" not in codes(record)


def test_a_folder_with_a_study_is_left_alone(fake: Callable[..., Any], tmp_path: Path) -> None:
    run(fake(truth=TRUTH, interrupt_at=4), tmp_path / "out")
    before = contents(tmp_path / "out")
    with pytest.raises(ConfigError, match=r"holds a study already. Go on with it by --resume"):
        run(fake(), tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_a_folder_with_something_else_is_left_alone(fake: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match=r"holds something else. Name another with --out"):
        run(fake(), tmp_path)
    with pytest.raises(ConfigError, match=r"cannot be one: Not a directory\. Name another with --out"):
        run(fake(), tmp_path / "thesis.tex")
    assert contents(tmp_path) == {"thesis.tex": b"years of work"}


def test_there_must_be_something_to_resume(fake: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--resume goes on with a study, and .* holds none"):
        run(fake(), tmp_path / "nowhere", resume=True)
    assert not (tmp_path / "nowhere").exists()


def test_damaged_state_is_an_error(fake: Callable[..., Any], tmp_path: Path) -> None:
    bench = fake(truth=TRUTH, interrupt_at=4)
    run(bench, tmp_path / "out")
    for damage in ("{", "[]", "{}"):
        (tmp_path / "out" / "state.json").write_text(damage)
        with pytest.raises(SavedModelError, match=r"state.json is damaged"):
            run(bench.again(), tmp_path / "out", resume=True)


def test_the_opening_comes_before_the_work(fake: Callable[..., Any], tmp_path: Path) -> None:
    heard: list[Any] = []

    class Ear(Quiet):
        def opening(self, opening: Opening) -> None:
            heard.append(opening)

        def stage(self, name: str, detail: str, seconds: float) -> None:
            heard.append(name)

    bench = fake(truth=TRUTH)
    run(bench, tmp_path / "out", listener=Ear(), facts=("1,000 rows",))
    opening, *stages = heard
    assert (opening.data, opening.facts, opening.budget_s) == (bench.data, ("1,000 rows",), 300.0)
    assert stages == ["baselines", "depth", "cell", "final", "test"]


def test_a_hurried_study_says_so(fake: Callable[..., Any], tmp_path: Path) -> None:
    record = run(fake(truth=TRUTH, second_s=20.0), tmp_path / "out", budget_s=60.0)
    check = next(check for check in record.checks if check.code == "ST02")
    assert "larger --budget" in check.sentence
    assert "trials 1, seeds 2" in check.evidence


def test_designs_that_collapse_stay_in_the_record(fake: Callable[..., Any], tmp_path: Path) -> None:
    failing = tuple(f"lstm-{n}-forward{end}" for n in (1, 2) for end in ("", "-residual-norm-careful"))
    record = run(fake(collapses=failing), tmp_path / "out", questions=("depth",))
    assert {entry.outcome for entry in record.candidates} == {"collapsed"}
    assert {entry.reason for entry in record.candidates} == {"loss is NaN"}
    assert record.best is None
    assert record.questions[0].status == "undecided"
    assert "fewer than two of the designs trained" in record.questions[0].sentence
    assert not (tmp_path / "out" / "best").exists()


def test_the_state_is_kept_while_the_study_runs(fake: Callable[..., Any], tmp_path: Path) -> None:
    """A kill leaves how much of the budget was used, and what pace was set."""
    seen: list[dict[str, Any]] = []

    class Ear(Quiet):
        def advance(self, done: int, total: int) -> None:
            seen.append(json.loads((tmp_path / "out" / "state.json").read_text()))

    run(fake(truth=TRUTH), tmp_path / "out", listener=Ear())
    used = [state["used_s"] for state in seen]
    assert used == sorted(used)
    assert used[0] > 0
    assert all(state["pace"]["seeds"] <= MOST_SEEDS for state in seen)


def test_limits_that_bind_nothing_leave_the_model_as_it_is(fake: Callable[..., Any], tmp_path: Path) -> None:
    truth = {"lstm-1-forward": 1.0, "lstm-2-forward": 0.9985, "gru-1-forward": 0.999}
    record = run(fake(truth=truth), tmp_path / "out", limits=Limits(params=10**9))
    means = {option.id: option.score for entry in record.questions for option in entry.options}
    assert means["lstm-2-forward"] < means["lstm-1-forward"]  # there is something to be misled by
    assert (record.questions[0].answer, record.questions[0].status) == (1, "tie")
    assert record.best is not None
    assert record.best.candidate == "lstm-1-forward-full"


@pytest.mark.parametrize(
    ("limits", "outcome"),
    [
        (Limits(train_s=100.0, memory_mb=1e5), "pass"),
        (Limits(train_s=0.05), "warn"),
        (Limits(memory_mb=5.0), "warn"),
    ],
)
def test_the_training_of_the_saved_model_is_measured(
    fake: Callable[..., Any], tmp_path: Path, limits: Limits, outcome: str
) -> None:
    bench = fake(truth=TRUTH)
    refit = bench.refit

    def costly(*args: Any, **options: Any) -> None:
        held = np.ones(8_000_000)  # 64 MB
        time.sleep(0.1)
        refit(*args, **options)
        del held

    bench.refit = costly
    record = run(bench, tmp_path / "out", questions=("depth",), limits=limits)
    (found,) = (check for check in record.checks if check.code == "LM01")
    assert found.outcome == outcome
    measured = dict(part.split() for part in found.evidence.split(", "))
    assert set(measured) == set(limits.given)
    assert float(measured.get("train_s", 1.0)) >= 0.1
    assert float(measured.get("memory_mb", 64.0)) > 32.0


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
