from __future__ import annotations

import numpy as np
import pytest

from lamina.errors import ConfigError
from lamina.study.learning_curve import Point, fit_law, law_at, learning_curves, sentence
from lamina.study.scores import Layout

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)
ALONE = Layout(np.zeros(120, np.int64))


def points(law: tuple[float, float, float], *, noise: float, seed: int, seeds: int = 5) -> list[Point]:
    generator = np.random.default_rng(seed)
    a, b, c = law
    return [
        Point(
            share,
            (c + a * share**-b) * generator.gamma(50, 1 / 50, 120)[None]
            + generator.normal(0, noise, (seeds, 1))
            + generator.normal(0, noise, (seeds, 120)),
        )
        for share in SHARES
    ]


def test_the_law_is_recovered_from_exact_points() -> None:
    errors = np.array([[0.5 + 0.3 * share**-0.5 for share in SHARES]])
    law = fit_law(np.array(SHARES), errors)
    assert law_at(law, 2.0)[0] == pytest.approx(0.5 + 0.3 * 2**-0.5, abs=2e-3)


def test_a_curve_that_rises_with_data_gives_no_gain() -> None:
    law = fit_law(np.array(SHARES), np.array([[0.5, 0.6, 0.7, 0.8]]))
    assert law[0, 0] == 0
    assert law_at(law, 2.0)[0] == law_at(law, 1.0)[0] == pytest.approx(0.65)


def test_the_interval_holds_what_twice_the_data_brings() -> None:
    """In 60 made-up studies the 95 % interval holds the true gain in 51 to 60: 95 % at four errors' reach."""
    truth = 1 - (0.5 + 0.4 * 2**-0.6) / 0.9
    held = 0
    for seed in range(60):
        known = {"chosen": points((0.4, 0.6, 0.5), noise=0.03, seed=seed)}
        (curve,) = learning_curves(known, ALONE, higher_is_better=False, rope=0.005, seed=seed)
        held += curve.interval[0] <= truth <= curve.interval[1]
    assert held >= 51


def test_a_steeper_curve_overtakes_and_a_flat_one_does_not() -> None:
    known = {
        "chosen": points((0.2, 0.3, 0.6), noise=0.005, seed=0),
        "deeper": points((0.5, 0.6, 0.31), noise=0.005, seed=1),
        "other": points((0.0, 0.5, 0.9), noise=0.005, seed=2),
    }
    chosen, deeper, other = learning_curves(known, ALONE, higher_is_better=False, rope=0.005)
    assert chosen.overtakes is None
    assert deeper.overtakes == 1.0
    assert other.overtakes == 0.0
    words = sentence([chosen, deeper, other], rope=0.005)
    assert "deeper would overtake chosen (100 % of resamples)" in words
    assert "other would not overtake chosen (0.0 % of resamples)" in words


def test_at_each_size_it_is_said_who_is_ahead() -> None:
    known = {
        "chosen": points((0.2, 0.3, 0.6), noise=0.005, seed=0),  # 0.97 0.90 0.85 0.80
        "steep": points((0.1, 1.2, 0.55), noise=0.005, seed=1),  # 1.76 1.08 0.78 0.65
        "same": points((0.2, 0.3, 0.6), noise=0.005, seed=0),
    }
    del known["same"][1]
    chosen, steep, same = learning_curves(known, ALONE, higher_is_better=False, rope=0.005)
    assert chosen.ahead == chosen.behind == ()
    assert steep.ahead == (0.0, 0.0, 1.0, 1.0)
    assert steep.behind == (1.0, 1.0, 0.0, 0.0)
    assert same.shares == (1 / 8, 1 / 2, 1.0)
    assert [same.standing(place) for place in range(3)] == ["not told apart"] * 3
    words = sentence([chosen, steep, same], rope=0.005)
    assert (
        "steep is behind chosen with 1/8 and 1/4 of the rows, ahead of it with 1/2 and all of the rows."
        in words
    )
    assert words.endswith("same is not told apart from chosen with 1/8, 1/2 and all of the rows.")


def test_where_the_chosen_one_has_no_point_nothing_is_said() -> None:
    known = {
        "chosen": points((0.2, 0.3, 0.6), noise=0.005, seed=0)[1:],
        "steep": points((0.1, 1.2, 0.55), noise=0.005, seed=1),
    }
    _, steep = learning_curves(known, ALONE, higher_is_better=False, rope=0.005)
    assert np.isnan([steep.ahead[0], steep.behind[0]]).all()
    assert [steep.standing(place) for place in range(4)] == [None, "behind", "ahead", "ahead"]


def test_accuracies_are_errors_turned_round() -> None:
    errors = points((0.1, 0.5, 0.05), noise=0.001, seed=3)
    accuracies = [Point(point.share, 1 - point.scores) for point in errors]
    (low,) = learning_curves({"x": errors}, ALONE, higher_is_better=False, rope=0.005)
    (high,) = learning_curves({"x": accuracies}, ALONE, higher_is_better=True, rope=0.005)
    assert high.gain == pytest.approx(low.gain)
    assert high.means[0] == pytest.approx(1 - low.means[0])


def test_windows_that_share_data_and_many_series_widen_the_interval() -> None:
    generator = np.random.default_rng(0)
    waves = np.repeat(generator.normal(0, 0.5, 12), 10)  # neighbours have their errors in common
    known = {
        "x": [Point(share, (1 + waves + 0.5 * share**-0.5)[None] + np.zeros((3, 1))) for share in SHARES]
    }
    for layout in (Layout(np.zeros(120, np.int64), 10), Layout(np.repeat(np.arange(24), 5))):
        (curve,) = learning_curves(known, layout, higher_is_better=False, rope=0.005)
        (alone,) = learning_curves(known, ALONE, higher_is_better=False, rope=0.005)
        assert np.ptp(curve.interval) > 1.3 * np.ptp(alone.interval)


def test_too_few_points_are_an_error() -> None:
    with pytest.raises(ConfigError, match=r"needs 3 points, but chosen trained at 2"):
        learning_curves(
            {"chosen": points((0.2, 0.3, 0.6), noise=0.01, seed=0)[:2]},
            ALONE,
            higher_is_better=False,
            rope=0.005,
        )
