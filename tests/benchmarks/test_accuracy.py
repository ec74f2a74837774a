from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import polars as pl
import pytest

from lamina.data.series import SeriesTable, read_series
from lamina.data.splits import split_in_time
from lamina.errors import ConfigError, MissingPackageError

DAYS = (pl.date(2024, 1, 1), pl.date(2024, 2, 29))


@pytest.fixture
def table() -> SeriesTable:
    """Two series of 30 hours: hours counted, and three times that; rows are counted too."""
    hours = np.arange(30.0)
    frame = pl.DataFrame({"unique_id": ["a"] * 30 + ["b"] * 30, "y": np.concatenate([hours, 3 * hours])})
    return read_series(frame, target="y")


def changed_rows(table: SeriesTable, rows: slice, value: float) -> SeriesTable:
    y = table.y.copy()
    y[rows] = value
    return replace(table, y=y)


def problem_of(accuracy: ModuleType, table: SeriesTable, *, metric: str, validation_teaches: bool) -> object:
    cuts = split_in_time(table, horizon=2, validation=4, test=4)
    return accuracy.Problem(table, cuts, metric, validation_teaches)


def test_mase_is_scaled_by_all_rows_before_the_part(accuracy: ModuleType, table: SeriesTable) -> None:
    changed = changed_rows(table, slice(26, 30), 126.0)  # test rows must not reach the scale
    problem = problem_of(accuracy, changed, metric="MASE", validation_teaches=True)
    truth = np.array([[26.0, 27], [27, 28], [28, 29]])
    forecast = np.concatenate([np.full((3, 2), 128.0), 3 * truth - 9])  # errors 2 and 9, scales 1 and 3
    assert problem.score(forecast, "test") == pytest.approx((2 + 3) / 2)  # type: ignore[attr-defined]


def test_mse_counts_every_window_alike(accuracy: ModuleType, table: SeriesTable) -> None:
    problem = problem_of(accuracy, table, metric="MSE", validation_teaches=False)
    truth = np.array([[22.0, 23], [23, 24], [24, 25]])
    forecast = np.concatenate([truth, 3 * truth + [[2.0, 0.0]]])
    assert problem.score(forecast, "validation") == pytest.approx(4 / 4)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("teaches", "part", "lengths"),
    [(True, "test", (26, 30)), (False, "test", (22, 30)), (True, "validation", (22, 26))],
)
def test_what_is_learned_from_ends_before_what_is_scored(
    accuracy: ModuleType, table: SeriesTable, teaches: bool, part: str, lengths: tuple[int, int]
) -> None:
    problem = problem_of(accuracy, table, metric="MASE", validation_teaches=teaches)
    rows = problem.rows(part)  # type: ignore[attr-defined]
    assert [part.lengths.tolist() for part in rows] == [[rows] * 2 for rows in lengths]


def test_standardized_uses_the_training_part_alone(accuracy: ModuleType, table: SeriesTable) -> None:
    cuts = split_in_time(table, horizon=2, validation=4, test=4)
    before = accuracy.standardized(table, cuts).y
    after = accuracy.standardized(changed_rows(table, slice(22, 30), 1e6), cuts).y
    np.testing.assert_array_equal(after[:22], before[:22])
    assert before[:22].mean() == pytest.approx(0)
    assert before[30:52].std() == pytest.approx(1)


def test_seasonal_naive_repeats_the_last_season(accuracy: ModuleType) -> None:
    frame = pl.DataFrame({"ds": pl.datetime_range(*DAYS, interval="1d", eager=True), "y": np.arange(60.0)})
    table = read_series(frame, target="y")
    cuts = split_in_time(table, horizon=10, validation=10, test=10)
    problem = accuracy.Problem(table, cuts, "MASE", True)
    assert problem.season == 7
    expected = [[43, 44, 45, 46, 47, 48, 49, 43, 44, 45]]
    assert accuracy.seasonal_naive(problem, "test").tolist() == expected


def test_the_clock_halves_the_rate_and_stops(accuracy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 1.0, 3.5, 6.5, 9.5])
    monkeypatch.setattr(accuracy.time, "perf_counter", lambda: next(times))
    clock = accuracy.Clock(seconds=9.0, halvings=3)
    group = {"lr": 1.0, "initial_lr": 1.0}
    trainer = SimpleNamespace(should_stop=False, optimizers=[SimpleNamespace(param_groups=[group])])
    seen = []
    for _ in range(4):
        clock.after_step(trainer)
        seen.append((group["lr"], trainer.should_stop))
    assert seen == [(1.0, False), (0.5, False), (0.25, False), (0.125, True)]
    assert clock.steps == 4


def test_a_bar_is_judged_by_the_median_and_by_the_rival(accuracy: ModuleType) -> None:
    def lines(ours: list[float], theirs: list[float]) -> list[object]:
        scores = [("lamina", score) for score in ours] + [("LSTM", score) for score in theirs]
        runs = [accuracy.Run(method, "", 0, score, 1.0, 1) for method, score in scores]
        return accuracy.summarize("m4_hourly", runs)  # type: ignore[no-any-return]

    passed = accuracy.verdicts(lines([0.8, 0.9, 5.0], [1.2]))["m4_hourly"]
    assert (passed["median"], passed["reached"], passed["behind_lstm"]) == (0.9, True, False)
    behind = accuracy.verdicts(lines([0.9], [0.8]))["m4_hourly"]
    assert (behind["reached"], behind["behind_lstm"]) == (True, True)
    alone = accuracy.verdicts(lines([1.1], []))["m4_hourly"]
    assert (alone["reached"], alone["behind_lstm"]) == (False, None)
    assert accuracy.sentence("m4_hourly", behind).startswith("m4_hourly: FAIL")


def test_a_few_steps_on_the_bundled_set_give_a_report(accuracy: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "accuracy.json"
    arguments = ["--only", "JapaneseVowels", "--quick", "--no-peers", "--threads", "1", "--json", str(path)]
    assert accuracy.main(arguments) == 0
    report = json.loads(path.read_text(encoding="utf-8"))
    assert [run["method"] for run in report["runs"]] == ["lamina"]
    assert 1 / 9 < report["runs"][0]["score"] <= 1
    assert report["verdicts"] == {}


def test_a_forecaster_runs_on_a_small_problem(accuracy: ModuleType, table: SeriesTable) -> None:
    problem = problem_of(accuracy, table, metric="MASE", validation_teaches=True)
    training = accuracy.TrainingConfig(max_steps=5, batch_size=8)
    run = accuracy.run_forecaster(problem, 0, training)
    assert np.isfinite(run.score)
    assert run.steps > 5  # searched, then refitted


def test_unknown_sets_and_missing_peers_are_named(
    accuracy: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="'m4_hourli'; did you mean 'm4_hourly'"):
        accuracy.parse_names("m4_hourli")
    monkeypatch.setattr(accuracy.importlib.util, "find_spec", lambda _: None)
    options = argparse.Namespace(only="m4_hourly", no_peers=False)
    with pytest.raises(MissingPackageError, match=r"requirements-peers\.txt"):
        accuracy.measure(options, print)
