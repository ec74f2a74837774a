"""Files as streams, and what an online learner makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from lamina.errors import ConfigError, DataError
from lamina.streaming.stream_file import StreamFile, Task, evaluate_file


@pytest.fixture
def moves(tmp_path: Path) -> Path:
    """A number, whether it is large, and a date that no learner reads."""
    path = tmp_path / "moves.csv"
    lines = [f"2024-01-{n % 28 + 1:02d},{n % 6},{'up' if n % 6 > 2 else 'down'}" for n in range(300)]
    path.write_text("\n".join(["day,load,move", *lines]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def turning(tmp_path: Path) -> Path:
    """A class that follows from x, and from row 1,000 on from nothing."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=2000)
    label = np.where(np.arange(2000) < 1000, x > 0, generator.random(2000) < 0.5)
    path = tmp_path / "turning.parquet"
    pl.DataFrame({"x": x, "label": label}).write_parquet(path)
    return path


def test_a_file_of_classes(moves: Path) -> None:
    file = StreamFile.read(moves, "move")
    assert (file.task, file.left_out) == ("classify", ("day",))
    assert file.rows[4] == ({"load": 4.0}, "up")
    assert evaluate_file(file, depth=0).found.score > 0.9


def test_a_forecast_sees_the_columns_of_the_row_before(moves: Path) -> None:
    file = StreamFile.read(moves, "load", task="forecast")
    assert file.rows[:2] == (({}, 0), ({}, 1))  # the other columns are no numbers
    found = evaluate_file(file, depth=0).found
    assert found.kappa == pytest.approx(0.9, abs=0.1)
    assert found.coverage == pytest.approx(0.9, abs=0.1)
    pl.DataFrame({"y": [1.0, 2.0, 3.0], "x": [7.0, 8.0, 9.0]}).write_csv(moves)
    assert StreamFile.read(moves, "y").rows == (({}, 1.0), ({"x": 7.0}, 2.0), ({"x": 8.0}, 3.0))
    assert StreamFile.read(moves, "y", task="regress").rows[0] == ({"x": 7.0}, 1.0)


@pytest.mark.parametrize(
    ("labels", "task"),
    [(["a", "b"], "classify"), ([True, False], "classify"), ([0, 1], "classify"), ([0.0, 1.0], "forecast")],
)
def test_the_task_follows_from_the_target(tmp_path: Path, labels: list[Any], task: Task) -> None:
    pl.DataFrame({"y": labels}).write_parquet(tmp_path / "rows.parquet")
    assert StreamFile.read(tmp_path / "rows.parquet", "y").task == task


@pytest.mark.parametrize("detector", ["adwin", "page-hinkley"])
def test_a_detector_marks_where_the_stream_turns(turning: Path, detector: Any) -> None:
    file = StreamFile.read(turning, "label")
    run = evaluate_file(file, drift=detector, depth=0)
    assert any(1000 < row < 1300 for row in run.found.drifts)
    assert evaluate_file(file, depth=0).found.drifts == ()


def test_windows_suit_the_length_of_the_stream_where_none_is_given(turning: Path) -> None:
    file = StreamFile.read(turning, "label")
    assert evaluate_file(file, depth=0).found.window == 100
    short = StreamFile.read(turning, "label", most_rows=60)
    found = evaluate_file(short, depth=0).found
    assert (found.window, [point.row for point in found.curve]) == (10, [11, 21, 31, 41, 51, 60])
    assert evaluate_file(short, depth=0, window=7).found.window == 7


def test_every_row_is_shown_to_who_watches(moves: Path) -> None:
    file = StreamFile.read(moves, "move")
    seen: list[tuple[Any, Any]] = []
    run = evaluate_file(file, depth=0, seen=lambda truth, said: seen.append((truth, said)))
    assert [truth for truth, _ in seen] == [label for _, label in file.rows]
    assert seen[0][1] is None
    right = sum(truth == said for truth, said in seen[1:])
    assert run.found.score == right / 299


def test_late_values_are_forecast_from_what_is_known_by_then(tmp_path: Path) -> None:
    """A season of 6 makes a value that comes 4 rows late as easy as one that comes at once."""
    pl.DataFrame({"y": [float(n % 6) for n in range(300)]}).write_csv(tmp_path / "rows.csv")
    file = StreamFile.read(tmp_path / "rows.csv", "y")
    late = evaluate_file(file, depth=0, delay=4).found
    assert late.delay == 4
    assert late.kappa == pytest.approx(0.9, abs=0.1)


def test_more_rows_may_wait_than_learners_keep_by_default(turning: Path) -> None:
    """A label is learned with what was said of its row, however late it comes."""
    run = evaluate_file(StreamFile.read(turning, "label", most_rows=1600), depth=0, delay=1500)
    default = evaluate_file(StreamFile.read(turning, "label", most_rows=1600), depth=0).found
    row = (run.found.bound_bytes - default.bound_bytes) / 1500  # 1,501 rows may wait instead of 1
    features, experts, linear, classes = 1 + 5 + 7, 12, 8, 2
    # the inputs and their key; what each expert says, linear ones twice, and both mixtures
    assert row == 8 * (2 + features + classes * (experts + linear + 2))


def test_the_result_is_strict_json(moves: Path) -> None:
    run = evaluate_file(StreamFile.read(moves, "move"), depth=0)
    found = json.loads(json.dumps(run.to_dict(), allow_nan=False))
    assert (found["target"], found["task"], found["drift"]) == ("move", "classify", None)
    assert found["curve"][0]["weights"].keys() == found["weights"].keys()


def test_wrong_files_columns_and_options_are_told(moves: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="did you mean 'load'"):
        StreamFile.read(moves, "laod")
    with pytest.raises(DataError, match="cannot be read"):
        StreamFile.read(tmp_path / "none.csv", "load")
    with pytest.raises(DataError, match="is text, which has no number to forecast"):
        StreamFile.read(moves, "move", task="forecast")
    with pytest.raises(ConfigError, match="did you mean 'classify'"):
        StreamFile.read(moves, "move", task="clasify")  # type: ignore[arg-type]  # wrong on purpose
    file = StreamFile.read(moves, "move", most_rows=1)
    with pytest.raises(DataError, match="at least two labels"):
        evaluate_file(file, depth=0)
    with pytest.raises(ConfigError, match="drift must be None, 'adwin' or 'page-hinkley'"):
        evaluate_file(file, drift="adwn")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ConfigError, match="delay must be 0 or more and window 1 or more"):
        evaluate_file(file, delay=-1)
