"""One row of a series by name, as numbers in the order and with the rules of the table that was fitted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


class SeriesRow(NamedTuple):
    """A row as numbers: target, covariates (past-only, then known ahead), those of the series, time."""

    y: float
    covariates: NDArray[np.float32]
    fixed: NDArray[np.float32]
    time: int | None


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
    def _moving(self) -> tuple[CovariateForm, ...]:
        return (*self.past, *self.future)

    @cached_property
    def _all(self) -> frozenset[str]:
        return frozenset(self.names)

    @cached_property
    def _needed(self) -> frozenset[str]:
        return frozenset(self.names[1:])  # the first is the time

    def read(self, row: Mapping[str, object] | float) -> SeriesRow:
        """A row's numbers; a bare number is the target, where the row needs nothing else.

        Raises:
            DataError: a name is unknown or left out, or a value breaks a rule.
        """
        if not isinstance(row, Mapping):
            row = {self.target: row}
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
        values = [as_number(self.target, row[self.target])]
        for column in self._moving:
            values += column.encode(row[column.name])
        if any(map(math.isnan, values)):
            self._check_missing(values)
        fixed = [number for column in self.fixed for number in column.encode(row[column.name])]
        time = None if row.get(self.time) is None else self.as_time(row[self.time])
        return SeriesRow(values[0], _numbers(values[1:]), _numbers(fixed), time)

    def _check_missing(self, values: Sequence[float]) -> None:
        for place, (value, may_miss) in enumerate(zip(values, self.may_miss, strict=True)):
            if math.isnan(value) and not may_miss:
                raise DataError(
                    f"'{self._name_of(place)}' is missing in this row, and was never missing when the model "
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
        if len(rows) != horizon:
            raise DataError(
                f"future holds one mapping for each of the next {horizon} rows, but has {len(rows)}."
            )
        for row in rows:
            for column in self.future:
                if column.name not in row:
                    raise DataError(f"each row of future holds '{column.name}', but one does not. Add it.")
        encoded = [[n for column in self.future for n in column.encode(row[column.name])] for row in rows]
        return np.array(encoded, np.float32).reshape(horizon, -1)

    def as_time(self, value: object) -> int:
        """Microseconds since 1970 of a date, or a count as it is."""
        if isinstance(value, bool) or (not self.dated and not isinstance(value, int | np.integer)):
            raise DataError(f"'{self.time}' is a whole number, as in training, but is {value!r}.")
        if not self.dated:
            return int(value)  # type: ignore[call-overload,no-any-return]  # checked just above
        if isinstance(value, int | float | np.number):
            raise DataError(f"'{self.time}' is a date, such as '2026-05-01T13:00', but is {value!r}.")
        try:
            return int(np.datetime64(value, "us").view(np.int64))  # type: ignore[call-overload]  # tries any type
        except (ValueError, TypeError):
            raise DataError(
                f"'{self.time}' is a date, such as '2026-05-01T13:00', but is {value!r}."
            ) from None

    def _name_of(self, place: int) -> str:
        names = [self.target]
        for column in self._moving:
            names += [column.name] * column.size
        return names[place]


_NOTHING = np.zeros(0, np.float32)


def _numbers(values: list[float]) -> NDArray[np.float32]:
    """An array of the values; making an empty one anew takes a microsecond."""
    return np.array(values, np.float32) if values else _NOTHING


def as_number(name: str, value: object) -> float:
    """A finite number as float; None and NaN are missing.

    Raises:
        DataError: text, or infinite.
    """
    if type(value) is float and not math.isinf(value):  # nearly every value; a step takes microseconds
        return value
    if value is None:
        return math.nan
    if isinstance(value, bool | np.bool_ | int | float | np.number):
        number = float(value)
        if math.isinf(number):
            raise DataError(f"'{name}' is finite or missing (null), but is {number}. Mend it.")
        return number
    raise DataError(f"'{name}' is a number, but is {value!r}. Write it as a number; null where missing.")
