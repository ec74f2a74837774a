"""``lamina stream``: through pipes, in pieces, interrupted and killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from lamina.errors import ConfigError, DataError, SavedModelError
from lamina.estimators.classifier import SequenceClassifier
from lamina.estimators.forecaster import Forecaster
from lamina.estimators.load import load
from lamina.nn.stack import StackConfig
from lamina.streaming import command
from lamina.streaming.command import Streamed, stream_lines
from lamina.streaming.forecast_session import ForecastSession
from lamina.streaming.session import Session
from lamina.training.optim import TrainingConfig

STACK, SHORT = StackConfig(hidden_sizes=(6,)), TrainingConfig(max_steps=5)
ROWS = 400
CLI = "from lamina.cli import main; main()"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = np.random.default_rng(0)
    x = [generator.normal(size=(8, 2)) for _ in range(20)]
    path = tmp_path_factory.mktemp("model") / "classifier"
    SequenceClassifier(stack=STACK, training=SHORT).fit(x, ["a", "b"] * 10).save(path)
    return path


def numbered(rows: int = ROWS) -> list[dict[str, Any]]:
    values = np.random.default_rng(1).normal(size=(rows, 2)).tolist()
    return [{"row": i + 1, "key": f"k{i % 5}", "x": x} for i, x in enumerate(values)]


def expected(model: Path, rows: list[dict[str, Any]]) -> list[list[float]]:
    session = Session.open(model)
    return [session.step(row["x"], key=row["key"]).tolist() for row in rows]


def as_lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def run(model: Path, text: bytes, tmp_path: Path, **options: Any) -> tuple[Streamed, list[dict[str, Any]]]:
    """Stream a text through files, which are the simplest of descriptors."""
    source, sink = tmp_path / "in", tmp_path / "out"
    source.write_bytes(text)
    with source.open("rb") as read, sink.open("wb") as write:
        done = stream_lines(Session.open(model), read.fileno(), write.fileno(), **options)
    return done, [json.loads(line) for line in sink.read_text().splitlines()]


def test_every_row_is_answered_in_order(model: Path, tmp_path: Path) -> None:
    rows = numbered()
    done, answers = run(model, as_lines(rows), tmp_path)
    assert done == Streamed(ROWS, 0, 0, "end")
    assert [(a["row"], a["key"]) for a in answers] == [(r["row"], r["key"]) for r in rows]
    assert [list(a["p"].values()) for a in answers] == expected(model, rows)
    assert all(a["label"] == max(a["p"], key=a["p"].get) for a in answers)


def test_csv_is_read_by_its_header(model: Path, tmp_path: Path) -> None:
    rows = numbered(30)
    text = "pump,one,two\n" + "".join(f"{r['key']},{r['x'][0]!r},{r['x'][1]!r}\n" for r in rows)
    _, answers = run(model, text.encode(), tmp_path, form="csv", key="pump")
    assert [list(a["p"].values()) for a in answers] == expected(model, rows)
    assert [a["row"] for a in answers] == list(range(1, 31))


@pytest.fixture(scope="module")
def forecaster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of hourly rows, the first 200 of ``hours``."""
    path = tmp_path_factory.mktemp("model") / "forecaster"
    data = pl.DataFrame(hours(200)).select(pl.col("when").str.to_datetime(), "cars")
    Forecaster(3, stack=STACK, training=SHORT).fit(data[:200], time="when", target="cars").save(path)
    return path


def hours(rows: int, *, first: int = 0) -> list[dict[str, Any]]:
    start, generator = datetime(2026, 1, 1), np.random.default_rng(first)
    return [
        {
            "when": (start + timedelta(hours=hour)).isoformat(),
            "cars": float(np.sin(hour / 4) + 0.3 * generator.normal()),
        }
        for hour in range(first, first + rows)
    ]


@pytest.mark.parametrize("first", [b"1,2", b"\xff,a", b"0.5"])
def test_csv_without_names_is_refused(model: Path, tmp_path: Path, first: bytes) -> None:
    with pytest.raises(DataError, match="the first line of CSV names its columns"):
        run(model, first + b"\n3,4\n", tmp_path, form="csv")


def test_forecasts_are_written_with_their_times_and_intervals(forecaster: Path, tmp_path: Path) -> None:
    row = hours(1, first=200)[0]
    _, answers = run(forecaster, as_lines([row]), tmp_path, levels=(80,))
    fitted = load(forecaster)
    assert isinstance(fitted, Forecaster)
    known = pl.DataFrame([*hours(200), row]).select(pl.col("when").str.to_datetime(), "cars")
    offline = fitted.predict(df=known, level=[80])
    assert answers[0]["ds"] == offline["ds"].dt.strftime("%Y-%m-%dT%H:%M:%S").to_list()
    for name in ("Forecaster", "Forecaster-lo-80", "Forecaster-hi-80"):
        np.testing.assert_allclose(answers[0][name], offline[name].to_numpy(), rtol=1e-5, atol=1e-5)


def test_a_bad_row_is_answered_with_its_fault_and_changes_nothing(model: Path, tmp_path: Path) -> None:
    good = numbered(3)
    bad = [b"{", b"[1]", b'{"x": "text"}', b'{"x": [1]}', b'{"x": 3}', b'{"row": 0, "x": [1, 2]}', b"\xff"]
    bad += [
        b'{"x": [NaN, 1]}',
        b'{"x": [null, 1]}',
        b'{"x": [1e999, 1]}',
        b'{"x": [true, "1"]}',
        b'{"x": [[1, 2]]}',
    ]
    bad += [b'{"x": [%s, 1]}' % (b"9" * 400), b'{"x": [%s, 1]}' % (b"9" * 5000)]
    bad += [b'{"x": [1, 2], "key": "%s"}' % (b"k" * 1_000_000), b"[" * 100_000, b"x" * 3_000_000]
    lines = [json.dumps({**row, "row": None}).encode() for row in good]
    text = b"\n".join([lines[0], *bad, lines[1], b"", lines[2]])
    done, answers = run(model, text, tmp_path)
    assert (done.rows, done.errors) == (3 + len(bad), len(bad))
    assert [list(a["p"].values()) for a in answers if "p" in a] == expected(model, good)
    assert [a["row"] for a in answers] == list(range(1, len(bad) + 4))


def test_numbers_leave_no_hole_and_a_row_known_already_is_not_stepped(model: Path, tmp_path: Path) -> None:
    rows = numbered(6)
    sent = [rows[0], rows[1], rows[3], rows[1], rows[2], rows[3]]
    done, answers = run(model, as_lines(sent), tmp_path)
    assert answers[2]["error"] == "row 4 came after row 2. Send those between them first."
    assert [a["row"] for a in answers] == [1, 2, 4, 3, 4]
    assert [list(a["p"].values()) for a in answers if "p" in a] == expected(model, rows[:4])
    assert done.seen_before == 1


def test_rows_without_numbers_go_on_after_a_restart(model: Path, tmp_path: Path) -> None:
    rows = [{name: value for name, value in row.items() if name != "row"} for row in numbered(20)]
    answers = []
    for part in (rows[:7], rows[7:]):
        answers += run(model, as_lines(part), tmp_path, snapshot=tmp_path / "state")[1]
    assert [a["row"] for a in answers] == list(range(1, 21))
    assert [list(a["p"].values()) for a in answers] == expected(model, rows)


def test_a_large_journal_becomes_a_snapshot(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "JOURNAL_BYTES", 1000)
    _, answers = run(model, as_lines(numbered(2000)), tmp_path, snapshot=tmp_path / "state")
    assert len(answers) == 2000
    assert (tmp_path / "state.journal").stat().st_size == 0


def test_a_snapshot_of_another_model_is_refused(model: Path, tmp_path: Path) -> None:
    run(model, as_lines(numbered(3)), tmp_path, snapshot=tmp_path / "state")
    generator = np.random.default_rng(5)
    other = SequenceClassifier(stack=STACK, training=SHORT).fit(
        generator.normal(size=(10, 4, 2)), ["a", "b"] * 5
    )
    other.save(tmp_path / "other")
    with pytest.raises(SavedModelError, match="of another model"):
        run(tmp_path / "other", as_lines(numbered(3)), tmp_path, snapshot=tmp_path / "state")


def test_a_cut_snapshot_is_refused_and_left_alone(model: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    run(model, as_lines(numbered(3)), tmp_path, snapshot=state)
    whole = state.read_bytes()
    state.write_bytes(whole[:-20])
    with pytest.raises(SavedModelError, match="cut off or damaged"):
        run(model, as_lines(numbered(3)), tmp_path, snapshot=state)
    assert state.read_bytes() == whole[:-20]
    state.write_bytes(whole)
    rows = numbered(5)
    _, answers = run(model, as_lines(rows), tmp_path, snapshot=state)
    assert [list(a["p"].values()) for a in answers] == expected(model, rows)[3:]


def test_an_unknown_format_is_an_error(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="format is json or csv, but is 'jsn'; did you mean 'json'"):
        run(model, b"", tmp_path, form="jsn")


def test_an_interval_wider_than_the_forecasts_is_refused_before_a_row_is_read(
    forecaster: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="99"):
        run(forecaster, as_lines(hours(3)), tmp_path, levels=(99,), snapshot=tmp_path / "state")
    assert not (tmp_path / "state").exists()


def start(model: Path, state: Path, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", CLI, "stream", str(model), "--snapshot", str(state), *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_ten_kills_lose_no_answered_row_and_repeat_none(model: Path, tmp_path: Path) -> None:
    """The sender sends again what was not answered, as any sender would; -9 comes at a random moment."""
    generator = np.random.default_rng(7)
    rows, kills = numbered(3000), 0
    answers: list[dict[str, Any]] = []
    state = tmp_path / "state"
    while len(answers) < len(rows):
        left = as_lines(rows[len(answers) :])
        with start(model, state) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            if kills == 10:
                answers += [json.loads(line) for line in process.communicate(left)[0].splitlines()]
                break
            target = len(answers) + int(generator.integers(5, 100))
            os.write(process.stdin.fileno(), left[:12_000])  # the last line of it is cut off
            while len(answers) < target:
                answers.append(json.loads(process.stdout.readline()))
            time.sleep(float(generator.exponential(0.002)))
            process.kill()
            kills += 1
            # what is still in the pipe was answered too; an answer that was cut off was not
            answers += [json.loads(line) for line in process.stdout.read().split(b"\n")[:-1]]
    assert kills == 10
    assert [a["row"] for a in answers] == list(range(1, len(rows) + 1))
    assert [list(a["p"].values()) for a in answers] == expected(model, rows)


def test_adaptive_intervals_go_on_after_a_kill(forecaster: Path, tmp_path: Path) -> None:
    session = Session.open(forecaster, adaptive=[80, 90])
    assert isinstance(session, ForecastSession)
    rows = [{"row": number, **row} for number, row in enumerate(hours(120, first=200), start=1)]
    options = ("--adaptive", "--level", "80,90")
    answers: list[dict[str, Any]] = []
    for last in (40, 80):
        with start(forecaster, tmp_path / "state", *options) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(as_lines(rows[len(answers) : last]))
            process.stdin.flush()
            answers += [json.loads(process.stdout.readline()) for _ in range(40)]
            process.kill()
    with start(forecaster, tmp_path / "state", *options) as process:
        answers += [json.loads(line) for line in process.communicate(as_lines(rows[80:]))[0].splitlines()]
    for row, answer in zip(rows, answers, strict=True):
        expected = session.step({"when": row["when"], "cars": row["cars"]})
        assert expected is not None
        for level in (80, 90):
            low, high = expected.interval(level)
            assert answer[f"Forecaster-lo-{level}"] == low.tolist()
            assert answer[f"Forecaster-hi-{level}"] == high.tolist()
    for other in (("--adaptive",), ()):
        with start(forecaster, tmp_path / "state", *other) as process:
            _, errors = process.communicate(as_lines(rows[:1]))
        assert process.returncode == 2
        assert b"this snapshot was made with adaptive intervals of 80, 90 %" in errors


def test_ctrl_c_ends_after_the_rows_at_hand(model: Path, tmp_path: Path) -> None:
    rows = numbered(100)
    with start(model, tmp_path / "state") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(as_lines(rows[:60]))
        process.stdin.flush()
        answers = [json.loads(process.stdout.readline()) for _ in range(60)]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130
    assert b"60 rows, 0 with errors; 5 keys" in errors
    assert b"Traceback" not in errors
    _, later = run(model, as_lines(rows), tmp_path, snapshot=tmp_path / "state")
    assert [a["row"] for a in answers + later] == list(range(1, 101))
    assert [list(a["p"].values()) for a in answers + later] == expected(model, rows)


def test_a_reader_that_goes_away_ends_the_stream_quietly(model: Path, tmp_path: Path) -> None:
    rows = numbered(200)
    with start(model, tmp_path / "state") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write(as_lines(rows))
        process.stdin.close()
        assert b"Traceback" not in process.stderr.read()
    assert process.returncode == 0
    # nobody saw an answer, so every row is sent again, and answered
    _, answers = run(model, as_lines(rows), tmp_path, snapshot=tmp_path / "state")
    assert [list(a["p"].values()) for a in answers] == expected(model, rows)
