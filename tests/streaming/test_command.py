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

from lamina.errors import ConfigError, DataError, LaminaError, SavedModelError
from lamina.estimators.classifier import SequenceClassifier
from lamina.estimators.forecaster import Forecaster
from lamina.estimators.language_model import LanguageModel
from lamina.estimators.load import load
from lamina.nn.stack import StackConfig
from lamina.streaming import command
from lamina.streaming.command import Streamed, stream_lines
from lamina.streaming.forecast_session import ForecastSession
from lamina.streaming.journal import Journal
from lamina.streaming.session import Session
from lamina.streaming.snapshot import read_snapshot, unpack_snapshot
from lamina.streaming.token_session import TokenSession
from lamina.training.optim import TrainingConfig

STACK, SHORT = StackConfig(hidden_sizes=(6,)), TrainingConfig(max_steps=5)
ROWS = 400
CLI = "from lamina.cli import main; main()"
# reads few rows at a time, and checkpoints after each second time
FEW = "from lamina.streaming import command, lines; lines.READ_BYTES, command.JOURNAL_BYTES = 700, 1000"
OFTEN = f"{FEW}; {CLI}"


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
    bad += [b'{"x": [%s, 1]}' % number for number in (b"1e39", b"-1e300", b"3e38")]
    bad += [b'{"x": %s}' % (b"[" * depth + b"]" * depth) for depth in (*range(850, 1000), 5000)]
    bad += [b'{"x": [1, 2], "key": "\\ud800"}', b'{"x": [1, 2], "row": "\\ud800"}']
    lines = [json.dumps({**row, "row": None}).encode() for row in good]
    text = b"\n".join([lines[0], *bad, lines[1], b"", lines[2]])
    done, answers = run(model, text, tmp_path)
    assert (done.rows, done.errors) == (3 + len(bad), len(bad))
    assert [list(a["p"].values()) for a in answers if "p" in a] == expected(model, good)
    assert [a["row"] for a in answers] == list(range(1, len(bad) + 4))


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A forecaster of counted rows with a column that is known ahead, and one of categories."""
    generator, path = np.random.default_rng(2), tmp_path_factory.mktemp("model") / "counted"
    kinds = [("N", "S", "12")[i // 3 % 3] for i in range(120)]
    data = {"t": range(120), "cars": generator.normal(size=120), "plan": generator.normal(size=120)}
    model = Forecaster(2, input_size=8, stack=STACK, training=SHORT)
    model.fit(pl.DataFrame({**data, "kind": kinds}), time="t", target="cars", future=["plan"], past=["kind"])
    model.save(path)
    return path


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "language"
    model: LanguageModel = LanguageModel(
        stack=STACK, window_steps=6, training=TrainingConfig(max_steps=5, batch_size=4)
    )
    model.fit("the cat sat on 12 mats\nthe dog saw é\n" * 20).save(path)
    return path


AHEAD = b'"future": [{"plan": 1}, {"plan": 2}]'
BAD_LINES = {
    "model": [b'{"x": [1e39, 1]}', b'{"x": [3e38, -3e38]}'],
    "forecaster": [
        b'{"cars": 1e200}',
        b'{"cars": -1e39}',
        b'{"cars": 1, "when": "0001-01-01T00:00+05:00"}',
        b'{"cars": 1, "when": "9999-12-31T23:00-05:00"}',
    ],
    "counted": [
        *(b'{"cars": 1, "plan": 1, "kind": "N", "future": %s}' % ahead for ahead in (b"5", b"null", b'"ab"')),
        *(b'{"cars": 1, "plan": 1, "kind": "N", "future": [%s, {"plan": 1}]}' % v for v in (b"1", b"null")),
        *(
            b'{"cars": 1, "plan": 1, "kind": "N", "future": [{"plan": %s}, {"plan": 1}]}' % v
            for v in (b"1e39", b"1e30")
        ),
        b'{"cars": 1, "plan": 1e30, "kind": "N", %s}' % AHEAD,
        *(
            b'{"cars": 1, "plan": 1, "kind": "N", "t": %d, %s}' % (t, AHEAD)
            for t in (2**62, 2**63, -(10**30))
        ),
        b'{"cars": %s, "plan": 1, "kind": "N", %s}' % (b"[" * 900 + b"]" * 900, AHEAD),
    ],
    "language": [b'{"text": "\\ud800"}', b'{"text": ""}', b'{"text": 3}', b'{"txt": "a"}'],
}
GOOD_LINES = {
    "model": b'{"x": [1, 1]}',
    "forecaster": as_lines(hours(1, first=200)).strip(),
    "counted": b'{"cars": 1, "plan": 1, "kind": "N", %s}' % AHEAD,
    "language": b'{"text": "the "}',
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_no_line_stops_a_stream_or_its_restart(
    name: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, good, bad = request.getfixturevalue(name), GOOD_LINES[name], BAD_LINES[name]
    _, wanted = run(path, good, tmp_path)
    checkpoint = Journal.checkpoint
    monkeypatch.setattr(  # none at the end, as after a kill
        Journal, "checkpoint", lambda *a, **b: checkpoint(*a, **b) if a[1] == 0 else None
    )
    text = b"\n".join([*bad, good])
    done, answers = run(path, text, tmp_path, snapshot=tmp_path / "state")
    assert (done.rows, done.errors) == (len(bad) + 1, len(bad))
    assert all("error" in answer for answer in answers[:-1])
    assert answers[-1] == {**wanted[0], "row": len(answers)}
    numbered = b'{"row": 1, ' + bad[0][1:] + b"\n" + b"\n".join([*bad[1:], good])
    _, again = run(path, numbered, tmp_path, snapshot=tmp_path / "state")
    assert again == answers


def test_a_count_without_a_successor_is_an_error(counted: Path, tmp_path: Path) -> None:
    row = GOOD_LINES["counted"]
    last = row.replace(b'"cars"', b'"key": "n", "t": %d, "cars"' % 2**61)
    _, answers = run(counted, last + b"\n" + row.replace(b'"cars"', b'"key": "n", "cars"'), tmp_path)
    assert "error" not in answers[0]
    assert "has no number up to 2**61" in answers[1]["error"]


def test_numbers_leave_no_hole_and_a_row_known_already_is_not_stepped(model: Path, tmp_path: Path) -> None:
    rows = numbered(6)
    sent = [rows[0], rows[1], rows[3], rows[1], rows[2], rows[3]]
    done, answers = run(model, as_lines(sent), tmp_path)
    assert answers[2]["error"] == "row 4 came after row 2. Send those between them first."
    assert [a["row"] for a in answers] == [1, 2, 4, 3, 4]
    assert [list(a["p"].values()) for a in answers if "p" in a] == expected(model, rows[:4])
    assert done == Streamed(5, 1, 1, "end")


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams end without a checkpoint of what they read, as after a kill."""
    checkpoint = Journal.checkpoint
    monkeypatch.setattr(Journal, "checkpoint", lambda *a, **b: checkpoint(*a, **b) if a[1] == 0 else None)


@pytest.mark.usefixtures("killed")
@pytest.mark.parametrize("first", range(4))
def test_an_unreadable_line_sent_again_swallows_no_row(model: Path, tmp_path: Path, first: int) -> None:
    rows = numbered(5)
    lines = [json.dumps(row).encode() + b"\n" for row in rows]
    lines[1] = b'{"row": 2, "x": [1,\n'
    run(model, b"".join(lines[:3]), tmp_path, snapshot=tmp_path / "state")
    for _ in range(2):  # and so in every restart
        _, answers = run(model, b"".join(lines[first:]), tmp_path, snapshot=tmp_path / "state")
        chances = {answer["row"]: list(answer["p"].values()) for answer in answers if "p" in answer}
        wanted = dict(zip((1, 3, 4, 5), expected(model, [rows[0], *rows[2:]]), strict=True))
        assert chances == {row: p for row, p in wanted.items() if row > first}
        assert len(answers) == 5 - first


def test_an_unreadable_line_sent_twice_swallows_no_row(model: Path, tmp_path: Path) -> None:
    rows = numbered(3)
    lines = [json.dumps(row).encode() + b"\n" for row in rows]
    _, answers = run(model, b"".join([lines[0], b"{\n", b"{\n", lines[2]]), tmp_path)
    assert list(answers[-1]["p"].values()) == expected(model, [rows[0], rows[2]])[-1]


@pytest.mark.usefixtures("killed")
@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_journal_line_may_be_longer_than_a_line_that_comes_in(
    language: Path, tmp_path: Path, form: Any
) -> None:
    text = "😀" * 100_000  # 12 bytes each where JSON escapes it
    lines = text if form == "csv" else json.dumps({"text": text}, ensure_ascii=False)
    given = ("text\n" if form == "csv" else "") + lines + "\n"
    _, first = run(language, given.encode(), tmp_path, form=form, snapshot=tmp_path / "state")
    assert "next" in first[0]
    _, again = run(language, b'{"row": 1, "text": ""}\n', tmp_path, snapshot=tmp_path / "state")
    assert again == first


@pytest.mark.usefixtures("killed")
def test_a_journal_without_its_snapshot_is_refused(model: Path, tmp_path: Path) -> None:
    rows, state = numbered(4), tmp_path / "state"
    run(model, as_lines(rows[:3]), tmp_path, snapshot=state)
    whole, journal = state.read_bytes(), tmp_path / "state.journal"
    state.unlink()
    with pytest.raises(SavedModelError, match="that came after a snapshot, but no snapshot"):
        run(model, as_lines(rows[3:]), tmp_path, snapshot=state)
    state.write_bytes(whole)
    kept = journal.read_bytes()
    journal.write_bytes(b"".join(kept.splitlines(keepends=True)[1:]))
    with pytest.raises(SavedModelError, match="has row 2 after row 0, so rows between them are lost"):
        run(model, as_lines(rows[3:]), tmp_path, snapshot=state)
    journal.write_bytes(kept)
    _, answers = run(model, as_lines(rows[3:]), tmp_path, snapshot=state)
    assert list(answers[0]["p"].values()) == expected(model, rows)[3]


def test_text_in_csv_stays_as_it_is(language: Path, counted: Path, tmp_path: Path) -> None:
    session = Session.open(language)
    assert isinstance(session, TokenSession)
    lines = ["the ", "12", " mats"]
    _, answers = run(language, "\n".join(["text", *lines]).encode(), tmp_path, form="csv")
    assert [answer["next"] for answer in answers] == [session.likeliest(session.read(text)) for text in lines]
    _, answers = run(counted, b"cars,plan,kind\n1,2,12\n1,2,\n", tmp_path, form="csv")
    assert "future holds one mapping" in answers[0]["error"]  # so the category was read
    assert "'kind' is missing in this row" in answers[1]["error"]


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_byte_order_mark_is_no_part_of_the_first_line(model: Path, tmp_path: Path, form: Any) -> None:
    lines = as_lines(numbered(1)) if form == "json" else b"row,one,two\n1,2,3\n"
    _, answers = run(model, b"\xef\xbb\xbf" + lines, tmp_path, form=form)
    assert answers == run(model, lines, tmp_path, form=form)[1]
    assert "p" in answers[0]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_answers_that_cannot_be_written_are_an_error(model: Path, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(as_lines(numbered(3)))
    with (
        (tmp_path / "in").open("rb") as read,
        Path("/dev/full").open("wb", buffering=0) as write,
        pytest.raises(LaminaError, match="answers cannot be written"),
    ):
        stream_lines(Session.open(model), read.fileno(), write.fileno())
    with pytest.raises(SavedModelError, match="--snapshot names a file"):
        run(model, b"", tmp_path, snapshot=Path("/dev/full"))


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


def start(model: Path, state: Path, *options: str, cli: str = CLI) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", cli, "stream", str(model), "--snapshot", str(state), *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_ten_kills_lose_no_answered_row_and_repeat_none(model: Path, tmp_path: Path) -> None:
    """The sender sends again what was not answered, as any sender would; -9 comes at a random moment.

    Every seventh line cannot be read, and the states go to the snapshot after every dozen rows.
    """
    generator = np.random.default_rng(7)
    rows, kills = numbered(3000), 0
    lines = [b'{"x": [1,\n' if row["row"] % 7 == 3 else as_lines([row]) for row in rows]
    answers: list[dict[str, Any]] = []
    state, checkpoints = tmp_path / "state", set()
    while len(answers) < len(rows):
        left = b"".join(lines[len(answers) :])
        with start(model, state, cli=OFTEN) as process:
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
            checkpoints.add(unpack_snapshot(read_snapshot(state))[0]["rows"])
    assert kills == 10
    assert len(checkpoints) > 5
    assert len(answers) == len(rows)
    unread = {row["row"] for row in rows if row["row"] % 7 == 3}
    assert [n for n, a in enumerate(answers, start=1) if "error" in a] == sorted(unread)
    read = [(r, a) for r, a in zip(rows, answers, strict=True) if "p" in a]
    assert [a["row"] for _, a in read] == [r["row"] for r, _ in read]
    assert [list(a["p"].values()) for _, a in read] == expected(model, [r for r, _ in read])


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
