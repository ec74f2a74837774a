from __future__ import annotations

import numpy as np
import pytest

from lamina.study.estimates import Estimate, of_gaps, of_points
from lamina.study.learning_curve import Point
from lamina.study.overfitting import Gap
from lamina.study.scores import Layout

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)
WINDOWS = 80


def curve(b: float, noises: tuple[float, ...], *, rope: float = 0.005) -> Estimate:
    """What four points of a curve say, each of four seeds with a spread of its own."""
    luck = np.array([-1.0, 1.0, 0.5, -0.5])[:, None] + np.zeros((1, WINDOWS))
    points = [
        Point(share, 0.5 + 0.3 * share**-b + noise * luck)
        for share, noise in zip(SHARES, noises, strict=True)
    ]
    layout = Layout(np.zeros(WINDOWS, np.int64))
    found = of_points({"lstm ×1": points}, layout, higher_is_better=False, rope=rope)
    assert found is not None
    return found


def test_an_open_curve_names_its_least_certain_point() -> None:
    found = curve(0.1, (0.001, 0.2, 0.001, 0.1))
    assert found.status == "undecided"
    assert found.would_change == "more seeds with 1/4 of the rows, the least certain point"


@pytest.mark.parametrize(("rope", "status", "words"), [(0.01, "decided", "or more"), (0.5, "tie", "below")])
def test_a_curve_that_says_something_names_the_rope_that_overturns_it(
    rope: float, status: str, words: str
) -> None:
    found = curve(0.5, (0.001,) * 4, rope=rope)
    assert found.status == status
    end = found.interval[0 if status == "decided" else 1]
    assert f"{100 * end:.3g} %" in found.would_change
    assert words in found.would_change
    assert curve(0.5, (0.001,) * 4, rope=end * (1.01 if status == "decided" else 0.99)).status == "undecided"


def test_gaps_name_the_depth_that_needs_more_seeds() -> None:
    steady, vague = Gap("1", 0.8, 1.0, 0.2, 0.01, 5), Gap("4", 0.7, 1.0, 0.3, 0.2, 5)
    found = of_gaps([steady, vague])
    assert found is not None
    assert found.status == "undecided"
    assert found.would_change == "more seeds with 4 layers, where the gap is least certain"
    sure = of_gaps([steady, Gap("4", 0.5, 1.0, 0.5, 0.01, 5)])
    assert sure is not None
    assert sure.status == "decided"
    assert sure.would_change == "only a true effect outside the interval"
