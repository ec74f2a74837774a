"""Whole studies, small: what they find, what they write, and that they go on after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from lamina.api import Study, open_study, study
from lamina.errors import ConfigError, DataError
from lamina.estimators.classifier import SequenceClassifier
from lamina.estimators.forecaster import Forecaster

SMALL = {"budget": "8s", "ask": "depth", "depths": (1, 2)}


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def hourly(rows: int, y: np.ndarray, **columns: np.ndarray) -> pl.DataFrame:
    begin = np.datetime64("2024-01-01", "us")
    return pl.DataFrame({"ds": begin + np.arange(rows) * np.timedelta64(1, "h"), "y": y, **columns})


def seasonal(rows: int) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 0.5, rows)
    return np.asarray(10 + 3 * np.sin(np.arange(rows) * np.pi / 12) + noise)


@pytest.fixture(scope="module")
def forecast(tmp_path_factory: pytest.TempPathFactory) -> Study:
    frame = hourly(400, seasonal(400))
    return study(frame, horizon=6, out=tmp_path_factory.mktemp("f") / "out", **SMALL)  # type: ignore[arg-type]  # options by name


def test_a_study_of_a_series_answers_and_writes(forecast: Study) -> None:
    record = forecast.record
    assert (record.task, record.metric.name, record.data.horizon) == ("forecast", "MASE", 6)
    assert record.data.splits == {"train": 280, "validation": 60, "test": 60}
    assert set(forecast.verdicts) == {"depth", "trivial"}
    compared = {"lstm-1-forward", "lstm-2-forward"}
    (final,) = {entry.id for entry in record.candidates} - compared  # the winner, trained on all rows
    assert final.removesuffix("-full") in compared
    for entry in record.candidates:
        assert len(entry.scores) >= 2
        assert all(score.test is not None and 0.3 < score.test < 5 for score in entry.scores)
    trivial = {entry.id: entry.test for entry in record.baselines}
    assert trivial["naive"] is not None
    assert trivial["seasonal naive"] is not None
    assert trivial["seasonal naive"] < trivial["naive"]  # the series is a season and noise
    assert record.figures.forecasts
    assert record.checks


def test_the_best_model_is_loaded_and_forecasts(forecast: Study) -> None:
    model = forecast.best
    assert isinstance(model, Forecaster)
    answer = model.predict()
    assert len(answer) == 6
    assert np.isfinite(answer["Forecaster"].to_numpy()).all()


def test_the_report_and_the_record_are_on_disk(forecast: Study) -> None:
    page = (forecast.folder / "report.html").read_text(encoding="utf-8")
    sentence = forecast.verdicts["depth"].sentence
    assert sentence[:1].upper() + sentence[1:20] in page
    assert open_study(forecast.folder).record == forecast.record


def test_the_leaderboard_has_everything_best_first(forecast: Study) -> None:
    board = forecast.leaderboard()
    assert board.height == len(forecast.record.candidates) + len(forecast.record.baselines)
    scores = board["validation"].drop_nulls().to_list()
    assert scores == sorted(scores)


def test_a_study_of_sequences_answers_and_writes(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    labels = ["up", "down"] * 40
    steps = [generator.integers(8, 14) for _ in labels]
    slopes = [1.0 if label == "up" else -1.0 for label in labels]
    arrays = [
        slope * np.linspace(0, 1, n)[:, None] + generator.normal(0, 0.2, (n, 2))
        for slope, n in zip(slopes, steps, strict=True)
    ]
    found = study(arrays, labels=labels, out=tmp_path / "out", **SMALL)  # type: ignore[arg-type]  # options by name
    assert (found.record.task, found.record.metric.name) == ("classify", "accuracy")
    assert sum(found.record.data.splits.values()) == 80
    assert found.record.figures.confusion is not None
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
    model = found.best
    assert isinstance(model, SequenceClassifier)
    rising, falling = (
        np.linspace(0, 1, 10)[:, None].repeat(2, 1),
        -np.linspace(0, 1, 10)[:, None].repeat(2, 1),
    )
    assert model.predict([rising, falling]).tolist() == ["up", "down"]


def test_nothing_beats_naive_on_a_random_walk(tmp_path: Path) -> None:
    walk = np.random.default_rng(0).normal(size=400).cumsum()
    found = study(hourly(400, walk), horizon=4, out=tmp_path / "out", **SMALL)  # type: ignore[arg-type]  # options by name
    trivial = found.verdicts["trivial"]
    assert not trivial.sentence.startswith("yes")
    assert trivial.answer in (None, "naive")
    assert "naive" in trivial.sentence


def test_a_planted_future_is_named_and_left_out(tmp_path: Path) -> None:
    y = seasonal(403)
    frame = hourly(400, y[:400], tip=y[3:], rain=np.random.default_rng(1).normal(size=400))
    found = study(frame, horizon=6, out=tmp_path / "out", **SMALL)  # type: ignore[arg-type]  # options by name
    leak = next(check for check in found.record.checks if check.code == "LK01")
    assert leak.outcome == "fail"
    assert "column 'tip'" in leak.sentence
    assert "3 steps later" in leak.sentence
    assert "left out as a leak of the future: tip" in found.record.data.notes
    model = found.best
    assert isinstance(model, Forecaster)
    model.predict(df=frame.drop("tip"))  # the model has no need of it


def test_a_killed_study_goes_on(tmp_path: Path) -> None:
    """SIGKILL in the middle, then --resume: finished runs stay as they are, and only JSON is printed."""
    hourly(300, seasonal(300)).write_csv(tmp_path / "series.csv")
    command = [
        *(sys.executable, "-c", "from lamina.cli import main; main()", "study", "series.csv"),
        *("--horizon", "6", "--budget", "12s", "--ask", "depth", "--depths", "1,2"),
        *("--threads", "1", "--out", "out", "--json"),
    ]
    quiet = {"cwd": tmp_path, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    first = subprocess.Popen(command, **quiet)  # type: ignore[call-overload]  # the same options twice
    runs = tmp_path / "out" / "runs"
    while first.poll() is None and not list(runs.glob("*.json")):
        time.sleep(0.02)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    assert not (tmp_path / "out" / "study.json").exists(), "it ended before it was killed"
    kept = {path: path.read_bytes() for path in runs.glob("*.json")}
    assert kept
    again = subprocess.run([*command, "--resume"], check=True, **quiet)  # type: ignore[call-overload]  # as above
    record = json.loads(again.stdout)
    assert record["schema"] == 1
    assert not [check for check in record["checks"] if check["code"] == "ST01"]
    assert {path: path.read_bytes() for path in kept} == kept
    assert (tmp_path / "out" / "best" / "manifest.json").exists()


def test_a_place_for_results_is_asked_for_before_the_data_are_read(tmp_path: Path, forecast: Study) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match="cannot be one: Not a directory"):
        study(tmp_path / "none.csv", horizon=3, out=tmp_path / "file" / "out")
    with pytest.raises(ConfigError, match="cannot be written"):
        forecast.report(tmp_path / "file" / "page.html")


def test_a_study_without_a_best_model_says_why(tmp_path: Path, forecast: Study) -> None:
    interrupted = Study(forecast.record.model_copy(update={"best": None}), tmp_path)
    with pytest.raises(ConfigError, match="this study has no best model"):
        _ = interrupted.best


def test_labels_and_a_table_do_not_mix() -> None:
    with pytest.raises(ConfigError, match="is a table of series, so that test would have no effect"):
        study(hourly(100, seasonal(100)), horizon=3, test="held.ts")
    with pytest.raises(ConfigError, match="holds labelled sequences, so that horizon would have no effect"):
        study([np.zeros((3, 1))] * 4, labels=[0, 1, 0, 1], horizon=3)


def test_a_constant_target_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"LK03: y is constant in training: .* Choose another target\.$"):
        study(hourly(100, np.ones(100)), horizon=3, out=tmp_path / "out")
    with pytest.raises(DataError, match="No network trains on it, so that --allow LK03 cannot help"):
        study(hourly(100, np.ones(100)), horizon=3, out=tmp_path / "out", allow=["LK03"])
    assert not (tmp_path / "out").exists()
