"""One arm against another: the effect, its interval, and what may be claimed of it at this look."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import special

from lamina.study.chance import Gap, Scale, Spread, Windows, gap, spread
from lamina.study.scores import Arm, Layout, on_shared_windows
from lamina.study.sequential import LEVEL, ONE_LOOK, SAME_LEVEL, SAME_SPENT, Looks

Relation = Literal["better", "worse", "same", "unclear"]

TEST = "Student's t on the log ratio of mean scores, with seeds and windows as two sources of chance"
MISSED = 0.05  # share of the intervals of one look that do not hold the truth
# A study that stops early does so because scores lie far apart, so that its intervals must be wider the more
# looks it has had. Missed by share 0.05 (first look / seeds)^0.1, and as wide upwards as what rules a gain
# out, they miss in 3 to 7 % of questions at their last look (benchmarks/verdict.py, "interval at the stop").
FALLING = 0.1
MOST_FORESEEN = 1_000  # seeds; more than that are not worth foretelling
_EXACT = 1e-12  # standard errors below this share of the gap are rounding


@dataclass(frozen=True)
class Rules:
    """By what an arm is held to be better.

    Args:
        higher_is_better: True for accuracies, False for errors.
        rope: differences below this fraction of the simpler arm's score do not matter.
        looks: numbers of seeds at which the question is looked at.
        level: one-sided error that all looks and pairs of the question may make.
        last: this look is the last one, for a reason that is no score.
    """

    higher_is_better: bool = False
    rope: float = 0.005
    looks: Looks = ONE_LOOK
    level: float = LEVEL
    last: bool = False


@dataclass(frozen=True)
class Comparison:
    """How much better ``b`` is than ``a``, as a fraction of a's score.

    Attributes:
        interval: 95 % interval of ``effect``; None where there are fewer than two seeds, or too few windows.
            Nothing is claimed that it contradicts.
        bounds: what rules out a gain or a loss: each end errs in at most 5 % of questions, over all looks.
            None as ``interval``.
        p: one-sided, that b is no better than a; of this look alone.
        p_corrected: for all looks, pairs and questions, so that 0.05 is the bound.
        n_seeds: seeds of the arm that has fewer, among those with chance in their training.
        rope: effects below this do not matter.
        more_seeds: how many more seeds of each arm would settle it, or None where the windows are too few
            for any number of seeds to do so.
        hope: chance that the looks to come settle it.
        chance: whether chance plays a part in the training of either.
    """

    a: str
    b: str
    effect: float
    interval: tuple[float, float] | None
    bounds: tuple[float, float] | None
    p: float
    p_corrected: float
    n_seeds: int
    n_windows: int
    rope: float
    more_seeds: int | None
    hope: float
    chance: bool = True

    @property
    def relation(self) -> Relation:
        """What may be said of b against a."""
        if self.interval is None:
            return "unclear"
        if self.p_corrected <= LEVEL and self.effect > self.rope and self.interval[0] > 0:
            return "better"
        low, high = self.reach
        if -self.rope <= low and high <= self.rope:
            return "same"
        return "worse" if high < 0 and self.effect < -self.rope else "unclear"

    @property
    def rules_out_gain(self) -> bool:
        """True where b is not better than a by an amount that matters."""
        return self.reach[1] <= self.rope

    @property
    def reach(self) -> tuple[float, float]:
        """Effects that are not ruled out: those within the interval or the bounds, or any without these."""
        if self.interval is None or self.bounds is None:
            return -math.inf, math.inf
        return min(self.interval[0], self.bounds[0]), max(self.interval[1], self.bounds[1])


def compare(
    a: Arm, b: Arm, layout: Layout, *, higher_is_better: bool = False, rope: float = 0.005
) -> Comparison:
    """How much better b is than a, from one look at one pair.

    Windows that either did not evaluate are left out for both.

    Raises:
        ConfigError: an arm without scores, arms on different windows, or none evaluated by both.

    >>> errors = np.random.default_rng(0).gamma(9.0, size=(2, 6, 400))
    >>> result = compare(Arm("1", errors[0]), Arm("2", 0.8 * errors[1]), Layout(np.zeros(400, np.int64), 10))
    >>> result.relation, f"{result.effect:.2f}"
    ('better', '0.20')
    """
    return compare_all([a, b], layout, Rules(higher_is_better, rope))[0]


def compare_all(arms: Sequence[Arm], layout: Layout, rules: Rules) -> list[Comparison]:
    """Every arm with every later one, on the windows all evaluated; p corrected as ``correct`` says.

    Raises:
        ConfigError: an arm without scores, arms on different windows, or none evaluated by all.
    """
    arms, layout = on_shared_windows(arms, layout)
    windows = Windows(layout)
    spreads = [
        spread(arm, windows) if windows.enough and (arm.deterministic or len(arm.scores) > 1) else None
        for arm in arms
    ]
    found = []
    for i, j in itertools.combinations(range(len(arms)), 2):
        rivals = len(arms) - 1 - i
        found.append(_compare((arms[i], arms[j]), (spreads[i], spreads[j]), windows, rules, rivals))
    return correct(found, rules.level)


def correct(comparisons: Sequence[Comparison], level: float) -> list[Comparison]:
    """Comparisons of all arms, simplest first, with p corrected for pairs and for the question's share.

    The first arm is compared with all later ones and p corrected after Holm. Only if one of them is better is
    the second arm compared with all after it, and so on: a step that is not reached claims nothing. So the
    answer is more complex than is right in at most a share ``level`` of questions.

    Source: Holm 1979, https://www.jstor.org/stable/4615733; in a fixed sequence, Maurer, Hothorn & Lehmacher
    1995.
    """
    corrected, gate = [], 0.0
    for _, family in itertools.groupby(comparisons, key=lambda one: one.a):
        members = list(family)
        stepped = _holm([one.p_corrected for one in members])
        for one, p in zip(members, stepped, strict=True):
            corrected.append(replace(one, p_corrected=min(1.0, max(gate, p) * LEVEL / level)))
        gate = max(gate, min(stepped))
    return corrected


def _holm(p: Sequence[float]) -> list[float]:
    order = np.argsort(p)
    raised = np.asarray(p)[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(raised), 1.0)
    return [float(value) for value in corrected]


def _compare(
    arms: tuple[Arm, Arm],
    spreads: tuple[Spread | None, Spread | None],
    windows: Windows,
    rules: Rules,
    rivals: int,
) -> Comparison:
    a, b = arms
    mean_a, mean_b = float(a.scores.mean()), float(b.scores.mean())
    scale = Scale.of(mean_a, mean_b, higher_is_better=rules.higher_is_better, power=windows.power)
    unknown = Comparison(
        a=a.name,
        b=b.name,
        effect=scale.effect(scale.size(mean_a, mean_b)),
        interval=None,
        bounds=None,
        p=1.0,
        p_corrected=1.0,
        n_seeds=min((len(arm.scores) for arm in (a, b) if not arm.deterministic), default=1),
        n_windows=windows.n_windows,
        rope=rules.rope,
        more_seeds=2 if windows.enough else None,
        hope=1.0 if windows.enough else 0.0,
        chance=not (a.deterministic and b.deterministic),
    )
    if spreads[0] is None or spreads[1] is None:
        return unknown
    known = gap(spreads[0], spreads[1], windows, scale)
    if known.error <= _EXACT * max(1.0, abs(known.size)):
        certain, p = (unknown.effect, unknown.effect), 0.0 if known.size > 0 else 1.0
        return replace(unknown, interval=certain, bounds=certain, p=p, p_corrected=p, more_seeds=0)
    look = min(a.tried, b.tried)
    p = float(special.stdtr(known.freedom, -known.size / known.error))
    within = -known.error * special.stdtrit(known.freedom, _missed(rules.looks, look) / 2)
    same_level = rules.looks.level(look, SAME_LEVEL, last=rules.last, power=SAME_SPENT)
    bound = -known.error * special.stdtrit(known.freedom, same_level)
    rope = scale.gap(rules.rope)
    # A study that stops early since a gain is ruled out has seen too low an effect by chance.
    above = within if known.size > rope else max(within, bound)
    return replace(
        unknown,
        interval=(scale.effect(known.size - within), scale.effect(known.size + above)),
        bounds=(scale.effect(known.size - bound), scale.effect(known.size + bound)),
        p=p,
        p_corrected=rules.looks.repeated_p(look, p, last=rules.last),
        more_seeds=_more_seeds(known, rope, rules, rivals),
        hope=_hope(known, rope, rules, rivals),
    )


def _missed(looks: Looks, seeds: float) -> float:
    """Share of the intervals of a look at so many seeds that do not hold the truth."""
    return MISSED if len(looks.seeds) == 1 else MISSED * min(1.0, looks.seeds[0] / seeds) ** FALLING


def _more_seeds(known: Gap, rope: float, rules: Rules, rivals: int) -> int | None:
    """Seeds to add to each arm until the question is settled, if effect and variances stay as they are.

    The standard error must fall so far that the gap is shown, or that one above the rope is ruled out, by the
    test and by the interval of the last look.
    """
    beyond = _missed(rules.looks, rules.looks.seeds[-1]) / 2
    if known.size > rope:
        goal = known.size / -special.ndtri(min(rules.level / rivals, beyond))
    else:
        goal = (rope - known.size) / -special.ndtri(min(SAME_LEVEL, beyond))
    room = goal**2 - known.of_windows
    if room <= 0 or sum(known.of_seed) == 0:
        return None
    now = min(n for n, of_seed in zip(known.n_seeds, known.of_seed, strict=True) if of_seed > 0)
    needed = math.ceil(sum(known.of_seed) / room)
    return max(0, needed - now) if needed <= MOST_FORESEEN else None


def _hope(known: Gap, rope: float, rules: Rules, rivals: int) -> float:
    """Chance that at the last look the gap is shown or one above the rope ruled out, given what is seen.

    The estimate at the last look is normal about the one at this look, with the variance that seeds still to
    come take away. Source: predictive power, Spiegelhalter, Freedman & Blackburn 1986.
    """
    most = rules.looks.seeds[-1]
    error = known.error_at(*(max(most, n) for n in known.n_seeds))
    drift = math.sqrt(max(0.0, known.error**2 - error**2))
    beyond = _missed(rules.looks, most) / 2
    gain_level = min(beyond, rules.looks.level(most, rules.level / rivals))
    same_level = min(beyond, rules.looks.level(most, SAME_LEVEL, power=SAME_SPENT))
    shown = max(rope, -special.ndtri(gain_level) * error)
    ruled_out = rope + special.ndtri(same_level) * error
    if drift <= _EXACT:
        return float(known.size >= shown or known.size <= ruled_out)
    return float(special.ndtr((known.size - shown) / drift) + special.ndtr((ruled_out - known.size) / drift))
