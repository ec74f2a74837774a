"""What an answer on depth costs: `python benchmarks/depth_cost.py --data DIR [--quick] [--json FILE]`.

Every depth is trained with every setting of a grid (three rates, two shares of dropout) on 20 seeds, and the
best setting of each depth is compared over its seeds: the exhaustive answer. The protocol of a study answers
the same question on the same data with runs of as many steps. A line a data set tells both answers, and the
training time of the second as a share of that of the first; the bar is a quarter. Time is that of the
processor, on one thread, so that other programs do not count. Runs are kept under `--work` and not repeated,
so that the command can be ended and begun again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lamina.data.labelled import split_labelled
from lamina.data.sources import load_labelled, load_series
from lamina.study.bench import Bench, Job, Run, Settings
from lamina.study.budget import Budget
from lamina.study.classify_bench import ClassifyBench
from lamina.study.decide import Decision, decide
from lamina.study.findings import Silent
from lamina.study.forecast_bench import ForecastBench
from lamina.study.ladder import SHARES, Climb
from lamina.study.pace import Pace
from lamina.study.scores import Arm
from lamina.study.space import Design
from lamina.study.trials import Trials
from lamina.study.workers import Here

GRID = tuple(itertools.product((0.002, 0.004, 0.008), (0.0, 0.2)))  # learning rate, dropout
BAR = 0.25


def bench_of(name: str, data: Path | None, hidden: int) -> Bench:
    made: ForecastBench | ClassifyBench
    if name == "ETTh1":
        table = load_series(name, data).slice_last(5000)
        made = ForecastBench(table, horizon=24, metric="mase", path=name)
    else:
        rest, held = load_labelled(name, data)
        assert held is not None
        made = ClassifyBench(*split_labelled(rest, 0.2, 1), held, path=name)
    made.base = Design(hidden=hidden)
    return OnProcessorTime(made)


class OnProcessorTime:
    """A bench whose runs say what processor time they took."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bench, name)

    def train(self, job: Job) -> Run:
        begin = time.process_time()
        run = self._bench.train(job)
        run.seconds = time.process_time() - begin
        return run


def exhaustive(
    bench: Bench, trials: Trials, depths: tuple[int, ...], steps: int, seeds: int
) -> tuple[Decision, float]:
    """The decision over the best setting of each depth, and the training time of the whole grid."""
    higher, arms, spent = bench.metric.direction == "higher", [], 0.0
    for layers in depths:
        tried = []
        for place, setting in enumerate(GRID):
            design = replace(bench.base, layers=layers)
            name = replace(design, steps=2.0 + place)  # runs of each setting have a name of their own
            job = Job(design, Settings(*setting), 0, steps, 600.0, resample=True)
            runs = [_run(bench, trials, replace(job, seed=seed), name) for seed in range(seeds)]
            spent += sum(run.seconds for run in runs)
            sound = [run.errors for run in runs if run.outcome == "complete"]
            tried.append(np.stack(sound) if sound else np.full((1, len(bench.layout.series)), np.nan))
        means = [float(np.nanmean(scores)) * (1 if higher else -1) for scores in tried]
        arms.append(Arm(str(layers), tried[int(np.nanargmax(means))]))
    return decide("depth", arms, bench.layout, higher_is_better=higher), spent


def _run(bench: Bench, trials: Trials, job: Job, name: Design) -> Run:
    return trials.repeat(name, job.seed, lambda _: bench.train(job))


def protocol(
    bench: Bench, trials: Trials, depths: tuple[int, ...], steps: int, pace: tuple[int, int]
) -> tuple[Decision, float]:
    """The decision of a study, and the training time of its trials and seeds on this question."""
    climb = Climb(
        bench,
        trials,
        Budget(36_000.0, shares={stage: SHARES[stage] for stage in ("baselines", "depth", "finish")}),
        Here(bench),
        questions=("depth",),
        depths=depths,
        seed=500,
        rope=0.005,
        listener=Silent(),
        pace=Pace(*pace, max_steps=steps),
    )
    climb.run()
    asked = [s for s in climb.findings.standings.values() if not s.design.full]
    return climb.findings.decisions["depth"], sum(
        run.seconds for standing in asked for run in (*standing.search, *standing.repeats)
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the known data sets")
    parser.add_argument("--only", help="one of the data sets")
    parser.add_argument("--quick", action="store_true", help="two depths and seeds of ten steps")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--work", type=Path, default=Path("depth-cost-work"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    depths, steps, seeds, pace = (1, 2, 3, 4), options.steps, options.seeds, (4, 5)
    names = ["JapaneseVowels", "ETTh1"]
    if options.quick:
        depths, steps, seeds, pace, names = (1, 2), 10, 2, (1, 2), names[:1]
    rows: list[dict[str, Any]] = []
    for name in (name for name in names if options.only in (None, name)):
        bench = bench_of(name, options.data, options.hidden)
        higher = bench.metric.direction == "higher"
        stores = {}
        for way in ("grid", "study"):
            folder = options.work / f"{name}-{way}"
            folder.mkdir(parents=True, exist_ok=True)
            stores[way] = Trials(folder, seed=0, higher_is_better=higher)
        told, cost = protocol(bench, stores["study"], depths, steps, pace)
        print(name, "study:", told.sentence, f"{cost:.0f} s", flush=True)
        truth, whole = exhaustive(bench, stores["grid"], depths, steps, seeds)
        print(name, "grid:", truth.sentence, f"{whole:.0f} s", flush=True)
        share = cost / whole
        rows.append({"data": name, "study": told.answer, "status": told.status, "grid": truth.answer})
        rows[-1] |= {"grid_status": truth.status, "study_s": cost, "grid_s": whole, "share": share}
        rows[-1] |= {"steps": steps, "hidden": options.hidden, "seeds": seeds}
        print(f"{name}: {told.answer} against {truth.answer}, at {100 * share:.0f} % of the time", flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    passed = all(row["study"] == row["grid"] and row["share"] <= BAR for row in rows)
    return 0 if passed or options.quick else 1


if __name__ == "__main__":
    sys.exit(main())
