"""Rows that were predicted and whose labels have not come yet."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from lamina.errors import ConfigError
from lamina.streaming.inputs import Row

Prepared = TypeVar("Prepared")


@dataclass(frozen=True)
class _Entry(Generic[Prepared]):
    x: Row
    learned: int
    prepared: Prepared


class Waiting(Generic[Prepared]):
    """Predictions by row, oldest first, until their labels come.

    A label that comes late is learned with the features and the forecasts of the time when its row was
    predicted, so a learner is judged by what it could know then. Rows are recognised by their inputs; of rows
    with equal inputs the oldest is meant. At most ``most`` rows wait, and the oldest is forgotten first.
    """

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ConfigError(f"max_delay must be at least 1 row but is {most}")
        self._entries: deque[_Entry[Prepared]] = deque(maxlen=most)
        self._learned = 0

    def __len__(self) -> int:
        return len(self._entries)

    def again(self, x: Row) -> Prepared | None:
        """What was prepared for this row, if it was the last one and nothing has been learned since."""
        if self._entries:
            entry = self._entries[-1]
            if entry.learned == self._learned and entry.x == x:
                return entry.prepared
        return None

    def add(self, x: Row, prepared: Prepared) -> None:
        """Let a row wait for its label."""
        self._entries.append(_Entry(dict(x), self._learned, prepared))

    def take(self, x: Row) -> Prepared | None:
        """What was prepared for a row whose label has come; it and the rows before it wait no longer.

        Rows before it are those whose labels will not come, since labels come in the order of their rows.
        """
        self._learned += 1
        for place, entry in enumerate(self._entries):
            if entry.x == x:
                for _ in range(place + 1):
                    self._entries.popleft()
                return entry.prepared
        return None
