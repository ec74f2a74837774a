from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from lamina.study.chance import FARTHEST, Gap, Scale, Windows, gap, satterthwaite, spread
from lamina.study.scores import Arm, Layout

LOWER = Scale(1.0, None)
SEEDS, WINDOWS = 5, 60


def two_way(rng: np.random.Generator, *, seed: float, own: float, rest: float) -> NDArray[np.float64]:
    """Scores of two arms, (2, seeds, windows): parts as ``chance.py`` names them."""
    shared = 0.1 * rng.normal(size=WINDOWS)
    return np.asarray(
        1
        + shared
        + own * rng.normal(size=(2, 1, WINDOWS))
        + seed * rng.normal(size=(2, SEEDS, 1))
        + rest * rng.normal(size=(2, SEEDS, WINDOWS))
    )


def gaps(trials: int, layout: Layout, *, seed: float, own: float, rest: float) -> list[Gap]:
    rng = np.random.default_rng(0)
    windows = Windows(layout)
    found = []
    for _ in range(trials):
        a, b = (spread(Arm("", scores), windows) for scores in two_way(rng, seed=seed, own=own, rest=rest))
        found.append(gap(a, b, windows, LOWER))
    return found


INDEPENDENT = Layout(np.zeros(WINDOWS, np.int64))


def test_noise_that_seeds_remove_is_not_laid_to_the_windows() -> None:
    found = gaps(300, INDEPENDENT, seed=0.01, own=0.05, rest=0.1)
    # windows: own^2 of two arms; a seed: its own luck and the rest, each over 60 windows
    assert np.mean([one.of_windows for one in found]) == pytest.approx(2 * 0.05**2 / WINDOWS, rel=0.1)
    assert np.mean([one.of_seed for one in found]) == pytest.approx(0.01**2 + 0.1**2 / WINDOWS, rel=0.1)


def test_the_standard_error_is_what_the_difference_varies_by() -> None:
    found = gaps(400, INDEPENDENT, seed=0.01, own=0.05, rest=0.1)
    assert np.mean([one.error**2 for one in found]) == pytest.approx(
        np.var([one.size for one in found]), rel=0.2
    )


@pytest.mark.parametrize(
    "layout",
    [
        Layout(np.repeat(np.arange(30), 2), 2),
        Layout(np.repeat(np.arange(3), 20), 2),
        Layout(np.zeros(WINDOWS, np.int64), 3),
    ],
    ids=["many series", "few series", "one series"],
)
def test_units_of_every_kind_measure_independent_windows_alike(layout: Layout) -> None:
    found = gaps(300, layout, seed=0.0, own=0.05, rest=0.0)
    assert np.mean([one.of_windows for one in found]) == pytest.approx(2 * 0.05**2 / WINDOWS, rel=0.1)


@pytest.mark.parametrize(("n_series", "length", "overlap"), [(1, 400, 8), (1, 480, 24), (7, 100, 8)])
def test_overlapping_windows_count_for_what_they_are_worth(n_series: int, length: int, overlap: int) -> None:
    windows = Windows(Layout(np.repeat(np.arange(n_series), length), overlap))
    shocks = np.random.default_rng(1).normal(size=(4_000, n_series, length + overlap - 1))
    rows = np.lib.stride_tricks.sliding_window_view(shocks, overlap, axis=2).mean(axis=-1)
    measured = (windows.units(rows.reshape(4_000, -1)) ** 2).sum(axis=1).mean()
    # a mean of moving averages weighs each shock as often as it is in one
    weights = np.convolve(np.full(length, 1 / length), np.full(overlap, 1 / overlap))
    assert measured == pytest.approx((weights**2).sum() / n_series, rel=0.03)


def test_a_set_of_one_block_says_nothing_of_windows() -> None:
    assert not Windows(Layout(np.zeros(10, np.int64), 10)).enough
    assert not Windows(Layout(np.zeros(1, np.int64))).enough
    assert Windows(Layout(np.repeat(np.arange(3), 2), 2)).enough


def test_more_seeds_shrink_the_part_of_seeds_only() -> None:
    one = Gap(0.1, (0.04, 0.05), (5, 5), 0.01, 8.0)
    assert one.error == pytest.approx(math.sqrt(0.09 / 5 + 0.01))
    assert one.error_at(20, 20) == pytest.approx(math.sqrt(0.09 / 20 + 0.01))
    assert one.error_at(math.inf, math.inf) == pytest.approx(0.1)


def test_satterthwaite_by_hand() -> None:
    assert satterthwaite([1.0, 1.0], [4, 4]) == pytest.approx(8)
    assert satterthwaite([1.0, 0.0], [4, 1]) == pytest.approx(4)


@pytest.mark.parametrize("higher_is_better", [False, True])
@pytest.mark.parametrize("means", [(0.8, 0.6), (0.8, -0.1)])
def test_effects_and_gaps_turn_into_each_other(higher_is_better: bool, means: tuple[float, float]) -> None:
    scale = Scale.of(*means, higher_is_better=higher_is_better)
    effect = scale.effect(scale.size(*means))
    expected = (means[0] - means[1]) / means[0] * (-1 if higher_is_better else 1)
    assert effect == pytest.approx(expected)
    assert scale.gap(effect) == pytest.approx(scale.size(*means))


def test_the_gap_of_a_root_and_its_error_are_half_those_of_its_square() -> None:
    """Mean squared errors of 1.00 and 0.81: an RMSE of 0.9 is a tenth better, with half the error."""
    rng = np.random.default_rng(0)
    windows = Windows(INDEPENDENT)
    a, b = (spread(Arm("", mean * rng.gamma(50, 1 / 50, (SEEDS, WINDOWS))), windows) for mean in (1.0, 0.81))
    squared = gap(a, b, windows, Scale.of(a.mean, b.mean, higher_is_better=False))
    root = gap(a, b, windows, Scale.of(a.mean, b.mean, higher_is_better=False, power=0.5))
    assert root.size == pytest.approx(squared.size / 2)
    assert root.error == pytest.approx(squared.error / 2)
    assert root.freedom == pytest.approx(squared.freedom)
    scale = Scale.of(1.0, 0.81, higher_is_better=False, power=0.5)
    assert scale.effect(scale.size(1.0, 0.81)) == pytest.approx(0.1)
    assert scale.gap(0.1) == pytest.approx(scale.size(1.0, 0.81))


def test_ratios_beyond_a_thousand_are_cut() -> None:
    assert LOWER.effect(-1e6) == LOWER.effect(-FARTHEST) == pytest.approx(1 - 1_000)
    assert LOWER.gap(1.5) == math.inf


def right_or_wrong(cases: int, *wrong: int) -> NDArray[np.float64]:
    """Two seeds, each of which has every case right but one, or all."""
    scores = np.ones((2, cases))
    for seed, case in enumerate(wrong):
        scores[seed, case] = 0.0
    return scores


@pytest.mark.parametrize("wrong", [(), (3, 7)])
def test_few_cases_that_are_all_alike_are_no_proof(wrong: tuple[int, ...]) -> None:
    """Of a case that was not seen they say as little as one that turns out otherwise."""
    for cases in (12, 3000):
        windows = Windows(Layout(np.zeros(cases, np.int64)))
        a, b = (
            spread(Arm("", scores), windows)
            for scores in (right_or_wrong(cases), right_or_wrong(cases, *wrong))
        )
        found = gap(a, b, windows, Scale(-1.0, None))
        assert found.error == pytest.approx(1 / cases, rel=0.2)
        assert found.freedom == pytest.approx(cases - 1)


def test_scores_that_are_no_counts_have_no_least_variance() -> None:
    windows = Windows(INDEPENDENT)
    alike = spread(Arm("", np.full((2, WINDOWS), 0.5)), windows)
    assert gap(alike, alike, windows, LOWER).error == 0
