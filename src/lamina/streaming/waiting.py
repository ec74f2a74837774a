"""Rows that were predicted and whose labels have not come yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from lamina.errors import ConfigError
from lamina.streaming.inputs import Row
from lamina.streaming.state import plain_names

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
        self.most = most
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

    def state(self, plain: Callable[[Prepared], Mapping[str, Any]]) -> dict[str, Any]:
        """The rows that wait; ``plain`` gives a prediction's arrays by name."""
        rows = [
            {
                "names": plain_names(entry.x),
                "values": plain_names(entry.x.values()),
                "learned": entry.learned,
                "prepared": plain(entry.prepared),
            }
            for entry in self._entries
        ]
        return {"rows": rows, "learned": self._learned}

    def take_state(self, state: Mapping[str, Any], whole: Callable[[Mapping[str, Any]], Prepared]) -> None:
        """Go on with the rows that waited; ``whole`` is the inverse of ``plain``."""
        rows: Sequence[Mapping[str, Any]] = state["rows"]
        self._entries.clear()
        for row in rows:
            x = dict(zip(row["names"], row["values"], strict=True))
            self._entries.append(_Entry(x, row["learned"], whole(row["prepared"])))
        self._learned = state["learned"]
