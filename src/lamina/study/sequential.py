"""Looking several times without erring more often: plans of looks, error spent at each, shares of questions.

Seeds come in groups, and after each group the question is looked at again. A study may claim wrongly that
something more complex is better in at most ``LEVEL`` of all studies, over all looks, pairs of arms and
questions together.

How the ladder uses it::

    looks = plan_looks(pace.seeds, most=seeds that the question's time pays for)
    level = error_level(question, questions, cleared)         # cleared: ids of earlier questions
    decision = decide(question, arms, layout, rope=..., looks=looks, level=level)
    while decision.contested:                                 # names; empty: settled, or seeds cannot tell
        ...train those arms up to decision.next_seeds seeds each (those that have as many already stay)
        decision = decide(...)                                # with the same looks and level
    if decision.cleared: cleared.add(question)                # its share goes to the next question

``looks`` and ``level`` must be fixed before scores of the question are compared, and no score may have a part
in them. Where time ends before the plan does, pass ``last=True`` to the look that the clock, not a score, has
made the last: it may spend what is left.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]

LEVEL = 0.05  # of a study: chance of any false claim that something more complex is better
SAME_LEVEL = 0.05  # of a question: chance to rule out a gain that is there
LOOKS = (5, 10, 16, 24)  # seeds of each arm; benchmarks/verdict.py measures what other plans would give
MOST_SEEDS = LOOKS[-1]
APART = 1.3  # a look has at least this many times the seeds of the one before
DEPTH_SHARE = 0.6
FURTHER_SHARE = 0.1
# Error spent by a look at a share s of all seeds is s^SPENT of the whole: below 1, early looks have more of
# it. A gain of two deviations between seeds was found by ten seeds in 94 % of studies at 1, 95.5 % at 0.8.
SPENT = 0.8
# A gain is ruled out late rather than early: what ends a study early by chance leaves a wrong interval.
SAME_SPENT = 1.5

_POINTS = 301  # of the grid a density is integrated on; errors of levels stay below one part in a thousand
_LOWEST_Z = -8.0
_TOTALS = np.logspace(-12, -0.01, 37)  # errors at which a repeated p is tabulated


@dataclass(frozen=True)
class Looks:
    """Numbers of seeds at which a question is looked at, ascending; error is spent as they rise.

    A look at another number counts as one after all planned ones below it.

    Source: the power family of Kim & DeMets 1987, doi:10.1093/biomet/74.1.149.
    """

    seeds: tuple[int, ...]

    def after(self, seeds: float) -> int | None:
        """Seeds of the next look, or None after the last."""
        return next((planned for planned in self.seeds if planned > seeds), None)

    def level(self, seeds: float, total: float, *, last: bool = False, power: float = SPENT) -> float:
        """One-sided level of the look at ``seeds``, where all looks together may err in ``total``."""
        path, spent = self._path(seeds, last, power)
        return _nominal(path, tuple(total * share for share in spent))[-1]

    def repeated_p(self, seeds: float, p: float, *, last: bool = False) -> float:
        """p of one look, corrected for all the others: at most x in a share x of studies, whenever they stop.

        Source: Jennison & Turnbull 2000, Group Sequential Methods, section 9.5.
        """
        path, spent = self._path(seeds, last, SPENT)
        totals, levels = _table(path, spent)
        if p >= levels[-1]:
            return 1.0
        return float(np.exp(np.interp(math.log(max(p, levels[0])), np.log(levels), np.log(totals))))

    def _path(self, seeds: float, last: bool, power: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Numbers of seeds up to this look, and shares of the error spent by each."""
        most = self.seeds[-1]
        seeds = min(seeds, most)
        path = (*(float(planned) for planned in self.seeds if planned < seeds), float(seeds))
        spent = [(one / most) ** power for one in path]
        if last:
            spent[-1] = 1.0
        return path, tuple(spent)


ONE_LOOK = Looks((1,))  # whatever the number of seeds


def plan_looks(first: int, *, most: int = MOST_SEEDS) -> Looks:
    """Looks from ``first`` seeds of each arm to ``most``, by way of those of ``LOOKS`` that lie well between.

    >>> plan_looks(5).seeds, plan_looks(3, most=12).seeds, plan_looks(2, most=2).seeds
    ((5, 10, 16, 24), (3, 5, 12), (2,))
    """
    planned = [first]
    for seeds in LOOKS:
        if seeds >= APART * planned[-1] and APART * seeds <= most:
            planned.append(seeds)
    if most > planned[-1]:
        planned.append(most)
    return Looks(tuple(planned))


def error_level(
    question: str, questions: Sequence[str], cleared: Collection[str] = (), *, further: Sequence[str] = ()
) -> float:
    """One-sided error that a question may spend: its share of ``LEVEL``, and what cleared ones hand on.

    Depth has ``DEPTH_SHARE`` of it where other questions are asked too, all further ones together
    ``FURTHER_SHARE``, and the others equal parts of the rest. A question is cleared where every claim that it
    could make was made: nothing in it is left to be claimed wrongly, and its share goes to the next question.
    So Holm's rule, in the order of asking, since an answer must stand before the next question is asked.

    Source: the fallback procedure of Wiens 2003, doi:10.1002/pst.64.

    >>> asked = ("depth", "direction", "cell")
    >>> error_level("depth", asked), round(error_level("cell", asked, {"direction"}), 4)
    (0.03, 0.02)
    >>> round(error_level("clipping", asked, further=("clipping",)), 4)
    0.005
    """
    shares = _shares(questions, further)
    order = [*questions, *further]
    place = order.index(question)
    level = shares[question]
    for earlier in reversed(order[:place]):
        if earlier not in cleared:
            break
        level += shares[earlier]
    return level


def _shares(questions: Sequence[str], further: Sequence[str]) -> dict[str, float]:
    last = LEVEL if not questions else LEVEL * FURTHER_SHARE if further else 0.0
    first = LEVEL - last
    if "depth" in questions and len(questions) > 1:
        depth = LEVEL * DEPTH_SHARE
        others = (first - depth) / (len(questions) - 1)
        shares = {name: depth if name == "depth" else others for name in questions}
    else:
        shares = {name: first / len(questions) for name in questions}
    return shares | {name: last / len(further) for name in further}


@lru_cache(maxsize=256)
def _table(path: tuple[float, ...], spent: tuple[float, ...]) -> tuple[Array, Array]:
    """Total errors, and the level that each leaves to the last look of the path."""
    levels = [_nominal(path, tuple(total * share for share in spent))[-1] for total in _TOTALS]
    return _TOTALS, np.array(levels)


@lru_cache(maxsize=4096)
def _nominal(path: tuple[float, ...], spent: tuple[float, ...]) -> tuple[float, ...]:
    """One-sided levels of looks with information ``path``, so that ``spent`` is the error up to each.

    A statistic has independent increments in its information. What of its density has crossed no earlier
    bound is carried from look to look on a grid, and each bound is where the increment of error lies beyond.
    We use seeds for information: windows, which stay as they are, only tie looks closer together, so that
    true errors are smaller.

    Source: Lan & DeMets 1983, doi:10.1093/biomet/70.3.659; the grid: Armitage, McPherson & Rowe 1969.
    """
    bound = -float(special.ndtri(spent[0]))
    levels = [spent[0]]
    at = _grid(bound)
    density = _normal(at)
    for before, now, increment in zip(path, path[1:], np.diff(spent), strict=False):
        weights = density * _trapezoid(at)
        drift, spread = math.sqrt(before / now), math.sqrt(1 - before / now)
        bound = _solve(weights, drift * at, spread, float(increment))
        levels.append(float(special.ndtr(-bound)))
        following = _grid(bound)
        steps = (following[:, None] - drift * at[None, :]) / spread
        density = _normal(steps) @ weights / spread
        at = following
    return tuple(levels)


def _normal(z: Array) -> Array:
    density: Array = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    return density


def _grid(bound: float) -> Array:
    return np.linspace(_LOWEST_Z, bound, _POINTS)


def _trapezoid(at: Array) -> Array:
    weights = np.full(len(at), at[1] - at[0])
    weights[[0, -1]] /= 2
    return weights


def _solve(weights: Array, means: Array, spread: float, increment: float) -> float:
    """The bound beyond which the next statistic lies with probability ``increment``."""
    low, high = _LOWEST_Z, 40.0
    for _ in range(60):
        middle = (low + high) / 2
        beyond = float(weights @ special.ndtr((means - middle) / spread))
        low, high = (middle, high) if beyond > increment else (low, middle)
    return (low + high) / 2
