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
    "latency_us": "an answer in {:.3g} us",
    "params": "{:,.0f} parameters",
    "train_s": "{:.3g} s of training",
    "memory_mb": "{:.3g} MB of memory in training",
}
SIZES_MB = {"": 1e-6, "K": 1e-3, "M": 1.0, "G": 1e3}


@dataclass(frozen=True)
class Limits:
    """What the recommended network may cost at most; None for no limit.

    Attributes:
        latency_us: microseconds from a row to its answer, by streaming session where the network can stream,
            else by ``predict``; see ``lamina.study.cost.step_us``.
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
class Fit:
    """What the limits leave.

    Attributes:
        chosen: the best design that keeps them, or None.
        nearest: where none does, the one that breaks them by the smallest factor.
        price: what the limits cost, as a share of the score of the best design without them.
        costs: of every design that was considered, by id.
    """

    chosen: Design | None
    nearest: Design
    unlimited: Design
    price: float
    costs: dict[str, dict[str, float]]
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
    found = []
    for form in dict.fromkeys(forms):
        for width in WIDTHS:
            narrow = replace(form, hidden=min(width, form.hidden))
            if known.excess(cost(narrow)) <= 1:
                found.append(narrow)
                break
    return list(dict.fromkeys(found))


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


def choose(bench: Bench, standings: Sequence[Standing], limits: Limits) -> Fit:
    """The best of the trained designs that keep the limits, by mean validation score."""
    sign = -1.0 if bench.metric.direction == "higher" else 1.0
    means = {s.design.id: sum(run.score for run in s.trained) / len(s.trained) for s in standings}
    costs = {s.design.id: costs_of(bench, s, limits) for s in standings}
    ranked = sorted((s.design for s in standings), key=lambda design: sign * means[design.id])
    fitting = [design for design in ranked if limits.excess(costs[design.id]) <= 1]
    best = ranked[0]
    if not fitting:
        nearest = min(ranked, key=lambda design: limits.excess(costs[design.id]))
        told = _told(limits, costs[nearest.id])
        sentence = f"No network keeps the limits; {nearest.label} comes nearest ({told})."
        return Fit(None, nearest, best, 0.0, costs, sentence)
    chosen = fitting[0]
    price = sign * (means[chosen.id] - means[best.id]) / (abs(means[best.id]) or 1.0)
    sentence = (
        f"{chosen.label}: the best of {len(fitting)} networks that keep the limits "
        f"({_told(limits, costs[chosen.id])})."
    )
    sentence += (
        " The limits cost nothing."
        if chosen == best
        else f" The limits cost {100 * price:.1f} % against {best.label}, which has "
        f"{_told(limits, costs[best.id])}."
    )
    return Fit(chosen, chosen, best, price, costs, sentence)


def kept(limits: Limits, fit: Fit | None, measured: Mapping[str, float]) -> CheckResult:
    """LM01: whether the saved model keeps the limits, measured anew after it was trained on all rows."""
    known = Limits(**{name: limit for name, limit in limits.given.items() if name in measured})
    evidence: dict[str, float | int | str] = {name: measured[name] for name in known.given}
    if fit is not None and fit.chosen is not None and known.excess(measured) <= 1:
        return CheckResult("LM01", "pass", evidence, "the saved model keeps the limits")
    sentence = "the saved model does not keep the limits: raise them, or give the study more time"
    return CheckResult("LM01", "warn", evidence, sentence)


def _told(limits: Limits, costs: Mapping[str, float]) -> str:
    return ", ".join(
        f"{WORDS[name].format(costs[name])} where {limit:,.4g} {'is' if name != 'params' else 'are'} allowed"
        for name, limit in limits.given.items()
    )
