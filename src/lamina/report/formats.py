"""Figures as a person reads them; a figure that is not known is an en dash."""

from __future__ import annotations

import re
from typing import NamedTuple

from lamina.study.sides import CASES

UNKNOWN = "–"


class Naming(NamedTuple):
    """What a report calls the data of a task.

    Attributes:
        study: what is studied.
        cases: what the training, validation and test part consist of.
        rows: what ``Data.rows`` counts.
        series: what ``Data.series`` counts.
    """

    study: str
    cases: str
    rows: str
    series: str


NAMING = {
    "forecast": Naming("forecasts", cases=CASES["forecast"], rows="rows", series="series"),
    "classify": Naming("labelled sequences", cases=CASES["classify"], rows="rows", series="sequences"),
    "classify-text": Naming(
        "labelled texts", cases=CASES["classify-text"], rows="training words", series="texts"
    ),
}


def significant(value: float | None, digits: int = 3) -> str:
    """A figure with so many significant digits.

    >>> significant(0.61234), significant(1234.5), significant(0.0000123), significant(None)
    ('0.612', '1,234', '1.23e-05', '–')
    """
    if value is None:
        return UNKNOWN
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def percent(share: float | None) -> str:
    """A share as a percentage with one decimal.

    >>> percent(0.071), percent(-0.006), percent(-0.0001), percent(None)
    ('7.1 %', '-0.6 %', '0.0 %', '–')
    """
    return UNKNOWN if share is None else f"{100 * share:z.1f} %"


def percent_range(interval: tuple[float, float] | None) -> str:
    """An interval of shares as percentages.

    >>> percent_range((0.05, 0.093)), percent_range(None)
    ('5.0 to 9.3 %', '–')
    """
    return UNKNOWN if interval is None else f"{100 * interval[0]:z.1f} to {100 * interval[1]:z.1f} %"


def duration(seconds: float | None) -> str:
    """Seconds in the unit that suits them.

    >>> duration(0.0031), duration(14.2), duration(287), duration(300), duration(5400), duration(None)
    ('3.1 ms', '14.2 s', '4 min 47 s', '5 min', '1 h 30 min', '–')
    """
    if seconds is None:
        return UNKNOWN
    if seconds == 0:
        return "0 s"
    if seconds < 0.1:
        return f"{significant(1000 * seconds)} ms"
    if seconds < 100:
        return f"{significant(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def count(number: int | None) -> str:
    """A count with its thousands set apart.

    >>> count(17520), count(None)
    ('17,520', '–')
    """
    return UNKNOWN if number is None else f"{number:,}"


def capitalised(sentence: str) -> str:
    """The sentence with a capital at its beginning, unless that is a name or a figure.

    >>> capitalised("undecided between lstm and gru"), capitalised("lstm is enough"), capitalised("no: none")
    ('Undecided between lstm and gru', 'lstm is enough', 'No: none')
    """
    first, _, _ = sentence.replace(":", " ").partition(" ")
    return sentence[:1].upper() + sentence[1:] if first in {"undecided", "yes", "no"} else sentence


def headline(sentence: str) -> tuple[str, str]:
    """What a sentence says, and the evidence that follows it.

    >>> headline("2 layers. 7.1 % better than 1 (95 %: 5.0 to 9.3 %, 9 seeds).")
    ('2 layers.', '7.1 % better than 1 (95 %: 5.0 to 9.3 %, 9 seeds).')
    >>> headline("undecided between 1 and 2 layers after 2 seeds (2: 1 % worse); 3 more would tell.")
    ('undecided between 1 and 2 layers after 2 seeds', '(2: 1 % worse); 3 more would tell.')
    """
    found = re.match(r"(.+?)(?:(?<=\.) | (?=\())(.+)", sentence)
    return (found[1], found[2]) if found else (sentence, "")


def unbroken(sentence: str) -> str:
    """The sentence with every figure and its sign on one line.

    >>> unbroken("0.2 % at 1.5 × the time")
    '0.2\\xa0% at 1.5\\xa0× the time'
    """
    return sentence.replace(" %", "\N{NO-BREAK SPACE}%").replace(" ×", "\N{NO-BREAK SPACE}×")
