"""The calendar as features: where in the day, week and year a time stamp lies."""

from __future__ import annotations

import numpy as np

from lamina.data.frequency import DAY_US, Frequency

WEEK_US = 7 * DAY_US
YEAR_US = 365.25 * DAY_US
IN_A_YEAR = {"hour_of_day": 365.25, "day_of_week": 365.25 / 7, "day_of_year": 1.0, "month_of_year": 1.0}
LEAST_CYCLES = 2
# Yearly patterns have features of a few weeks (holidays, seasons of a sport), which one wave cannot show.
HARMONICS = {"day_of_year": 6}


def calendar_cycles(frequency: Frequency, rows: int) -> tuple[str, ...]:
    """The cycles that a step can show and of which ``rows`` steps hold at least two.

    Of a cycle seen once, its phase would only tell one date from another.

    >>> calendar_cycles(Frequency.of("1d"), 500), calendar_cycles(Frequency.of("1d"), 900)
    (('day_of_week',), ('day_of_week', 'day_of_year'))
    """
    years = rows * frequency.months / 12 if frequency.months else rows * frequency.ticks / YEAR_US
    return tuple(cycle for cycle in _cycles(frequency) if years * IN_A_YEAR[cycle] >= LEAST_CYCLES)


def calendar_names(frequency: Frequency, cycles: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Names of the columns of ``calendar_features``.

    Steps below a day have the hour of the day, below a week the day of the week, below a month the
    day of the year, and months and quarters the month; years and counted time have none.

    >>> calendar_names(Frequency.of("1mo"))
    ('sin_month_of_year', 'cos_month_of_year')
    """
    return tuple(
        f"{wave}_{cycle}" + (f"_{harmonic}" if harmonic > 1 else "")
        for cycle in _chosen(frequency, cycles)
        for harmonic in range(1, HARMONICS.get(cycle, 1) + 1)
        for wave in ("sin", "cos")
    )


def calendar_features(
    time: np.ndarray, frequency: Frequency, cycles: tuple[str, ...] | None = None
) -> np.ndarray:
    """Sine and cosine of each cycle that the step can show.

    Args:
        time: (...) datetime64[us], or int64 for counted time.
        frequency: the step between rows.
        cycles: those to show, as ``calendar_cycles`` names them; None shows all that the step can show.

    Returns:
        (..., columns) float32 in the order of ``calendar_names``.
    """
    waves: list[np.ndarray] = []
    for cycle in _chosen(frequency, cycles):
        first = np.exp(2j * np.pi * _phase(time, cycle))
        turn = first  # its k-th power holds the k-th harmonic, which saves the sines
        for _ in range(HARMONICS.get(cycle, 1)):
            waves += [turn.imag, turn.real]
            turn = turn * first
    if not waves:
        return np.empty((*time.shape, 0), dtype=np.float32)
    return np.stack(waves, axis=-1, dtype=np.float32, casting="same_kind")


def _chosen(frequency: Frequency, cycles: tuple[str, ...] | None) -> tuple[str, ...]:
    return _cycles(frequency) if cycles is None else cycles


def _cycles(frequency: Frequency) -> tuple[str, ...]:
    if frequency.is_integer:
        return ()
    if frequency.months:
        return ("month_of_year",) if frequency.months < 12 else ()
    cycles = []
    if frequency.ticks < DAY_US:
        cycles.append("hour_of_day")
    if frequency.ticks < WEEK_US:
        cycles.append("day_of_week")
    return (*cycles, "day_of_year")


def _phase(time: np.ndarray, cycle: str) -> np.ndarray:
    """Share of the cycle that has passed, in [0, 1)."""
    day = time.astype("M8[D]")
    if cycle == "hour_of_day":
        return np.asarray((time - day).astype(np.int64) / DAY_US)
    if cycle == "day_of_week":
        # Day 0 of the epoch was a Thursday; weeks begin on Monday.
        return np.asarray((day.astype(np.int64) + 3) % 7 / 7)
    if cycle == "month_of_year":
        return np.asarray(time.astype("M8[M]").astype(np.int64) % 12 / 12)
    year = time.astype("M8[Y]")
    days_in_year = ((year + 1).astype("M8[D]") - year.astype("M8[D]")).astype(np.int64)
    return np.asarray((day - year.astype("M8[D]")).astype(np.int64) / days_in_year)
