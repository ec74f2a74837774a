# A listener takes all it hears, whether or not a test needs it.
# ruff: noqa: ARG002

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamina.study.budget import Budget
from lamina.study.ladder import MOST_SEEDS, SHARES, Climb, Pace
from lamina.study.run import Quiet
from lamina.study.space import Ladder
from lamina.study.trials import Trials
from lamina.study.workers import Here

BETTER_WITH_TWO = {"lstm-1-forward": 1.0, "lstm-2-forward": 0.8, "lstm-3-forward": 0.8}


class Ear(Quiet):
    """Remembers what it hears."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.progress: list[tuple[int, int]] = []
        self.answers: dict[str, str] = {}

    def stage(self, name: str, detail: str, seconds: float) -> None:
        self.stages.append(name)

    def advance(self, done: int, total: int) -> None:
        self.progress.append((done, total))

    def answer(self, question: str, sentence: str) -> None:
        self.answers[question] = sentence


def climb(
    bench: Any,
    folder: Path,
    *,
    questions: tuple[Ladder, ...] = ("depth",),
    depths: tuple[int, ...] = (1, 2, 3),
    budget_s: float = 1000.0,
    listener: Ear | None = None,
    pace: Pace | None = None,
) -> Climb:
    shares = {name: SHARES[name] for name in ("baselines", *questions, "finish")}
    found = Climb(
        bench,
        Trials(folder, seed=0, higher_is_better=False),
        Budget(budget_s, shares=shares),
        Here(bench),
        questions=questions,
        depths=depths,
        seed=0,
        rope=0.005,
        listener=listener or Ear(),
        pace=pace,
    )
    found.run()
    return found


def test_every_arm_gets_the_same_number_of_trials_and_seeds(fake: Callable[..., Any], tmp_path: Path) -> None:
    findings = climb(fake(truth=BETTER_WITH_TWO), tmp_path).findings
    assert findings.pace is not None
    assert {len(s.search) for s in findings.standings.values()} == {findings.pace.trials} == {5}
    assert min(len(s.repeats) for s in findings.standings.values()) == findings.pace.seeds == 5


@pytest.mark.parametrize("budget_s", [12.0, 40.0])
def test_trials_are_equal_also_where_time_is_short(
    fake: Callable[..., Any], tmp_path: Path, budget_s: float
) -> None:
    """A dear arm is searched as long as a cheap one, whatever the budget."""
    bench = fake(truth=BETTER_WITH_TWO, second_s=4.0)
    found = climb(bench, tmp_path, budget_s=budget_s, pace=Pace(trials=4, seeds=3, max_steps=150)).findings
    assert len({len(s.search) for s in found.standings.values()}) == 1
    assert len({s.search[0].history["steps"][-1] for s in found.standings.values()}) == 1


def test_seeds_of_the_comparison_are_fresh(fake: Callable[..., Any], tmp_path: Path) -> None:
    findings = climb(fake(truth=BETTER_WITH_TWO), tmp_path).findings
    for standing in findings.standings.values():
        searched = {run.seed for run in standing.search}
        repeated = [run.seed for run in standing.repeats]
        assert not searched & set(repeated)
        assert len(set(repeated)) == len(repeated)


def test_repeats_have_the_settings_of_the_best_trial(fake: Callable[..., Any], tmp_path: Path) -> None:
    findings = climb(fake(noise=0.1), tmp_path).findings
    for standing in findings.standings.values():
        best = min(standing.search, key=lambda run: run.score)
        assert {run.settings for run in standing.repeats} == {best.settings}


def test_the_known_truth_is_found(fake: Callable[..., Any], tmp_path: Path) -> None:
    ear = Ear()
    findings = climb(fake(truth=BETTER_WITH_TWO), tmp_path, listener=ear).findings
    depth = findings.decisions["depth"]
    assert (depth.answer, depth.status) == ("2", "decided")
    assert depth.effect == pytest.approx(0.2, abs=0.01)
    assert ear.answers["depth"] == depth.sentence
    assert ear.stages == ["baselines", "depth"]


def test_the_winner_is_carried_over(fake: Callable[..., Any], tmp_path: Path) -> None:
    truth = {**BETTER_WITH_TWO, "gru-2-forward": 0.6}
    bench = fake(truth=truth)
    findings = climb(bench, tmp_path, questions=("depth", "cell")).findings
    assert findings.compared["cell"].keys() == {"lstm", "gru"}
    assert {design.layers for design in findings.compared["cell"].values()} == {2}
    assert findings.winner is not None
    assert findings.winner.id == "gru-2-forward"


def test_a_design_that_is_asked_about_twice_is_not_trained_twice(
    fake: Callable[..., Any], tmp_path: Path
) -> None:
    bench = fake(truth=BETTER_WITH_TWO)
    climb(bench, tmp_path, questions=("depth", "cell"))
    assert max(Counter(bench.trained).values()) == 1


def test_seeds_are_added_while_undecided_and_told(fake: Callable[..., Any], tmp_path: Path) -> None:
    truth = {"lstm-1-forward": 1.0, "lstm-2-forward": 0.97}
    findings = climb(fake(truth=truth, noise=0.05), tmp_path, depths=(1, 2)).findings
    pace = findings.pace
    assert pace is not None
    counts = [len(s.repeats) for s in findings.standings.values()]
    assert counts[0] == counts[1]
    assert pace.seeds < counts[0] <= MOST_SEEDS


def test_seeds_stop_when_the_share_of_the_stage_ends(
    fake: Callable[..., Any], tmp_path: Path, clock: Any
) -> None:
    truth = {"lstm-1-forward": 1.0, "lstm-2-forward": 0.97}
    bench = fake(truth=truth, noise=0.05, second_s=10.0)
    findings = climb(bench, tmp_path, depths=(1, 2), budget_s=120.0).findings
    assert clock.now_s <= 120.0
    assert findings.decisions["depth"].status == "undecided"
    assert "would tell" in findings.decisions["depth"].sentence
    assert max(len(s.repeats) for s in findings.standings.values()) < MOST_SEEDS


@pytest.mark.parametrize(("budget_s", "second_s"), [(60.0, 5.0), (300.0, 5.0), (60.0, 0.5)])
def test_the_budget_holds(
    fake: Callable[..., Any], tmp_path: Path, clock: Any, budget_s: float, second_s: float
) -> None:
    questions: tuple[Ladder, ...] = ("depth", "direction", "cell", "attention", "transformer")
    bench = fake(truth=BETTER_WITH_TWO, noise=0.05, second_s=second_s)
    findings = climb(bench, tmp_path, questions=questions, depths=(1, 2, 3, 4), budget_s=budget_s).findings
    assert clock.now_s <= 1.15 * budget_s
    assert set(findings.decisions) == set(questions)


def test_a_small_budget_takes_the_plan_of_fewest_runs(fake: Callable[..., Any], tmp_path: Path) -> None:
    pace = climb(fake(second_s=20.0), tmp_path, budget_s=60.0).findings.pace
    assert pace is not None
    assert (pace.trials, pace.seeds) == (1, 2)


def test_collapsed_seeds_are_counted_and_told(fake: Callable[..., Any], tmp_path: Path) -> None:
    bench = fake(truth=BETTER_WITH_TWO, collapses=("lstm-3-forward",))
    decision = climb(bench, tmp_path).findings.decisions["depth"]
    assert decision.answer == "2"
    assert decision.collapsed["3"] >= 2
    assert "Depth 3 failed to train in" in decision.sentence


def test_a_question_with_one_arm_that_trains_is_left_open(fake: Callable[..., Any], tmp_path: Path) -> None:
    ear = Ear()
    findings = climb(fake(collapses=("lstm-2-forward", "lstm-3-forward")), tmp_path, listener=ear).findings
    assert "depth" not in findings.decisions
    assert "fewer than two of the designs trained" in findings.unanswered["depth"]
    assert ear.answers["depth"] == f"Not answered: {findings.unanswered['depth']}."
    assert findings.winner is not None
    assert findings.winner.id == "lstm-1-forward"


def test_progress_never_runs_backwards(fake: Callable[..., Any], tmp_path: Path) -> None:
    ear = Ear()
    climb(fake(truth=BETTER_WITH_TWO), tmp_path, listener=ear)
    done = [count for count, _ in ear.progress]
    assert done == list(range(1, len(done) + 1))
    assert ear.progress[-1][0] == ear.progress[-1][1]


def test_the_winner_is_judged_against_the_trivial_methods(fake: Callable[..., Any], tmp_path: Path) -> None:
    for number, (truth, answer) in enumerate([(1.0, "lstm ×1"), (2.0, "naive")]):
        folder = tmp_path / str(number)
        folder.mkdir()
        verdict = climb(fake(truth={f"lstm-{n}-forward": truth for n in (1, 2, 3)}), folder).judge_trivial()
        assert verdict is not None
        assert (verdict.answer, verdict.status) == (answer, "decided")


def test_nothing_to_judge_without_a_sound_trivial_method(fake: Callable[..., Any], tmp_path: Path) -> None:
    found = climb(fake(), tmp_path)
    found.findings.trivial = [method for method in found.findings.trivial if method.failed]
    assert found.judge_trivial() is None
