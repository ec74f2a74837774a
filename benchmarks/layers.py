"""How fast the recurrent layers are beside torch.nn's: `python benchmarks/layers.py [--only PART] [--quick]`.

Each configuration runs both sides in turn, in one process and with the same threads, on a float32 stack of
layers without dropout: once for a training step (forward and backward, packing of our weights included) and
once for inference. A ragged configuration, lengths uniform from a quarter of the steps to all of them, is
compared with torch's PackedSequence. Nothing is timed, and the command fails, where outputs or gradients of
the two sides differ.

The parts: `grid` as told; `bf16`, a training step under autocast to bfloat16 against torch's under autocast
and in float32; `variants`, what layer norm, zoneout and a recurrent mask cost together beside the plain LSTM
and GRU; `memory`, the peak of a training step, each in a process of its own; `peers`, inference beside ONNX
Runtime and Keras on JAX, where they are installed. The bars of the project stand at the end, met or not.

GFLOP/s counts the products of valid steps only, three times a forward pass for a training step; the share is
of what this machine's multipliers reach in a loop that stays in the registers.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import lamina.ops._native as kernels
import layer_peers
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lamina.ops.backends.native import Native
from lamina.ops.call import Call, Weights, ZoneoutMasks
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

BF16_TOLERANCE = 0.05
"""The same for bfloat16, whose 8 bits round every product's operands, through up to 4 layers."""


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
    peak_gflops: float

    @property
    def share(self) -> float:
        """Of the multipliers' peak, measured just before and after, since the clock of a machine changes."""
        return self.gflops / self.peak_gflops


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


def in_turn(runs: Sequence[Callable[[], object]], *, limit_s: float) -> list[tuple[float, ...]]:
    """Seconds of each run, round by round; three rounds at least, and 15 at most, within the limit."""
    for run in runs:
        run()
    rounds: list[tuple[float, ...]] = []
    begin = time.perf_counter()
    while len(rounds) < 15 and (len(rounds) < 3 or time.perf_counter() - begin < limit_s):
        times = []
        for run in runs:
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        rounds.append(tuple(times))
    return rounds


def medians(rounds: Sequence[tuple[float, ...]]) -> list[float]:
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def measure(sides: Sides, work: str, *, limit_s: float) -> Result:
    """Time both sides in turn."""
    runs = [partial(sides.step, forward, work) for forward in (sides.torch_forward, sides.lamina_forward)]
    before = current_peak()
    rounds = in_turn(runs, limit_s=limit_s)
    peak = (before + current_peak()) / 2
    theirs, ours = medians(rounds)
    low, _, high = statistics.quantiles([a / b for a, b in rounds], n=4)
    passes = 1 if work == "inference" else 3
    gflops = passes * sides.configuration.flops() / ours / 1e9
    return Result(
        sides.configuration, work, theirs * 1e3, ours * 1e3, theirs / ours, (low, high), gflops, peak
    )


def current_peak() -> float:
    found: float = kernels.peak_gflops(Native().unit, torch.get_num_threads())
    return found


def configurations(*, quick: bool) -> Iterator[Configuration]:
    grid = QUICK if quick else GRID
    for cell, directions, ragged, shape in product(("lstm", "gru"), (1, 2), (False, True), grid):
        if quick and directions == 2:
            continue
        if ragged and shape[0] == 1:
            continue  # one row has nothing to be unequal with
        yield Configuration(cell, *shape, directions, ragged)


def equal_forward(*, quick: bool) -> list[Configuration]:
    """Of the configurations those of equal lengths and one direction."""
    return [c for c in configurations(quick=quick) if not c.ragged and c.directions == 1]


@dataclass(frozen=True)
class Comparison:
    """A line of the smaller tables: how one quantity compares on two sides."""

    part: str
    configuration: Configuration
    sides: str
    ratio: float
    detail: str


def bf16(*, quick: bool, limit_s: float) -> Iterator[Comparison]:
    """A training step in bfloat16 against torch's, under autocast and in float32."""
    for c in equal_forward(quick=quick):
        sides = Sides(c)
        expected = sides.torch_forward().detach()

        def mixed(forward: Callable[[], Tensor], sides: Sides = sides) -> None:
            for parameter in sides.module.parameters():
                parameter.grad = None
            with torch.autocast("cpu", torch.bfloat16):
                y = forward()
            y.backward(sides.dy.to(y.dtype))  # type: ignore[no-untyped-call]  # torch leaves it untyped

        with torch.autocast("cpu", torch.bfloat16):
            difference = float(
                (sides.lamina_forward().detach().float() - expected).abs().max() / expected.abs().max()
            )
        if not difference <= BF16_TOLERANCE:
            raise SystemExit(f"{c} in bfloat16 differs by {difference:.1e}: nothing is reported")
        runs = [
            partial(mixed, sides.lamina_forward),
            partial(sides.step, sides.torch_forward, "training step"),
        ]
        try:
            mixed(sides.torch_forward)
            runs.append(partial(mixed, sides.torch_forward))
        except RuntimeError as error:  # torch 2.13 has no primitive for its LSTM on some processors
            detail = f"torch fails under autocast: {str(error).splitlines()[0]}"
            yield Comparison("bf16", c, "torch bf16 / ours bf16", math.nan, detail)
        ours, float32, *autocast = medians(in_turn(runs, limit_s=limit_s))
        yield Comparison("bf16", c, "torch float32 / ours bf16", float32 / ours, f"{ours * 1e3:.2f} ms")
        for theirs in autocast:
            yield Comparison("bf16", c, "torch bf16 / ours bf16", theirs / ours, f"{ours * 1e3:.2f} ms")


def variants(*, quick: bool, limit_s: float) -> Iterator[Comparison]:
    """What layer norm, zoneout and a recurrent mask cost together, in one layer's training step."""
    for c in equal_forward(quick=quick):
        torch.manual_seed(0)
        x = torch.randn(c.batch, c.time, c.features, requires_grad=True)
        calls = []
        for cell in (CELLS[c.cell], CELLS["ln" + c.cell]):
            rows = len(cell.gates) * c.hidden
            varied = cell.name.startswith("ln")
            weights = Weights(
                (torch.randn(rows, c.features) * c.features**-0.5).requires_grad_(),
                (torch.randn(rows, c.hidden) * 0.5 * c.hidden**-0.5).requires_grad_(),
                *((None, None) if varied else (torch.zeros(rows, requires_grad=True),) * 2),
                {
                    n: torch.full((e.rows, c.hidden), e.initial, requires_grad=True)
                    for n, e in cell.extra.items()
                },
            )
            masks = tuple(torch.rand(c.batch, c.time, c.hidden) < 0.1 for _ in cell.states)
            calls.append(
                Call(
                    cell, x, tuple(torch.zeros(c.batch, c.hidden) for _ in cell.states), weights,
                    recurrent_mask=torch.ones(c.batch, c.hidden) if varied else None,
                    zoneout=ZoneoutMasks(masks) if varied else None,
                )
            )  # fmt: skip
        dy = torch.randn(c.batch, c.time, c.hidden)
        runs = [partial(training_step, call, dy) for call in calls]
        plain, varied_s = medians(in_turn(runs, limit_s=limit_s))
        yield Comparison("variants", c, "all three / plain", varied_s / plain, f"{plain * 1e3:.2f} ms plain")


def training_step(call: Call, dy: Tensor) -> None:
    torch.autograd.grad(Native().run(call)[0], [t for t in call.tensors if t.requires_grad], dy)


def memory(*, quick: bool, threads: int) -> Iterator[Comparison]:
    """The peak of a training step beyond what was there before it, each side in a fresh process."""
    context = multiprocessing.get_context("spawn")
    for c in configurations(quick=quick):
        if quick and (c.ragged or c.hidden != QUICK[1][3]):
            continue  # each takes two starts of a process
        found = []
        for side in ("torch", "lamina"):
            with context.Pool(1) as pool:
                found.append(pool.apply(peak_bytes, (c, side, threads)))
        detail = f"torch {found[0] / 2**20:.1f} MiB, ours {found[1] / 2**20:.1f} MiB"
        yield Comparison("memory", c, "ours / torch", found[1] / max(found[0], 1), detail)


def peak_bytes(configuration: Configuration, side: str, threads: int) -> int:
    """Of two training steps, after a small one has loaded the code; Linux only."""
    torch.set_num_threads(threads)
    small = Sides(replace(configuration, batch=2, time=4, ragged=False))
    sides = Sides(configuration)
    for warm in (small, sides):
        if warm is sides:
            Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
            before = resident("VmRSS")
        forward = warm.torch_forward if side == "torch" else warm.lamina_forward
        for _ in range(2):
            warm.step(forward, "training step")
    return resident("VmHWM") - before


def resident(field: str) -> int:
    line = next(row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith(field))
    return int(line.split()[1]) * 1024


def peers(*, quick: bool, limit_s: float) -> Iterator[Comparison]:
    """Inference beside ONNX Runtime and Keras on JAX with the same weights."""
    for c in equal_forward(quick=quick):
        sides = Sides(c)
        for name, build in layer_peers.PEERS.items():
            run = build(sides.module, sides.x, threads=torch.get_num_threads())
            if run is None:
                continue
            expected = sides.torch_forward().detach()
            difference = float((torch.from_numpy(run().copy()) - expected).abs().max() / expected.abs().max())
            if not difference <= TOLERANCE:
                raise SystemExit(f"{c} differs from {name} by {difference:.1e}: nothing is reported")
            # one after the other: their threads spin on for a while, which would slow ours in turn
            (theirs,) = medians(in_turn([run], limit_s=limit_s / 2))
            time.sleep(0.1)
            (ours,) = medians(
                in_turn([partial(sides.step, sides.lamina_forward, "inference")], limit_s=limit_s / 2)
            )
            yield Comparison("peers", c, f"{name} / ours", theirs / ours, f"{ours * 1e3:.2f} ms")


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


@dataclass(frozen=True)
class Bar:
    """What the project holds itself to, and what was measured."""

    text: str
    measured: float
    bound: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        return self.measured <= self.bound if self.at_most else self.measured >= self.bound

    def __str__(self) -> str:
        sign = "<=" if self.at_most else ">="
        return f"{self.text}: {self.measured:.2f} ({sign} {self.bound:g}) {'met' if self.met else 'NOT MET'}"


def bars(results: Sequence[Result], comparisons: Sequence[Comparison]) -> Iterator[Bar]:
    means = summary(results)
    ragged = "ragged against PackedSequence"
    bounds = {
        ("equal lengths", "training step"): (1.8, 2.5),
        (ragged, "training step"): (4.0, 4.0),
        ("equal lengths", "inference"): (1.2, 2.0),
        (ragged, "inference"): (2.5, 2.5),
    }
    for (lengths, work), limits in bounds.items():
        for cell, limit in zip(("lstm", "gru"), limits, strict=True):
            if (key := f"{cell}, {lengths}, {work}") in means:
                yield Bar(key, means[key], limit)
    lstm = [
        r.ratio
        for r in results
        if r.configuration.cell == "lstm" and not r.configuration.ragged and r.work != "inference"
    ]
    if lstm:
        yield Bar("lstm, equal lengths, training step, slowest configuration", min(lstm), 1.0)
    large = [
        r.share
        for r in results
        if r.configuration.hidden >= 128
        and r.configuration.batch >= 32
        and r.work == "training step"
        and not r.configuration.ragged
    ]
    if large:
        yield Bar("share of peak, hidden >= 128 and batch >= 32, training step, smallest", min(large), 0.75)
    groups: dict[str, list[float]] = {}
    for comparison in comparisons:
        if math.isfinite(comparison.ratio):
            groups.setdefault(comparison.sides, []).append(comparison.ratio)
    for sides, limit, at_most in (
        ("torch bf16 / ours bf16", 1.8, False), ("torch float32 / ours bf16", 3.0, False),
        ("all three / plain", 1.35, True), ("ours / torch", 1.0, True),
    ):  # fmt: skip
        if sides in groups:
            yield Bar(sides, geometric_mean(groups[sides]), limit, at_most)


def shape_cells(c: Configuration) -> list[str]:
    numbers = (c.batch, c.time, c.features, c.hidden, c.layers, c.directions)
    return [c.cell, *map(str, numbers), "ragged" if c.ragged else "equal"]


SHAPE = ("cell", "batch", "time", "input", "hidden", "layers", "directions", "lengths")


def table(results: Sequence[Result]) -> Table:
    made = Table(*SHAPE, "work", "torch ms", "lamina ms", "ratio", "quartiles", "GFLOP/s", "of peak")
    for r in results:
        low, high = r.ratio_quartiles
        made.add_row(
            *shape_cells(r.configuration), r.work,
            f"{r.torch_ms:.2f}", f"{r.lamina_ms:.2f}", f"{r.ratio:.2f}", f"{low:.2f} to {high:.2f}",
            f"{r.gflops:.0f}", f"{r.share:.0%}",
        )  # fmt: skip
    return made


def comparison_table(comparisons: Sequence[Comparison]) -> Table:
    made = Table(*SHAPE, "part", "what", "ratio", "")
    for r in comparisons:
        made.add_row(*shape_cells(r.configuration), r.part, r.sides, f"{r.ratio:.2f}", r.detail)
    return made


PARTS = ("grid", "bf16", "variants", "memory", "peers")


def parts(text: str) -> list[str]:
    chosen = text.split(",")
    if not set(chosen) <= set(PARTS):
        raise argparse.ArgumentTypeError(f"the parts are {', '.join(PARTS)}")
    return chosen


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", type=parts, default=PARTS, metavar="PART,...", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="three shapes, one direction, under 60 s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument("--threads", type=int, default=2, help="for both sides (default 2)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    console = Console(width=180)

    unit, quick = Native().unit, options.quick
    results: list[Result] = []
    limit_s = 0.4 if quick else 2.0
    for configuration in configurations(quick=quick) if "grid" in options.only else ():
        sides = Sides(configuration)
        difference = sides.difference()
        if not difference <= TOLERANCE:
            console.print(f"{configuration} differs from torch by {difference:.1e}: nothing is reported")
            return 1
        results += [measure(sides, work, limit_s=limit_s) for work in ("training step", "inference")]
    others: dict[str, Callable[[], Iterator[Comparison]]] = {
        "bf16": partial(bf16, quick=quick, limit_s=limit_s),
        "variants": partial(variants, quick=quick, limit_s=limit_s),
        "memory": partial(memory, quick=quick, threads=options.threads),
        "peers": partial(peers, quick=quick, limit_s=limit_s),
    }
    comparisons = [line for part, run in others.items() if part in options.only for line in run()]
    machine = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": options.threads,
        "torch": torch.__version__,
        "unit": unit,
        "peak_gflops": max((r.peak_gflops for r in results), default=current_peak()),
    }
    means, judged = summary(results), list(bars(results, comparisons))
    if options.json is not None:
        report = {
            "machine": machine,
            "geometric_means": means,
            "bars": [asdict(bar) | {"met": bar.met} for bar in judged],
            "results": [asdict(r) for r in results],
            "comparisons": [asdict(r) for r in comparisons],
        }
        options.json.write_text(json.dumps(report, indent=1))
    if results:
        console.print(table(results))
    if comparisons:
        console.print(comparison_table(comparisons))
    console.print(machine)
    for bar in judged:
        console.print(str(bar))
    return 0


if __name__ == "__main__":
    sys.exit(main())
