from __future__ import annotations

import pytest

from lamina.report.formats import duration, significant


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (-0.6123, "-0.612"), (99.96, "100"), (100.4, "100"), (1e9, "1,000,000,000"), (1, "1")],
)
def test_figures_keep_three_digits(value: float, text: str) -> None:
    assert significant(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.0999, "99.9 ms"), (0.1, "0.1 s"), (99.9, "99.9 s"), (3600, "1 h 0 min")],
)
def test_durations_use_the_unit_that_suits_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text
