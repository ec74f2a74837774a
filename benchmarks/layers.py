"""How fast the recurrent layers are beside torch.nn's: `python benchmarks/layers.py [--quick] [--json FILE]`.

Each configuration runs both sides in turn, in one process and with the same threads, on a float32 stack of
layers without dropout: once for a training step (forward and backward, packing of our weights included) and
once for inference. A ragged configuration, lengths uniform from a quarter of the steps to all of them, is
compared with torch's PackedSequence. Nothing is timed, and the command fails, where outputs or gradients of
the two sides differ.

GFLOP/s counts the products of valid steps only, three times a forward pass for a training step; the share is
of what this machine's multipliers reach in a loop that stays in the registers.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import lamina.ops._native as kernels
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lamina.ops.backends.native import Native
from lamina.ops.call import Call, Weights
from lamina.ops.cells import CELLS

GRID = [
    (32, 100, 8, 32, 1),
    (32, 100, 16, 64, 2),
    (64, 100, 64, 128, 2),
    (64, 100, 64, 128, 4),
    (32, 200, 128, 256, 2),
    (64, 100, 256, 512, 2),
    (1, 200, 32, 64, 2),
    (8, 200, 32, 128, 2),
    (16, 1000, 16, 64, 2),
]
"""Batch, time, input, hidden, layers: the grid of the issue."""

QUICK = [(32, 100, 8, 32, 1), (64, 100, 64, 128, 2), (1, 200, 32, 64, 2)]

TOLERANCE = 1e-3
"""Largest difference allowed between two float32 computations, relative to the largest number: both sides
round, over up to 1000 steps and 4 layers. The kernels' own accuracy is tested against float64."""


@dataclass(frozen=True)
class Configuration:
    """One line of the table."""

    cell: str
    batch: int
    time: int
    features: int
    hidden: int
    layers: int
    directions: int
    ragged: bool

    def lengths(self) -> Tensor | None:
        if not self.ragged:
            return None
        generator = torch.Generator().manual_seed(0)
        return torch.randint(self.time // 4, self.time + 1, (self.batch,), generator=generator)

    def flops(self) -> int:
        """Of one forward pass: two for each weight and valid step."""
        lengths = self.lengths()
        steps = self.batch * self.time if lengths is None else int(lengths.sum())
        inputs = [self.features] + [self.hidden * self.directions] * (self.layers - 1)
        weights = sum((n + self.hidden) * self.hidden for n in inputs) * len(CELLS[self.cell].gates)
        return 2 * steps * weights * self.directions


@dataclass(frozen=True)
class Result:
    """Medians over the repeats, and the quartiles of the ratio of neighbours."""

    configuration: Configuration
    work: str
    torch_ms: float
    lamina_ms: float
    ratio: float
    ratio_quartiles: tuple[float, float]
    gflops: float


class Sides:
    """The same network twice: torch's module, and our kernels over its parameters."""

    def __init__(self, configuration: Configuration) -> None:
        torch.manual_seed(0)
        self.configuration = c = configuration
        kind = {"lstm": nn.LSTM, "gru": nn.GRU}[c.cell]
        self.module = kind(c.features, c.hidden, c.layers, batch_first=True, bidirectional=c.directions == 2)
        self.x = torch.randn(c.batch, c.time, c.features)
        self.dy = torch.randn(c.batch, c.time, c.hidden * c.directions)
        self.lengths = c.lengths()
        if self.lengths is not None:
            valid = torch.arange(c.time) < self.lengths[:, None]
            self.dy *= valid[:, :, None]
        self.backend = Native()

    def torch_forward(self) -> Tensor:
        if self.lengths is None:
            y: Tensor = self.module(self.x)[0]
            return y
        packed = pack_padded_sequence(self.x, self.lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.module(packed)[0], batch_first=True, total_length=self.x.shape[1])[0]

    def lamina_forward(self) -> Tensor:
        c = self.configuration
        cell, y = CELLS[c.cell], self.x
        state = tuple(torch.zeros(c.batch, c.hidden) for _ in cell.states)
        for layer in range(c.layers):
            outputs = []
            for suffix, reverse in (("", False), ("_reverse", True))[: c.directions]:
                names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                weights = Weights(*(getattr(self.module, f"{n}_l{layer}{suffix}") for n in names))
                outputs.append(self.backend.run(Call(cell, y, state, weights, self.lengths, reverse))[0])
            y = outputs[0] if c.directions == 1 else torch.cat(outputs, 2)
        return y

    def difference(self) -> float:
        """Return the largest difference of outputs and gradients, relative to the largest number of each."""
        found = []
        for forward in (self.torch_forward, self.lamina_forward):
            y = forward()
            found.append([y.detach(), *torch.autograd.grad(y, list(self.module.parameters()), self.dy)])
        return max(
            float((ours - torchs).abs().max() / torchs.abs().max())
            for torchs, ours in zip(*found, strict=True)
        )

    def step(self, forward: Callable[[], Tensor], work: str) -> None:
        if work == "inference":
            with torch.inference_mode():
                forward()
            return
        for parameter in self.module.parameters():
            parameter.grad = None
        forward().backward(self.dy)  # type: ignore[no-untyped-call]  # torch leaves it untyped


def measure(sides: Sides, work: str, *, repeats: int, limit_s: float) -> Result:
    """Time both sides in turn; stop early, after three rounds at least, when the limit is reached."""
    forwards = (sides.torch_forward, sides.lamina_forward)
    for forward in forwards:
        sides.step(forward, work)
    rounds: list[tuple[float, float]] = []
    begin = time.perf_counter()
    while len(rounds) < repeats and (len(rounds) < 3 or time.perf_counter() - begin < limit_s):
        times = []
        for forward in forwards:
            start = time.perf_counter()
            sides.step(forward, work)
            times.append(time.perf_counter() - start)
        rounds.append((times[0], times[1]))
    theirs, ours = (statistics.median(times) for times in zip(*rounds, strict=True))
    low, _, high = statistics.quantiles([a / b for a, b in rounds], n=4)
    passes = 1 if work == "inference" else 3
    gflops = passes * sides.configuration.flops() / ours / 1e9
    return Result(sides.configuration, work, theirs * 1e3, ours * 1e3, theirs / ours, (low, high), gflops)


def configurations(*, quick: bool) -> Iterator[Configuration]:
    grid = QUICK if quick else GRID
    for cell, directions, ragged, shape in product(("lstm", "gru"), (1, 2), (False, True), grid):
        if quick and directions == 2:
            continue
        if ragged and shape[0] == 1:
            continue  # one row has nothing to be unequal with
        yield Configuration(cell, *shape, directions, ragged)


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, values)))


def summary(results: Sequence[Result]) -> dict[str, float]:
    """Geometric mean of the ratio for each cell, shape of the batch, and work."""
    groups: dict[str, list[float]] = {}
    for r in results:
        c = r.configuration
        key = f"{c.cell}, {'ragged against PackedSequence' if c.ragged else 'equal lengths'}, {r.work}"
        groups.setdefault(key, []).append(r.ratio)
    return {key: geometric_mean(ratios) for key, ratios in groups.items()}


def table(results: Sequence[Result], peak: float) -> Table:
    columns = ("cell", "batch", "time", "input", "hidden", "layers", "directions", "lengths", "work")
    numbers = ("torch ms", "lamina ms", "ratio", "quartiles", "GFLOP/s", "of peak")
    made = Table(*columns, *numbers)
    for r in results:
        c = r.configuration
        shape = (c.batch, c.time, c.features, c.hidden, c.layers, c.directions)
        low, high = r.ratio_quartiles
        made.add_row(
            c.cell, *map(str, shape), "ragged" if c.ragged else "equal", r.work,
            f"{r.torch_ms:.2f}", f"{r.lamina_ms:.2f}", f"{r.ratio:.2f}", f"{low:.2f} to {high:.2f}",
            f"{r.gflops:.0f}", f"{r.gflops / peak:.0%}",
        )  # fmt: skip
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="three shapes, one direction, under 60 s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument("--threads", type=int, default=2, help="for both sides (default 2)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    console = Console(width=160)

    unit = Native().unit
    peak = 0.0
    results: list[Result] = []
    for configuration in configurations(quick=options.quick):
        sides = Sides(configuration)
        difference = sides.difference()
        if not difference <= TOLERANCE:
            console.print(f"{configuration} differs from torch by {difference:.1e}: nothing is reported")
            return 1
        limit_s = 1.5 if options.quick else 4.0
        works = ("training step", "inference")
        results += [measure(sides, work, repeats=15, limit_s=limit_s) for work in works]
        # the best of many attempts, for a busy machine never shows its peak at once
        peak = max(peak, kernels.peak_gflops(unit, options.threads))
    machine = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": options.threads,
        "torch": torch.__version__,
        "unit": unit,
        "peak_gflops": peak,
    }
    means = summary(results)
    if options.json is not None:
        report = {"machine": machine, "geometric_means": means, "results": [asdict(r) for r in results]}
        options.json.write_text(json.dumps(report, indent=1))
    console.print(table(results, peak))
    console.print(machine)
    for key, mean in means.items():
        console.print(f"{key}: {mean:.2f} x torch")
    return 0


if __name__ == "__main__":
    sys.exit(main())
