"""Covariate columns as numbers: plain numbers stay, categories become one column each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from lamina.errors import DataError

MAX_CATEGORIES = 64


@dataclass(frozen=True)
class Column:
    """One covariate column of the source.

    Args:
        name: as in the source.
        categories: the known values of a categorical column; None for numbers.
    """

    name: str
    categories: tuple[str, ...] | None = None

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the number columns it becomes.

        >>> Column("wind", ("NW", "SE")).outputs
        ('wind=NW', 'wind=SE')
        """
        if self.categories is None:
            return (self.name,)
        return tuple(f"{self.name}={category}" for category in self.categories)

    def encode(self, values: pl.Series) -> np.ndarray:
        """The column as (rows, outputs) float32; missing is NaN, an unknown category is all zeros."""
        if self.categories is None:
            return values.cast(pl.Float32).to_numpy()[:, None]
        missing = values.is_null().to_numpy()
        encoded = np.empty((len(values), len(self.categories)), dtype=np.float32)
        for position, category in enumerate(self.categories):
            encoded[:, position] = (values == category).fill_null(value=False).to_numpy()
        encoded[missing] = np.nan
        return encoded


@dataclass(frozen=True)
class Encoding:
    """How covariates became numbers, kept so that a later table is read in the same way."""

    future: tuple[Column, ...] = ()
    past: tuple[Column, ...] = ()
    static: tuple[Column, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        """Every column: known-future, past-only, then static."""
        return self.future + self.past + self.static

    @property
    def names(self) -> tuple[list[str], list[str], list[str]]:
        """Source names of the known-future, past-only and static columns."""
        future, past, static = (
            [column.name for column in part] for part in (self.future, self.past, self.static)
        )
        return future, past, static

    def to_dict(self) -> dict[str, Any]:
        """The columns as JSON can hold them.

        >>> Encoding(past=(Column("rain"),)).to_dict()
        {'future': [], 'past': [{'name': 'rain', 'categories': None}], 'static': []}
        """
        return {
            role: [
                {
                    "name": column.name,
                    "categories": None if column.categories is None else [*column.categories],
                }
                for column in columns
            ]
            for role, columns in (("future", self.future), ("past", self.past), ("static", self.static))
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Encoding:
        """The inverse of ``to_dict``."""
        return cls(
            **{
                role: tuple(
                    Column(entry["name"], None if entry["categories"] is None else tuple(entry["categories"]))
                    for entry in fields[role]
                )
                for role in ("future", "past", "static")
            }
        )


def output_names(columns: Iterable[Column]) -> tuple[str, ...]:
    """Names of the number columns of several columns."""
    return tuple(name for column in columns for name in column.outputs)


def fit_column(name: str, values: pl.Series, order: np.ndarray) -> Column:
    """The column with its categories in the order in which time first shows them.

    A category that appears later only adds a column at the end, so the future cannot move what
    was encoded before it.

    Args:
        name: of the column.
        values: text for a categorical column, numbers otherwise.
        order: (rows,) positions of the rows in time order.

    Raises:
        DataError: more than 64 categories.
    """
    if values.dtype != pl.String:
        return Column(name)
    categories = values.gather(order).drop_nulls().unique(maintain_order=True).to_list()
    if len(categories) > MAX_CATEGORIES:
        raise DataError(
            f"a categorical column has at most {MAX_CATEGORIES} values but '{name}' has "
            f"{len(categories)}, such as "
            f"{', '.join(repr(category) for category in categories[:3])}; leave it out by naming the "
            f"covariates "
            f"you want (past=, --past), or name it with time= or id= if that is what it is"
        )
    return Column(name, tuple(categories))


def encode(columns: Iterable[Column], values: dict[str, pl.Series], rows: int) -> np.ndarray:
    """Several columns beside each other, (rows, outputs) float32."""
    parts = [column.encode(values[column.name]) for column in columns]
    return np.concatenate(parts, axis=1) if parts else np.empty((rows, 0), dtype=np.float32)
