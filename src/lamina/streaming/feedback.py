"""What was right lately, as inputs: the last labels of a class stream, the last values of a series."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from lamina.errors import DataError
from lamina.streaming import kernels
from lamina.streaming.inputs import SPANS, is_missing, shown
from lamina.streaming.seasons import find_seasons
from lamina.streaming.state import Stateful, plain_names

Array = NDArray[np.float64]

LABEL_LAGS = 4
VALUE_LAGS = 8
VALUE_SPANS = (4, 16, 64, 256)
MEDIANS = (5, 25)
"""Rows of the running medians, which suit series that lie still between spikes."""

MOST_CLASSES = 256
_CLASSES_FED_BACK = 8
_SEASONS = 2
_LOOK_BACK = 4096
_LIMIT = 10.0
_SCALE_ROWS = 1000
_LABEL_RATES = 2.0 / (np.array(SPANS) + 1.0)
_VALUE_RATES = 2.0 / (np.array(VALUE_SPANS) + 1.0)


class LabelFeedback(Stateful):
    """The last labels and how frequent each class was lately.

    Features of each class but the first, up to the eighth: whether it was the label 1, 2, 3 and 4 rows ago,
    and its exponential frequency over each of ``SPANS`` rows. A class that is new is appended.
    """

    kept = ("last", "_frequency", "_after", "rows")
    per_class = LABEL_LAGS + len(SPANS)

    def __init__(self) -> None:
        self.classes: dict[Hashable, int] = {}
        self.last: list[int] = []
        self._frequency = np.zeros((0, len(SPANS)))
        self._after = np.zeros((0, 0))
        self.rows = 0

    @property
    def _before(self) -> int:
        """The last label's number, or -1."""
        return self.last[0] if self.last else -1

    @property
    def size(self) -> int:
        """How many features there are now."""
        return max(min(len(self.classes), _CLASSES_FED_BACK) - 1, 0) * self.per_class

    def check(self, label: Hashable) -> None:
        """Nothing, where a label can be learned.

        Raises:
            DataError: it is missing or no label, or there are more classes than a stream of classes has.
        """
        try:
            if label in self.classes:
                return
        except TypeError as error:
            raise DataError(
                f"a label must be text, a number, or true or false but is {shown(label)}; "
                "name the class by text"
            ) from error
        if is_missing(label):
            raise DataError(f"a label must be known to be learned but is {label!r}; leave that row out")
        if len(self.classes) == MOST_CLASSES:
            raise DataError(
                f"there are more than {MOST_CLASSES} classes, the last {shown(label)}; "
                "for numbers use OnlineRegressor or OnlineForecaster"
            )

    def code(self, label: Hashable) -> int:
        """The number of a class, in order of appearance; a new one is added.

        Raises:
            DataError: as ``check``.
        """
        self.check(label)
        found = self.classes.get(label)
        if found is not None:
            return found
        self.classes[label] = len(self.classes)
        self._frequency = np.vstack([self._frequency, np.zeros(len(SPANS))])
        self._after = np.pad(self._after, (0, 1))
        return self.classes[label]

    def features(self) -> Array:
        """The features now, (size,)."""
        fed = self.size // self.per_class
        found = np.zeros((fed, self.per_class))
        for lag, code in enumerate(self.last):
            if 1 <= code <= fed:
                found[code - 1, lag] = 1.0
        found[:, LABEL_LAGS:] = self._frequency[1 : fed + 1]
        return found.ravel()

    def trivial(self) -> Array:
        """What rules without weights say of the next label, (1 + spans, classes), as probabilities.

        First "no change": how often each class came after the last label, which is counted once more than it
        was seen, so that it is the most probable one until the stream says otherwise. Then how frequent each
        class was over each of ``SPANS`` rows.
        """
        found = np.empty((1 + len(SPANS), len(self.classes)))
        kernels.label_rules(self._after, self._frequency, self._before, 0.1 / (self.rows + 1), found)
        return found

    def learn(self, code: int) -> None:
        """Let a label become the last one."""
        self.rows += 1
        kernels.follow_label(
            self._after, self._frequency, self._before, code, self.rows, _LABEL_RATES, 1.0 - 1.0 / _SCALE_ROWS
        )
        self.last = [code, *self.last[: LABEL_LAGS - 1]]

    @override
    def state(self) -> dict[str, Any]:
        return {"classes": plain_names(self.classes), **super().state()}

    @override
    def take(self, state: Mapping[str, Any]) -> None:
        self.classes = {label: code for code, label in enumerate(state["classes"])}
        super().take(state)


class ValueFeedback(Stateful):
    """The last values of a series, their means and seasons, as distances from the last one.

    All features are ``(v - last) / scale``, with the last known value and the running mean absolute change,
    so that a model of them is blind to level and unit, and one whose weights are zero says "no change". v is
    each of the last values, each exponential mean, and for each season found the value a season ago; and
    there is one more for each season, the change that followed then.

    The seasons are looked for again whenever the series has grown by a quarter, and every 1,024 rows later; a
    season of at most a third of the last 4,096 rows can be found.
    """

    kept = ("seasons", "rows", "last", "scale", "means", "_buffer", "_end", "_next_look")
    size = (VALUE_LAGS - 1) + len(VALUE_SPANS) + 2 * _SEASONS

    def __init__(self, season: int | None = None) -> None:
        self.season = season
        self.seasons: tuple[int, ...] = () if season is None else (season,)
        self.rows = 0  # with a known value
        self.last = 0.0  # known value
        self.scale = 0.0
        self.means = np.zeros(len(VALUE_SPANS))
        self._buffer = np.zeros(2 * _LOOK_BACK)
        self._end = 0
        self._next_look = 16

    @property
    def history(self) -> Array:
        """The last rows, oldest first, at most 4,096; of missing ones what stands in for them."""
        return self._buffer[max(self._end - _LOOK_BACK, 0) : self._end]

    @property
    def unit(self) -> float:
        """The scale, or 1 while the series has not moved."""
        return self.scale if self.scale > 0 else 1.0

    def features(self) -> Array:
        """The features now, (size,)."""
        found = np.zeros(self.size)
        if not self._end:
            return found
        buffer, end = self._buffer, self._end
        lags = min(VALUE_LAGS - 1, end - 1)
        means = VALUE_LAGS - 1
        found[:lags] = buffer[end - 1 - lags : end - 1][::-1]
        found[means : means + len(VALUE_SPANS)] = self.means
        found -= self.last
        found[lags:means] = 0.0
        place = means + len(VALUE_SPANS)
        for number in range(_SEASONS):
            season = self.seasons[number] if number < len(self.seasons) else end
            found[place] = found[place + 1] = 0.0
            if season < end:
                found[place] = buffer[end - season] - self.last
                found[place + 1] = buffer[end - season] - buffer[end - season - 1]
            place += 2
        found /= self.unit
        np.minimum(found, _LIMIT, out=found)
        np.maximum(found, -_LIMIT, out=found)
        return found

    def trivial(self) -> Array:
        """What rules without weights forecast: no change first, then means, seasons and medians, (rules,)."""
        if not self._end:
            return np.zeros(len(self.names))
        buffer, end, last = self._buffer, self._end, self.last
        seasonal = [
            float(buffer[end - season]) if season < end else last
            for season in (*self.seasons, *(end,) * (_SEASONS - len(self.seasons)))
        ]
        medians = [_median(buffer[max(end - rows, 0) : end].tolist()) for rows in MEDIANS]
        return np.array([last, *self.means.tolist(), *seasonal, *medians])

    names = (
        "no change",
        *(f"mean of {span}" for span in VALUE_SPANS),
        *(f"season {number + 1}" for number in range(_SEASONS)),
        *(f"median of {rows}" for rows in MEDIANS),
    )

    def learn(self, value: float) -> None:
        """Let a value become the last one."""
        if self._end:
            weight = max(1.0 / self.rows, 1.0 / _SCALE_ROWS)
            self.scale += weight * (abs(value - self.last) - self.scale)
        self.rows += 1
        rates = np.maximum(1.0 / self.rows, _VALUE_RATES)
        self.means += rates * (value - self.means)
        self.last = value
        self._push(value)
        if self.season is None and self.rows >= self._next_look:
            self._next_look = self.rows + min(max(self.rows // 4, 1), 1024)
            self.seasons = find_seasons(self.history, _SEASONS)

    def skip(self, guess: float) -> None:
        """Let a row go by whose value is missing; a guess stands in for it among the last rows alone."""
        if self._end:
            self._push(guess)

    def _push(self, value: float) -> None:
        if self._end == len(self._buffer):
            self._buffer[:_LOOK_BACK] = self._buffer[_LOOK_BACK:]
            self._end = _LOOK_BACK
        self._buffer[self._end] = value
        self._end += 1


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
