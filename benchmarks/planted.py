"""Do studies answer as the truth is? `python benchmarks/planted.py [--exhaustive|--quick] [--only TASK,...]`.

Sequences are made whose answer is known, networks are really trained, and the protocol of a study
(`lamina.study.ladder`) answers with its own search, seeds and looks. `--exhaustive` fixes the truth before,
with a search over three rates and 20 fresh seeds of every arm, into benchmarks/planted_truth.json; studies
are then compared with that file. Finished runs are kept under `--work` and never repeated, so that the
command can be ended and begun again. It exits with 1 where an answer is wrong; an open one is not wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from lamina.data.labelled import LabelledSequences, labelled_sequences
from lamina.study.bench import Job, Run, Settings
from lamina.study.budget import Budget
from lamina.study.classify_bench import ClassifyBench
from lamina.study.decide import decide
from lamina.study.findings import Silent
from lamina.study.ladder import SHARES, Climb
from lamina.study.pace import Pace
from lamina.study.questions import Known, Ladder, arms
from lamina.study.scores import Arm
from lamina.study.space import Design, repaired
from lamina.study.trials import Trials
from lamina.study.workers import Here

TRUTH = Path(__file__).with_name("planted_truth.json")
SEEDS = 20
RATES = (0.002, 0.005, 0.01)
COPIES = tuple(range(1, 9))
Made = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True)
class Task:
    """Sequences with a known answer.

    Attributes:
        question: what is asked of them; "trivial" is whether the winner beats every simple method.
        steps: of each run.
        sequences: to train on.
        trials: of the search of each arm.
    """

    make: Callable[[int, np.random.Generator], Made]
    question: Ladder | str
    about: str
    hidden: int = 12
    depths: tuple[int, ...] = (1, 2)
    steps: int = 150
    sequences: int = 300
    trials: int = 5


def one_hot(symbols: NDArray[np.int64], kinds: int) -> NDArray[np.float32]:
    return np.eye(kinds, dtype=np.float32)[symbols]


def hierarchy(n: int, generator: np.random.Generator) -> Made:
    """Below, the parity of the four bits of each step; above, whether most steps are odd."""
    bits = generator.integers(0, 2, (n, 5, 4))
    odd = bits.sum(axis=2) % 2
    return (2 * bits - 1).astype(np.float32), (odd.sum(axis=1) > 2).astype(np.int64)


def markov(n: int, generator: np.random.Generator) -> Made:
    """Two chains of two symbols, one that mostly stays and one that mostly changes."""
    kinds = generator.integers(0, 2, n)
    changes = (generator.random((n, 10)) < 0.1) ^ (kinds[:, None] == 1)
    return one_hot(np.cumsum(changes, axis=1) % 2, 2), kinds


def query(n: int, generator: np.random.Generator, *, ahead: bool) -> Made:
    """Eight bits, and the number of the one that counts: told before them, or only after them."""
    count = 8
    bits, asked = generator.integers(0, 2, (n, count)), generator.integers(0, count, n)
    x = np.zeros((n, count + 1, 2 + count), np.float32)
    first, place = (1, 0) if ahead else (0, count)
    x[:, first : first + count, 0] = bits
    x[:, first : first + count, 2:] = np.eye(count, dtype=np.float32)
    x[:, place, 1] = 1
    x[np.arange(n), place, 2 + asked] = 1
    return x, bits[np.arange(n), asked]


def latch(n: int, generator: np.random.Generator) -> Made:
    """Three pulses of two kinds in noise; the class is the kind of the last, at least eight steps ago."""
    steps, pulses = 24, 3
    x = generator.normal(0, 0.5, (n, steps, 3)).astype(np.float32)
    when = np.sort(generator.random((n, steps - 8)).argsort(axis=1)[:, :pulses], axis=1)
    kinds = generator.integers(0, 2, (n, pulses))
    x[np.arange(n)[:, None], when, kinds] += 4
    return x, kinds[:, -1]


TASKS = {
    "copies": Task(
        markov, "depth", "one network labelled as eight depths", depths=COPIES, steps=40, trials=1
    ),
    "hierarchy": Task(hierarchy, "depth-parameters", "two levels", steps=300, sequences=3000),
    "markov": Task(
        markov,
        "depth",
        "short memory: depth should not matter",
        depths=(1, 2, 3),
        steps=200,
        sequences=1000,
    ),
    "collapse": Task(markov, "depth", "a plain stack too deep for its steps", depths=(1, 20), steps=100),
    "query after": Task(lambda n, g: query(n, g, ahead=False), "direction", "future needed", steps=250),
    "query before": Task(lambda n, g: query(n, g, ahead=True), "direction", "future not needed", steps=250),
    "latch": Task(latch, "trivial", "carried memory beats what sees windows or summaries", steps=200),
}


class Copies(ClassifyBench):
    """Trains one layer, whatever depth is asked for; labels get seeds of their own, as depths do."""

    def train(self, job: Job) -> Run:
        seed = job.seed * len(COPIES) + job.design.layers
        run = super().train(replace(job, design=replace(job.design, layers=1), seed=seed))
        run.design, run.seed = job.design.id, job.seed
        return run


def bench_of(name: str, seed: int) -> ClassifyBench:
    task, generator = TASKS[name], np.random.default_rng(seed)
    parts: list[LabelledSequences] = []
    for count in (task.sequences, 200, 50):
        x, labels = task.make(count, generator)
        parts.append(labelled_sequences(x, labels.tolist(), classes=("0", "1")))
    made = (Copies if name == "copies" else ClassifyBench)(*parts, path=name)
    made.base = Design(hidden=task.hidden)
    return made


@dataclass(frozen=True)
class Answer:
    """What was said of a task; ``failing`` are the arms of which a quarter or more of the seeds collapsed."""

    answer: str
    status: str
    sentence: str
    failing: list[str]
    runs: int
    train_s: float


def study(name: str, seed: int, work: Path, *, seeds: int = 5) -> Answer:
    """The protocol's answer."""
    task, bench = TASKS[name], bench_of(name, seed)
    folder = work / f"{name.replace(' ', '-')}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    questions: tuple[Ladder, ...] = ("depth",) if task.question == "trivial" else (task.question,)  # type: ignore[assignment]  # a Ladder
    climb = Climb(
        bench,
        Trials(folder, seed=seed, higher_is_better=True),
        Budget(3600.0, shares={stage: SHARES[stage] for stage in ("baselines", *questions, "finish")}),
        Here(bench),
        questions=questions,
        depths=task.depths,
        seed=seed,
        rope=0.005,
        listener=Silent(),
        pace=Pace(trials=task.trials, seeds=seeds, max_steps=task.steps),
    )
    climb.run()
    decision = climb.judge_trivial() if task.question == "trivial" else climb.findings.decisions[questions[0]]
    assert decision is not None
    runs = [run for s in climb.findings.standings.values() for run in (*s.search, *s.repeats)]
    answer = decision.answer
    if task.question == "trivial":
        answer = "yes" if decision.sentence.startswith("yes") else "no"
    collapses = climb.findings.collapses.get(questions[0], ())
    failing = [one.arm for one in collapses if one.failed >= one.seeds / 4]
    spent = sum(run.seconds for run in runs)
    return Answer(answer, decision.status, decision.sentence, failing, len(runs), spent)


def exhaustive(name: str, work: Path) -> Answer:
    """The answer of ``SEEDS`` seeds of every arm with the best of three rates, repaired where it fails."""
    task, bench = TASKS[name], bench_of(name, 0)
    trials = Trials(_folder(work / f"{name.replace(' ', '-')}-truth"), seed=0, higher_is_better=True)
    known = Known(bench.base, bench.base, task.depths, lambda _: 1.0)
    designs = arms("depth" if task.question == "trivial" else task.question, known)  # type: ignore[arg-type]  # a Ladder
    judged: list[Arm] = []
    failing, runs = [], []
    for arm, design in designs.items():
        found = _grid(bench, trials, design, task.steps)
        runs += found
        if sum(run.outcome == "collapsed" for run in found) >= SEEDS / 4:
            failing.append(arm)
            mended = repaired(design)
            assert mended is not None
            found = _grid(bench, trials, mended, task.steps)
            runs += found
        scores = [run.errors for run in found if run.outcome == "complete"]
        judged.append(Arm(arm, np.stack(scores) if scores else np.zeros((0, len(bench.layout.series)))))
    decision = decide("attention", judged, bench.layout, higher_is_better=True)
    answer = decision.answer
    if task.question == "trivial":
        best = max(float(np.nanmean(m.validation)) for m in bench.trivial(60.0, 0) if not m.failed)
        answer = "yes" if float(judged[0].scores.mean()) > 1.005 * best else "no"
    spent = sum(run.seconds for run in runs)
    return Answer(answer, decision.status, decision.sentence, failing, len(runs), spent)


def _grid(bench: ClassifyBench, trials: Trials, design: Design, steps: int) -> list[Run]:
    """Twenty seeds with the best of three rates by the mean of two seeds each."""

    def runs(rate: float, numbers: range) -> list[Run]:
        marked = replace(design, steps=rate * 100)  # a name of its own for each rate

        def train(seed: int) -> Run:
            settings = Settings(rate / 3 if design.careful else rate, 0.1)
            job = Job(design, settings, seed, steps, 600.0, resample=True)
            return trials.repeat(marked, seed, lambda _: bench.train(job))

        return [train(seed) for seed in numbers]

    tried = {rate: runs(rate, range(2)) for rate in RATES}
    means = {
        rate: np.mean([run.score if run.outcome == "complete" else 0.0 for run in found])
        for rate, found in tried.items()
    }
    return runs(max(means, key=lambda rate: means[rate]), range(100, 100 + SEEDS))


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def verdict_on(name: str, found: Answer, truth: Mapping[str, Any]) -> str:
    """right, wrong or open; where the truth is that an arm does not train, it must have been told."""
    if name == "collapse" and found.failing != truth["failing"]:
        return "wrong"
    # Of copies any claim that another than the first is better is wrong.
    if found.status == "undecided" and not (name == "copies" and found.answer == "1"):
        return "open"
    return "right" if found.answer == truth["answer"] else "wrong"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--exhaustive", action="store_true", help="fix the truth")
    parser.add_argument("--quick", action="store_true", help="one small study of the copies")
    parser.add_argument("--only", help="tasks, divided by commas")
    parser.add_argument("--studies", type=int, default=3, help="of each task; of copies 20")
    parser.add_argument("--work", type=Path, default=Path("planted-work"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = options.only.split(",") if options.only else list(TASKS)
    truth = json.loads(TRUTH.read_text(encoding="utf-8")) if TRUTH.exists() else {}
    if options.exhaustive:
        for name in (name for name in names if name != "copies"):
            found = exhaustive(name, options.work)
            told = asdict(found)
            truth[name] = {key: told[key] for key in ("answer", "status", "sentence", "failing")}
            print(name, found.answer, found.sentence, f"{found.train_s:.0f} s", flush=True)
            TRUTH.write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
        return 0
    if options.quick:
        names = ["copies"]
    if unknown := [name for name in names if name != "copies" and name not in truth]:
        print(
            f"the truth of {', '.join(unknown)} is not fixed yet; run with --exhaustive first",
            file=sys.stderr,
        )
        return 2
    table, rows = Table("task", "said", "truth", "verdict", "runs", "train s"), []
    for name in names:
        count = 1 if options.quick else 20 if name == "copies" else options.studies
        for seed in range(count):
            found = study(name, seed, options.work, seeds=2 if options.quick else 5)
            known = {"answer": "1"} if name == "copies" else truth[name]
            said, verdict = known["answer"], verdict_on(name, found, known)
            words = f"{found.answer} ({found.status})"
            row = {"task": name, "seed": seed, "truth": said, "verdict": verdict, **asdict(found)}
            rows.append(row)
            table.add_row(name, words, said, verdict, str(found.runs), f"{found.train_s:.0f}")
            print(name, seed, verdict, found.sentence, flush=True)
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 1 if any(row["verdict"] == "wrong" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
