"""How often verdicts are right: `python benchmarks/verdict.py [--quick] [--studies N] [--json FILE]`.

Nothing is trained. Scores are drawn from a world whose truth is known, and the study's own decision
(`lamina.study.decide`) asks for seeds, look by look, as the ladder does. A line a case tells how often it
said what it should or should not, the bar, and the seeds it took. The command exits with 1 where a bar is
missed.

A score is mean of arm x difficulty of window x (1 + seed of arm + arm x window + rest). Sizes are in units
of the standard deviation between the mean scores of seeds of one arm, 2 % of the score: four fifths of its
variance are the seed's own, and one fifth is the rest, averaged over windows. `windows 0.3` means that
windows alone leave a standard error of 0.3 in the difference of two arms; it is 0.1 where nothing is said.
The region of practical equivalence is half a percent of the score.

The committed results are of a stream of chance that has tuned nothing (`HELD_OUT`): the constants of
`lamina.study.sequential` and `comparison` were chosen on others (2026 and 11 to 13), and whoever changes them
does so with `--stream`.

The bars are

- at most 5 % of studies that claim, at any look and question, something more complex than is right;
- of gains that deeper networks keep, 80 % found within 24 seeds where they are of one deviation, 95 % within
  10 where of two. Two other worlds have no bar on what is found. Where only depth 2 gains, one pair of three
  is a gain, and Holm's correction leaves it a third of the level. Where windows leave an error of 0.3, chance
  is not that of seeds alone: a single test at 5 %, of 24 seeds, would find a gain of one in 78 %;
- intervals that hold the truth in 93 to 97 %;
- "undecided", or else the right answer, in 95 % where evidence is thin: what may be wrong is that a gain was
  ruled out, in 5 %. With 5 seeds a gain that is claimed in spite of it is a right answer, so that "undecided"
  itself has no bar there. With 4 blocks of windows nothing can be known, and it must be said in 90 %: both
  errors, claims and gains ruled out, may take 5 % each.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.signal import lfilter

from lamina.study.comparison import compare
from lamina.study.decide import Decision, decide
from lamina.study.scores import Arm, Layout
from lamina.study.sentences import Question
from lamina.study.sequential import MOST_SEEDS, Looks, error_level, plan_looks

Array = NDArray[np.float64]
Outcome = dict[str, float]
"""What one study says, by name: 1 or 0 for a saying, else a number."""

SEED_SD = 0.02
PERSISTENCE = 0.7
OF_REST = 0.2  # of the variance between mean scores of seeds
ROPE = 0.005
FIRST_SEEDS = 5
SEVERAL: tuple[Question, ...] = ("depth", "direction", "cell", "attention", "transformer")
CHUNK = 50  # studies a task of a worker
HELD_OUT = 40_961  # the stream of chance behind the committed results


@dataclass(frozen=True)
class World:
    """Where scores come from.

    Attributes:
        gains: of each arm over the first, in standard deviations of a seed.
        window_error: of the difference of two arms, likewise.
        overlap: neighbouring windows that share data; 1 where windows are independent.
        heavy: windows are drawn from Student's t with three degrees of freedom.
        persistent: windows hang together beyond their overlap, by an autoregression of 0.7.
        collapse: probability that a seed of the last arm fails to train.
        seed_sd: of the mean score of a seed, as a share of the score.
    """

    gains: tuple[float, ...] = (0.0, 0.0)
    series: int = 1
    windows_each: int = 100
    overlap: int = 1
    window_error: float = 0.1
    heavy: bool = False
    persistent: bool = False
    collapse: float = 0.0
    seed_sd: float = SEED_SD

    @property
    def layout(self) -> Layout:
        return Layout(np.repeat(np.arange(self.series), self.windows_each), self.overlap)

    def means(self) -> Array:
        """True mean scores: errors, so that a gain is less."""
        return 1.0 - self.seed_sd * np.array(self.gains)

    def draw(self, rng: np.random.Generator, arms: int, seeds: int) -> Array:
        """What chance does to scores, (arms, seeds, windows), mean zero, for a mean score of 1."""
        luck = math.sqrt(1 - OF_REST) * rng.normal(size=(arms, seeds, 1))
        rest = math.sqrt(OF_REST) * self._of_windows(rng, (arms, seeds))
        own = self.window_error / math.sqrt(2) * self._of_windows(rng, (arms, 1))
        return self.seed_sd * (luck + rest + own)

    def difficulty(self, rng: np.random.Generator) -> Array:
        """What windows do to all arms alike, (windows,), mean near 1."""
        return np.exp(0.3 * self._noise(rng, ()))

    def _of_windows(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Noise of windows, (*shape, windows), whose mean over windows has variance 1."""
        return self._noise(rng, shape) * math.sqrt(self.series * self.windows_each / self._reach())

    def _noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Noise of windows, (*shape, windows), each of variance 1."""
        size = (*shape, self.series, self.windows_each)
        noise = self._persistent(rng, size) if self.persistent else self._overlapping(rng, size)
        return noise.reshape(*shape, -1)

    def _reach(self) -> float:
        """Variance of a mean of windows over that of as many independent ones."""
        lags = np.arange(1, self.windows_each)
        rho = PERSISTENCE**lags if self.persistent else np.maximum(0.0, 1 - lags / self.overlap)
        return float(1 + 2 * np.sum((1 - lags / self.windows_each) * rho))

    def _overlapping(self, rng: np.random.Generator, size: tuple[int, ...]) -> Array:
        """Values of variance 1, each a sum of ``overlap`` shocks of which neighbours share all but one."""
        if self.overlap == 1:
            return self._shocks(rng, size)
        total = np.cumsum(self._shocks(rng, (*size[:-1], size[-1] + self.overlap)), axis=-1)
        sums: Array = (total[..., self.overlap :] - total[..., : -self.overlap]) / math.sqrt(self.overlap)
        return sums

    def _persistent(self, rng: np.random.Generator, size: tuple[int, ...]) -> Array:
        before = 50  # steps that the filter forgets its start in
        shocks = self._shocks(rng, (*size[:-1], size[-1] + before))
        values: Array = lfilter([math.sqrt(1 - PERSISTENCE**2)], [1, -PERSISTENCE], shocks, axis=-1)
        return values[..., before:]

    def _shocks(self, rng: np.random.Generator, size: tuple[int, ...]) -> Array:
        return rng.standard_t(3, size=size) / math.sqrt(3) if self.heavy else rng.normal(size=size)


@dataclass
class Entrant:
    """One design of a simulated study: its scores of all seeds it may be asked for, and how many it had."""

    name: str
    scores: Array  # (seeds, windows)
    failed: NDArray[np.bool_]  # (seeds,)
    have: int = 0

    def arm(self) -> Arm:
        failed = self.failed[: self.have]
        return Arm(self.name, self.scores[: self.have][~failed], collapsed=int(failed.sum()), train_s=10.0)


def entrants(
    world: World,
    rng: np.random.Generator,
    names: Sequence[str],
    means: Array,
    difficulty: Array,
    *,
    seeds: int = MOST_SEEDS,
) -> list[Entrant]:
    """Designs with these true mean scores, on windows of this difficulty, of so many seeds each."""
    noise = world.draw(rng, len(names), seeds)
    return [
        Entrant(name, mean * difficulty * (1 + noise[i]), np.zeros(seeds, bool))
        for i, (name, mean) in enumerate(zip(names, means, strict=True))
    ]


def ask(
    question: Question, designs: Sequence[Entrant], world: World, *, level: float, most: int = MOST_SEEDS
) -> list[Decision]:
    """The decisions at each look, with seeds added as the ladder adds them."""
    looks = plan_looks(FIRST_SEEDS, most=most)
    for design in designs:
        design.have = max(design.have, FIRST_SEEDS)
    decisions = [_decide(question, designs, world, looks, level)]
    while decisions[-1].contested:
        seeds = decisions[-1].next_seeds
        assert seeds is not None
        for design in designs:
            if design.name in decisions[-1].contested:
                design.have = max(design.have, seeds)
        decisions.append(_decide(question, designs, world, looks, level))
    return decisions


def _decide(
    question: Question, designs: Sequence[Entrant], world: World, looks: Looks, level: float
) -> Decision:
    arms = [design.arm() for design in designs]
    return decide(question, arms, world.layout, rope=ROPE, looks=looks, level=level)


def several(world: World, rng: np.random.Generator) -> dict[Question, list[Decision]]:
    """A study of several questions: depths as in ``world``, and nothing to gain in any later question."""
    difficulty = world.difficulty(rng)
    names = [str(1 + i) for i in range(len(world.gains))]
    designs = entrants(world, rng, names, world.means(), difficulty)
    truth = dict(zip(names, world.means(), strict=True))
    found: dict[Question, list[Decision]] = {}
    cleared: set[str] = set()
    for question in SEVERAL:
        if question != "depth":
            fresh = [f"{question} {i}" for i in range(2 if question == "direction" else 1)]
            truth |= dict.fromkeys(fresh, truth[designs[0].name])
            designs += entrants(world, rng, fresh, np.array([truth[name] for name in fresh]), difficulty)
        level = error_level(question, SEVERAL, cleared)
        found[question] = ask(question, designs, world, level=level)
        if found[question][-1].cleared:
            cleared.add(question)
        designs = [design for design in designs if design.name == found[question][-1].answer]
    return found


def depths(world: World, rng: np.random.Generator, *, seeds: int = MOST_SEEDS) -> list[Entrant]:
    """The designs of a depth question, the last of which may fail to train."""
    names = [str(1 + i) for i in range(len(world.gains))]
    designs = entrants(world, rng, names, world.means(), world.difficulty(rng), seeds=seeds)
    designs[-1].failed = rng.random(seeds) < world.collapse
    return designs


def false_claims(world: World, rng: np.random.Generator) -> Outcome:
    """Whether any look at any question said that something more complex than is right is better."""
    found = several(world, rng)
    right = str(1 + int(np.argmax(world.gains)))
    wrong = any(int(one.answer) > int(right) for one in found["depth"])
    for question in SEVERAL[1:]:
        wrong |= any(one.answer.startswith(question) for one in found[question])
    return {"claimed": float(wrong), "seeds": _seeds(found["depth"])}


def planted(world: World, rng: np.random.Generator, *, within: int) -> Outcome:
    """Whether a study of several questions has found the right depth by the look at ``within`` seeds."""
    looks = ask("depth", depths(world, rng), world, level=error_level("depth", SEVERAL))
    last = [one for one in looks if _seeds([one]) <= within][-1]
    right = str(1 + int(np.argmax(world.gains)))
    return {
        "found": float(last.answer == right),
        "too deep": float(int(last.answer) > int(right)),
        "told": float("failed to train" in looks[-1].sentence),
        "seeds": _seeds([last]),
    }


def _seeds(looks: Sequence[Decision]) -> float:
    return float(max(max(one.n_seeds for one in look.comparisons) for look in looks))


def covers(world: World, rng: np.random.Generator, *, seeds: int) -> Outcome:
    """Whether the interval of the effect between two arms holds the truth, at a fixed number of seeds."""
    a, b = (Arm(design.name, design.scores) for design in depths(world, rng, seeds=seeds))
    one = compare(a, b, world.layout, rope=ROPE)
    true = world.means()[0] - world.means()[1]
    return {"covered": float(one.interval is not None and one.interval[0] <= true <= one.interval[1])}


def covers_stopped(world: World, rng: np.random.Generator) -> Outcome:
    """Likewise for the interval that a question is answered with, whenever its looks have ended."""
    names = [str(1 + i) for i in range(len(world.gains))]
    last = ask("depth", depths(world, rng), world, level=error_level("depth", SEVERAL))[-1]
    true = dict(zip(names, world.means(), strict=True))
    simple, other = sorted((last.answer, last.rival))
    effect = (true[simple] - true[other]) / true[simple] * (1 if other == last.answer else -1)
    assert last.interval is not None
    pairs = [one for one in last.comparisons if one.interval is not None]
    held = [
        one.interval[0] <= 1 - true[one.b] / true[one.a] <= one.interval[1] for one in pairs if one.interval
    ]
    return {
        "covered": float(last.interval[0] <= effect <= last.interval[1]),
        "covered, any pair": float(np.mean(held)),
        "seeds": _seeds([last]),
    }


def says(world: World, rng: np.random.Generator, *, most: int = MOST_SEEDS) -> Outcome:
    """What is said of two arms."""
    level = error_level("depth", SEVERAL)
    looks = ask("depth", depths(world, rng), world, level=level, most=most)
    last = looks[-1]
    right = last.answer == str(1 + int(np.argmax(world.gains)))
    return {
        "undecided": float(last.status == "undecided"),
        "undecided or right": float(last.status == "undecided" or right),
        "same": float(last.status == "tie"),
        "no gain": float(any(one.answer == "1" and one.status != "undecided" for one in looks)),
        "windows limit": float("more seeds alone would not tell" in last.sentence),
        "seeds": _seeds(looks),
    }


@dataclass(frozen=True)
class Bar:
    """What a share has to be."""

    lowest: float = 0.0
    highest: float = 1.0

    def missed(self, value: float) -> bool:
        """Whether the value lies outside."""
        return not self.lowest <= value <= self.highest

    def __str__(self) -> str:
        if self.highest == 1:
            return f">= {self.lowest:.0%}"
        return f"<= {self.highest:.0%}" if self.lowest == 0 else f"{self.lowest:.0%} to {self.highest:.0%}"


@dataclass(frozen=True)
class Case:
    """A world, what is done in it, and the bars on what is said there."""

    name: str
    world: World
    study: Callable[[World, np.random.Generator], Outcome]
    bars: Mapping[str, Bar] = field(default_factory=dict)
    times: int = 1  # as many studies as asked for


@dataclass(frozen=True)
class Result:
    """Means over studies, and the bars missed."""

    case: str
    world: World
    studies: int
    means: Outcome
    bars: dict[str, str]
    missed: tuple[str, ...]
    seconds: float


AT_MOST_5, COVERS = Bar(highest=0.05), Bar(0.93, 0.97)
FOUR, EIGHT = 4, 8
FINER = 4  # a coverage of 95 % in 1,000 studies has a standard error of 0.7 %, with bars 2 % away
FINEST = 10  # as has a rate of 4.5 % (that of stream 14), with its bar 0.5 % away


def _then_level(gain: float, arms: int) -> tuple[float, ...]:
    """The second layer gains, further ones add nothing."""
    return (0.0, *([gain] * (arms - 1)))


def cases() -> Iterator[Case]:
    """Every case, in the order of the table."""
    wrong = {"claimed": AT_MOST_5}
    yield Case("eight equal depths, five questions", World(gains=(0.0,) * EIGHT), false_claims, wrong, FINEST)
    yield Case("four equal depths, five questions", World(gains=(0.0,) * FOUR), false_claims, wrong, FINEST)
    level = World(gains=_then_level(2.0, FOUR))
    yield Case("depth 2 right, five questions", level, false_claims, wrong, FINEST)
    yield from _planted_cases()
    yield from _coverage_cases()
    yield from _undecided_cases()


def _planted_cases() -> Iterator[Case]:
    never_deeper = {"too deep": AT_MOST_5}
    for gain, within, bar in ((1.0, 24, Bar(0.80)), (2.0, 10, Bar(0.95))):
        found = partial(planted, within=within)
        for arms in (2, FOUR, EIGHT):
            world = World(gains=_then_level(gain, arms))
            bars = {"found": bar, **never_deeper}
            times = FINER if arms == 2 else 1  # the least power, and the least work
            yield Case(f"gain {gain:g}, {arms} depths, {within} seeds", world, found, bars, times)
        falls = World(gains=(0.0, gain, 0.0, 0.0))
        yield Case(f"gain {gain:g} at depth 2 only, {within} seeds", falls, found, never_deeper)
        noisy = World(gains=_then_level(gain, FOUR), window_error=0.3)
        yield Case(f"gain {gain:g}, windows 0.3, {within} seeds", noisy, found, never_deeper)
    failing = World(gains=_then_level(2.0, FOUR), collapse=0.4)
    bars = {"found": Bar(0.90), "told": Bar(0.90), **never_deeper}
    yield Case("depth 4 fails in 40 % of seeds", failing, partial(planted, within=MOST_SEEDS), bars)


def _coverage_cases() -> Iterator[Case]:
    windows = {
        "independent": World(gains=(0.0, 3.0)),
        "overlap 8": World(gains=(0.0, 3.0), windows_each=400, overlap=8),
        "overlap 24": World(gains=(0.0, 3.0), windows_each=480, overlap=24),
        "persistent": World(gains=(0.0, 3.0), windows_each=400, overlap=8, persistent=True),
        "7 series": World(gains=(0.0, 3.0), series=7, windows_each=100, overlap=8),
        "40 series": World(gains=(0.0, 3.0), series=40, windows_each=10, overlap=4),
        "heavy tails": World(gains=(0.0, 3.0), windows_each=400, overlap=8, heavy=True),
    }
    for name, world in windows.items():
        for seeds in (3, 5, 10):
            for error in (0.3, 1.5):
                yield Case(
                    f"interval, {name}, {seeds} seeds, windows {error:g}",
                    replace(world, window_error=error),
                    partial(covers, seeds=seeds),
                    {"covered": COVERS},
                    times=FINER,
                )
    for gain in (0.0, 0.5, 1.0, 2.0):
        world = World(gains=(0.0, gain))
        name = f"interval at the stop, gain {gain:g}"
        yield Case(name, world, covers_stopped, {"covered": COVERS}, times=FINER)
    for gain in (0.0, 1.0):
        world = World(gains=_then_level(gain, FOUR))
        name = f"interval at the stop, 4 depths, gain {gain:g}"
        yield Case(name, world, covers_stopped, {"covered": COVERS}, times=FINER)


def _undecided_cases() -> Iterator[Case]:
    open_bars = {"undecided or right": Bar(0.95), "no gain": AT_MOST_5}
    for gain in (0.3, 0.5):
        few_seeds = World(gains=(0.0, gain))
        five = partial(says, most=FIRST_SEEDS)
        yield Case(f"gain {gain:g}, 5 seeds at most", few_seeds, five, open_bars)
    few_windows = World(gains=(0.0, 0.5), windows_each=96, overlap=24, window_error=2.0)
    bars = {"undecided": Bar(0.90), **open_bars}
    yield Case("gain 0.5, 4 blocks of windows", few_windows, says, bars)
    # Seeds that differ by 0.2 % make the rope 2.5 standard deviations.
    tiny = World(gains=(0.0, 0.3), seed_sd=0.002)
    yield Case("a gain inside the rope", tiny, says, {"no gain": Bar(0.95), "undecided": AT_MOST_5})
    edge = World(gains=(0.0, 2.51), seed_sd=0.002)
    yield Case("a gain at the rope's edge", edge, says, {"no gain": AT_MOST_5})


def _chunk(case: Case, stream: int, studies: range) -> list[Outcome]:
    # Cases with as many arms share their chance: where one misses a bar by it, others may too.
    return [case.study(case.world, np.random.default_rng([stream, number])) for number in studies]


def measure(
    case: Case, studies: int, pool: ProcessPoolExecutor | None = None, *, stream: int = HELD_OUT
) -> Result:
    """A case in so many studies of a stream of chance, each with a seed of its own."""
    begin = time.monotonic()
    studies *= case.times
    chunks = [range(first, min(first + CHUNK, studies)) for first in range(0, studies, CHUNK)]
    mapped = map if pool is None else pool.map
    outcomes = [one for found in mapped(partial(_chunk, case, stream), chunks) for one in found]
    means = {name: float(np.mean([one[name] for one in outcomes])) for name in outcomes[0]}
    missed = tuple(name for name, bar in case.bars.items() if bar.missed(means[name]))
    return Result(
        case=case.name,
        world=case.world,
        studies=studies,
        means=means,
        bars={name: str(bar) for name, bar in case.bars.items()},
        missed=missed,
        seconds=time.monotonic() - begin,
    )


def _row(result: Result) -> list[str]:
    shares = (
        f"{name} {value:.1%}{f' ({result.bars[name]})' if name in result.bars else ''}"
        for name, value in result.means.items()
        if name != "seeds" and (value > 0 or name in result.bars)
    )
    seeds = f"{result.means['seeds']:.1f}" if "seeds" in result.means else ""
    return [result.case, ", ".join(shares), seeds, "missed" if result.missed else "ok" if result.bars else ""]


def main() -> int:
    """Run the cases, print a line each, and say whether every bar is met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--studies", type=int, default=1_000, help="studies a case")
    parser.add_argument("--quick", action="store_true", help="40 studies a case: shows that it runs")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--stream", type=int, default=HELD_OUT, help="of chance; name another to tune on")
    parser.add_argument("--only", default="", help="cases whose names hold these words")
    parser.add_argument("--json", type=Path, help="write everything behind the table")
    options = parser.parse_args()
    studies = 40 if options.quick else options.studies
    table = Table("case", "says", "seeds", "bar", box=None)
    results = []
    with ProcessPoolExecutor(options.workers) as pool:
        for case in cases():
            if options.only in case.name:
                results.append(measure(case, studies, pool, stream=options.stream))
                table.add_row(*_row(results[-1]))
    Console(width=150).print(table)
    missed = [result.case for result in results if result.missed]
    all_studies = sum(result.studies for result in results)
    seconds = sum(result.seconds for result in results)
    print(f"{len(results)} cases, {all_studies:,} studies, {seconds:.0f} s; ", end="")
    print(f"bars missed: {'; '.join(missed)}" if missed else "every bar is met")
    if options.json:
        machine = {"cpu count": os.cpu_count(), "machine": platform.machine(), "numpy": np.__version__}
        content = {
            "studies": studies,
            "stream": options.stream,
            "machine": machine,
            "results": [asdict(result) for result in results],
        }
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 1 if missed and not options.quick else 0


if __name__ == "__main__":
    sys.exit(main())
