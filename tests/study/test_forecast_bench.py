from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lamina.data.series import read_series
from lamina.study.bench import Job, Settings
from lamina.study.decide import decide
from lamina.study.forecast_bench import ForecastBench
from lamina.study.learning_curve import Point, learning_curves
from lamina.study.scores import Arm
from lamina.study.space import Design
from lamina.tasks.forecast import PointMetric


def made(y: np.ndarray, metric: PointMetric = "mae") -> ForecastBench:
    time = np.datetime64("2024-01-01", "us") + np.arange(len(y)) * np.timedelta64(1, "h")
    return ForecastBench(read_series(pl.DataFrame({"ds": time, "y": y})), horizon=4, metric=metric, path="p")


@pytest.fixture(scope="module")
def y() -> np.ndarray:
    return np.asarray(np.sin(np.arange(200) * np.pi / 12))


def test_what_the_record_says_of_the_data(y: np.ndarray) -> None:
    bench = made(y)
    assert bench.data.splits == {"train": 140, "validation": 30, "test": 30}
    assert (bench.data.rows, bench.data.horizon, bench.data.target) == (200, 4, "y")
    assert bench.metric.name == "MAE"
    assert len(bench.layout.series) == 27  # every origin whose four steps lie in the part
    assert bench.layout.block_windows == 4
    changed = y.copy()
    changed[-1] += 1
    assert made(changed).data.hash != bench.data.hash


def test_a_run_is_scored_saved_and_refitted(y: np.ndarray, tmp_path: Path) -> None:
    bench = made(y)
    job = Job(Design(hidden=8), Settings(0.01, 0.0), seed=0, max_steps=30, max_seconds=20.0)
    run = bench.train(replace(job, keep=tmp_path / "model"))
    assert run.outcome == "complete"
    assert run.errors.shape == (27,)
    assert run.score == pytest.approx(bench.summary(run.errors))
    assert bench.test_errors(tmp_path / "model").shape == (27,)
    figures = bench.figures(tmp_path / "model")
    assert figures.forecasts[0].truth == pytest.approx(y[170:174].tolist())
    assert figures.residuals is not None
    assert len(figures.residuals.mae_by_step) == 4
    assert bench.predict_cost(tmp_path / "model").single_ms > 0
    bench.refit(tmp_path / "model", steps=5, max_seconds=10.0, out=tmp_path / "best")
    assert np.isfinite(bench.test_errors(tmp_path / "best")).all()


def test_effects_and_curves_are_of_the_root_where_the_metric_is_rmse(y: np.ndarray) -> None:
    bench = made(y, metric="rmse")
    assert (bench.layout.power, bench.test_layout.power, made(y).layout.power) == (0.5, 0.5, 1.0)
    rng = np.random.default_rng(0)
    squared = [level**2 * rng.gamma(400, 1 / 400, (5, 27)) for level in (1.0, 0.898)]
    found = decide("depth", [Arm("1", squared[0]), Arm("2", squared[1])], bench.layout)
    scores = [bench.summary(one) for one in squared]
    assert found.effect == pytest.approx(1 - scores[1] / scores[0])  # 0.102, and not 0.193
    assert found.effect == pytest.approx(0.102, abs=0.01)
    points = [Point(share, share**-0.5 * squared[0]) for share in (0.25, 0.5, 1.0)]
    (curve,) = learning_curves({"a": points}, bench.layout, higher_is_better=False, rope=0.005)
    assert curve.means == pytest.approx([scores[0] * share**-0.25 for share in (0.25, 0.5, 1.0)])
    assert curve.gain == pytest.approx(1 - 2**-0.25, abs=0.01)


def test_the_test_part_does_not_move_the_training(y: np.ndarray) -> None:
    later = y.copy()
    later[171:] = 99.0
    job = Job(Design(hidden=8), Settings(0.01, 0.0), seed=0, max_steps=12, max_seconds=20.0)
    runs = [made(series).train(job) for series in (y, later)]
    np.testing.assert_array_equal(runs[0].errors, runs[1].errors)
