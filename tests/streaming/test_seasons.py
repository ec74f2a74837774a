"""Seasons of series whose seasons are known."""

from __future__ import annotations

import numpy as np
import pytest

from lamina.streaming.seasons import find_seasons


@pytest.mark.parametrize("season", [7, 12, 24, 168])
def test_planted_season_is_found_in_noise(season: int) -> None:
    random = np.random.default_rng(season)
    shape = random.normal(size=season)
    values = np.tile(shape, 8) + random.normal(size=8 * season) * 0.2
    assert find_seasons(values)[0] % season == 0


def test_noise_and_walks_have_none() -> None:
    random = np.random.default_rng(0)
    found = [find_seasons(np.cumsum(random.normal(size=500))) for _ in range(50)]
    assert sum(map(bool, found)) <= 1


@pytest.mark.parametrize("rows", [0, 1, 5, 12])
def test_short_or_constant_series_have_none(rows: int) -> None:
    assert find_seasons(np.arange(rows, dtype=np.float64) % 4 if rows > 5 else np.ones(max(rows, 2))) == ()
