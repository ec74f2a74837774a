from __future__ import annotations

import numpy as np
import pytest

from lamina.errors import ConfigError
from lamina.tasks.intervals import calibrate, interval

QUANTILES = (0.1, 0.5, 0.9)


def test_corrections_are_the_ranked_gaps_of_each_step() -> None:
    """19 gaps: the upper correction has rank ceil(20 * 0.9) = 18, the lower floor(20 * 0.1) = 2."""
    gaps = np.random.default_rng(0).permutation(np.arange(1.0, 20.0))
    forecast = np.zeros((19, 2, 3))
    target = np.stack([gaps, -gaps], axis=1)
    corrections = calibrate(QUANTILES, forecast, target, np.ones((19, 1)))
    assert corrections.tolist() == [[2.0, 0.0, 18.0], [-18.0, 0.0, -2.0]]


def test_corrections_are_in_units_of_each_windows_scale() -> None:
    scale = np.exp2(np.arange(12.0))[:, None]
    forecast = np.zeros((12, 1, 3)) + scale[..., None]
    target = 4 * scale  # three scales above every quantile
    assert calibrate(QUANTILES, forecast, target, scale).tolist() == [[3.0, 0.0, 3.0]]


def test_too_few_or_missing_targets_give_no_correction() -> None:
    target = np.full((20, 2), np.nan)
    target[:9, 0], target[:10, 1] = 1.0, 1.0
    corrections = calibrate(QUANTILES, np.zeros((20, 2, 3)), target, np.ones((20, 1)))
    assert corrections.tolist() == [[0.0, 0.0, 0.0], [1.0, 0.0, 1.0]]


def test_calibrated_intervals_cover_what_they_say() -> None:
    """Quantiles of a forecaster that is far too sure, on 4,000 fresh draws of a skewed error."""
    generator = np.random.default_rng(1)

    def draw(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        scale = generator.uniform(1, 20, size=(n, 1))
        target = 100 + scale * (generator.exponential(size=(n, 1)) - 1)
        forecast = 100 + scale[..., None] * np.array([-0.1, 0.0, 0.1])
        return forecast, target, scale

    forecast, target, scale = draw(2000)
    corrections = calibrate(QUANTILES, forecast, target, scale)
    forecast, target, scale = draw(4000)
    low, high = interval(QUANTILES, forecast + corrections * scale[..., None], 80)
    below, above = (target < low).mean(), (target > high).mean()
    assert below == pytest.approx(0.1, abs=0.02)
    assert above == pytest.approx(0.1, abs=0.02)
    raw_low, raw_high = interval(QUANTILES, forecast, 80)
    assert ((target >= raw_low) & (target <= raw_high)).mean() < 0.2


def test_an_interval_between_levels_is_interpolated() -> None:
    forecast = np.array([[0.0, 10.0, 30.0]])
    low, high = interval(QUANTILES, forecast, 80)
    assert (low.tolist(), high.tolist()) == ([0.0], [30.0])
    low, high = interval(QUANTILES, forecast, 40)  # 0.3 and 0.7: half of the way
    assert low.tolist() == pytest.approx([5.0])
    assert high.tolist() == pytest.approx([20.0])


@pytest.mark.parametrize(
    ("quantiles", "level", "widest"),
    [(QUANTILES, 90, 80), (QUANTILES, 0, 80), (QUANTILES, 100, 80), ((0.05, 0.5, 0.8), 70, 60)],
)
def test_a_level_beyond_the_quantiles_is_an_error_that_names_the_widest(
    quantiles: tuple[float, ...], level: float, widest: int
) -> None:
    with pytest.raises(ConfigError, match=rf"between 0 and {widest}, .*but is {level}\."):
        interval(quantiles, np.zeros((1, 3)), level)
