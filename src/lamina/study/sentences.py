"""Decisions in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lamina.study.comparison import Comparison
from lamina.study.scores import Arm
from lamina.study.sequential import LOOKS, MOST_SEEDS

Question = Literal[
    "depth",
    "direction",
    "cell",
    "attention",
    "transformer",
    "bert",
    "trivial",
    "depth-parameters",
    "depth-time",
    "residual",
    "transformer-time",
    "clipping",
]
OF_DEPTH: tuple[Question, ...] = ("depth", "depth-parameters", "depth-time")
Status = Literal["decided", "tie", "undecided"]
MOST_ON_ALL_ROWS = LOOKS[0]  # seeds that the winner gets there: as many as an arm first


@dataclass(frozen=True, eq=False)
class Facts:
    """What a sentence draws on.

    Attributes:
        shown: the comparison that carries the answer.
        lead: the smallest rope at which a simpler arm is no longer shown to be beaten.
        at_once: runs that go side by side.
    """

    question: Question
    status: Status
    answer: Arm
    earlier: list[Comparison]
    later: list[Comparison]
    shown: Comparison
    arms: dict[str, Arm]
    at_once: int = 1
    lead: float = math.inf


@dataclass(frozen=True)
class Frame:
    """What a sentence says of the setting beside the statistics.

    Attributes:
        units: of a layer of each arm, at equal parameters.
        steps: of each arm, as shares of the study's, at equal training time.
        clip_rate: share of the steps whose gradient was clipped, or None.
    """

    units: tuple[int, ...] = ()
    steps: tuple[float, ...] = ()
    clip_rate: float | None = None


NO_FRAME = Frame()


def framed(words: str, frame: Frame) -> str:
    """A decision's sentence with its setting.

    >>> framed("2 layers.", Frame(units=(64, 45)))
    'At equal parameters (64 and 45 units a layer): 2 layers.'
    """
    if frame.units:
        words = f"At equal parameters ({_listed([str(n) for n in frame.units])} units a layer): {words}"
    if frame.steps:
        shares = _listed([f"{share:.2f}" for share in frame.steps])
        words = f"At equal training time ({shares} of the steps): {words}"
    if frame.clip_rate is not None:
        words += f" The gradient was clipped in {100 * frame.clip_rate:.0f} % of the steps."
    return words


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def sentence(facts: Facts) -> str:
    """The answer in one or two sentences."""
    if facts.question in OF_DEPTH:
        return _depth_undecided(facts) if facts.status == "undecided" else _depth_answer(facts)
    if facts.question == "trivial":
        return _trivial(facts)
    if facts.status == "undecided":
        a, b = facts.shown.a, facts.shown.b
        return (
            f"undecided between {a} and {b} after {_seeds(facts.shown)} ({b} {_size(facts.shown)}, "
            f"{_range(facts.shown)}); {_evidence_needed(facts)}.{_faster(facts)}"
        )
    if facts.earlier:
        return (
            f"{facts.answer.name}: {_size(facts.shown)} than {facts.shown.a} "
            f"({_evidence(facts.shown)}){_at_cost(facts, facts.shown)}."
        )
    clauses = []
    for one in facts.later:
        if one.relation == "same":
            clauses.append(
                f"{one.b} changes {_percent(one.effect)} ({_range(one)}), no difference that matters"
            )
        else:
            clauses.append(f"{one.b} is {_size(one)} ({_range(one)}){_slower(facts, one)}")
    return f"{facts.answer.name} is enough: {'; '.join(clauses)}."


def _depth_answer(facts: Facts) -> str:
    depth = facts.answer.name
    words = f"{_layers(depth)}."
    if facts.status == "tie":
        words = f"{_layers(depth)}: more make no difference that matters."
    if facts.earlier:
        words += f" {_size(facts.shown).capitalize()} than {facts.shown.a} ({_evidence(facts.shown)})."
    if facts.later:
        following = facts.later[0]
        words += f" {_rung(following.b)} {'adds' if following.effect >= 0 else 'loses'} "
        words += f"{_gain(following)} ({_range(following, sign=1.0 if following.effect >= 0 else -1.0)})"
        if following.relation == "same":
            words += ": no difference that matters"
        elif following.effect >= 0:
            words += ": no gain that matters"
        words += _at_cost(facts, following) + "."
    return words


def _depth_undecided(facts: Facts) -> str:
    a, b = facts.shown.a, facts.shown.b
    words = (
        f"undecided between {a} and {_layers(b)} after {_seeds(facts.shown)} ({b}: {_size(facts.shown)}, "
        f"{_range(facts.shown)}); {_evidence_needed(facts)}. Until then {a}, the smaller."
    )
    if facts.earlier:
        before = facts.earlier[-1]
        words += f" {_layers(a)} are {_size(before)} than {before.a} ({_evidence(before)})."
    return words


def _trivial(facts: Facts) -> str:
    one = facts.shown
    if facts.status == "undecided":
        return (
            f"no: nothing is shown to beat {one.a}; {one.b} is {_size(one)} ({_evidence(one)}); "
            f"{_evidence_needed(facts)}."
        )
    if facts.earlier:
        return f"yes: {_gain(one)} better than the best trivial method, {one.a} ({_evidence(one)})."
    return f"no: nothing beats {one.a}; {one.b} is {_size(one)} ({_evidence(one)})."


def would_change(facts: Facts) -> str:
    """What more evidence an undecided question would take, or what would overturn another answer."""
    return _evidence_needed(facts) if facts.status == "undecided" else _nearest_flip(facts)


def _nearest_flip(facts: Facts) -> str:
    """The rope nearest to the study's at which the answer falls, and the truth that would speak against it.

    A larger rope takes a gain that was shown away; with a smaller one, one that was ruled out is open.
    """
    one = facts.shown
    ropes = {f"a rope of {_exact(facts.lead)} or more": facts.lead - one.rope}
    left = max((later.reach[1] for later in facts.later), default=0.0)
    if left > 0:
        ropes[f"a rope below {_exact(left)}"] = one.rope - left
    nearest = min(ropes, key=lambda words: ropes[words])
    said = [nearest] if math.isfinite(ropes[nearest]) else []
    if not said:
        said = ["only a true effect outside the interval"]
    elif facts.earlier and one.interval is not None and one.interval[0] <= one.rope:
        said.append(f"a true gain at the low end of the interval, {_exact(one.interval[0])}")
    return ", or ".join(said)


def _exact(share: float) -> str:
    return f"{100 * share:.3g} %"


def _evidence_needed(facts: Facts) -> str:
    one = facts.shown
    if one.more_seeds is None:
        return "more seeds alone would not tell; a longer evaluation part might"
    seeds = max(1, one.more_seeds)
    trained = [arm for name in (one.a, one.b) if not (arm := facts.arms[name]).deterministic]
    most = MOST_ON_ALL_ROWS if facts.question == "trivial" else MOST_SEEDS
    if min(arm.tried for arm in trained) + seeds > most:
        return f"more seeds than a study trains ({most}) would be needed"
    # A seed of each arm is trained before the next of any.
    seed_s = sum(arm.train_s for arm in trained) / min(facts.at_once, len(trained))
    time = f", {_duration(seeds * seed_s)}," if math.isfinite(seed_s) else ""
    return f"about {seeds} more seed{'s' if seeds > 1 else ''}{time} would tell"


def failures(question: Question, arms: Sequence[Arm]) -> str:
    """How often arms failed to train, or nothing."""
    words = ""
    for arm in arms:
        if arm.collapsed:
            name = f"Depth {arm.name}" if question in OF_DEPTH else arm.name
            words += f" {name} failed to train in {arm.collapsed} of {arm.collapsed + len(arm.scores)} seeds."
    return words


def _layers(depth: str) -> str:
    return f"{depth} layer" if depth == "1" else f"{depth} layers"


def _rung(depth: str) -> str:
    ordinals = {"2": "second", "3": "third", "4": "fourth", "5": "fifth", "6": "sixth"}
    return f"A {ordinals[depth]}" if depth in ordinals else f"Depth {depth}"


def _at_cost(facts: Facts, one: Comparison) -> str:
    ratio = facts.arms[one.b].train_s / (facts.arms[one.a].train_s or math.nan)
    return f", at {ratio:.1f} × the training time" if ratio >= 1.05 else ""


def _slower(facts: Facts, one: Comparison) -> str:
    ratio = facts.arms[one.b].predict_ms / (facts.arms[one.a].predict_ms or math.nan)
    return f", {ratio:.1f} × slower to predict" if ratio >= 1.05 else ""


def _faster(facts: Facts) -> str:
    a, b = sorted((facts.arms[facts.shown.a], facts.arms[facts.shown.b]), key=lambda arm: arm.train_s)
    ratio = b.train_s / (a.train_s or math.nan)
    return f" {a.name} trains {ratio:.1f} × faster." if ratio >= 1.05 else ""


def _evidence(one: Comparison) -> str:
    interval = f"95 %: {_range(one)}" if one.interval else _range(one)
    return f"{interval}, {_seeds(one)}" if one.chance else interval


def _seeds(one: Comparison) -> str:
    return f"{one.n_seeds} seed{'s' if one.n_seeds > 1 else ''}"


def _size(one: Comparison) -> str:
    return f"{_gain(one)} {'better' if one.effect >= 0 else 'worse'}"


def _gain(one: Comparison) -> str:
    return _percent(abs(one.effect))


def _range(one: Comparison, sign: float = 0.0) -> str:
    """The interval in the direction of the word beside it: better above zero unless the effect is worse."""
    ends = _oriented(one.interval, sign or (1.0 if one.effect >= 0 else -1.0))
    if ends is None:
        return "too little for an interval"
    return f"{100 * ends[0]:z.1f} to {100 * ends[1]:z.1f} %"


def _oriented(interval: tuple[float, float] | None, sign: float) -> tuple[float, float] | None:
    if interval is None:
        return None
    return interval if sign > 0 else (-interval[1], -interval[0])


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if abs(share) >= 0.0995 else f"{100 * share:z.1f} %"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"
