"""What the scores of several candidates allow one to say: better, no difference, or not enough evidence.

Scores vary because training starts from chance (seeds) and because the test part is a sample (windows).
Both are resampled: seeds independently for each candidate, blocks of windows together for all of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lamina.errors import ConfigError

Array = NDArray[np.float64]
Question = Literal["depth", "direction", "cell", "attention", "transformer", "trivial"]
Relation = Literal["better", "worse", "same", "unclear"]
Status = Literal["decided", "tie", "undecided"]

LEVEL = 0.05
TEST = "hierarchical bootstrap over seeds and blocks of windows, t-calibrated"
# With this many series, whole series are the blocks: they are the units a new data set would bring.
MANY_SERIES = 20
MOST_SEEDS = 1_000


@dataclass(frozen=True, eq=False)
class Arm:
    """One candidate and its scores on the windows that all candidates of a question share.

    Args:
        name: what sentences call it, such as ``"gru"``, or the number of layers.
        scores: per-window score of every seed that trained, (seeds, windows); NaN where not evaluated.
        deterministic: no chance in its training, so that one row tells all.
        collapsed: seeds that failed to train; counted and told, not averaged in.
        train_s: seconds to train one seed.
        predict_ms: milliseconds to predict one window.
    """

    name: str
    scores: Array
    deterministic: bool = False
    collapsed: int = 0
    train_s: float = math.nan
    predict_ms: float = math.nan


@dataclass(frozen=True, eq=False)
class Layout:
    """How windows hang together: grouped by series, in time order within each.

    Args:
        series: the series of each window, (windows,), equal values adjacent.
        block_windows: windows drawn together since they share data, about horizon / stride; 1 if independent.
    """

    series: NDArray[np.int64]
    block_windows: int = 1


@dataclass(frozen=True)
class Comparison:
    """How much better ``b`` is than ``a``, as a fraction of a's score.

    Attributes:
        interval: 95 % interval of ``effect``; None where there are fewer than two seeds or blocks of windows.
        interval_90: likewise; each of its ends is a one-sided 5 % bound, as tests of equivalence use.
        p: two-sided; ``p_holm`` is corrected for the ``comparisons`` of the question.
        n_seeds: seeds of the arm that has fewer, among those with chance in their training.
        rope: effects below this do not matter.
        more_seeds: how many more seeds of each arm would settle it, or None where the windows are too few
            for any number of seeds to do so.
        chance: whether chance plays a part in the training of either.
    """

    a: str
    b: str
    effect: float
    interval: tuple[float, float] | None
    interval_90: tuple[float, float] | None
    p: float
    p_holm: float
    comparisons: int
    n_seeds: int
    n_windows: int
    rope: float
    more_seeds: int | None
    chance: bool = True
    test: str = TEST

    @property
    def relation(self) -> Relation:
        """What may be said of b against a."""
        if self.p_holm <= LEVEL and abs(self.effect) > self.rope:
            return "better" if self.effect > 0 else "worse"
        if self.interval_90 and -self.rope <= self.interval_90[0] and self.interval_90[1] <= self.rope:
            return "same"
        return "unclear"

    @property
    def rules_out_gain(self) -> bool:
        """True where b is not better than a by an amount that matters."""
        return self.relation == "worse" or (self.interval_90 is not None and self.interval_90[1] <= self.rope)


@dataclass(frozen=True)
class Decision:
    """The answer to one question, with everything a reader needs to doubt it.

    Attributes:
        answer: name of the arm; while undecided, the first that nothing is shown to beat.
        rival: the arm that ``effect``, ``interval`` and ``p`` set the answer against.
        effect: how much better the answer is, as a fraction of the score of the simpler of the two.
        p: two-sided, corrected for all comparisons of the question.
        n: seeds of each arm.
        cost: training time of the answer over that of its rival; NaN where unknown.
        would_change: what more evidence would take; "" where none is needed.
        comparisons: every arm against every later one.
        collapsed: seeds that failed to train, by arm.
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


def compare(
    a: Arm,
    b: Arm,
    layout: Layout,
    *,
    higher_is_better: bool = False,
    rope: float = 0.005,
    draws: int = 2_000,
    seed: int = 0,
) -> Comparison:
    """How much better b is than a: the relative difference of their mean scores, with its interval.

    Windows that either did not evaluate are left out for both.

    Args:
        higher_is_better: True for accuracies, False for errors.
        rope: differences below this fraction of a's score do not matter.
        draws: bootstrap resamples.

    Raises:
        ConfigError: an arm without scores, arms on different windows, or none evaluated by both.

    >>> errors = np.random.default_rng(0).gamma(9.0, size=(2, 6, 400))
    >>> result = compare(Arm("1", errors[0]), Arm("2", 0.8 * errors[1]), Layout(np.zeros(400, np.int64), 10))
    >>> result.relation, f"{result.effect:.2f}"
    ('better', '0.20')
    """
    return compare_all([a, b], layout, higher_is_better=higher_is_better, rope=rope, draws=draws, seed=seed)[
        0
    ]


def compare_all(
    arms: Sequence[Arm],
    layout: Layout,
    *,
    higher_is_better: bool = False,
    rope: float = 0.005,
    draws: int = 2_000,
    seed: int = 0,
) -> list[Comparison]:
    """``compare`` for every arm and every later one, on the windows all evaluated; p after Holm's rule."""
    arms, layout = _on_shared_windows(arms, layout)
    sample = _resample(arms, layout, draws, np.random.default_rng(seed))
    sign = -1.0 if higher_is_better else 1.0
    pairs = list(itertools.combinations(range(len(arms)), 2))
    found = [
        _compare_pair(arms, sample, pair, sign=sign, rope=rope, comparisons=len(pairs)) for pair in pairs
    ]
    corrected = _holm([one.p for one in found])
    return [replace(one, p_holm=p) for one, p in zip(found, corrected, strict=True)]


def decide(
    question: Question,
    arms: Sequence[Arm],
    layout: Layout,
    *,
    higher_is_better: bool = False,
    rope: float = 0.005,
    draws: int = 2_000,
    seed: int = 0,
) -> Decision:
    """Answer a question about arms in order of preference, simplest first.

    The answer is the first arm that no later arm is shown to beat by more than ``rope``. The status is
    ``undecided`` while a later arm might still beat it by more, ``tie`` if all arms are practically the same,
    else ``decided``. Arms of which every seed collapsed are told in the sentence and take no further part.

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
    found = compare_all(healthy, layout, higher_is_better=higher_is_better, rope=rope, draws=draws, seed=seed)
    verdicts = {(one.a, one.b): one for one in found}
    answer = _first_unbeaten(healthy, verdicts)
    place = healthy.index(answer)
    earlier = [verdicts[arm.name, answer.name] for arm in healthy[:place]]
    later = [verdicts[answer.name, arm.name] for arm in healthy[place + 1 :]]
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
    facts = _Facts(question, status, answer, earlier, later, shown, {arm.name: arm for arm in healthy})
    sign, rival = (1.0, shown.a) if shown.b == answer.name else (-1.0, shown.b)
    return Decision(
        question=question,
        answer=answer.name,
        rival=rival,
        status=status,
        sentence=_sentence(facts) + _failures(question, arms),
        effect=sign * shown.effect,
        interval=_oriented(shown.interval, sign),
        p=shown.p_holm,
        n=shown.n_seeds,
        test=shown.test,
        correction=f"Holm, {shown.comparisons} comparisons" if shown.comparisons > 1 else "none",
        cost=answer.train_s / facts.arms[rival].train_s if facts.arms[rival].train_s > 0 else math.nan,
        would_change=_would_change(facts) if status == "undecided" else "",
        comparisons=tuple(found),
        collapsed={arm.name: arm.collapsed for arm in arms if arm.collapsed},
    )


def _first_unbeaten(arms: list[Arm], verdicts: dict[tuple[str, str], Comparison]) -> Arm:
    for i, arm in enumerate(arms):
        if not any(verdicts[arm.name, later.name].relation == "better" for later in arms[i + 1 :]):
            return arm
    raise AssertionError("the last arm has no later one")


@dataclass(frozen=True, eq=False)
class _Sample:
    seeds_and_blocks: Array  # (draws, arms): mean scores when both are resampled
    blocks_only: Array  # (draws, arms): mean scores when only windows are resampled
    n_blocks: int


def _on_shared_windows(arms: Sequence[Arm], layout: Layout) -> tuple[list[Arm], Layout]:
    n_windows = len(layout.series)
    for arm in arms:
        if arm.scores.ndim != 2 or arm.scores.shape[0] == 0 or arm.scores.shape[1] != n_windows:
            raise ConfigError(
                f"scores of a candidate are (seeds, windows) with {n_windows} windows and at least one seed; "
                f"'{arm.name}' has shape {arm.scores.shape}. Score all candidates on the same windows."
            )
    shared = np.logical_and.reduce([np.isfinite(arm.scores).all(axis=0) for arm in arms])
    if not shared.any():
        raise ConfigError(
            f"a comparison needs windows that every candidate evaluated; {', '.join(a.name for a in arms)} "
            f"share none of {n_windows}. Leave out the candidate that evaluated the fewest."
        )
    kept = [replace(arm, scores=np.asarray(arm.scores[:, shared], np.float64)) for arm in arms]
    return kept, Layout(layout.series[shared], layout.block_windows)


def _resample(arms: list[Arm], layout: Layout, draws: int, rng: np.random.Generator) -> _Sample:
    """Mean scores of every arm under resampled seeds and blocks of windows."""
    sums, counts, n_blocks = _blocks(np.concatenate([arm.scores for arm in arms]), layout)
    rows = np.vstack([sums, counts])  # (all seeds + 1, pool)
    pool = rows.shape[1]
    drawn = np.empty((draws, rows.shape[0]))
    chunk = max(1, 4_000_000 // pool)
    for first in range(0, draws, chunk):
        n = min(chunk, draws - first)
        picks = rng.integers(pool, size=(n, n_blocks)) + np.arange(n)[:, None] * pool
        times = np.bincount(picks.ravel(), minlength=n * pool).reshape(n, pool)
        drawn[first : first + n] = times.astype(np.float64) @ rows.T
    means = drawn[:, :-1] / drawn[:, -1:]  # (draws, all seeds)
    both, fixed = np.empty((draws, len(arms))), np.empty((draws, len(arms)))
    end = 0
    for i, arm in enumerate(arms):
        n_seeds = arm.scores.shape[0]
        begin, end = end, end + n_seeds
        times = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=draws)  # (draws, seeds)
        both[:, i] = (means[:, begin:end] * times).sum(axis=1) / n_seeds
        fixed[:, i] = means[:, begin:end].mean(axis=1)
    return _Sample(both, fixed, n_blocks)


def _blocks(scores: Array, layout: Layout) -> tuple[Array, Array, int]:
    """Sums of scores and counts of windows of each block that may be drawn, and how many to draw.

    Blocks are whole series where there are many, else runs of windows that start at any window of a series
    and wrap around its end, so that every window is drawn equally often.

    Returns:
        sums (rows, pool), counts (pool,), number of blocks in a resample.
    """
    n_windows = scores.shape[1]
    begins = np.flatnonzero(np.r_[True, layout.series[1:] != layout.series[:-1]])
    lengths = np.diff(np.r_[begins, n_windows])
    if len(begins) >= MANY_SERIES:
        return np.add.reduceat(scores, begins, axis=1), lengths.astype(np.float64), len(begins)
    sums, counts = np.empty_like(scores), np.empty(n_windows)
    for begin, length in zip(begins, lengths, strict=True):
        size = min(layout.block_windows, length)
        part = scores[:, begin : begin + length]
        total = np.cumsum(np.hstack([np.zeros((len(part), 1)), part, part[:, : size - 1]]), axis=1)
        sums[:, begin : begin + length] = total[:, size:] - total[:, :-size]
        counts[begin : begin + length] = size
    return sums, counts, max(1, round(n_windows / counts.mean()))


def _compare_pair(
    arms: list[Arm], sample: _Sample, pair: tuple[int, int], *, sign: float, rope: float, comparisons: int
) -> Comparison:
    a, b = arms[pair[0]], arms[pair[1]]
    seeds_a, seeds_b = a.scores.mean(axis=1), b.scores.mean(axis=1)  # (seeds,)
    scale = abs(seeds_a.mean()) or abs(seeds_b.mean()) or 1.0
    effect = sign * (seeds_a.mean() - seeds_b.mean()) / scale
    too_few = sample.n_blocks < 2 or any(len(arm.scores) < 2 and not arm.deterministic for arm in (a, b))
    unknown = Comparison(
        a=a.name,
        b=b.name,
        effect=float(effect),
        interval=None,
        interval_90=None,
        p=1.0,
        p_holm=1.0,
        comparisons=comparisons,
        n_seeds=min((len(arm.scores) for arm in (a, b) if not arm.deterministic), default=1),
        n_windows=a.scores.shape[1],
        rope=rope,
        more_seeds=2 if too_few and sample.n_blocks > 1 else None,
        chance=not (a.deterministic and b.deterministic),
    )
    if too_few:
        return unknown
    ratio = seeds_b.mean() / scale
    from_seeds_a = 0.0 if a.deterministic else ratio**2 * float(seeds_a.var(ddof=1)) / len(seeds_a) / scale**2
    from_seeds_b = 0.0 if b.deterministic else float(seeds_b.var(ddof=1)) / len(seeds_b) / scale**2
    correction = sample.n_blocks / (sample.n_blocks - 1)
    from_windows = float(_effects(sample.blocks_only, pair, sign, scale).var()) * correction
    parts = np.array([from_seeds_a, from_seeds_b, from_windows])
    error = math.sqrt(parts.sum())
    if error <= 1e-12 * max(1.0, abs(effect)):
        certain = (float(effect), float(effect))
        return replace(unknown, interval=certain, interval_90=certain, p=0.0 if effect else 1.0)
    freedom = _satterthwaite(parts, [len(seeds_a) - 1, len(seeds_b) - 1, sample.n_blocks - 1])
    drawn = _effects(sample.seeds_and_blocks, pair, sign, scale)
    known = replace(
        unknown,
        interval=_interval(drawn, effect, error, freedom, 0.95),
        interval_90=_interval(drawn, effect, error, freedom, 0.90),
        p=_p_of_equal(a, b, sample, pair),
    )
    return replace(known, more_seeds=_more_seeds(known, parts, [a, b]))


def _p_of_equal(a: Arm, b: Arm, sample: _Sample, pair: tuple[int, int]) -> float:
    """Two-sided p of equal mean scores, by Student's t on the logarithm of their ratio.

    The logarithm keeps the power of a ratio where scores rise and fall together from block to block, and
    stays fair where one score is near zero. Scores that are not all above zero are tested by their plain
    difference.
    """
    seeds = [a.scores.mean(axis=1), b.scores.mean(axis=1)]
    means = [float(values.mean()) for values in seeds]
    blocks = sample.blocks_only[:, list(pair)]
    positive = min(means) > 0 and bool((blocks > 0).all())
    weights = [1 / mean**2 if positive else 1.0 for mean in means]
    spread = np.log(blocks) if positive else blocks  # (draws, 2)
    parts = [
        0.0 if arm.deterministic else weight * float(values.var(ddof=1)) / len(values)
        for arm, values, weight in zip((a, b), seeds, weights, strict=True)
    ]
    parts.append(float((spread[:, 0] - spread[:, 1]).var()) * sample.n_blocks / (sample.n_blocks - 1))
    error = math.sqrt(sum(parts))
    gap = math.log(means[0] / means[1]) if positive else means[0] - means[1]
    if error <= 1e-12 * max(1.0, abs(gap)):
        return 0.0 if gap else 1.0
    freedom = _satterthwaite(np.array(parts), [len(seeds[0]) - 1, len(seeds[1]) - 1, sample.n_blocks - 1])
    return float(2 * stats.t.sf(abs(gap) / error, freedom))


def _effects(means: Array, pair: tuple[int, int], sign: float, scale: float) -> Array:
    a, b = means[:, pair[0]], means[:, pair[1]]  # (draws,)
    below = np.abs(a)
    effects: Array = sign * (a - b) / np.where(below > 0, below, scale)
    return effects


def _satterthwaite(parts: Array, freedoms: Sequence[int]) -> float:
    """Degrees of freedom of summed variances. Source: Satterthwaite 1946, doi:10.2307/3002019."""
    return float(parts.sum() ** 2 / sum(p**2 / f for p, f in zip(parts, freedoms, strict=True) if p > 0))


def _interval(drawn: Array, effect: float, error: float, freedom: float, level: float) -> tuple[float, float]:
    """Percentile interval, widened about the effect to the unbiased standard error and Student's t.

    A plain percentile interval is too narrow for few seeds: the bootstrap variance of a mean of n is short
    by (n - 1) / n, and its tails are normal. We widen distances where the source moves the percentiles, since
    at three seeds those would lie beyond any number of draws.

    Source: Hesterberg 2015, doi:10.1080/00031305.2015.1089789.
    """
    tail = (1 - level) / 2
    widen = error / max(float(drawn.std()), 1e-300) * stats.t.isf(tail, freedom) / stats.norm.isf(tail)
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(effect + (low - effect) * widen), float(effect + (high - effect) * widen)


def _holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction. Source: Holm 1979, https://www.jstor.org/stable/4615733."""
    order = np.argsort(p)
    raised = np.asarray(p)[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(raised), 1.0)
    return [float(value) for value in corrected]


def _more_seeds(known: Comparison, parts: Array, arms: Sequence[Arm]) -> int | None:
    """Seeds to add to each arm until the question is settled, if effect and variances stay as they are.

    The standard error must fall so far that the interval excludes zero, or lies within the rope.
    """
    size = abs(known.effect)
    if size > known.rope:
        goal = size / stats.norm.isf(LEVEL / 2 / known.comparisons)
    else:
        goal = (known.rope - size) / stats.norm.isf(LEVEL)
    room = goal**2 - parts[2]
    per_seed = sum(p * len(arm.scores) for p, arm in zip(parts[:2], arms, strict=True))
    if room <= 0 or per_seed == 0:
        return None
    needed = math.ceil(per_seed / room)
    return max(0, needed - known.n_seeds) if needed <= MOST_SEEDS else None


@dataclass(frozen=True, eq=False)
class _Facts:
    """What a sentence draws on; ``shown`` is the comparison that carries the answer."""

    question: Question
    status: Status
    answer: Arm
    earlier: list[Comparison]
    later: list[Comparison]
    shown: Comparison
    arms: dict[str, Arm]


def _sentence(facts: _Facts) -> str:
    if facts.question == "depth":
        return _depth_undecided(facts) if facts.status == "undecided" else _depth_answer(facts)
    if facts.question == "trivial":
        return _trivial(facts)
    if facts.status == "undecided":
        a, b = facts.shown.a, facts.shown.b
        return (
            f"undecided between {a} and {b} after {_seeds(facts.shown)} ({b} {_size(facts.shown)}, "
            f"{_range(facts.shown)}); {_would_change(facts)}.{_faster(facts)}"
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


def _depth_answer(facts: _Facts) -> str:
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
        if following.relation == "same" or following.effect >= 0:
            words += ": no difference that matters"
        words += _at_cost(facts, following) + "."
    return words


def _depth_undecided(facts: _Facts) -> str:
    a, b = facts.shown.a, facts.shown.b
    words = (
        f"Undecided between {a} and {_layers(b)} after {_seeds(facts.shown)} ({b}: {_size(facts.shown)}, "
        f"{_range(facts.shown)}); {_would_change(facts)}. Until then {a}, the smaller."
    )
    if facts.earlier:
        before = facts.earlier[-1]
        words += f" {_layers(a)} are {_size(before)} than {before.a} ({_evidence(before)})."
    return words


def _trivial(facts: _Facts) -> str:
    one = facts.shown
    if facts.status == "undecided":
        return (
            f"no: nothing is shown to beat {one.a}; {one.b} is {_size(one)} ({_evidence(one)}); "
            f"{_would_change(facts)}."
        )
    if facts.earlier:
        return f"yes: {_gain(one)} better than the best trivial method, {one.a} ({_evidence(one)})."
    return f"no: nothing beats {one.a}; {one.b} is {_size(one)} ({_evidence(one)})."


def _would_change(facts: _Facts) -> str:
    one = facts.shown
    if one.more_seeds is None:
        return "more seeds alone would not tell; a longer evaluation part might"
    seeds = max(1, one.more_seeds)
    per_seed = sum(facts.arms[name].train_s for name in (one.a, one.b) if not facts.arms[name].deterministic)
    time = f", {_duration(seeds * per_seed)}," if math.isfinite(per_seed) else ""
    return f"about {seeds} more seed{'s' if seeds > 1 else ''}{time} would tell"


def _failures(question: Question, arms: Sequence[Arm]) -> str:
    words = ""
    for arm in arms:
        if arm.collapsed:
            name = f"Depth {arm.name}" if question == "depth" else arm.name
            words += f" {name} failed to train in {arm.collapsed} of {arm.collapsed + len(arm.scores)} seeds."
    return words


def _layers(depth: str) -> str:
    return f"{depth} layer" if depth == "1" else f"{depth} layers"


def _rung(depth: str) -> str:
    ordinals = {"2": "second", "3": "third", "4": "fourth", "5": "fifth", "6": "sixth"}
    return f"A {ordinals[depth]}" if depth in ordinals else f"Depth {depth}"


def _at_cost(facts: _Facts, one: Comparison) -> str:
    ratio = facts.arms[one.b].train_s / (facts.arms[one.a].train_s or math.nan)
    return f", at {ratio:.1f} × the training time" if ratio >= 1.05 else ""


def _slower(facts: _Facts, one: Comparison) -> str:
    ratio = facts.arms[one.b].predict_ms / (facts.arms[one.a].predict_ms or math.nan)
    return f", {ratio:.1f} × slower to predict" if ratio >= 1.05 else ""


def _faster(facts: _Facts) -> str:
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
    return f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f} %"


def _oriented(interval: tuple[float, float] | None, sign: float) -> tuple[float, float] | None:
    if interval is None:
        return None
    return interval if sign > 0 else (-interval[1], -interval[0])


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if abs(share) >= 0.0995 else f"{100 * share:.1f} %"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"
