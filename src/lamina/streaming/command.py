"""``lamina stream MODEL``: rows in, answers out, one line each, through pipes that may be slow or break."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from lamina.errors import ConfigError, DataError, did_you_mean
from lamina.streaming.forecast_session import ForecastSession
from lamina.streaming.journal import JOURNAL_BYTES, Journal
from lamina.streaming.lines import Format, LineReader, Row, answer_row, batches_of_lines, header_of
from lamina.streaming.session import Session

FORMATS: tuple[Format, ...] = ("json", "csv")
UNREADABLE = b"!"  # begins a journal line that tells of a row that could not be read


class Streamed(NamedTuple):
    """How a stream ended.

    Attributes:
        rows: rows answered by this process, errors included.
        errors: those that broke a rule.
        seen_before: rows that were not answered, since that happened before this process started.
        how: "end" of the input, "interrupted", or "closed": nobody reads the answers any more.
    """

    rows: int
    errors: int
    seen_before: int
    how: str


def stream_lines(
    session: Session,
    source: int,
    sink: int,
    *,
    form: Format = "json",
    key: str = "key",
    levels: Sequence[float] = (),
    snapshot: Path | None = None,
) -> Streamed:
    """Answer every row of one file descriptor on another, until the input ends.

    Args:
        session: what answers.
        source: lines of JSON objects, or CSV with a header. ``row`` numbers them from 1 without a hole; rows
            without a number are taken to follow the last.
        sink: one JSON object a row: row, key, and the answer, or ``error``.
        key: the column that names the key; "" where a row has none.
        levels: central intervals of forecasts, in percent; nothing to other sessions.
        snapshot: file that keeps the states. A row's line is on disk before its answer is written, so after
            a kill the next process knows every row that was answered: it answers a row again only where it is
            sent again and its answer may not have got out, and it steps no row twice.

    Raises:
        ConfigError: an unknown format, or an interval that the forecasts do not have.
        DataError: CSV without a first line that names its columns.
        SavedModelError: the snapshot is damaged, of another model, in use, or cannot be written.
    """
    if form not in FORMATS:
        raise ConfigError(f"format is json or csv, but is {form!r}{did_you_mean(form, FORMATS)}")
    if isinstance(session, ForecastSession):
        session.require_levels(levels)
    with nullcontext() if snapshot is None else Journal(snapshot) as journal, _signals() as stop:
        return _Stream(session, sink, key=key, levels=levels, journal=journal, stop=stop).run(source, form)


class _Stop:
    """Whether the user asked to stop; asking while we wait for input ends the wait."""

    def __init__(self) -> None:
        self.asked = self.waiting = False

    def ask(self, *_: object) -> None:
        again, self.asked = self.asked, True
        if again or self.waiting:  # a second time: at once, though answers may be on their way
            raise KeyboardInterrupt


@contextmanager
def _signals() -> Iterator[_Stop]:
    """Ctrl-C and SIGTERM end the stream after the batch at hand."""
    stop = _Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Stream:
    def __init__(
        self,
        session: Session,
        sink: int,
        *,
        key: str,
        levels: Sequence[float],
        journal: Journal | None,
        stop: _Stop,
    ) -> None:
        self._session, self._sink, self._key, self._levels = session, sink, key, levels
        self._journal, self._stop = journal, stop
        self._reader = LineReader(key=key, header=None)
        self._position = self._rows = self._errors = self._seen = 0
        self._answers: dict[int, bytes] = {}  # of rows that an earlier process may not have answered
        if journal is not None:
            self._recover(journal)

    def _recover(self, journal: Journal) -> None:
        """Where the last process was: its snapshot, and the rows that it read after that."""
        if journal.recovered is not None:
            self._session.restore(journal.recovered)
        else:
            journal.checkpoint(0, self._session.snapshot())  # from here on it is known whose rows these are
        self._position = journal.position
        for number, line in journal.rows:
            # journal lines are JSON whatever the input was
            row = DataError(line[1:].decode()) if line.startswith(UNREADABLE) else self._reader.read(line)
            self._answers[number] = self._answer(row, number)
            self._position = number
        self._errors = 0

    def run(self, source: int, form: Format) -> Streamed:
        batches = batches_of_lines(source)
        try:
            if form == "csv":
                batches = self._after_header(batches)
            while (lines := self._next(batches)) is not None:
                self._write(self._batch(lines))
                if self._journal is not None and self._journal.size > JOURNAL_BYTES:
                    self._journal.checkpoint(self._position, self._session.snapshot())
        except KeyboardInterrupt:
            if not self._stop.waiting:
                raise
        except BrokenPipeError:
            # what was not read stays in the journal, to be answered by the next process
            return Streamed(self._rows, self._errors, self._seen, "closed")
        if self._journal is not None:
            self._journal.checkpoint(self._position, self._session.snapshot())
        how = "interrupted" if self._stop.asked else "end"
        return Streamed(self._rows, self._errors, self._seen, how)

    def _next(self, batches: Iterator[list[bytes]]) -> list[bytes] | None:
        self._stop.waiting = True
        lines = None if self._stop.asked else next(batches, None)
        self._stop.waiting = False
        return lines

    def _after_header(self, batches: Iterator[list[bytes]]) -> Iterator[list[bytes]]:
        """The batches without the first line, which names the columns."""
        for lines in batches:
            if not lines:
                continue
            self._reader = LineReader(key=self._key, header=header_of(lines[0]))
            yield lines[1:]
            break
        yield from batches

    def _batch(self, lines: Sequence[bytes]) -> bytes:
        """Answers to the rows of a batch, in order; all rows are on disk before the first is stepped."""
        plan: list[bytes | tuple[int, Row | DataError]] = []
        position = self._position
        for line in lines:
            row = self._read(line)
            number = row.number if isinstance(row, Row) else None
            if number is not None and number <= position:
                answer = self._answers.pop(number, None)
                self._seen += answer is None
                plan += [] if answer is None else [answer]
            elif number is not None and number > position + 1:
                early = DataError(f"row {number} came after row {position}. Send those between them first.")
                plan.append(self._answer(early, number))  # it is not taken, so it may be sent again
            else:
                position += 1
                plan.append((position, row))
        new = [entry for entry in plan if isinstance(entry, tuple)]
        if self._journal is not None and new:
            self._journal.append((number, _journalled(row, self._key)) for number, row in new)
        self._rows += len(new)
        self._position = position
        return b"".join(e if isinstance(e, bytes) else self._answer(e[1], e[0]) for e in plan)

    def _read(self, line: bytes) -> Row | DataError:
        try:
            return self._reader.read(line)
        except DataError as error:
            return error

    def _answer(self, row: Row | DataError, number: int) -> bytes:
        """The line that answers a row; one that breaks a rule is answered with it, and changes nothing."""
        answer: dict[str, Any] = {"row": number}
        try:
            if isinstance(row, DataError):
                raise row
            answer["key"] = row.key
            answer |= answer_row(self._session, row, self._levels)
        except DataError as error:
            answer["error"] = str(error)
            self._errors += 1
        return json.dumps(answer, allow_nan=False).encode() + b"\n"

    def _write(self, text: bytes) -> None:
        while text:
            text = text[os.write(self._sink, text) :]


def _journalled(row: Row | DataError, key: str) -> bytes:
    """A row as a line of the journal; of one that could not be read, only the error."""
    if isinstance(row, DataError):
        return UNREADABLE + str(row).replace("\n", " ").encode()
    return json.dumps({**row.values, key: row.key}).encode()
