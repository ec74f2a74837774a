"""What the kernels save a study: `python benchmarks/study_backend.py [--steps 100] [--json FILE]`.

The runs of `make study` (the bundled page views; depths 1 to 4, both directions, a GRU) train in turn with
every stack on our kernels and with every stack on torch's operators, with the same seed and steps.
Nothing is reported where their validation scores part. The last line is the ratio of all their seconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partialmethod
from pathlib import Path
from unittest.mock import patch

import torch
from rich.console import Console
from rich.table import Table

from lamina.data.sources import load_series
from lamina.nn.stack import Stack
from lamina.study.bench import Job, Settings
from lamina.study.forecast_bench import ForecastBench
from lamina.study.space import Design

NAME, HORIZON = "wikipedia_views", 30
BACKENDS = ("aten", "native")
TOLERANCE = 0.05
"""Of validation scores, relative: rounding grows along the steps of the optimiser."""


@dataclass(frozen=True)
class Line:
    """Median seconds of one design's training on either backend."""

    design: str
    aten_s: float
    native_s: float

    @property
    def ratio(self) -> float:
        return self.aten_s / self.native_s


def designs() -> list[Design]:
    base = Design()
    deeper = [replace(base, layers=layers) for layers in (1, 2, 3, 4)]
    return [*deeper, replace(base, layers=2, direction="both"), replace(base, layers=2, cell="gru")]


@contextmanager
def every_stack_on(backend: str) -> Iterator[None]:
    """Within it a stack refuses to run on anything else."""
    with patch.object(Stack, "forward", partialmethod(Stack.forward, backend=backend)):
        yield


def measure(bench: ForecastBench, design: Design, *, steps: int, rounds: int) -> Line:
    seconds: dict[str, list[float]] = {backend: [] for backend in BACKENDS}
    scores: dict[str, float] = {}
    for number in range(rounds + 1):
        for backend in BACKENDS:
            job = Job(design, Settings(0.004, 0.1), seed=0, max_steps=steps, max_seconds=600.0)
            with every_stack_on(backend):
                run = bench.train(job)
            scores[backend] = run.score
            if number:  # the first round warms up
                seconds[backend].append(run.seconds)
    apart = abs(scores["native"] / scores["aten"] - 1)
    if not apart <= TOLERANCE:
        raise SystemExit(f"{design.label}: the scores part by {apart:.1%}: nothing is reported")
    return Line(design.label, *(statistics.median(seconds[backend]) for backend in BACKENDS))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", type=int, default=100, help="of the optimiser a run (default 100)")
    parser.add_argument("--rounds", type=int, default=3, help="of both backends in turn (default 3)")
    parser.add_argument(
        "--threads", type=int, default=1, help="a run of a study has one (default 1), for each core a run"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)

    bench = ForecastBench(load_series(NAME), horizon=HORIZON, metric="mase", path=NAME)
    lines = [measure(bench, design, steps=options.steps, rounds=options.rounds) for design in designs()]
    table = Table("design", "torch's operators s", "our kernels s", "ratio")
    for line in lines:
        table.add_row(line.design, f"{line.aten_s:.2f}", f"{line.native_s:.2f}", f"{line.ratio:.2f}")
    total = sum(line.aten_s for line in lines) / sum(line.native_s for line in lines)
    console = Console(width=100)
    console.print(table)
    console.print(f"all runs together: {total:.2f} times as fast on our kernels")
    if options.json is not None:
        options.json.write_text(
            json.dumps(
                {"ratio": total, "steps": options.steps, "lines": [asdict(x) for x in lines]}, indent=1
            )
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
