"""One row of a series by name, as numbers in the order and with the rules of the table that was fitted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lamina.errors import DataError, did_you_mean


@dataclass(frozen=True)
class CovariateForm:
    """One covariate column: its name, and its categories where it has any."""

    name: str
    categories: tuple[str, ...] | None

    @property
    def size(self) -> int:
        """How many numbers it becomes."""
        return 1 if self.categories is None else len(self.categories)

    def encode(self, value: object) -> list[float]:
        """Its numbers: NaN where missing, zeros for an unknown category."""
        if self.categories is None:
            return [as_number(self.name, value)]
        if value is None:
            return [math.nan] * len(self.categories)
        if not isinstance(value, str):
            raise DataError(f"'{self.name}' holds categories, which are text, but is {value!r}. Write text.")
        return [float(value == category) for category in self.categories]


_EPOCH, _MICROSECOND = datetime(1970, 1, 1), timedelta(microseconds=1)
LATEST = 2**61
"""Times and counts lie between this and its negative, so that steps and forecasts from them stay int64."""
_LARGEST = float(np.finfo(np.float32).max)


class SeriesRow(NamedTuple):
    """A row as numbers.

    Attributes:
        numbers: target, covariates (past-only, then known ahead), those of the series; NaN where missing.
        time: microseconds since 1970, or a count; None where rows have none.
    """

    numbers: Sequence[float]
    time: int | None

    @property
    def y(self) -> float:
        """The target."""
        return self.numbers[0]


@dataclass(frozen=True)
class SeriesRowForm:
    """Names and order of a row's values.

    Attributes:
        target: name of the value to forecast.
        time: name of the time column.
        dated: whether time is dates rather than counts.
        past, future, fixed: covariate columns; ``fixed`` belong to a whole series.
        may_miss: for the target and then each number of past and future, whether it may be missing.
    """

    target: str
    time: str
    dated: bool
    past: tuple[CovariateForm, ...]
    future: tuple[CovariateForm, ...]
    fixed: tuple[CovariateForm, ...]
    may_miss: tuple[bool, ...]

    @classmethod
    def of(
        cls, table: Mapping[str, Any], columns: Mapping[str, Any], inputs: Mapping[str, Any]
    ) -> SeriesRowForm:
        """The form in a saved forecaster's stored table, names of columns, and fitted inputs."""
        past, future, fixed = (
            tuple(
                CovariateForm(
                    entry["name"], None if entry["categories"] is None else tuple(entry["categories"])
                )
                for entry in table["encoding"][role]
            )
            for role in ("past", "future", "static")
        )
        past_count, future_count = (sum(column.size for column in part) for part in (past, future))
        return cls(
            target="y" if "," in table["target"] else table["target"],
            time=columns.get("time") or "ds",
            dated=table["dated"],
            past=past,
            future=future,
            fixed=fixed,
            may_miss=(
                bool(inputs["gaps"]),
                *(i in inputs["past_gaps"] for i in range(past_count)),
                *(i in inputs["future_gaps"] for i in range(future_count)),
            ),
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every name that a row may hold."""
        return (self.time, self.target, *self.covariates)

    @cached_property
    def covariates(self) -> tuple[str, ...]:
        """Names of the values beside the target."""
        return tuple(column.name for column in (*self.past, *self.future, *self.fixed))

    @cached_property
    def categories(self) -> frozenset[str]:
        """Names of the columns that hold categories."""
        columns = (*self.past, *self.future, *self.fixed)
        return frozenset(column.name for column in columns if column.categories is not None)

    @cached_property
    def _moving(self) -> tuple[CovariateForm, ...]:
        return (*self.past, *self.future)

    @cached_property
    def _all(self) -> frozenset[str]:
        return frozenset(self.names)

    @cached_property
    def _needed(self) -> frozenset[str]:
        return frozenset(self.names[1:])  # the first is the time

    @cached_property
    def _plain(self) -> tuple[str, ...]:
        """Names of the values in the order of their numbers; none where a column has categories."""
        columns = (*self._moving, *self.fixed)
        if any(column.categories is not None for column in columns):
            return ()
        return (self.target, *(column.name for column in columns))

    def read(self, row: Mapping[str, object] | float) -> SeriesRow:
        """A row's numbers; a bare number is the target, where the row needs nothing else.

        Raises:
            DataError: a name is unknown or left out, or a value breaks a rule.
        """
        if not isinstance(row, Mapping):
            row = {self.target: row}
        numbers = self._finite(row) or self._read_each(row)
        time = row.get(self.time)
        return SeriesRow(numbers, None if time is None else self.as_time(time))

    def _finite(self, row: Mapping[str, object]) -> list[float] | None:
        """The numbers of a row with a finite float for each name, as nearly every row is; of others None."""
        if not self._plain or len(row) != len(self.names):
            return None
        try:
            numbers = [row[name] for name in self._plain]
        except KeyError:
            return None
        if self.time not in row or {*map(type, numbers)} != {float}:
            return None
        finite = math.isfinite(sum(numbers)) and max(map(abs, numbers)) <= _LARGEST  # type: ignore[arg-type]  # floats
        return numbers if finite else None  # type: ignore[return-value]  # floats

    def _read_each(self, row: Mapping[str, object]) -> list[float]:
        """The numbers of any row, one value at a time."""
        if not row.keys() <= self._all:
            unknown = [str(name) for name in row if name not in self._all]
            raise DataError(
                f"a row holds {', '.join(self.names)}, but this one has '{unknown[0]}'"
                f"{did_you_mean(unknown[0], self.names)}. Leave it out."
            )
        if not row.keys() >= self._needed:
            left_out = [name for name in self.names if name in self._needed and name not in row]
            raise DataError(
                f"a row holds {', '.join(self.names)}, but this one lacks '{left_out[0]}'. "
                "Give it as null where it is missing."
            )
        numbers = [as_number(self.target, row[self.target])]
        for column in self._moving:
            numbers += column.encode(row[column.name])
        if any(map(math.isnan, numbers)):
            self._check_missing(numbers)
        for column in self.fixed:
            numbers += column.encode(row[column.name])
        return numbers

    def _check_missing(self, values: Sequence[float]) -> None:
        for place, (value, may_miss) in enumerate(zip(values, self.may_miss, strict=True)):
            if math.isnan(value) and not may_miss:
                raise DataError(
                    f"'{self.name_of(place)}' is missing in this row, and was never missing when the model "
                    "was fitted. Fill it, or fit on data that has gaps too."
                )

    def made_up(self, time: int) -> dict[str, object]:
        """A row of this form at a time: ones, and the first category of each column that has any."""
        row: dict[str, object] = {
            column.name: column.categories[0] if column.categories else 1.0
            for column in (*self.past, *self.future, *self.fixed)
        }
        return {self.time: str(np.datetime64(time, "us")) if self.dated else time, self.target: 1.0, **row}

    def read_ahead(self, rows: Sequence[Mapping[str, object]], horizon: int) -> NDArray[np.float32]:
        """What is known of the next ``horizon`` rows, (horizon, numbers)."""
        if not isinstance(rows, Sequence):
            raise DataError(f"future is a list of mappings, one for each of the next rows, but is {rows!r}.")
        if len(rows) != horizon:
            raise DataError(
                f"future holds one mapping for each of the next {horizon} rows, but has {len(rows)}."
            )
        for row in rows:
            if not isinstance(row, Mapping):
                raise DataError(f"future holds a mapping for each of the next rows, but one is {row!r}.")
        for row in rows:
            for column in self.future:
                if column.name not in row:
                    raise DataError(f"each row of future holds '{column.name}', but one does not. Add it.")
        encoded = [[n for column in self.future for n in column.encode(row[column.name])] for row in rows]
        return np.array(encoded, np.float32).reshape(horizon, -1)

    def as_time(self, value: object) -> int:
        """Microseconds since 1970 of a date, in UTC where it names a zone; a count as it is."""
        if not self.dated:
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                raise DataError(f"'{self.time}' is a whole number, as in training, but is {value!r}.")
            if abs(int(value)) > LATEST:
                raise DataError(
                    f"'{self.time}' is a whole number up to 2**61, but is {value}. Count from less."
                )
            return int(value)
        date = _date_of(value)
        if date is None or abs(date) > LATEST:
            raise DataError(f"'{self.time}' is a date, such as '2026-05-01T13:00', but is {value!r}.")
        return date

    def name_of(self, place: int) -> str:
        """The column that a row's number at a place is of."""
        names = [self.target]
        for column in (*self._moving, *self.fixed):
            names += [column.name] * column.size
        return names[place]


def _date_of(value: object) -> int | None:
    """Microseconds since 1970 of a date of any kind, or of its text; None of anything else."""
    if isinstance(value, str):
        value = _parsed(value)
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            try:
                value = value.astimezone(UTC).replace(tzinfo=None)
            except OverflowError:  # in UTC it lies before the year 1, or after 9999
                return None
        return (value - _EPOCH) // _MICROSECOND
    if value is None or isinstance(value, int | float | np.number):
        return None
    try:
        date = np.datetime64(value, "us")  # type: ignore[call-overload]  # tries any type
    except (ValueError, TypeError, OverflowError):
        return None
    return None if np.isnat(date) else int(date.view(np.int64))


def _parsed(text: str) -> datetime | None:
    """A date, or the first day of a month, from ISO 8601."""
    for form in (text, f"{text}-01"):
        try:
            return datetime.fromisoformat(form)
        except ValueError:
            continue
    return None


def as_number(name: str, value: object) -> float:
    """A number that float32 can hold, as float; None and NaN are missing.

    Raises:
        DataError: text, infinite, or larger.
    """
    if type(value) is float and not abs(value) > _LARGEST:  # nearly every value; a step takes microseconds
        return value
    if value is None:
        return math.nan
    if isinstance(value, bool | np.bool_ | int | float | np.number):
        try:
            number = float(value)
        except OverflowError:  # a whole number of more than 308 digits
            number = math.inf
        if math.isinf(number):
            raise DataError(f"'{name}' is finite or missing (null), but is {number}. Mend it.")
        if abs(number) > _LARGEST:
            raise DataError(f"'{name}' is at most {_LARGEST:.3g}, as float32 is, but is {number}. Mend it.")
        return number
    raise DataError(f"'{name}' is a number, but is {value!r}. Write it as a number; null where missing.")
