from __future__ import annotations

import math

import numpy as np
import pytest

from lamina.study.bench import Run, Settings, Standing
from lamina.study.collapse import Collapse, fails_too_often, mark, told
from lamina.study.space import Design

MAJORITY, NAIVE = 0.5, 2.0


def standing(*means: float) -> Standing:
    runs = [
        Run("d", Settings(0.01, 0.1), seed, mean, np.full(100, mean), 1.0, 1, 1.0, {}, "complete", "")
        for seed, mean in enumerate(means)
    ]
    return Standing(Design(), repeats=runs)


def failed(found: Standing) -> list[bool]:
    return [run.outcome == "collapsed" for run in found.repeats]


def test_a_run_at_chance_collapsed_where_another_learned() -> None:
    found, other = standing(0.51, 0.8, 0.49), standing(0.9)
    mark([found, other], MAJORITY, higher_is_better=True)
    assert failed(found) == [True, False, True]
    assert "it gains 2.0 % on the simplest method, another run 80.0 %" in found.repeats[0].reason


def test_where_nobody_learns_nobody_collapsed() -> None:
    found = standing(0.5, 0.52, 0.49)
    mark([found], MAJORITY, higher_is_better=True)
    assert failed(found) == [False] * 3


def test_twice_the_error_of_the_simplest_method_is_a_collapse() -> None:
    found = standing(4.2, 3.8)
    mark([found], NAIVE, higher_is_better=False)
    assert failed(found) == [True, False]
    assert found.repeats[0].reason == "its error is 2.1 times that of the simplest method"


def test_less_than_half_the_accuracy_of_the_simplest_method_is_a_collapse() -> None:
    """Also where no run learns, so that no gain is there to compare with."""
    found = standing(0.0, 0.05, 0.24, 0.26, 0.5)
    mark([found], MAJORITY, higher_is_better=True)
    assert failed(found) == [True, True, True, False, False]
    assert found.repeats[1].reason == "its accuracy is 0.1 times that of the simplest method"


def test_the_metric_is_judged_and_not_the_scores_that_make_it() -> None:
    """An RMSE of 1.5 times the simplest method's, which are 2.25 times its squared errors."""
    found = standing(3.0)
    found.repeats[0].errors **= 2
    mark([found], NAIVE, higher_is_better=False)
    assert failed(found) == [False]


def test_a_weaker_design_that_learned_is_no_collapse() -> None:
    """Half of the gain of the best is weak, not untrained."""
    found, other = standing(1.5), standing(1.0)
    mark([found, other], NAIVE, higher_is_better=False)
    assert failed(found) == [False]


def test_without_a_simplest_method_nothing_is_marked() -> None:
    found = standing(9.0)
    mark([found], math.nan, higher_is_better=False)
    assert failed(found) == [False]


@pytest.mark.parametrize(
    ("bad", "seeds", "often"), [(0, 5, False), (1, 5, False), (2, 5, True), (1, 4, True)]
)
def test_a_quarter_of_the_seeds_is_too_often(bad: int, seeds: int, often: bool) -> None:
    found = standing(*[1.0] * seeds)
    for run in found.repeats[:bad]:
        run.outcome = "collapsed"
    assert fails_too_often(found) == often


def test_failure_and_ceiling_are_told_apart() -> None:
    words = told([Collapse("4", "d", 3, 8, "e", 0, 8)], about_depth=True)
    assert words == (
        " Depth 4 failed to train in 3 of 8 seeds; with residuals, norm and smaller steps it trained in 8 of "
        "8, and stands so in the comparison."
    )
    assert told([], about_depth=True) == ""
