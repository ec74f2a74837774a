from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from utilsforecast import losses

from lamina import metrics
from lamina.metrics import METRICS

TRUTH = np.array([[1.0, 2.0, np.nan], [4.0, 0.0, -2.0]])
FORECAST = np.array([[2.0, 2.0, 9.0], [1.0, 0.0, 2.0]])  # errors 1 0 - / -3 0 4


def test_point_scores_by_hand_skip_what_is_not_known() -> None:
    assert metrics.mae(TRUTH, FORECAST) == (1 + 0 + 3 + 0 + 4) / 5
    assert metrics.mse(TRUTH, FORECAST) == (1 + 9 + 16) / 5
    assert metrics.rmse(TRUTH, FORECAST) == pytest.approx((26 / 5) ** 0.5)
    assert metrics.smape(TRUTH, FORECAST) == pytest.approx(200 * (1 / 3 + 0 + 3 / 5 + 0 + 4 / 4) / 5)
    assert metrics.mase(TRUTH, FORECAST, np.array([[2.0], [4.0]])) == pytest.approx((0.5 + 0.75 + 1) / 5)


def test_smape_ends_at_200() -> None:
    assert metrics.smape(np.array([1.0]), np.array([-1.0])) == 200


def test_nothing_known_is_nan_and_a_missing_forecast_is_not_skipped() -> None:
    assert np.isnan(metrics.mae(np.array([np.nan]), np.array([1.0])))
    assert np.isnan(metrics.mae(np.array([1.0, 2.0]), np.array([1.0, np.nan])))
    assert np.isnan(metrics.smape(np.array([0.0, 2.0]), np.array([np.nan, 2.0])))
    bounds = np.array([0.0, np.nan])
    assert np.isnan(metrics.coverage(np.array([1.0, 2.0]), bounds, bounds + 3))


def test_scores_are_those_of_utilsforecast() -> None:
    generator = np.random.default_rng(0)
    truth, forecast = generator.normal(10, 3, (2, 40))
    history = generator.normal(10, 3, 60)
    frame = pl.DataFrame({"unique_id": "a", "ds": range(40), "y": truth, "m": forecast})
    train = pl.DataFrame({"unique_id": "a", "ds": range(60), "y": history})

    def official(loss: pl.DataFrame) -> float:
        return float(loss["m"][0])

    assert metrics.mae(truth, forecast) == pytest.approx(official(losses.mae(frame, ["m"])))
    assert metrics.mse(truth, forecast) == pytest.approx(official(losses.mse(frame, ["m"])))
    assert metrics.rmse(truth, forecast) == pytest.approx(official(losses.rmse(frame, ["m"])))
    # utilsforecast leaves out the 200.
    assert metrics.smape(truth, forecast) == pytest.approx(200 * official(losses.smape(frame, ["m"])))
    quantile = losses.quantile_loss(frame, {"m": "m"}, q=0.3)
    assert metrics.quantile_loss(truth, forecast[:, None], [0.3]) == pytest.approx(official(quantile))
    table = SimpleNamespace(y=np.concatenate([history, truth]), starts=np.array([0, 100]))
    scale = metrics.mase_scale(table, SimpleNamespace(train_end=np.array([60])), 7)
    expected = official(losses.mase(frame, ["m"], seasonality=7, train_df=train))
    assert metrics.mase(truth, forecast, scale[0]) == pytest.approx(expected)


def test_the_scale_falls_to_season_one_and_then_to_one() -> None:
    y = np.array([1.0, 3.0, 1.0, 3.0, 50.0, 5.0, 5.0, 5.0, 5.0, 9.0, 2.0, np.nan, 6.0, 7.0, 99.0])
    table = SimpleNamespace(y=y, starts=np.array([0, 5, 10, 15]))
    cuts = SimpleNamespace(train_end=np.array([4, 4, 4]))
    # Season 2 has no difference in the first, nothing differs in the second; the third is |6 - 2|.
    assert metrics.mase_scale(table, cuts, 2).tolist() == [2.0, 1.0, 4.0]
    # A season as long as the training part has no pair: neighbours, of which the third has |7 - 6|.
    assert metrics.mase_scale(table, cuts, 4).tolist() == [2.0, 1.0, 1.0]


def test_the_scale_does_not_see_what_comes_after_training() -> None:
    y = np.array([1.0, 2.0, 4.0, 8.0])
    cuts = SimpleNamespace(train_end=np.array([3]))
    starts = np.array([0, 4])
    before = metrics.mase_scale(SimpleNamespace(y=y, starts=starts), cuts, 1)
    y[3] = 1e9
    assert metrics.mase_scale(SimpleNamespace(y=y, starts=starts), cuts, 1) == before == [1.5]


def test_pinball_loss_by_hand() -> None:
    truth = np.array([10.0, np.nan])
    forecast = np.array([[8.0, 11.0], [0.0, 0.0]])
    # 0.1 * 2 above the first quantile, 0.1 * 1 below the second (1 - 0.9).
    assert metrics.quantile_loss(truth, forecast, [0.1, 0.9]) == pytest.approx((0.2 + 0.1) / 2)


def test_coverage_counts_the_bounds_in() -> None:
    assert metrics.coverage(np.array([1.0, 2, 3, 4]), np.array([1.0] * 4), np.array([3.0] * 4)) == 0.75


def test_class_scores_by_hand() -> None:
    truth, predicted = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1])
    assert metrics.accuracy(truth, predicted) == 0.5
    # F1: class 0 is 2/3, class 1 is 2*1/(2+2) = 1/2, class 2 is never predicted.
    assert metrics.macro_f1(truth, predicted) == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    probabilities = np.array([[0.8, 0.2], [0.4, 0.6]])
    assert metrics.log_loss(np.array([0, 0]), probabilities) == pytest.approx(-np.log([0.8, 0.4]).mean())
    assert metrics.brier(np.array([0, 0]), probabilities) == pytest.approx((0.08 + 0.72) / 2)
    # Both top probabilities stand alone in a bin: |0.8 - 1| and |0.6 - 0|.
    assert metrics.calibration_error(np.array([0, 0]), probabilities) == pytest.approx(0.4, abs=1e-6)


def test_every_metric_says_which_way_is_better() -> None:
    assert METRICS["mase"].better(0.9, 1.0)
    assert METRICS["accuracy"].better(0.9, 0.8)
    assert not METRICS["coverage"].better(1.0, 0.8)
    assert all(name == metric.name and metric.unit for name, metric in METRICS.items())
