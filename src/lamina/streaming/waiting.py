"""Rows that were predicted and whose labels have not come yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from lamina.errors import ConfigError

Prepared = TypeVar("Prepared")


def key_of(raw: NDArray[np.float64]) -> bytes:
    """What rows of equal inputs have in common, from their numbers in the order of the inputs' names.

    A missing value equals a missing one, and inputs that appeared later are missing in the rows before.
    """
    missing = np.isnan(raw)
    if missing.any():
        known = np.flatnonzero(~missing)
        raw = np.where(missing, np.nan, raw)[: known[-1] + 1 if len(known) else 0]
    return (raw + 0.0).tobytes()  # -0.0 becomes 0.0


@dataclass(frozen=True)
class _Entry(Generic[Prepared]):
    learned: int
    prepared: Prepared


class Waiting(Generic[Prepared]):
    """Predictions by row, oldest first, until their labels come.

    A label that comes late is learned with the features and the forecasts of the time when its row was
    predicted, so a learner is judged by what it could know then. Rows are recognised by their inputs
    (``key_of``); of rows with equal inputs the oldest is meant. At most ``most`` rows wait, and the oldest is
    forgotten first.

    Args:
        most: rows that may wait. 0 where each label comes before the next prediction: then the last row alone
            waits, until any label comes. So it should be where a row is changed between prediction and label,
            by a scaler that learns, and none is ever recognised.
    """

    def __init__(self, most: int) -> None:
        if most < 0:
            raise ConfigError(f"max_delay must be at least 0 rows but is {most}")
        self.most = max(most, 1)
        self._at_once = most == 0
        self._keys: deque[bytes] = deque(maxlen=self.most)  # of the entries
        self._entries: deque[_Entry[Prepared]] = deque(maxlen=self.most)
        self._learned = 0

    def __len__(self) -> int:
        return len(self._entries)

    def again(self, key: bytes) -> Prepared | None:
        """What was prepared for this row, if it was the last one and nothing has been learned since."""
        if self._entries:
            entry = self._entries[-1]
            if entry.learned == self._learned and self._keys[-1] == key:
                return entry.prepared
        return None

    def look(self, key: bytes) -> Prepared | None:
        """What was prepared for a row whose label has come; it waits on."""
        return self._entries[self._keys.index(key)].prepared if key in self._keys else None

    def add(self, key: bytes, prepared: Prepared) -> None:
        """Let a row wait for its label."""
        self._keys.append(key)
        self._entries.append(_Entry(self._learned, prepared))

    def take(self, key: bytes) -> Prepared | None:
        """What was prepared for a row whose label has come; it and the rows before it wait no longer.

        Rows before it are those whose labels will not come, since labels come in the order of their rows.
        """
        self._learned += 1
        found = None
        if key in self._keys:
            for _ in range(self._keys.index(key) + 1):
                self._keys.popleft()
                found = self._entries.popleft().prepared
        if self._at_once:
            self._keys.clear()
            self._entries.clear()
        return found

    def state(self, plain: Callable[[Prepared], Mapping[str, Any]]) -> dict[str, Any]:
        """The rows that wait; ``plain`` gives a prediction's arrays by name."""
        rows = [
            {"key": key, "learned": entry.learned, "prepared": plain(entry.prepared)}
            for key, entry in zip(self._keys, self._entries, strict=True)
        ]
        return {"rows": rows, "learned": self._learned}

    def take_state(self, state: Mapping[str, Any], whole: Callable[[Mapping[str, Any]], Prepared]) -> None:
        """Go on with the rows that waited; ``whole`` is the inverse of ``plain``."""
        rows: Sequence[Mapping[str, Any]] = state["rows"]
        self._keys.clear()
        self._entries.clear()
        for row in rows:
            self._keys.append(row["key"])
            self._entries.append(_Entry(row["learned"], whole(row["prepared"])))
        self._learned = state["learned"]
