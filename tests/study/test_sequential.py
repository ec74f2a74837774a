from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lamina.study.sequential import (
    LEVEL,
    LOOKS,
    ONE_LOOK,
    SAME_SPENT,
    SPENT,
    Looks,
    error_level,
    plan_looks,
)


def crossings(looks: Looks, total: float, *, power: float = SPENT, up_to: int = 24) -> float:
    """Share of studies without an effect in which some look is beyond its bound, by drawing them."""
    rng = np.random.default_rng(0)
    steps = np.diff([0, *looks.seeds])
    walk = np.cumsum(rng.normal(size=(200_000, len(steps))) * np.sqrt(steps), axis=1)
    statistic = walk / np.sqrt(looks.seeds)
    bounds = stats.norm.isf([looks.level(seeds, total, power=power) for seeds in looks.seeds])
    return float((statistic > bounds)[:, np.array(looks.seeds) <= up_to].any(axis=1).mean())


@pytest.mark.parametrize("looks", [plan_looks(5), plan_looks(2, most=9), Looks((4, 5, 6, 7, 8))])
def test_all_looks_together_err_as_often_as_stated(looks: Looks) -> None:
    # four standard errors of 200,000 draws of 2.5 % are 0.0014
    assert crossings(looks, 0.025) == pytest.approx(0.025, abs=0.0014)


@pytest.mark.parametrize("power", [SPENT, 1.0, SAME_SPENT])
def test_error_is_spent_by_the_power_family(power: float) -> None:
    # Kim & DeMets 1987: up to a share s of the information, s^power of the error is spent. The first look's
    # level is all that it may spend; at power 1, one-sided 0.025 and five looks that is a bound of 2.576
    # (Jennison & Turnbull 2000, table 7.3).
    looks = Looks((1, 2, 3, 4, 5))
    levels = [looks.level(seeds, 0.025, power=power) for seeds in looks.seeds]
    assert levels[0] == pytest.approx(0.025 * 0.2**power)
    assert max(levels) < 0.025
    if power == 1:
        assert stats.norm.isf(levels[0]) == pytest.approx(2.576, abs=0.001)
        assert levels == sorted(levels)


@pytest.mark.parametrize("power", [SPENT, 1.0, SAME_SPENT])
def test_each_look_spends_its_part_and_no_more(power: float) -> None:
    looks = Looks((1, 2, 3, 4, 5))
    for seeds in looks.seeds:
        so_far = crossings(Looks(looks.seeds), 0.05, power=power, up_to=seeds)
        assert so_far == pytest.approx(0.05 * (seeds / 5) ** power, abs=0.002)


def test_repeated_p_is_the_error_at_which_the_look_just_claims() -> None:
    looks = plan_looks(5)
    for seeds in (*LOOKS, 7):
        for total in (0.0002, 0.025, 0.3):
            assert looks.repeated_p(seeds, looks.level(seeds, total)) == pytest.approx(total, rel=0.01)
    assert looks.repeated_p(24, 0.0) < 1e-11
    assert looks.repeated_p(24, 1.0) == 1.0


def test_the_last_look_may_spend_what_is_left() -> None:
    looks = plan_looks(5)
    assert looks.level(5, 0.025, last=True) == pytest.approx(0.025)
    assert looks.level(10, 0.025) < looks.level(10, 0.025, last=True) < 0.025
    assert looks.repeated_p(10, 0.02, last=True) < looks.repeated_p(10, 0.02)


def test_one_look_is_not_corrected() -> None:
    assert ONE_LOOK.level(9, 0.05) == pytest.approx(0.05)
    assert ONE_LOOK.repeated_p(9, 0.013) == pytest.approx(0.013, rel=0.01)


def test_looks_end_with_the_plan() -> None:
    looks = plan_looks(5)
    assert [looks.after(seeds) for seeds in (1, 5, 7, 10, 24, 30)] == [5, 10, 10, 16, None, None]


@pytest.mark.parametrize(
    ("first", "most", "expected"),
    [(5, 24, (5, 10, 16, 24)), (4, 24, (4, 10, 16, 24)), (5, 11, (5, 11)), (2, 3, (2, 3)), (3, 3, (3,))],
)
def test_plans_of_short_budgets_are_coarse(first: int, most: int, expected: tuple[int, ...]) -> None:
    assert plan_looks(first, most=most).seeds == expected


def test_questions_share_the_error_of_a_study() -> None:
    asked = ("depth", "direction", "cell", "attention", "transformer")
    assert sum(error_level(question, asked) for question in asked) == pytest.approx(LEVEL)
    assert error_level("depth", ("depth",)) == LEVEL
    assert error_level("cell", ("direction", "cell")) == LEVEL / 2
    assert error_level("clipping", (), further=("clipping",)) == LEVEL


def test_further_questions_are_of_the_same_family() -> None:
    asked, further = ("depth", "direction", "cell"), ("residual", "clipping")
    levels = [error_level(name, asked, further=further) for name in (*asked, *further)]
    assert levels == pytest.approx([0.03, 0.0075, 0.0075, 0.0025, 0.0025])
    assert error_level("residual", asked, {"cell"}, further=further) == pytest.approx(0.01)


def test_what_a_cleared_question_leaves_goes_to_the_next_only() -> None:
    asked = ("depth", "direction", "cell", "attention", "transformer")
    assert error_level("direction", asked, {"depth"}) == pytest.approx(0.03 + 0.005)
    assert error_level("cell", asked, {"depth"}) == pytest.approx(0.005)
    assert error_level("attention", asked, {"direction", "cell"}) == pytest.approx(3 * 0.005)
