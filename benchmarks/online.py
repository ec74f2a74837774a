"""How good and how fast the online learners are: `python benchmarks/online.py --data-folder DIR`.

Every stream is evaluated progressively (predict, score, then learn) with default settings. Elec2 is
classified from the inputs of its own row; every series is forecast one step ahead from its past alone, pm2.5
also from the weather of the hour before. Beside each score stands "no change" and, where the peers are asked
for, river's and deep-river's models with their defaults; of AirPassengers these can forecast rows 27 to 144
alone, on which ours is scored once more ("lamina, as peers"). Defaults were chosen on other streams and on
the first third of Elec2, as docs/online.md tells. The part "coverage" trains a small Forecaster on the first
rows of two series and lets its adaptive intervals follow the others.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import math
import os
import platform
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import numpy as np
import online_peers as peers
import polars as pl
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from lamina.data.sources import FOLDER_VARIABLE
from lamina.estimators.forecaster import Forecaster
from lamina.metrics import smape
from lamina.nn.stack import StackConfig
from lamina.streaming.adaptive import AdaptiveIntervals
from lamina.streaming.drift import Detector
from lamina.streaming.forecast_session import ForecastSession
from lamina.streaming.online import OnlineClassifier, OnlineForecaster
from lamina.streaming.progressive import Evaluation, Learner, SeriesLearner, evaluate
from lamina.training.optim import TrainingConfig

Array = NDArray[np.float64]

CLASSIC = {
    "airline-passengers": 1,
    "daily-min-temperatures": 1,
    "daily-total-female-births": 1,
    "monthly-sunspots": 1,
    "shampoo": 1,
    "taylor": 0,
}
WORST_RATIO = 1.02
QUICK_ROWS = 3000
COVERAGE_ROWS = 500
COVERED = {"taylor": 2016, "beijing_pm25": 35_064}
"""Series of the part "coverage", and on how many of their first rows the Forecaster is trained."""


@dataclass(frozen=True)
class Stream:
    """A series, and what is known of each row before its value."""

    name: str
    values: list[float]
    inputs: list[dict[str, float]]


@dataclass(frozen=True)
class Line:
    """One learner on one stream.

    Attributes:
        ratio: its error over no change's.
        windows_below: share of all windows of 2,000 rows in which it is worse than no change.
        coverage, coverage_lowest, coverage_highest: of 90 % intervals, over all rows and over any 500.
        rows_per_s, rows_per_cpu_s: by the clock, and by what the processor spent on this program.
        weights: share of each expert at the end, the largest first.
        drifts: rows at which a change was noticed.
    """

    stream: str
    learner: str
    rows: int
    metric: str
    score: float
    no_change: float
    ratio: float
    rmse_ratio: float | None = None
    smape: float | None = None
    windows_below: float | None = None
    coverage: float | None = None
    coverage_lowest: float | None = None
    coverage_highest: float | None = None
    rows_per_s: float | None = None
    rows_per_cpu_s: float | None = None
    bytes: int | None = None
    bound_bytes: int | None = None
    weights: dict[str, float] = field(default_factory=dict)
    drifts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Cover:
    """The coverage of 90 % intervals of a trained model, over all rows and over any 500."""

    stream: str
    intervals: str
    rows: int
    coverage: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class Bar:
    """A figure that the project holds itself to."""

    name: str
    asked: str
    reached: str
    met: bool


def elec2(folder: Path, most: int | None) -> list[tuple[dict[str, float], int]]:
    """Inputs and class of each half-hour."""
    with gzip.open(folder / "elec2" / "elec.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))[:most]
    return [({k: float(v) for k, v in row.items() if k != "class"}, int(row["class"])) for row in rows]


def series(folder: Path, *, quick: bool) -> Iterator[Stream]:
    """The series of the floor; quick: the classic ones and the first rows of three others."""
    for name, column in CLASSIC.items():
        yield _alone(name, _column(_text(folder / "classic_series" / f"{name}.csv.gz"), column))
    rows = list(csv.DictReader(io.StringIO(_text(folder / "beijing_pm25" / "pollution.csv.gz"))))
    weather = [{k: float(row[k]) for k in ("DEWP", "TEMP", "PRES", "Iws", "Is", "Ir")} for row in rows]
    known: list[dict[str, float]] = [{}, *weather[:-1]]
    yield Stream("beijing_pm25", [_float(row["pm2.5"]) for row in rows], known)
    prices = _column(_text(folder / "sp500" / "sp500-2000.csv.gz"), 4)
    yield _alone("sp500 (log close)", [math.log(price) for price in prices])
    with zipfile.ZipFile(folder / "nab" / "nab.zip") as archive:
        names = [name for name in archive.namelist() if name.startswith("data/real")]
        for name in names[::20] if quick else names:
            yield _alone(name[len("data/") : -len(".csv")], _column(archive.read(name).decode(), 1))


def _alone(name: str, values: list[float]) -> Stream:
    return Stream(name, values, [{}] * len(values))


def _text(path: Path) -> str:
    with gzip.open(path, "rt") as file:
        return file.read()


def _column(text: str, column: int) -> list[float]:
    return [_float(row[column]) for row in list(csv.reader(io.StringIO(text)))[1:] if len(row) > column]


def _float(text: str) -> float:
    return math.nan if text == "NA" else float(text.strip("?"))


def judged(learner: Learner, rows: Sequence[Any], metric: Any) -> tuple[Line, list[Any]]:
    """What every line tells of a learner, and what it said of each row."""
    said: list[Any] = []
    begin = time.process_time()
    found: Evaluation = evaluate(learner, rows, metric=metric, seen=lambda _, each: said.append(each))
    seconds = time.process_time() - begin
    error, trivial = found.score, found.no_change
    if metric == "accuracy":
        error, trivial = 1 - error, 1 - trivial
    line = Line(
        stream="",
        learner="",
        rows=found.rows,
        metric=metric,
        score=found.score,
        no_change=found.no_change,
        ratio=error / trivial,
        rows_per_s=found.rows_per_s,
        rows_per_cpu_s=found.rows / seconds,
        bytes=found.nbytes or None,
        bound_bytes=found.bound_bytes or None,
        weights=dict(sorted(found.weights.items(), key=lambda item: -item[1])),
        drifts=found.drifts,
    )
    return line, said


def classify(name: str, learner: Learner, rows: list[tuple[dict[str, float], int]]) -> Line:
    """Accuracy, and the share of all windows of 2,000 rows that stay below no change."""
    line, said = judged(learner, rows, "accuracy")
    truth = np.array([y for _, y in rows])
    right = np.array([each == y for each, (_, y) in zip(said, rows, strict=True)])[1:]
    same = truth[1:] == truth[:-1]
    window = min(2000, len(right))
    lead = np.convolve(right.astype(float) - same, np.ones(window), "valid")
    return replace(line, stream="elec2", learner=name, windows_below=float((lead < -0.5).mean()))


def forecast(name: str, learner: Learner, stream: Stream) -> Line:
    """Errors of one-step forecasts, and the coverage of adaptive intervals around them."""
    first = next(row for row, value in enumerate(stream.values) if not math.isnan(value))
    values, inputs = stream.values[first:], stream.inputs[first:]
    line, found = judged(learner, list(zip(inputs, values, strict=True)), "mae")
    truth = np.array(values)
    said = np.array([math.nan if each is None else each for each in found])
    known = ~np.isnan(truth)
    before = truth[known][:-1]
    truth, said = truth[known][1:], said[known][1:]
    answered = ~np.isnan(said)  # the peers' forecasters are silent at first
    truth, said, before = truth[answered], said[answered], before[answered]
    share, lowest, highest = rolling(_inside(truth, said))
    return replace(
        line,
        stream=stream.name,
        learner=name,
        rmse_ratio=float(np.sqrt(np.mean((said - truth) ** 2) / np.mean((before - truth) ** 2))),
        smape=smape(truth, said),
        coverage=share,
        coverage_lowest=lowest,
        coverage_highest=highest,
    )


def rolling(inside: Array) -> tuple[float, float, float]:
    """The share over all rows, and the lowest and highest over as many as a bar speaks of."""
    window = min(COVERAGE_ROWS, len(inside))
    shares = np.convolve(inside, np.ones(window) / window, "valid")
    return float(inside.mean()), float(shares.min()), float(shares.max())


def _inside(truth: Array, said: Array) -> Array:
    """Whether each value lay in its 90 % interval, 1 or 0; those before there is one are left out."""
    intervals = AdaptiveIntervals(0.9)
    inside = []
    for value, expected in zip(truth.tolist(), said.tolist(), strict=True):
        if intervals.ready:
            low, high = intervals.around(expected)
            inside.append(float(low <= value <= high))
        intervals.learn(expected, value)
    return np.array(inside)


def cover(stream: Stream, training_rows: int, *, quick: bool) -> Iterator[Cover]:
    """Train a Forecaster of one step, then let two sessions read the rows after: as trained, and adaptive."""
    names = sorted({name for x in stream.inputs for name in x})
    columns = {name: [x.get(name, 0.0) for x in stream.inputs] for name in names}
    table = pl.DataFrame({"y": [None if math.isnan(y) else y for y in stream.values], **columns})
    model = Forecaster(
        1,
        stack=StackConfig(cell="gru", hidden_sizes=(32,)),
        training=TrainingConfig(max_steps=30 if quick else 200),
    ).fit(table[:training_rows])
    rows = table[training_rows : training_rows + QUICK_ROWS if quick else None].to_dicts()
    for name, session in (("as trained", model.stream()), ("adaptive", model.stream(adaptive=[90]))):
        assert isinstance(session, ForecastSession)
        inside = []
        said = session.forecast()
        for row in rows:
            if said is not None and row["y"] is not None:
                low, high = said.interval(90)
                inside.append(float(low[0] <= row["y"] <= high[0]))
            said = session.step(row)
        yield Cover(stream.name, name, len(inside), *rolling(np.array(inside)))


@dataclass(frozen=True)
class Plan:
    """What is to be measured.

    Attributes:
        folder: of the data.
        only: words of which a stream's name holds one; none for all streams.
        quick: few rows.
        peers: whether others' models learn too.
        depth, drift: of our learners.
    """

    folder: Path
    only: tuple[str, ...]
    quick: bool
    peers: bool
    depth: int
    drift: Detector | None

    def wants(self, name: str) -> bool:
        """Whether a stream is to be measured."""
        return not self.only or any(word in name for word in self.only)


def measure(plan: Plan, console: Console) -> tuple[list[Line], list[Cover]]:
    """Every learner on every stream that is asked for."""
    lines: list[Line] = []
    covers: list[Cover] = []

    def keep(line: Line) -> None:
        lines.append(line)
        console.print(
            f"{line.stream:55s} {line.learner:20s} {line.score:.4g} (no change {line.no_change:.4g})"
        )

    if plan.wants("elec2"):
        rows = elec2(plan.folder, QUICK_ROWS if plan.quick else None)
        evaluate(OnlineClassifier(depth=plan.depth), rows[:300])  # torch's first update is no part of a rate
        keep(classify("lamina", OnlineClassifier(depth=plan.depth, drift=plan.drift), rows))
        for name, make in (peers.classifiers(len(rows[0][0])) if plan.peers else {}).items():
            keep(classify(name, make(), rows))
    for whole in series(plan.folder, quick=plan.quick):
        if plan.wants("coverage") and whole.name in COVERED:
            covers += cover(whole, COVERED[whole.name], quick=plan.quick)
        if not plan.wants(whole.name):
            continue
        most = QUICK_ROWS if plan.quick else None
        stream = Stream(whole.name, whole.values[:most], whole.inputs[:most])
        ours = SeriesLearner(OnlineForecaster(depth=plan.depth, drift=plan.drift))
        keep(forecast("lamina", ours, stream))
        if plan.peers and stream.name == "airline-passengers":
            same = {"lamina, as peers": lambda: OnlineForecaster(depth=plan.depth, drift=plan.drift)}
            for name, make in {**same, **peers.forecasters()}.items():
                keep(forecast(name, peers.SilentAtFirst(make()), stream))
    return lines, covers


def bars(lines: list[Line], covers: list[Cover]) -> Iterator[Bar]:
    """What the project asks of itself, as far as it was measured."""
    ours = {line.stream: line for line in lines if line.learner == "lamina"}
    if "elec2" in ours:
        line = ours["elec2"]
        below, rate = line.windows_below or 0.0, line.rows_per_cpu_s or 0.0
        yield Bar("Elec2 accuracy", ">= 0.90", f"{line.score:.4f}", line.score >= 0.9)
        yield Bar("Elec2 windows of 2,000 rows below no change", "<= 5 %", f"{below:.1%}", below <= 0.05)
        yield Bar("Elec2 rows a second of one core", ">= 5,000", f"{rate:,.0f}", rate >= 5000)
    if "airline-passengers" in ours:
        error = ours["airline-passengers"].smape or 0.0
        yield Bar("AirPassengers sMAPE, one step", "<= 11.4", f"{error:.2f}", error <= 11.4)
    if ours:
        worst = max(ours.values(), key=lambda line: line.ratio)
        reached = f"{worst.ratio:.3f} ({worst.stream})"
        yield Bar("error over no change's, worst stream", "<= 1.02", reached, worst.ratio <= WORST_RATIO)
    found = [
        Cover(line.stream, "online", line.rows, line.coverage, line.coverage_lowest, line.coverage_highest)
        for name in COVERED
        for line in [ours.get(name)]
        if line is not None
        and line.coverage is not None
        and line.coverage_lowest is not None
        and line.coverage_highest is not None
    ]
    for each in (*found, *(each for each in covers if each.intervals == "adaptive")):
        met = abs(each.coverage - 0.9) <= 0.015 and each.lowest >= 0.86 and each.highest <= 0.94
        reached = f"{each.coverage:.3f}, {each.lowest:.3f} to {each.highest:.3f}"
        name = f"coverage of 90 % on {each.stream}, {each.intervals}"
        yield Bar(name, "0.885 to 0.915, windows 0.86 to 0.94", reached, met)


def show(console: Console, lines: list[Line], covers: list[Cover], bars: list[Bar]) -> None:
    """The tables, and a line for each bar."""
    if lines:
        console.print(_table_of(lines))
    if covers:
        table = Table(
            "trained on the first rows of", "90 % intervals", "rows", "coverage", "over any 500 rows"
        )
        for each in covers:
            bounds = f"{each.lowest:.3f} to {each.highest:.3f}"
            table.add_row(each.stream, each.intervals, f"{each.rows:,}", f"{each.coverage:.3f}", bounds)
        console.print(table)
    for bar in bars:
        console.print(f"{'met' if bar.met else 'NOT MET':8s} {bar.name}: {bar.reached} (asked {bar.asked})")


def _table_of(lines: list[Line]) -> Table:
    names = [
        "rows",
        "score",
        "no change",
        "ratio",
        "rmse ratio",
        "coverage",
        "rows/s",
        "rows/CPU s",
        "drifts",
    ]
    table = Table("stream", "learner", *names, "most trusted")
    for line in lines:
        optional = [line.rmse_ratio, line.coverage]
        rates = [line.rows_per_s, line.rows_per_cpu_s]
        table.add_row(
            line.stream,
            line.learner,
            f"{line.rows:,}",
            f"{line.score:.4g}",
            f"{line.no_change:.4g}",
            f"{line.ratio:.3f}",
            *("" if value is None else f"{value:.3f}" for value in optional),
            *("" if value is None else f"{value:,.0f}" for value in rates),
            f"{len(line.drifts):,}" if line.weights else "",
            "".join(f"{name} {share:.0%}" for name, share in list(line.weights.items())[:1]),
        )
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data-folder", type=Path, help=f"default: {FOLDER_VARIABLE}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument("--quick", action="store_true", help="3,000 rows of some streams, under 60 s")
    parser.add_argument(
        "--only",
        default="",
        metavar="WORD,...",
        help="streams whose name holds a word, or the part: coverage",
    )
    parser.add_argument("--no-peers", action="store_true", help="without river's and deep-river's models")
    parser.add_argument("--depth", type=int, default=2, help="layers of the recurrent experts (default 2)")
    parser.add_argument("--drift", choices=get_args(Detector), help="detector of our learners (default none)")
    options = parser.parse_args(arguments)
    folder = options.data_folder or Path(os.environ.get(FOLDER_VARIABLE, "."))
    if not (folder / "elec2").is_dir():
        print(f"{folder} has no elec2; name the folder of the data with --data-folder", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    console = Console(width=180)
    only = tuple(word.strip() for word in options.only.split(",") if word.strip())
    plan = Plan(folder, only, options.quick, not options.no_peers, options.depth, options.drift)
    if plan.peers and not peers.has_deep_river():
        console.print("deep-river is not installed and is left out; benchmarks/README.md tells how to add it")
    lines, covers = measure(plan, console)
    if not lines and not covers:
        print(f"no stream has a name with {options.only}", file=sys.stderr)
        return 2
    found = list(bars(lines, covers))
    show(console, lines, covers, found)
    if options.json is not None:
        machine = {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "threads": 1,
            "load_average_1m": os.getloadavg()[0],
            "torch": torch.__version__,
            "river": version("river"),
        }
        report = {
            "machine": machine,
            "quick": options.quick,
            "bars": [asdict(bar) for bar in found],
            "lines": [asdict(line) for line in lines],
            "covers": [asdict(each) for each in covers],
        }
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0 if options.quick or all(bar.met for bar in found) else 1


if __name__ == "__main__":
    sys.exit(main())
