"""Scalers: fitted on training rows only, exact to save, updatable by one row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from lamina.errors import DataError, SavedModelError


class Scaler(Protocol):
    """A column-wise, invertible map of (..., columns) arrays."""

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Scaled values, same shape."""

    def inverse(self, values: np.ndarray) -> np.ndarray:
        """The inverse of ``transform``."""

    def update(self, row: np.ndarray) -> Scaler:
        """The scaler after one more row, (columns,)."""

    def to_dict(self) -> dict[str, Any]:
        """Everything it knows, as JSON can hold it without loss."""


@dataclass(frozen=True)
class Identity:
    """Leaves values as they are.

    >>> Identity().transform(np.array([3.0])).tolist()
    [3.0]
    """

    def transform(self, values: np.ndarray) -> np.ndarray:
        """The values."""
        return values

    def inverse(self, values: np.ndarray) -> np.ndarray:
        """The values."""
        return values

    def update(self, row: np.ndarray) -> Identity:
        """Itself: no row changes it."""
        del row
        return self

    def to_dict(self) -> dict[str, Any]:
        """Its kind."""
        return {"kind": "identity"}


@dataclass(frozen=True, eq=False)
class Standardizer:
    """Subtracts the mean and divides by the standard deviation of each column.

        z = (x - mean) / scale,   scale = sqrt(m2 / count), or 1 where that is 0

    Statistics are of the observed values; NaN stays NaN.

    Args:
        count: (columns,) float64, observed values.
        mean: (columns,) float64.
        m2: (columns,) float64, sum of squared distances from the mean.

    Source: Welford 1962, doi:10.1080/00401706.1962.10490022, for the update.

    >>> scaler = Standardizer.fit(np.array([[1.0], [3.0], [np.nan]]))
    >>> scaler.transform(np.array([[3.0]])).tolist()
    [[1.0]]
    """

    count: np.ndarray
    mean: np.ndarray
    m2: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray) -> Standardizer:
        """Statistics of (rows, columns); a column without an observed value is left as it is.

        Raises:
            DataError: not two axes.
        """
        if values.ndim != 2:
            raise DataError(f"values must be (rows, columns) but are {values.shape}; use values[:, None]")
        wide = np.asarray(values, dtype=np.float64)
        observed = ~np.isnan(wide)
        count = observed.sum(axis=0).astype(np.float64)
        total = np.where(observed, wide, 0.0).sum(axis=0)
        mean = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
        m2 = np.where(observed, (wide - mean) ** 2, 0.0).sum(axis=0)
        return cls(count, mean, m2)

    @property
    def scale(self) -> np.ndarray:
        """(columns,) standard deviations; 1 where a column does not vary."""
        deviation = np.sqrt(np.divide(self.m2, self.count, out=np.zeros_like(self.m2), where=self.count > 0))
        # A constant far from zero leaves rounding noise, which must not be blown up to unit size.
        varies = deviation > 1e-12 * np.abs(self.mean)
        return np.where(varies, deviation, 1.0)

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Scaled values (..., columns), of the given dtype."""
        return np.asarray((values - self.mean) / self.scale, dtype=values.dtype)

    def inverse(self, values: np.ndarray) -> np.ndarray:
        """Values in their own unit (..., columns), of the given dtype."""
        return np.asarray(values * self.scale + self.mean, dtype=values.dtype)

    def update(self, row: np.ndarray) -> Standardizer:
        """The scaler after one more row (columns,); NaN changes nothing."""
        observed = ~np.isnan(row)
        count = self.count + observed
        step = np.where(observed, row - self.mean, 0.0)
        mean = self.mean + np.divide(step, count, out=np.zeros_like(self.mean), where=observed)
        return Standardizer(count, mean, self.m2 + step * np.where(observed, row - mean, 0.0))

    def to_dict(self) -> dict[str, Any]:
        """Its statistics; JSON keeps float64 exactly."""
        return {
            "kind": "standardizer",
            "count": self.count.tolist(),
            "mean": self.mean.tolist(),
            "m2": self.m2.tolist(),
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Standardizer:
        """The inverse of ``to_dict``, exact."""
        count, mean, m2 = (np.array(fields[key], dtype=np.float64) for key in ("count", "mean", "m2"))
        return cls(count, mean, m2)


def scaler_from_dict(fields: dict[str, Any]) -> Scaler:
    """The scaler that ``to_dict`` described.

    Raises:
        SavedModelError: no such kind of scaler.
    """
    if fields.get("kind") == "identity":
        return Identity()
    if fields.get("kind") == "standardizer":
        return Standardizer.from_dict(fields)
    raise SavedModelError(
        f"a scaler is 'standardizer' or 'identity' but the saved one is {fields.get('kind')!r}; "
        f"the file is damaged or newer than this version"
    )
