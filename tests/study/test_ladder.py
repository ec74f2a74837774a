# A listener takes all it hears, whether or not a test needs it.
# ruff: noqa: ARG002

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamina.study.budget import Budget
from lamina.study.ladder import SHARES, Climb
from lamina.study.pace import Pace
from lamina.study.questions import Ladder
from lamina.study.rounds import LEAST_SEEDS
from lamina.study.run import Quiet
from lamina.study.sequential import MOST_SEEDS
from lamina.study.space import CAREFUL
from lamina.study.trials import RATES, Trials
from lamina.study.workers import Here

REPAIRED = "lstm-3-forward-residual-norm-careful"
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
    further: tuple[Ladder, ...] = (),
    at_once: int = 1,
) -> Climb:
    shares = {name: SHARES[name] for name in ("baselines", *questions, "finish")}
    workers = Here(bench)
    workers.count = at_once
    found = Climb(
        bench,
        Trials(folder, seed=0, higher_is_better=False),
        Budget(budget_s, shares=shares),
        workers,
        questions=questions,
        depths=depths,
        seed=0,
        rope=0.005,
        listener=listener or Ear(),
        pace=pace,
        further=further,
    )
    found.run()
    return found


def test_every_arm_gets_the_same_number_of_trials_and_seeds(fake: Callable[..., Any], tmp_path: Path) -> None:
    findings = climb(fake(truth=BETTER_WITH_TWO), tmp_path).findings
    assert findings.pace is not None
    compared = [findings.standings[design.id] for design in findings.compared["depth"].values()]
    assert {len(s.search) for s in compared} == {findings.pace.trials} == {5}
    assert min(len(s.repeats) for s in compared) == findings.pace.seeds == 5


@pytest.mark.parametrize("budget_s", [12.0, 40.0])
def test_trials_are_equal_also_where_time_is_short(
    fake: Callable[..., Any], tmp_path: Path, budget_s: float
) -> None:
    """A dear arm is searched as long as a cheap one, whatever the budget."""
    bench = fake(truth=BETTER_WITH_TWO, second_s=4.0)
    found = climb(bench, tmp_path, budget_s=budget_s, pace=Pace(trials=4, seeds=3, max_steps=150)).findings
    compared = [found.standings[design.id] for design in found.compared["depth"].values()]
    assert len({len(s.search) for s in compared}) == 1
    assert len({s.search[0].history["steps"][-1] for s in compared}) == 1


def test_seeds_of_the_comparison_are_fresh(fake: Callable[..., Any], tmp_path: Path) -> None:
    findings = climb(fake(truth=BETTER_WITH_TWO), tmp_path).findings
    for standing in findings.standings.values():
        searched = {run.seed for run in standing.search}
        repeated = [run.seed for run in standing.repeats]
        assert not searched & set(repeated)
        assert len(set(repeated)) == len(repeated)


def test_repeats_have_the_settings_of_the_best_trial(fake: Callable[..., Any], tmp_path: Path) -> None:
    findings = climb(fake(noise=0.1), tmp_path).findings
    for design in findings.compared["depth"].values():
        standing = findings.standings[design.id]
        best = min(standing.search, key=lambda run: run.score)
        assert {run.settings for run in standing.repeats} == {best.settings}


def test_the_known_truth_is_found(fake: Callable[..., Any], tmp_path: Path) -> None:
    ear = Ear()
    findings = climb(fake(truth=BETTER_WITH_TWO), tmp_path, listener=ear).findings
    depth = findings.decisions["depth"]
    assert (depth.answer, depth.status) == ("2", "decided")
    assert depth.effect == pytest.approx(0.2, abs=0.01)
    assert ear.answers["depth"] == depth.sentence
    assert ear.stages == ["baselines", "depth", "final"]


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


def test_time_is_kept_for_what_comes_after_the_questions(
    fake: Callable[..., Any], tmp_path: Path, clock: Any
) -> None:
    """Each kept model reads the test part, and the best is trained anew: that too is in the budget."""
    bench = fake(truth=BETTER_WITH_TWO, noise=0.05, scoring_s=2.0, refit_s=20.0)
    findings = climb(bench, tmp_path, budget_s=300.0).findings
    kept = [s.trained for s in findings.standings.values()]
    assert max(len(runs) for runs in kept) > LEAST_SEEDS  # so time, not the least plan, ended the questions
    assert clock.now_s + bench.scoring_s * sum(map(len, kept)) <= 300.0


def test_an_arm_that_time_cuts_is_compared_with_nobody(
    fake: Callable[..., Any], tmp_path: Path, clock: Any
) -> None:
    """A Transformer fifty times as slow as it was taken for would lose for want of steps alone."""
    ear = Ear()
    questions: tuple[Ladder, ...] = ("depth", "transformer")
    bench = fake(truth=BETTER_WITH_TWO, slow={"transformer-2": 50.0})
    findings = climb(bench, tmp_path, questions=questions, budget_s=120.0, listener=ear).findings
    assert set(findings.decisions) == {"depth"}
    assert ear.answers["transformer"] == (
        "Not answered: time ended runs of transformer ×2 before their steps were done."
    )
    assert sum(name == "transformer-2" for name, _ in bench.trained) == 1  # no seed follows the trial
    assert clock.now_s <= 120.0


@pytest.mark.parametrize(
    ("question", "slow"),
    [
        ("depth", (REPAIRED, 1001)),
        ("depth", ("lstm-2-forward", 1007)),
        ("overfitting", ("lstm-2-forward", 1001)),
        ("data", ("lstm-1-forward-250rows", 1001)),
    ],
)
def test_runs_that_time_cuts_later_leave_the_question_open_too(
    fake: Callable[..., Any], tmp_path: Path, question: Ladder, slow: tuple[str, int]
) -> None:
    """In a repaired design, at a later look, and where a curve is measured."""
    bench = fake(
        truth={"lstm-1-forward": 1.0, "lstm-2-forward": 0.97},
        noise=0.05,
        collapses=("lstm-3-forward",),
        slow_seeds={slow: 1000.0},
    )
    findings = climb(bench, tmp_path, questions=(question,), budget_s=500.0).findings
    assert question not in {**findings.decisions, **findings.estimates}
    assert "before their steps were done" in findings.unanswered[question]
    assert slow in bench.trained


@pytest.mark.parametrize(
    ("slow", "final"),
    [
        ({"lstm-2-forward": 50.0}, "lstm-1-forward-full"),
        ({"lstm-1-forward": 50.0}, "lstm-2-forward-full"),
        ({"lstm-1-forward": 500.0, "lstm-2-forward": 500.0}, "lstm-1-forward-full"),
    ],
)
def test_where_time_ends_the_first_runs_there_is_a_model_yet(
    fake: Callable[..., Any], tmp_path: Path, clock: Any, slow: dict[str, float], final: str
) -> None:
    """No arm has a seed then, and nothing was compared: what ended its steps is trained on all rows."""
    bench = fake(truth=BETTER_WITH_TWO, slow=slow, scoring_s=0.01)
    findings = climb(bench, tmp_path, depths=(1, 2), budget_s=120.0, pace=Pace(1, 2, 300)).findings
    assert "time ended runs of" in findings.unanswered["depth"]
    assert findings.final is not None
    assert findings.final.id == final
    assert len(findings.standings[final].trained) >= LEAST_SEEDS
    assert clock.now_s <= 1.15 * 120.0


def test_where_nothing_trains_there_is_no_model(fake: Callable[..., Any], tmp_path: Path) -> None:
    plain = ("lstm-1-forward", "lstm-2-forward")
    bench = fake(collapses=(*plain, *(f"{name}-residual-norm-careful" for name in plain)))
    assert climb(bench, tmp_path, depths=(1, 2)).findings.final is None


def test_a_small_budget_takes_the_plan_of_fewest_runs(fake: Callable[..., Any], tmp_path: Path) -> None:
    pace = climb(fake(second_s=20.0), tmp_path, budget_s=60.0).findings.pace
    assert pace is not None
    assert (pace.trials, pace.seeds) == (1, 2)


def test_decisions_know_how_many_runs_go_side_by_side(fake: Callable[..., Any], tmp_path: Path) -> None:
    found = climb(fake(truth=BETTER_WITH_TWO), tmp_path, at_once=2)
    assert found.findings.decisions["depth"].basis.at_once == 2
    trivial = found.judge_trivial()
    assert trivial is not None
    assert trivial.basis.at_once == 2


def test_collapsed_seeds_are_counted_and_told(fake: Callable[..., Any], tmp_path: Path) -> None:
    bench = fake(truth=BETTER_WITH_TWO, collapsing_seeds=(("lstm-3-forward", 1001),))
    findings = climb(bench, tmp_path).findings
    decision = findings.decisions["depth"]
    assert decision.answer == "2"
    assert "Depth 3 failed to train in 1 of 5 seeds." in decision.sentence
    (told,) = findings.collapses["depth"]
    assert (told.arm, told.failed, told.seeds, told.repaired) == ("3", 1, 5, None)
    assert REPAIRED not in findings.standings


def test_a_depth_that_fails_often_is_repaired_once_and_stands_so_in_the_comparison(
    fake: Callable[..., Any], tmp_path: Path
) -> None:
    """The repaired design trains, and is better than two layers: the ceiling is told from the failure."""
    seeds = tuple(("lstm-3-forward", seed) for seed in (1000, 1002))
    bench = fake(truth={**BETTER_WITH_TWO, REPAIRED: 0.6}, collapsing_seeds=seeds)
    findings = climb(bench, tmp_path).findings
    decision = findings.decisions["depth"]
    assert (decision.answer, decision.status) == ("3", "decided")
    assert findings.winner is not None
    assert findings.winner.id == REPAIRED
    standing = findings.standings[REPAIRED]
    assert findings.pace is not None
    assert (len(standing.search), len(standing.repeats)) == (findings.pace.trials, findings.pace.seeds)
    assert max(run.settings.learning_rate for run in standing.search) <= RATES[1] * CAREFUL
    (told,) = findings.collapses["depth"]
    assert (told.failed, told.seeds) == (2, 5)
    assert (told.repaired, told.repaired_failed, told.repaired_seeds) == (REPAIRED, 0, 5)
    assert "Depth 3 failed to train in 2 of 5 seeds; with residuals, norm" in decision.sentence
    assert decision.sentence.count("failed to train") == 1


def test_repairs_have_no_part_in_the_plan_of_looks(fake: Callable[..., Any], tmp_path: Path) -> None:
    """The time that a repair takes, which hangs on what runs showed, changes no look that was planned."""
    plans = []
    for name, collapses in (("a", ()), ("b", ("lstm-3-forward",))):
        bench = fake(truth=BETTER_WITH_TWO, noise=0.05, collapses=collapses)
        findings = climb(bench, made(tmp_path, name), budget_s=150.0, pace=Pace(3, 3, 300)).findings
        plans.append(findings.decisions["depth"].basis.looks)
    assert REPAIRED in findings.standings
    assert plans[0] == plans[1]
    assert plans[0].seeds[-1] < MOST_SEEDS


def test_seeds_that_fail_at_later_looks_are_counted_too(fake: Callable[..., Any], tmp_path: Path) -> None:
    """An arm with a failed seed is still looked at by the seeds tried, so that no look is repeated."""
    failing = (("lstm-2-forward", 1001), ("lstm-2-forward", 1007))
    truth = {"lstm-1-forward": 1.0, "lstm-2-forward": 0.97}
    bench = fake(truth=truth, noise=0.05, collapsing_seeds=failing)
    findings = climb(bench, tmp_path, depths=(1, 2)).findings
    (told,) = findings.collapses["depth"]
    tried = len(findings.standings["lstm-2-forward"].repeats)
    assert tried > 7
    assert (told.failed, told.seeds) == (2, tried)
    sentence = findings.decisions["depth"].sentence
    assert sentence.endswith(f"Depth 2 failed to train in 2 of {tried} seeds.")
    assert sentence.count("failed to train") == 1


def test_a_design_that_learns_nothing_counts_as_collapsed(fake: Callable[..., Any], tmp_path: Path) -> None:
    """Depth 3 ends at the level of the naive rule, 1.3, which the others beat by far."""
    bench = fake(truth={**BETTER_WITH_TWO, "lstm-3-forward": 1.3, REPAIRED: 0.8})
    findings = climb(bench, tmp_path).findings
    assert findings.decisions["depth"].answer == "2"
    (told,) = findings.collapses["depth"]
    assert (told.arm, told.failed, told.seeds, told.repaired) == ("3", 5, 5, REPAIRED)
    assert "on the simplest method" in findings.standings["lstm-3-forward"].repeats[0].reason


def test_a_question_with_one_arm_that_trains_is_left_open(fake: Callable[..., Any], tmp_path: Path) -> None:
    ear = Ear()
    failing = tuple(
        f"lstm-{layers}-forward{ending}" for layers in (2, 3) for ending in ("", "-residual-norm-careful")
    )
    findings = climb(fake(collapses=failing), tmp_path, listener=ear).findings
    assert "depth" not in findings.decisions
    assert "fewer than two of the designs trained" in findings.unanswered["depth"]
    assert ear.answers["depth"] == f"Not answered: {findings.unanswered['depth']}."
    assert findings.winner is not None
    assert findings.winner.id == "lstm-1-forward"


def test_progress_never_runs_backwards(fake: Callable[..., Any], tmp_path: Path) -> None:
    ear = Ear()
    climb(fake(truth=BETTER_WITH_TWO), tmp_path, listener=ear)
    done = [count for count, _ in ear.progress]
    final = done.index(1, 1)  # the stage of the final runs counts anew
    assert done == [*range(1, final + 1), *range(1, len(done) - final + 1)]
    assert ear.progress[final - 1][0] == ear.progress[final - 1][1]
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


def test_the_comparison_is_of_bootstrap_samples_and_the_final_runs_of_all_rows(
    fake: Callable[..., Any], tmp_path: Path
) -> None:
    bench = fake(truth=BETTER_WITH_TWO)
    findings = climb(bench, tmp_path).findings
    assert findings.final is not None
    assert findings.final.id == "lstm-2-forward-full"
    repeats = [job for job in bench.jobs if job.keep is not None]
    assert {job.resample for job in repeats if not job.design.full} == {True}
    final = [job for job in repeats if job.design.full]
    assert {job.resample for job in final} == {False}
    assert findings.pace is not None
    assert len(final) == findings.pace.seeds
    settings = findings.standings["lstm-2-forward"].settings(higher_is_better=False)
    assert {job.settings for job in final} == {settings}
    assert not any(job.resample for job in bench.jobs if job.keep is None)


def test_later_trials_of_a_design_have_a_bound_from_its_own_earlier_ones(
    fake: Callable[..., Any], tmp_path: Path
) -> None:
    """The fake runs validate once, at the end, so the bound is their score and the least gain allowed."""
    bench = fake(truth=BETTER_WITH_TWO)
    climb(bench, tmp_path)
    trials = [job for job in bench.jobs if job.keep is None]
    assert {job.bound for job in trials[:3]} == {None}  # the first trial of each of three depths
    assert all(job.bound == pytest.approx(1.0 + 2 * 0.05) for job in trials[3:])


def test_equal_parameters_and_equal_time_are_asked_apart(fake: Callable[..., Any], tmp_path: Path) -> None:
    """More layers help at equal width only; a fake run costs a second a layer."""
    questions: tuple[Ladder, ...] = ("depth", "depth-parameters", "depth-time")
    bench = fake(truth={"lstm-2-forward": 0.8, "lstm-2-forward-45units": 1.1, "lstm-2-forward-500steps": 1.2})
    findings = climb(bench, tmp_path, questions=questions, depths=(1, 2), budget_s=3000.0).findings
    answers = {name: decision.answer for name, decision in findings.decisions.items()}
    assert answers == {"depth": "2", "depth-parameters": "1", "depth-time": "1"}
    assert findings.winner is not None
    assert findings.winner.id == "lstm-2-forward"  # the headline is of equal width
    parameters, time = findings.decisions["depth-parameters"], findings.decisions["depth-time"]
    assert parameters.sentence.startswith("At equal parameters (64 and 45 units a layer): 1 layer.")
    assert time.sentence.startswith("At equal training time (1.00 and 0.50 of the steps): 1 layer.")
    timed = findings.standings["lstm-2-forward-500steps"]
    first = findings.standings["lstm-1-forward"]
    assert timed.repeats[0].seconds == pytest.approx(first.repeats[0].seconds)


def test_further_questions_take_what_the_main_ones_leave(fake: Callable[..., Any], tmp_path: Path) -> None:
    ear = Ear()
    further: tuple[Ladder, ...] = ("clipping", "overfitting")
    alone = climb(fake(truth=BETTER_WITH_TWO, second_s=2.0), made(tmp_path, "a"), budget_s=200.0)
    bench = fake(truth=BETTER_WITH_TWO, second_s=2.0)
    both = climb(bench, made(tmp_path, "b"), budget_s=200.0, further=further, listener=ear)
    assert both.findings.pace == alone.findings.pace
    found, expected = both.findings.decisions["depth"], alone.findings.decisions["depth"]
    assert (found.answer, found.effect, found.n) == (expected.answer, expected.effect, expected.n)
    assert found.p > expected.p  # the further questions have a part of the error
    assert set(further) <= {*both.findings.decisions, *both.findings.estimates, *both.findings.unanswered}


def test_a_further_question_without_time_is_left_open_and_says_so(
    fake: Callable[..., Any], tmp_path: Path
) -> None:
    ear = Ear()
    bench = fake(truth=BETTER_WITH_TWO, noise=0.05, second_s=6.0)
    findings = climb(bench, tmp_path, budget_s=150.0, further=("data",), listener=ear).findings
    assert "it needs about" in findings.unanswered["data"]
    assert "of the budget are left for it" in ear.answers["data"]


def test_only_a_proven_gain_of_a_further_question_shapes_the_winner(
    fake: Callable[..., Any], tmp_path: Path
) -> None:
    for name, truth, winner in (("a", 0.8, "lstm-2-forward"), ("b", 0.6, "lstm-2-forward-unclipped")):
        bench = fake(truth={**BETTER_WITH_TWO, "lstm-2-forward-unclipped": truth})
        findings = climb(bench, made(tmp_path, name), questions=("depth", "clipping")).findings
        assert findings.winner is not None
        assert findings.winner.id == winner
        assert "The gradient was clipped in 0 % of the steps." in findings.decisions["clipping"].sentence


def test_residuals_are_asked_at_two_layers_or_more(fake: Callable[..., Any], tmp_path: Path) -> None:
    bench = fake(truth={"lstm-2-forward-residual": 0.7})
    findings = climb(bench, tmp_path, questions=("depth", "residual"), depths=(1, 2)).findings
    assert findings.decisions["residual"].answer == "residual"
    assert {design.layers for design in findings.compared["residual"].values()} == {2}
    assert findings.winner is not None
    assert findings.winner.id == "lstm-1-forward"  # its answer is of a deeper stack than the chosen one


def test_more_data_is_a_curve_of_the_winner_and_its_rivals(fake: Callable[..., Any], tmp_path: Path) -> None:
    """Truth: an error of 0.4 + 0.4 s^-0.5 at a share s of the rows; the rivals gain nothing from more."""
    shares = {"125": 1 / 8, "250": 1 / 4, "500": 1 / 2}
    truth = {f"lstm-1-forward-{name}rows": 0.4 + 0.4 * share**-0.5 for name, share in shares.items()}
    bench = fake(truth={**truth, "lstm-1-forward": 0.8}, noise=0.001)
    findings = climb(bench, tmp_path, questions=("data",), budget_s=5000.0).findings
    found = findings.estimates["data"]
    expected = 1 - (0.4 + 0.4 * 2**-0.5) / 0.8
    assert found.effect == pytest.approx(expected, abs=0.01)
    assert found.interval[0] < expected < found.interval[1]
    assert found.status == "decided"
    assert [curve.label for curve in found.curves] == ["lstm ×1", "lstm ×2", "transformer ×2"]
    assert [curve.overtakes for curve in found.curves] == [None, 0.0, 0.0]
    part = findings.standings["lstm-1-forward-125rows"]
    assert part.search == []
    assert part.repeats[0].settings == findings.standings["lstm-1-forward"].repeats[0].settings


def test_few_rows_are_held_to_few_rows_and_failures_on_them_are_told(
    fake: Callable[..., Any], tmp_path: Path
) -> None:
    """The naive rule has 1.3: an eighth of the rows gains next to nothing on it, all rows gain half."""
    truth = {f"{kind}-125rows": 1.29 for kind in ("lstm-1-forward", "lstm-2-forward", "transformer-2")}
    truth |= dict.fromkeys(("lstm-1-forward", "lstm-2-forward", "transformer-2"), 0.65)
    bench = fake(truth=truth, collapsing_seeds=(("lstm-1-forward-500rows", 1001),))
    findings = climb(bench, tmp_path, questions=("data",), budget_s=5000.0).findings
    assert len(findings.standings["lstm-1-forward-125rows"].trained) == 5
    (told,) = findings.collapses["data"]
    assert (told.arm, told.failed, told.seeds) == ("lstm ×1, 1/2 of the rows", 1, 5)
    sentence = findings.estimates["data"].sentence
    assert sentence.endswith(" lstm ×1, 1/2 of the rows failed to train in 1 of 5 seeds.")


def made(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name
