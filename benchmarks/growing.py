"""Does a grown stack say of depth what training from scratch says? `python benchmarks/growing.py [--quick]`.

One layer is trained, then layers are added without a change of its function (`Stack.grown`), and every depth,
the first among them, goes on for half as many steps. The verdict on depth that these runs give, over several
seeds, is set beside that of stacks of the same form trained from scratch for all of the steps. A line a data
set tells both verdicts and what each cost in training time.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from planted import hierarchy
from torch import nn

from lamina.data.labelled import LabelledSequences, labelled_sequences, split_labelled
from lamina.data.series import SeriesTable
from lamina.data.sources import load_labelled, load_series
from lamina.data.splits import split_in_time
from lamina.data.windows import evaluation_windows
from lamina.estimators.defaults import training_examples, window_form
from lamina.metrics import mase_scale
from lamina.nn.stack import Stack, StackConfig
from lamina.study.decide import decide
from lamina.study.scores import Arm, Layout
from lamina.tasks.classify import (
    ClassifyBatches,
    ClassifyConfig,
    ClassifyInputs,
    ClassifyNetwork,
    ClassifyObjective,
    case_scores,
    predict_sequences,
)
from lamina.tasks.forecast import (
    ForecastBatches,
    ForecastConfig,
    ForecastNetwork,
    ForecastObjective,
    predict_windows,
    window_errors,
)
from lamina.tasks.forecast_inputs import ForecastInputs
from lamina.training.loop import fit
from lamina.training.optim import Schedule, TrainingConfig

Array = NDArray[np.float64]
ROWS = 4000  # newest rows of ETTh1


@dataclass(frozen=True)
class Problem:
    """A data set, ready to train networks of any depth on.

    Attributes:
        network: an untrained network with so many layers.
        train: fits it for so many steps, on batches in an order of the seed.
        scores: by validation window or sequence.
    """

    network: Callable[[int], nn.Module]
    train: Callable[[nn.Module, TrainingConfig, int], object]
    scores: Callable[[nn.Module], Array]
    layout: Layout
    higher_is_better: bool
    rate: float


def body(layers: int, hidden: int) -> StackConfig:
    return StackConfig(
        hidden_sizes=(hidden,) * layers, residual="gated", dropout=0.1, dropout_mask="sequence"
    )


def classifying(train: LabelledSequences, valid: LabelledSequences, hidden: int, rate: float) -> Problem:
    inputs, config = ClassifyInputs.fit(train, valid), ClassifyConfig()
    objective = ClassifyObjective(config, inputs, valid, metric="accuracy")

    def run(network: nn.Module, training: TrainingConfig, seed: int) -> object:
        batches = ClassifyBatches(train, inputs, batch_size=32, seed=seed)
        return fit(network, objective, batches, training, seed=seed)

    return Problem(
        lambda layers: ClassifyNetwork(config, inputs, body(layers, hidden)),
        run,
        lambda network: case_scores("accuracy", valid.labels, predict_sequences(network, inputs, valid)),
        Layout(np.zeros(len(valid), np.int64)),
        higher_is_better=True,
        rate=rate,
    )


def forecasting(table: SeriesTable, horizon: int) -> Problem:
    cuts = split_in_time(table, horizon=horizon)
    size, segment = window_form(table, cuts.train_end, horizon=horizon)
    windows, padded = training_examples(table, cuts, input_size=size, horizon=horizon)
    inputs = ForecastInputs.fit(table, cuts, padded=padded)
    valid = evaluation_windows(table, cuts, part="validation", input_size=size, horizon=horizon)
    scale = mase_scale(table, cuts, table.frequency.season)
    config = ForecastConfig(horizon=horizon, input_size=size, segment=segment, width=32)
    objective = ForecastObjective(config, inputs, valid, metric="mase", scale=scale)

    def run(network: nn.Module, training: TrainingConfig, seed: int) -> object:
        batches = ForecastBatches(windows, inputs, batch_size=64, seed=seed)
        return fit(network, objective, batches, training, seed=seed)

    def scores(network: nn.Module) -> Array:
        assert isinstance(network, ForecastNetwork)
        median = predict_windows(network, inputs, valid)[..., config.quantiles.index(0.5)]
        target = valid.batch(slice(None)).target
        return window_errors("mase", target, median, scale[valid.series])

    return Problem(
        lambda layers: ForecastNetwork(config, inputs, body(layers, 32)),
        run,
        scores,
        Layout(valid.series, horizon),
        higher_is_better=False,
        rate=4e-3,
    )


def grown(network: nn.Module, layers: int) -> nn.Module:
    """A copy of the network whose stack has so many more layers."""
    taller = copy.deepcopy(network)
    reader: Any = taller.reader
    assert isinstance(reader.body, Stack)
    if layers:
        reader.body = reader.body.grown(layers)
    return taller


def depths_of(problem: Problem, depths: tuple[int, ...], seeds: int, steps: int) -> dict[str, dict[str, Any]]:
    """Scores by depth, (seeds, windows), and seconds, of both ways."""

    def settings(share: float, schedule: Schedule) -> TrainingConfig:
        return TrainingConfig(
            max_steps=round(share * steps), learning_rate=problem.rate, schedule=schedule, validations=10
        )

    found: dict[str, dict[str, Any]] = {
        way: {"scores": {n: [] for n in depths}, "s": 0.0} for way in ("scratch", "grown")
    }
    for seed in range(seeds):
        for layers in depths:
            torch.manual_seed(1000 * layers + seed)
            network = problem.network(layers)
            begin = time.perf_counter()
            problem.train(network, settings(1.0, "warmup-stable-decay"), seed + 100 * layers)
            found["scratch"]["s"] += time.perf_counter() - begin
            found["scratch"]["scores"][layers].append(problem.scores(network))
        torch.manual_seed(seed)
        base, begin = problem.network(1), time.perf_counter()
        problem.train(base, settings(0.5, "constant"), seed)
        for layers in depths:
            taller = grown(base, layers - 1)
            problem.train(taller, settings(0.5, "warmup-stable-decay"), seed + 100 * layers)
            found["grown"]["scores"][layers].append(problem.scores(taller))
        found["grown"]["s"] += time.perf_counter() - begin
    return found


def problems(data: Path | None, *, quick: bool) -> dict[str, tuple[Callable[[], Problem], int]]:
    """Data sets, and the steps of a run from scratch."""

    def made() -> Problem:
        generator = np.random.default_rng(0)
        parts = [hierarchy(400, generator) for _ in range(2)]
        train, valid = (labelled_sequences(x, y.tolist(), classes=("0", "1")) for x, y in parts)
        return classifying(train, valid, 16, 0.01)

    def vowels() -> Problem:
        train, _ = load_labelled("JapaneseVowels", data)
        return classifying(*split_labelled(train, 0.2, 1), 32, 4e-3)

    def etth1() -> Problem:
        return forecasting(load_series("ETTh1", data).slice_last(ROWS), 24)

    every = {"JapaneseVowels": (vowels, 120), "hierarchy": (made, 150), "ETTh1": (etth1, 120)}
    return {name: every[name] for name in (["JapaneseVowels"] if quick else every)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two depths, two seeds of JapaneseVowels")
    parser.add_argument("--data", type=Path, help="folder of the known data sets")
    parser.add_argument("--only", help="one of the data sets")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    depths, seeds = ((1, 2), 2) if options.quick else ((1, 2, 3), options.seeds)
    rows = []
    for name, (make, steps) in problems(options.data, quick=options.quick).items():
        if options.only and name != options.only:
            continue
        problem = make()
        found = depths_of(problem, depths, seeds, 20 if options.quick else steps)
        for way, known in found.items():
            arms = [Arm(str(n), np.stack(rows_)) for n, rows_ in known["scores"].items()]
            said = decide("depth", arms, problem.layout, higher_is_better=problem.higher_is_better)
            means = {arm.name: round(float(np.nanmean(arm.scores)), 4) for arm in arms}
            row = {"data": name, "way": way, "answer": said.answer, "status": said.status, "means": means}
            rows.append({**row, "train_s": round(known["s"], 1), "sentence": said.sentence})
            print(json.dumps(rows[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
