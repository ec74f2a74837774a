"""Rows as lines of text, JSON or CSV, and answers as lines of JSON."""

from __future__ import annotations

import codecs
import csv
import json
import os
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from lamina.errors import ConfigError, DataError
from lamina.streaming.forecast_session import Forecast, ForecastSession
from lamina.streaming.session import RowSession, Session
from lamina.streaming.token_session import RollSession, TokenSession

Format = Literal["json", "csv"]
LONGEST_LINE = 1 << 20  # bytes
READ_BYTES = 1 << 16


class Row(NamedTuple):
    """A line's content: its number where it has one, its key, and the rest by name."""

    number: int | None
    key: str
    values: dict[str, Any]


def batches_of_lines(descriptor: int) -> Iterator[list[bytes]]:
    """Lines as they come: what one read of a pipe gives, so that no line waits for another.

    No more is read until the batch was dealt with, which holds back a writer that is faster than we are.
    A line above 1 MiB comes as its beginning, which no reader takes for a row. A byte order mark before the
    first line is no part of it.
    """
    begun, first = b"", True
    while chunk := os.read(descriptor, READ_BYTES):
        *whole, begun = (begun + chunk).split(b"\n")
        begun = begun[: LONGEST_LINE + 1]
        if whole:
            if first:
                whole[0], first = whole[0].removeprefix(codecs.BOM_UTF8), False
            yield [line for line in whole if line.strip()]
    if first:
        begun = begun.removeprefix(codecs.BOM_UTF8)
    if begun.strip():
        yield [begun]


def header_of(line: bytes) -> list[str]:
    """The names of the columns, from the first line of CSV.

    Raises:
        DataError: it is no text, or holds numbers alone, as rows do.
    """
    try:
        names = next(csv.reader([line.decode()]))
    except (ValueError, csv.Error) as error:
        raise DataError(f"the first line of CSV names its columns, but cannot be read: {error}.") from error
    if all(isinstance(_cell(name), int | float) for name in names):
        raise DataError(
            f"the first line of CSV names its columns, but here holds numbers: {', '.join(names)[:60]}. Send "
            "the names first."
        )
    return names


class LineReader:
    """Lines to rows.

    Args:
        key: name of the column that names the key.
        header: of CSV, the names of its columns; None for JSON.
        text: of CSV, columns whose cells are text as they stand, though they look like numbers.
        longest: bytes of a line at most; None for any.
    """

    def __init__(
        self,
        *,
        key: str,
        header: Sequence[str] | None = None,
        text: Collection[str] = (),
        longest: int | None = LONGEST_LINE,
    ) -> None:
        self._key, self._header, self._text, self._longest = key, header, {key, *text}, longest

    def read(self, line: bytes) -> Row:
        """The row in a line.

        Raises:
            DataError: it cannot be read.
        """
        if self._longest is not None and len(line) > self._longest:
            raise DataError(f"a line has at most {self._longest:,} bytes, but this one has more. Divide it.")
        try:
            text = line.decode()
            values = self._json(text) if self._header is None else self._csv(text)
            number, key = values.pop("row", None), values.pop(self._key, None)
            if not isinstance(key, str):
                key = "" if key is None else json.dumps(key)  # 7 and "7" name the same pump
        except (ValueError, RecursionError, csv.Error) as error:
            raise DataError(f"this line cannot be read: {error}. Write one row a line.") from error
        if number is not None and (not isinstance(number, int) or isinstance(number, bool) or number < 1):
            raise DataError(f"'row' is the number of the row, 1 or more, but is {number!r}.")
        return Row(number, key, values)

    @staticmethod
    def _json(text: str) -> dict[str, Any]:
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError('a row is a JSON object, such as {"key": "pump-7", "x": [0.1, 0.2]}')
        return values

    def _csv(self, text: str) -> dict[str, Any]:
        assert self._header is not None
        cells = next(csv.reader([text]))
        if len(cells) != len(self._header):
            raise ValueError(f"the header has {len(self._header)} columns, and this line {len(cells)}")
        return {
            name: (cell or None) if name in self._text else _cell(cell)
            for name, cell in zip(self._header, cells, strict=True)
        }


def _cell(cell: str) -> int | float | str | None:
    """A cell as number, text, or None where empty."""
    cell = cell.strip()
    if not cell:
        return None
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return cell


def text_columns(session: Session) -> frozenset[str]:
    """Names of the columns that a session reads as text."""
    if isinstance(session, ForecastSession):
        return session.categories
    return frozenset({"text"}) if isinstance(session, TokenSession) else frozenset()


def answer_row(session: Session, row: Row, levels: Sequence[float]) -> dict[str, Any]:
    """Step a session with a row, and say what it answers, as JSON types.

    Raises:
        DataError: the row breaks a rule.
    """
    if isinstance(session, ForecastSession):
        ahead = row.values.pop("future", ())
        forecast = session.step(row.values, key=row.key, future=ahead)
        return {"Forecaster": None} if forecast is None else _forecast(forecast, levels)
    if isinstance(session, TokenSession):
        text = row.values.get("text")
        if not isinstance(text, str):
            raise DataError(f"'text' is what the model reads next, but is {text!r}. Write it as text.")
        return {"next": session.likeliest(session.read(text, key=row.key))}
    x = row.values.get("x", list(row.values.values()))
    if not isinstance(x, list):
        raise DataError(f"'x' is the list of a row's numbers, but is {x!r}.")
    if isinstance(session, RollSession):
        return {"p": session.step(x, key=row.key).tolist()}
    if not isinstance(session, RowSession):
        raise ConfigError(f"{type(session).__name__} cannot be stepped by lines")
    chances = session.step([np.nan if value is None else value for value in x], key=row.key)
    named = dict(zip(session.classes, chances.tolist(), strict=True))
    return {"label": session.classes[int(chances.argmax())], "p": named}


def _forecast(forecast: Forecast, levels: Sequence[float]) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    if forecast.time is not None:
        dated = forecast.time.dtype.kind == "M"
        answer["ds"] = forecast.time.astype("M8[s]").astype(str).tolist() if dated else forecast.time.tolist()
    answer["Forecaster"] = forecast.median.tolist()
    for level in levels:
        low, high = forecast.interval(level)
        answer[f"Forecaster-lo-{level:g}"] = low.tolist()
        answer[f"Forecaster-hi-{level:g}"] = high.tolist()
    return answer
