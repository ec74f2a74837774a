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

from lamina.errors import ConfigError, DataError, LaminaError, SavedModelError, did_you_mean
from lamina.streaming.forecast_session import ForecastSession
from lamina.streaming.journal import JOURNAL_BYTES, Journal
from lamina.streaming.lines import (
    Format,
    LineReader,
    Row,
    answer_row,
    batches_of_lines,
    header_of,
    text_columns,
)
from lamina.streaming.numbering import Numbering
from lamina.streaming.session import Session

FORMATS: tuple[Format, ...] = ("json", "csv")
UNREADABLE = b"!"  # begins a journal line that tells of a row that could not be read


class Streamed(NamedTuple):
    """How a stream ended.

    Attributes:
        rows: rows answered by this process, errors included; not those whose earlier answer was sent again.
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
        LaminaError: answers cannot be written, for another reason than that nobody reads them.
    """
    if form not in FORMATS:
        raise ConfigError(f"format is json or csv, but is {form!r}{did_you_mean(form, FORMATS)}")
    if isinstance(session, ForecastSession):
        session.require_levels(levels)
    with nullcontext() if snapshot is None else Journal(snapshot) as journal, _signals() as stop:
        stream = _Stream(session, sink, form=form, key=key, levels=levels, journal=journal, stop=stop)
        return stream.run(source)


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
        form: Format,
        key: str,
        levels: Sequence[float],
        journal: Journal | None,
        stop: _Stop,
    ) -> None:
        self._session, self._sink, self._form = session, sink, form
        self._key, self._levels = key, levels
        self._journal, self._stop = journal, stop
        self._reader = LineReader(key=key)
        self._numbers = Numbering()
        self._rows = self._errors = self._seen = 0
        self._answers: dict[int, bytes] = {}  # of rows that an earlier process may not have answered
        if journal is not None:
            self._recover(journal)

    def _recover(self, journal: Journal) -> None:
        """Where the last process was: its snapshot, and the rows that it read after that."""
        if journal.recovered is not None:
            self._session.restore(journal.recovered)
        elif journal.rows:
            raise SavedModelError(
                "there is a journal of rows that came after a snapshot, but no snapshot. Restore it, or move "
                "the journal away to begin anew."
            )
        else:
            journal.checkpoint(0, self._session.snapshot())  # from here on it is known whose rows these are
        self._numbers = Numbering(journal.position, journal.unread)
        # journal lines are JSON whatever the input was, and may be longer than it
        reader = LineReader(key=self._key, longest=None)
        for number, line in journal.rows:
            row = DataError(line[1:].decode()) if line.startswith(UNREADABLE) else _read(reader, line)
            if self._numbers.place(number, readable=isinstance(row, Row))[1] != "new":
                raise SavedModelError(
                    f"the journal has row {number} after row {self._numbers.position}, so rows between them "
                    "are lost. Restore the snapshot and the journal that belong together."
                )
            self._answers[number] = self._answer(row, number)
        self._numbers.restart()
        self._errors = 0

    def run(self, source: int) -> Streamed:
        batches = batches_of_lines(source)
        try:
            if self._form == "csv":
                batches = self._after_header(batches)
            while (lines := self._next(batches)) is not None:
                self._write(self._batch(lines))
                if self._journal is not None and self._journal.size > JOURNAL_BYTES:
                    self._checkpoint(self._journal)
        except KeyboardInterrupt:
            if not self._stop.waiting:
                raise
        except BrokenPipeError:
            # what was not read stays in the journal, to be answered by the next process
            return Streamed(self._rows, self._errors, self._seen, "closed")
        if self._journal is not None:
            self._checkpoint(self._journal)
        how = "interrupted" if self._stop.asked else "end"
        return Streamed(self._rows, self._errors, self._seen, how)

    def _checkpoint(self, journal: Journal) -> None:
        journal.checkpoint(self._numbers.position, self._session.snapshot(), unread=self._numbers.unread)

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
            text = text_columns(self._session)
            self._reader = LineReader(key=self._key, header=header_of(lines[0]), text=text)
            yield lines[1:]
            break
        yield from batches

    def _batch(self, lines: Sequence[bytes]) -> bytes:
        """Answers to the rows of a batch, in order; all rows are on disk before the first is stepped."""
        plan: list[bytes | tuple[int, Row | DataError, bytes]] = []
        for line in lines:
            row = _read(self._reader, line)
            told = row.number if isinstance(row, Row) else None
            number, place = self._numbers.place(told, readable=isinstance(row, Row))
            answer = self._answers.pop(number, None)
            if place == "new":
                plan.append((number, row, line))
            elif place == "early":
                last = self._numbers.position
                early = DataError(f"row {number} came after row {last}. Send those between them first.")
                plan.append(self._answer(early, number))  # it is not taken, so it may be sent again
                self._rows += 1
            elif answer is not None:
                plan.append(answer)
            else:
                self._seen += 1
        new = [entry for entry in plan if isinstance(entry, tuple)]
        if self._journal is not None and new:
            self._journal.append((number, self._journalled(row, line)) for number, row, line in new)
        self._rows += len(new)
        return b"".join(e if isinstance(e, bytes) else self._answer(e[1], e[0]) for e in plan)

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
        except RecursionError:
            answer["error"] = "this row is nested too deeply. A row holds numbers and text."
        try:
            text = json.dumps(answer, allow_nan=False)
        except ValueError:
            fault = "the model's answer is not finite. Check the model, or begin a new key."
            answer = {"row": number, "key": answer["key"], "error": fault}
            text = json.dumps(answer)
        self._errors += "error" in answer
        return text.encode() + b"\n"

    def _journalled(self, row: Row | DataError, line: bytes) -> bytes:
        """A row as a line of the journal, JSON always; of one that could not be read, only the error."""
        if isinstance(row, DataError):
            return UNREADABLE + str(row).replace("\n", " ").encode()
        return line if self._form == "json" else json.dumps({**row.values, self._key: row.key}).encode()

    def _write(self, text: bytes) -> None:
        while text:
            try:
                text = text[os.write(self._sink, text) :]
            except BrokenPipeError:
                raise
            except OSError as error:
                raise LaminaError(f"answers cannot be written: {error}.") from error


def _read(reader: LineReader, line: bytes) -> Row | DataError:
    try:
        return reader.read(line)
    except DataError as error:
        return error
    except RecursionError:
        return DataError("this row is nested too deeply. A row holds numbers and text.")
