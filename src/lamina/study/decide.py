"""What the scores of several candidates allow one to say: better, no difference, or not enough evidence.

The parts: ``scores`` is what comes in, ``chance`` measures the two sources of chance in it, ``sequential``
holds the error over looks and questions, ``comparison`` sets two arms against each other, and ``sentences``
puts the answer into words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lamina.errors import ConfigError
from lamina.study.comparison import TEST, Comparison, Rules, compare, compare_all
from lamina.study.scores import Arm, Layout
from lamina.study.sentences import NO_FRAME, Facts, Frame, Question, Status, failures, sentence, would_change
from lamina.study.sequential import LEVEL, ONE_LOOK, Looks

HOPELESS = 0.1  # chance of being settled by the last look, below which no more seeds are asked for


@dataclass(frozen=True, eq=False)
class Basis:
    """What a decision was made from: with it the decision can be made again."""

    arms: tuple[Arm, ...]
    looks: Looks
    level: float
    last: bool
    at_once: int


@dataclass(frozen=True)
class Decision:
    """The answer to one question, with everything a reader needs to doubt it.

    Attributes:
        answer: name of the arm; while undecided, the first that nothing is shown to beat.
        rival: the arm that ``effect``, ``interval`` and ``p`` set the answer against.
        effect: how much better the answer is, as a fraction of the score of the simpler of the two.
        p: one-sided, of no gain by the more complex of the two; corrected for all looks, pairs and questions.
        n: seeds of each arm.
        cost: training time of the answer over that of its rival; NaN where unknown.
        would_change: what more evidence would take, or what would overturn the answer.
        comparisons: every arm against every later one.
        collapsed: seeds that failed to train, by arm.
        contested: arms that more seeds may yet tell apart; none where it is settled or seeds would not help.
        next_seeds: seeds of each contested arm at the next look, or None where none is contested.
        cleared: whether every claim that the question could make was made, so that its error level is free.
        basis: what it was made from.
        frame: what the sentence says of the setting.
    """

    question: Question
    answer: str
    rival: str
    status: Status
    sentence: str
    effect: float
    interval: tuple[float, float] | None
    p: float
    n: int
    test: str
    correction: str
    cost: float
    would_change: str
    comparisons: tuple[Comparison, ...]
    collapsed: dict[str, int]
    contested: tuple[str, ...]
    next_seeds: int | None
    cleared: bool
    basis: Basis = field(compare=False, repr=False)
    frame: Frame = NO_FRAME


def decide(
    question: Question,
    arms: Sequence[Arm],
    layout: Layout,
    *,
    higher_is_better: bool = False,
    rope: float = 0.005,
    looks: Looks = ONE_LOOK,
    level: float = LEVEL,
    last: bool = False,
    at_once: int = 1,
) -> Decision:
    """Answer a question about arms in order of preference, simplest first.

    The answer is the first arm that no later arm is shown to beat by more than ``rope``. The status is
    ``undecided`` while a later arm might still beat it by more, ``tie`` if all arms are practically the same,
    else ``decided``. Arms of which every seed collapsed are told in the sentence and take no further part.

    Args:
        higher_is_better: True for accuracies, False for errors.
        rope: differences below this fraction of the simpler arm's score do not matter.
        looks: the plan of looks at this question, in which no score had a part.
        level: error that all looks and pairs may make together, from ``error_level``.
        last: the clock has made this look the last.
        at_once: training runs that go side by side, for the time that more seeds would take.

    Raises:
        ConfigError: fewer than two arms with scores, or no window evaluated by all.
    """
    healthy = [arm for arm in arms if arm.scores.shape[0] > 0]
    if len(healthy) < 2:
        names = ", ".join(arm.name for arm in healthy) or "none"
        raise ConfigError(
            f"a comparison needs at least two candidates that trained; of {len(arms)} for '{question}' "
            f"there is: {names}. Lower the learning rate or raise the budget."
        )
    found = compare_all(healthy, layout, Rules(higher_is_better, rope, looks, level, last))
    facts = replace(_facts(question, healthy, found), at_once=at_once)
    answer, shown = facts.answer, facts.shown
    sign, rival = (1.0, shown.a) if shown.b == answer.name else (-1.0, shown.b)
    contested = () if last else _contested(facts, looks)
    return Decision(
        question=question,
        answer=answer.name,
        rival=rival,
        status=facts.status,
        sentence=sentence(facts) + failures(question, arms),
        effect=sign * shown.effect,
        interval=_oriented(shown.interval, sign),
        p=shown.p_corrected,
        n=shown.n_seeds,
        test=TEST,
        correction=_correction(looks, len(found), level),
        cost=answer.train_s / facts.arms[rival].train_s if facts.arms[rival].train_s > 0 else math.nan,
        would_change=would_change(facts),
        comparisons=tuple(found),
        collapsed={arm.name: arm.collapsed for arm in arms if arm.collapsed},
        contested=tuple(arm.name for arm in contested),
        next_seeds=looks.after(min(arm.tried for arm in contested)) if contested else None,
        cleared=answer is healthy[-1],
        basis=Basis(tuple(arms), looks, level, last, at_once),
    )


def effect_on_test(
    arms: Sequence[Arm], answer: str, layout: Layout, *, higher_is_better: bool
) -> tuple[float | None, tuple[float, float] | None]:
    """How much better the answer is than its rival on the test part, with the interval.

    Args:
        arms: the two, the simpler first, with their scores on the test part; fewer where one has none.

    Returns:
        None twice where they share no window.
    """
    if len(arms) < 2 or not np.isfinite(np.concatenate([arm.scores for arm in arms])).all(axis=0).any():
        return None, None
    found = compare(arms[0], arms[1], layout, higher_is_better=higher_is_better)
    sign = 1.0 if arms[1].name == answer else -1.0
    return sign * found.effect, _oriented(found.interval, sign)


def _facts(question: Question, arms: list[Arm], found: list[Comparison]) -> Facts:
    """The answer, its status, and the comparison that carries it."""
    verdicts = {(one.a, one.b): one for one in found}
    answer = next(
        arm
        for i, arm in enumerate(arms)
        if not any(verdicts[arm.name, later.name].relation == "better" for later in arms[i + 1 :])
    )
    place = arms.index(answer)
    earlier = [verdicts[arm.name, answer.name] for arm in arms[:place]]
    later = [verdicts[answer.name, arm.name] for arm in arms[place + 1 :]]
    open_ones = [one for one in later if not one.rules_out_gain]
    status: Status = "decided"
    if open_ones:
        status = "undecided"
    elif not earlier and all(one.relation == "same" for one in later):
        status = "tie"
    if open_ones:
        shown = max(open_ones, key=lambda one: one.effect)
    else:
        beaten = [one for one in earlier if one.relation == "better"] or earlier
        shown = beaten[-1] if beaten else max(later, key=lambda one: one.effect)
    gains = [
        max((one.effect for one in found if one.a == arm.name and one.relation == "better"), default=math.inf)
        for arm in arms[:place]
    ]
    return Facts(
        question,
        status,
        answer,
        earlier,
        later,
        shown,
        {arm.name: arm for arm in arms},
        lead=min(gains, default=math.inf),
    )


def _contested(facts: Facts, looks: Looks) -> list[Arm]:
    """The answer and the rivals it may yet lose to, where seeds still to come have a chance to tell."""
    rivals = []
    for one in facts.later:
        seeds = min(facts.answer.tried, facts.arms[one.b].tried)
        if not one.rules_out_gain and one.hope >= HOPELESS and looks.after(seeds) is not None:
            rivals.append(facts.arms[one.b])
    return [arm for arm in (facts.answer, *rivals) if not arm.deterministic] if rivals else []


def _correction(looks: Looks, pairs: int, level: float) -> str:
    parts = []
    if len(looks.seeds) > 1:
        *others, end = looks.seeds
        parts.append(f"looks at {', '.join(map(str, others))} and {end} seeds")
    if pairs > 1:
        parts.append(f"{pairs} pairs")
    if level != LEVEL:
        parts.append(f"{100 * level:.2g} of the study's {100 * LEVEL:.2g} % error")
    return "; ".join(parts) or "none"


def _oriented(interval: tuple[float, float] | None, sign: float) -> tuple[float, float] | None:
    if interval is None or sign > 0:
        return interval
    return -interval[1], -interval[0]
