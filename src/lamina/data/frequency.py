"""The step between two rows: its name, its seasons, and arithmetic on time stamps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lamina.errors import ConfigError

MICROSECONDS = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 7 * 86_400_000_000,
}
MONTHS = {"mo": 1, "q": 3, "y": 12}
DAY_US = MICROSECONDS["d"]
# No calendar month is shorter, so a longer usual gap may be counted in months.
SHORTEST_MONTH_US = 28 * DAY_US


@dataclass(frozen=True)
class Frequency:
    """One step of a regular series, and how many steps make a season.

    Args:
        step: "15m", "1h", "1d", "1w", "1mo", "1q", "1y" and multiples; a bare count such as "1" for
            integer time.
        seasons: lengths of the seasons in steps, shortest first; empty where none is known.
        month_end: monthly stamps fall on the last day of the month rather than on one fixed day.

    Raises:
        ConfigError: the step cannot be read, or a season is below 2 steps.

    >>> Frequency.of("1h")
    Frequency(step='1h', seasons=(24, 168), month_end=False)
    >>> Frequency.of("1mo").future_times(np.datetime64("2024-11-01", "us"), 2).astype("M8[D]").tolist()
    [datetime.date(2024, 12, 1), datetime.date(2025, 1, 1)]
    """

    step: str
    seasons: tuple[int, ...] = ()
    month_end: bool = False

    def __post_init__(self) -> None:
        _parse(self.step)
        if any(season < 2 for season in self.seasons):
            raise ConfigError(
                f"a season is at least 2 steps but seasons are {self.seasons}; leave out the others"
            )

    @classmethod
    def of(cls, step: str) -> Frequency:
        """The frequency of this step with the seasons that people and the sun give it."""
        return cls(step, usual_seasons(step))

    @property
    def season(self) -> int:
        """The main season in steps: the shortest, or 1 where there is none."""
        return self.seasons[0] if self.seasons else 1

    @property
    def is_integer(self) -> bool:
        """Whether time is counted rather than dated."""
        return _parse(self.step)[1] == ""

    @property
    def months(self) -> int:
        """Months in a step, or 0 where the step has a fixed length."""
        count, unit = _parse(self.step)
        return count * MONTHS.get(unit, 0)

    @property
    def ticks(self) -> int:
        """Length of a fixed step in time's own unit (us or counts), or 0 for steps in months."""
        count, unit = _parse(self.step)
        return 0 if unit in MONTHS else count * MICROSECONDS.get(unit, 1)

    def shift(self, time: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Time stamps ``steps`` (int64, may be negative) steps after ``time``, of its dtype."""
        if not self.months:
            return np.asarray(time + steps * self.ticks)
        month = time.astype("M8[M]")
        day = (time.astype("M8[D]") - month.astype("M8[D]")).astype(np.int64)
        within_day = time - time.astype("M8[D]")
        landed = month + steps * self.months
        last_day = ((landed + 1).astype("M8[D]") - landed.astype("M8[D]")).astype(np.int64) - 1
        day = last_day if self.month_end else np.minimum(day, last_day)
        return np.asarray((landed.astype("M8[D]") + day).astype(time.dtype) + within_day)

    def future_times(self, last: np.datetime64 | np.int64 | int, n: int) -> np.ndarray:
        """The ``n`` time stamps that follow ``last``."""
        last_time = np.asarray(last)
        if last_time.dtype.kind == "M":
            last_time = last_time.astype("M8[us]")
        return self.shift(np.broadcast_to(last_time, (n,)), np.arange(1, n + 1))

    def position(self, time: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whole steps from ``first`` to ``time``, and whether time lies on that grid.

        Returns:
            (steps int64, on_grid bool), of time's shape.
        """
        if self.months:
            steps = (time.astype("M8[M]") - first.astype("M8[M]")).astype(np.int64) // self.months
            return steps, self.shift(first, steps) == time
        ticks = time.astype(np.int64) - first.astype(np.int64)
        return ticks // self.ticks, ticks % self.ticks == 0

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON can hold them."""
        return {"step": self.step, "seasons": list(self.seasons), "month_end": self.month_end}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Frequency:
        """The inverse of ``to_dict``."""
        return cls(str(fields["step"]), tuple(fields["seasons"]), bool(fields["month_end"]))


def usual_seasons(step: str) -> tuple[int, ...]:
    """Seasons of a step in steps: day and week below a day, week, year in weeks, months or quarters.

    >>> usual_seasons("15m"), usual_seasons("1d"), usual_seasons("1mo"), usual_seasons("1y")
    ((96, 672), (7,), (12,), ())
    """
    count, unit = _parse(step)
    if unit in MONTHS:
        spans, length = [12], count * MONTHS[unit]
    elif unit == "" or count * MICROSECONDS[unit] < MICROSECONDS["m"]:
        return ()  # counted time, or a sensor faster than a minute: nothing is known beforehand
    else:
        length = count * MICROSECONDS[unit]
        spans = [DAY_US, 7 * DAY_US] if length < 7 * DAY_US else [364 * DAY_US]
    return tuple(span // length for span in spans if span % length == 0 and span // length >= 2)


def as_frequency(given: Frequency | str) -> Frequency:
    """A frequency from itself or from its step."""
    return given if isinstance(given, Frequency) else Frequency.of(given)


def infer_frequency(time: np.ndarray, starts: np.ndarray) -> Frequency | None:
    """The frequency whose step is the most common gap between neighbours, or None without neighbours.

    Args:
        time: (rows,) sorted and unique within each series.
        starts: (n+1,) series i is rows starts[i]:starts[i+1].
    """
    inner = np.ones(len(time), dtype=bool)
    inner[starts[:-1]] = False
    later = np.flatnonzero(inner)
    if not len(later):
        return None
    gap = most_common((time[later] - time[later - 1]).astype(np.int64))
    if time.dtype.kind != "M":
        return Frequency(str(gap))
    if gap >= SHORTEST_MONTH_US:
        months = time.astype("M8[M]").astype(np.int64)
        month_gap = most_common(months[later] - months[later - 1])
        calendar = with_month_end(Frequency.of(_name_months(month_gap)), time) if month_gap else None
        if calendar and np.mean(calendar.shift(time[later - 1], np.ones(1, np.int64)) == time[later]) > 0.5:
            return calendar
    unit = next(unit for unit in ("w", "d", "h", "m", "s", "ms", "us") if gap % MICROSECONDS[unit] == 0)
    return Frequency.of(f"{gap // MICROSECONDS[unit]}{unit}")


def with_month_end(frequency: Frequency, time: np.ndarray) -> Frequency:
    """The frequency, with ``month_end`` set where steps are months and every stamp ends its month."""
    if not frequency.months or not len(time):
        return frequency
    days = time.astype("M8[D]")
    ends = (days + 1).astype("M8[M]") != days.astype("M8[M]")
    return Frequency(frequency.step, frequency.seasons, month_end=bool(ends.all()))


def most_common(values: np.ndarray | Sequence[int]) -> int:
    """The value that occurs most often; the smallest of those that tie."""
    found, counts = np.unique(np.asarray(values), return_counts=True)
    return int(found[counts.argmax()])


def _name_months(months: int) -> str:
    for unit, length in (("y", 12), ("q", 3)):
        if months % length == 0:
            return f"{months // length}{unit}"
    return f"{months}mo"


def _parse(step: str) -> tuple[int, str]:
    match = re.fullmatch(r"([1-9]\d*)(us|ms|s|m|h|d|w|mo|q|y)?", step)
    if match is None:
        raise ConfigError(
            f"a step is a count and a unit (us ms s m h d w mo q y), such as '15m' or '1mo', or a bare count "
            f"for integer time, but it is '{step}'; write it so"
        )
    return int(match[1]), match[2] or ""
