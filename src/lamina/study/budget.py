"""Time: what was asked for, what is used, and what a stage may take."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from lamina.errors import ConfigError

T = TypeVar("T")

UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str | float) -> float:
    """Seconds in ``"90s"``, ``"5m"``, ``"1.5h"`` or a bare number of seconds.

    >>> parse_duration("5m"), parse_duration("1.5h"), parse_duration(20)
    (300.0, 5400.0, 20.0)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh]?)\s*", str(text))
    if match is None or float(match[1]) <= 0:
        raise ConfigError(f"a budget is a time such as 90s, 5m or 1.5h, but is {text!r}.")
    return float(match[1]) * UNITS_S[match[2] or "s"]


class Settled:
    """What time has decided, by name: once settled it stands, in later sittings of the study too.

    A resumed study reads its finished runs from disk. What it had time for is not asked again of the time
    that is left then, so that it takes the course it would have taken without the interruption.

    Args:
        known: of earlier sittings, as JSON holds it; takes what is new.
        changed: called after each new entry.
    """

    def __init__(self, known: dict[str, Any], changed: Callable[[], None] = lambda: None) -> None:
        self._known, self._changed = known, changed

    def once(self, name: str, decide: Callable[[], T]) -> T:
        """What is settled under the name; where nothing is, what ``decide`` says now."""
        if name not in self._known:
            self._known[name] = decide()
            self._changed()
        found: T = self._known[name]
        return found


class Budget:
    """A clock that also counts the earlier sittings of a resumed study.

    Args:
        asked_s: seconds for the whole study.
        used_before_s: seconds of earlier sittings.
        shares: weights of the stages; a stage gets its weight's part of what is left when it begins, so
            that time one stage leaves goes to those after it.
        settled: what time has decided in earlier sittings; None where there was none.
    """

    def __init__(
        self,
        asked_s: float,
        *,
        used_before_s: float = 0.0,
        shares: Mapping[str, float],
        settled: Settled | None = None,
    ) -> None:
        self.asked_s = asked_s
        self.settled = settled or Settled({})
        self._before = used_before_s
        self._began = time.monotonic()
        self._shares = dict(shares)
        self._kept_s = 0.0

    @property
    def used_s(self) -> float:
        return self._before + time.monotonic() - self._began

    @property
    def left_s(self) -> float:
        """Seconds for the work at hand: not used, and not kept for the end."""
        return max(0.0, self.asked_s - self.gone_s)

    @property
    def gone_s(self) -> float:
        """Seconds used or kept."""
        return self.used_s + self._kept_s

    def keep(self, seconds: float) -> None:
        """Keep so many seconds, instead of those kept before, for what comes after the last question."""
        self._kept_s = seconds

    def keep_more(self, seconds: float) -> None:
        """Keep so many seconds besides; the stage at hand pays for them."""
        self._kept_s += seconds

    def add(self, shares: Mapping[str, float]) -> None:
        """Plan more stages, which share what is left with those already planned."""
        self._shares.update(shares)

    def begin(self, stage: str) -> Stage:
        """Start a stage; its weight is then spent."""
        share = self._shares[stage] / sum(self._shares.values())
        del self._shares[stage]
        now_s = share * self.left_s
        seconds, end_s = self.settled.once(f"{stage}: seconds, end", lambda: [now_s, self.gone_s + now_s])
        return Stage(self, stage, seconds, end_s)


class Stage:
    """A stage's part of the budget, which ends when so many seconds of the whole are gone."""

    def __init__(self, budget: Budget, name: str, seconds: float, end_s: float) -> None:
        self.seconds = seconds
        self._budget, self._name, self._end = budget, name, end_s

    @property
    def left_s(self) -> float:
        return max(0.0, self._end - self._budget.gone_s)

    def once(self, what: str, decide: Callable[[], T]) -> T:
        """What is settled of this stage, as ``Settled.once`` says."""
        return self._budget.settled.once(f"{self._name}: {what}", decide)

    def pays(self, what: str, seconds: float) -> bool:
        """Whether so many seconds are left for it; settled when it is asked first."""
        return self.once(what, lambda: seconds <= self.left_s)
