"""Limits on what a network may cost: smaller networks to try for them, and the best that keeps them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lamina.errors import ConfigError
from lamina.study.bench import Bench, Job, Settings, Standing
from lamina.study.checks import CheckResult
from lamina.study.rounds import Rounds
from lamina.study.space import Design
from lamina.study.trials import FIRST

WIDTHS = (64, 48, 32, 24, 16, 12, 8, 6, 4)
PROBE_STEPS = 2
SHARE = 16.0  # weight of the stage in the budget, beside those of the questions
SPARE = 0.9  # share of the training time that is used, as runs differ
WORDS = {
    "latency_us": "nine in ten answers within {} us",
    "params": "{} parameters",
    "train_s": "{} s of training",
    "memory_mb": "{} MB of memory in training",
}
SIZES_MB = {"": 1e-6, "K": 1e-3, "M": 1.0, "G": 1e3}


@dataclass(frozen=True)
class Limits:
    """What the recommended network may cost at most; None for no limit.

    Attributes:
        latency_us: microseconds from a row to its answer, kept by nine answers in ten of a streaming session
            where the network can stream, else by the median of ``predict``; see ``study/cost.py``.
        params: numbers that it learns.
        train_s: seconds to train a seed.
        memory_mb: growth of the process's memory while it trains.
    """

    latency_us: float | None = None
    params: float | None = None
    train_s: float | None = None
    memory_mb: float | None = None

    @property
    def given(self) -> dict[str, float]:
        """The limits that are set, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def excess(self, costs: Mapping[str, float]) -> float:
        """The largest ratio of a cost to its limit; at most 1 where all are kept."""
        return max((costs[name] / limit for name, limit in self.given.items()), default=0.0)


@dataclass(frozen=True)
class Option:
    """A trained design that may be chosen: its id and label, its mean validation score, its costs.

    ``recommended`` marks the one that the questions lead to where there are no limits.
    """

    id: str
    label: str
    score: float
    costs: dict[str, float]
    recommended: bool = False


@dataclass(frozen=True)
class Pick:
    """What limits leave of options, by id: the choice or None, the nearest, what is chosen without limits.

    ``price`` is what the limits cost, as a share of the score of the choice without them.
    """

    chosen: str | None
    nearest: str
    unlimited: str
    price: float
    sentence: str


@dataclass(frozen=True)
class Fit:
    """What the limits leave.

    Attributes:
        chosen: the design that is recommended within them, or None where none keeps them.
        nearest: where none does, the one that breaks them by the smallest factor.
        unlimited: what is recommended without them.
        price: what the limits cost, as a share of the score of ``unlimited``.
        options: every design that was considered.
    """

    chosen: Design | None
    nearest: Design
    unlimited: Design
    price: float
    options: tuple[Option, ...]
    sentence: str


def parse_size_mb(text: str | float) -> float:
    """Megabytes in ``"200MB"``, ``"1.5 GB"``, ``"800k"`` or a bare number of bytes.

    >>> parse_size_mb("200MB"), parse_size_mb("1.5 GB"), parse_size_mb(3_000_000)
    (200.0, 1500.0, 3.0)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMG]?)B?\s*", str(text), flags=re.IGNORECASE)
    if match is None or float(match[1]) <= 0:
        raise ConfigError(f"a limit on memory is a size such as 200MB or 1.5GB, but is {text!r}.")
    return float(match[1]) * SIZES_MB[match[2].upper()]


def smaller(winner: Design, limits: Limits, cost: Callable[[Design], Mapping[str, float]]) -> list[Design]:
    """Networks to train for the limits: of the winner's form and simpler ones, the widest that keep them.

    Args:
        cost: of a design before it is trained: ``params`` and ``latency_us``, where these are limited.
    """
    plain = Design() if winner.transformer else winner
    forms = (plain, replace(plain, layers=1), replace(plain, layers=1, direction="forward", attention=False))
    known = Limits(latency_us=limits.latency_us, params=limits.params)
    found = (_widest(form, lambda design: known.excess(cost(design)) <= 1) for form in dict.fromkeys(forms))
    return list(dict.fromkeys(design for design in found if design is not None))


def _widest(form: Design, fits: Callable[[Design], bool]) -> Design | None:
    """The form at the largest width that fits, by halving, as each look trains and times a network."""
    sizes = sorted({min(width, form.hidden) for width in WIDTHS})
    ladder = [replace(form, hidden=size) for size in sizes]
    if fits(ladder[-1]):
        return ladder[-1]
    if not fits(ladder[0]):
        return None
    low, high = 0, len(ladder) - 1  # the first fits, the last does not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(ladder[middle]) else (low, middle)
    return ladder[low]


def first_costs(bench: Bench, design: Design, limits: Limits, *, seed: int) -> dict[str, float]:
    """Parameters and latency of a design after so few steps that only its form counts."""
    with tempfile.TemporaryDirectory() as folder:
        job = Job(design, Settings(**FIRST), seed, PROBE_STEPS, 60.0, keep=Path(folder) / "model")
        run = bench.train(job)
        costs = {"params": float(run.parameters)}
        if limits.latency_us is not None:
            costs["latency_us"] = bench.predict_cost(Path(folder) / "model").latency_us
    return costs


def costs_of(bench: Bench, standing: Standing, limits: Limits) -> dict[str, float]:
    """What a trained design was measured to cost; latency only where it is limited."""
    runs = standing.trained
    costs = {
        "params": float(runs[0].parameters),
        "train_s": sum(run.seconds for run in runs) / len(runs),
        "memory_mb": max(run.peak_mb for run in runs),
    }
    if limits.latency_us is not None:
        kept = next(run.folder for run in runs if run.folder is not None)
        costs["latency_us"] = bench.predict_cost(kept).latency_us
    return costs


def within_time(design: Design, limits: Limits, rounds: Rounds) -> Design:
    """The design, trained for fewer steps where a run of all would break the limit on time."""
    if limits.train_s is None:
        return design
    seconds = rounds.cost(design) * design.steps
    return (
        design
        if seconds <= limits.train_s
        else replace(design, steps=max(0.01, round(SPARE * limits.train_s / seconds * design.steps, 3)))
    )


def choose(
    bench: Bench, standings: Sequence[Standing], limits: Limits, *, recommended: Design, rope: float
) -> Fit:
    """What ``pick`` chooses of the trained designs, ``recommended`` the one that the questions lead to."""
    designs = {standing.design.id: standing.design for standing in standings}
    options = tuple(
        Option(
            standing.design.id,
            standing.design.label,
            sum(run.score for run in standing.trained) / len(standing.trained),
            costs_of(bench, standing, limits),
            recommended=standing.design == recommended,
        )
        for standing in standings
    )
    found = pick(options, limits, higher_is_better=bench.metric.direction == "higher", rope=rope)
    chosen = None if found.chosen is None else designs[found.chosen]
    return Fit(chosen, designs[found.nearest], designs[found.unlimited], found.price, options, found.sentence)


def pick(options: Sequence[Option], limits: Limits, *, higher_is_better: bool, rope: float) -> Pick:
    """The recommended option where it keeps the limits, else the smallest that is as good as the best.

    As good is what lies within ``rope`` of the best mean score among those that keep them, smallest what has
    the fewest parameters: the best of many noisy means would often be larger than there is reason for.
    """
    sign = -1.0 if higher_is_better else 1.0
    recommended = [option for option in options if option.recommended]
    unlimited = recommended[0] if recommended else _smallest(options, sign, rope)
    fitting = [option for option in options if limits.excess(option.costs) <= 1]
    if not fitting:
        nearest = min(options, key=lambda option: limits.excess(option.costs))
        told = _told(limits, nearest.costs)
        sentence = f"No network keeps the limits; {nearest.label} comes nearest ({told})."
        return Pick(None, nearest.id, unlimited.id, 0.0, sentence)
    chosen = unlimited if unlimited in fitting else _smallest(fitting, sign, rope)
    price = sign * (chosen.score - unlimited.score) / (abs(unlimited.score) or 1.0)
    told = _told(limits, chosen.costs)
    if chosen is unlimited:
        sentence = f"{chosen.label} keeps the limits ({told}). They cost nothing."
    else:
        sentence = (
            f"{chosen.label}: the smallest within {100 * rope:.2g} % of the best of {len(fitting)} "
            f"{'network that keeps' if len(fitting) == 1 else 'networks that keep'} the limits ({told}). "
            f"{_price_told(price)} {unlimited.label}, which has {_told(limits, unlimited.costs)}."
        )
    return Pick(chosen.id, chosen.id, unlimited.id, price, sentence)


def _smallest(options: Sequence[Option], sign: float, rope: float) -> Option:
    """The option with the fewest parameters of those whose score lies within the rope of the best."""
    best = min(sign * option.score for option in options)
    as_good = [option for option in options if sign * option.score <= best + rope * abs(best)]
    return min(as_good, key=lambda option: (option.costs["params"], sign * option.score))


def _price_told(price: float) -> str:
    return f"The limits cost {100 * price:.1f} % against" if price > 0 else "It is no worse than"


def kept(limits: Limits, measured: Mapping[str, float]) -> CheckResult:
    """LM01: whether the saved model keeps the limits, by what it and its training were measured to cost."""
    evidence: dict[str, float | int | str] = {
        name: measured.get(name, "not measured") for name in limits.given
    }
    broken = [name for name, limit in limits.given.items() if name in measured and measured[name] > limit]
    missing = [name for name in limits.given if name not in measured]
    if broken:
        sentence = "the saved model does not keep the limits: raise them, or give the study more time"
    elif missing:
        sentence = f"whether the saved model keeps the limits is open; not measured: {', '.join(missing)}"
    else:
        return CheckResult("LM01", "pass", evidence, "the saved model keeps the limits")
    return CheckResult("LM01", "warn", evidence, sentence)


def _told(limits: Limits, costs: Mapping[str, float]) -> str:
    return ", ".join(
        f"{WORDS[name].format(_figure(costs[name]))} where {_figure(limit)} "
        f"{'is' if name != 'params' else 'are'} allowed"
        for name, limit in limits.given.items()
    )


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
