"""A row of named numbers as the vector that online learners read: scaled, and set against its own past."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from lamina.errors import DataError
from lamina.streaming import kernels
from lamina.streaming.state import Stateful, plain_names

Array = NDArray[np.float64]
Row = Mapping[Any, Any]
"""Numbers by name, NaN where missing; names may be anything that a dict takes."""

SPANS = (8, 48, 336)
"""Rows over which the exponential means forget; between a few rows and a week of half-hours."""

_SLOWEST = 1 / 5000
"""The scale of an input forgets at least this share a row, so that it follows a change of unit."""

_LIMIT = 5.0
"""Scaled inputs are cut here, in standard deviations, so that one outlier cannot throw a linear model."""

LARGEST = 1e150
"""The largest size of a number that is read; squares of larger ones overflow."""

MOST_INPUTS = 1024
"""Names of inputs; each adds five features to every model and to every row that waits."""

_MISSING = float("nan")
_SMALLEST = 1e-12
_NUMBERS = {float, int, bool, np.float64, np.int64, np.float32, np.bool_}


class InputContext(Stateful):
    """Running statistics of named inputs, and the five features of each.

    For an input x with running standard deviation s they are

        (x - c) / s   for c = the running mean, the three exponential means of ``SPANS``, and the last value

    cut at five standard deviations, and 0 where x is missing. Inputs that first appear later are appended,
    so a feature keeps its place.

    >>> context = InputContext()
    >>> for value in (1.0, 3.0, 1.0, 3.0):
    ...     context.learn(context.read({"load": value}))
    >>> context.features(context.read({"load": 3.0})).round(2).tolist()[::4]   # from the mean; from the last
    [1.0, 0.0]
    """

    kept = ("count", "centers", "variance", "_sharpness")
    per_input = 2 + len(SPANS)

    def __init__(self) -> None:
        self.names: dict[Any, int] = {}
        self.count = np.zeros(0)
        self.centers = np.zeros((0, self.per_input))
        self.variance = np.zeros(0)
        self._sharpness = np.zeros(0)  # 1 / standard deviation; 0 before there is a value
        self._slowest = np.array([_SLOWEST, *(2 / (span + 1) for span in SPANS), 1.0])

    @property
    def size(self) -> int:
        """How many features there are now."""
        return len(self.names) * self.per_input

    def read(self, x: Row) -> Array:
        """The numbers of a row in the order of ``names``, (inputs,), NaN where missing; new names are added.

        A row that is refused changes nothing.

        Raises:
            DataError: a row that is no mapping, a value that is no number, infinite or larger than 1e150, or
                more than 1,024 names.
        """
        if not isinstance(x, Mapping):
            raise DataError(
                f"a row must be numbers by name but is {shown(x)}; write for example {{'load': 3.0}}"
            )
        new = [] if x.keys() == self.names.keys() else [name for name in x if name not in self.names]
        if not {type(value) for value in x.values()} <= _NUMBERS:
            _refuse(x)
        try:
            raw = np.array([x.get(name, _MISSING) for name in (*self.names, *new)], dtype=np.float64)
        except OverflowError:
            _refuse(x)
            raise
        if kernels.any_beyond(raw, LARGEST):
            _refuse(x)
        if new:
            self._add(new)
        return raw

    def features(self, raw: Array) -> Array:
        """The features of a row that ``read`` gave, (size,)."""
        found = np.empty((len(raw), self.per_input))
        kernels.contexts(raw, self.centers, self._sharpness, _LIMIT, found)
        return found.ravel()

    def learn(self, raw: Array) -> None:
        """Let a row become the past; NaN changes nothing."""
        kernels.follow(
            raw, self.count, self.centers, self.variance, self._sharpness, self._slowest, _SMALLEST
        )

    @override
    def state(self) -> dict[str, Any]:
        return {"names": plain_names(self.names), **super().state()}

    @override
    def take(self, state: Mapping[str, Any]) -> None:
        self.names = {name: number for number, name in enumerate(state["names"])}
        super().take(state)

    def _add(self, names: list[Any]) -> None:
        if len(self.names) + len(names) > MOST_INPUTS:
            raise DataError(
                f"rows have had more than {MOST_INPUTS:,} names of inputs, the last {shown(names[-1])}; "
                "give each row the same names, and hash what has more (river's FeatureHasher)"
            )
        for name in names:
            self.names[name] = len(self.names)
        new = len(names)
        self.count = np.append(self.count, np.zeros(new))
        self.centers = np.vstack([self.centers, np.zeros((new, self.per_input))])
        self.variance = np.append(self.variance, np.zeros(new))
        self._sharpness = np.append(self._sharpness, np.zeros(new))


def shown(value: object) -> str:
    """A value as a message may quote it."""
    try:
        return repr(value)[:100]
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return f"a {type(value).__name__} of very many digits"


def whole_number(value: Any) -> int | None:
    """A whole number as Python's own; None of anything else."""
    try:
        return operator.index(value)
    except TypeError:
        return None


def is_missing(value: object) -> bool:
    """Whether a value is None or NaN, of Python or NumPy."""
    return value is None or (isinstance(value, float | np.floating) and math.isnan(value))


def is_number(value: object) -> bool:
    """Whether a value is a number that a learner can read: NaN, or at most 1e150 in size."""
    if not isinstance(value, Real | np.bool_):
        return False
    try:
        return not abs(float(value)) > LARGEST
    except OverflowError:
        return False


def _refuse(x: Row) -> None:
    """Raise for the values that are neither finite numbers nor missing."""
    wrong = [f"{name}={shown(value)}" for name, value in x.items() if not is_number(value)]
    if wrong:
        raise DataError(
            f"inputs must be finite numbers of at most {LARGEST:g} in size (NaN where missing) but "
            f"{', '.join(wrong)[:200]}; encode text first, for example with river's OneHotEncoder"
        )
