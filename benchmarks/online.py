"""How good and how fast the online learners are: `python benchmarks/online.py --data-folder DIR`.

Every stream is evaluated progressively (predict, score, then learn) with default settings. Elec2 is
classified from the inputs of its own row; every series is forecast one step ahead from its past alone, pm2.5
also from the weather of the hour before. Beside each score stands "no change" and, where the peers are asked
for, river's models with river's defaults. Defaults were chosen on other streams and on the first third of
Elec2, as docs/online.md tells.
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
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from lamina._optional import require
from lamina.data.sources import FOLDER_VARIABLE
from lamina.metrics import smape
from lamina.streaming.adaptive import AdaptiveIntervals
from lamina.streaming.online import OnlineClassifier, OnlineForecaster
from lamina.streaming.progressive import Evaluation, SeriesLearner, evaluate

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


@dataclass(frozen=True)
class Stream:
    """A series, and what is known of each row before its value."""

    name: str
    values: list[float]
    inputs: list[dict[str, float]]


@dataclass(frozen=True)
class Line:
    """One learner on one stream. ``ratio`` is its error over no change's; coverage is that of 90 %
    intervals."""

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
    bytes: int | None = None


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


class Recorder:
    """A learner that keeps what it forecast."""

    def __init__(self, learner: Any) -> None:
        self.learner = learner
        self.forecasts: list[float] = []

    def predict_one(self, x: Any) -> Any:
        found = self.learner.predict_one(x)
        self.forecasts.append(math.nan if found is None else found)
        return found

    def learn_one(self, x: Any, y: Any) -> None:
        self.learner.learn_one(x, y)


def classify(name: str, learner: Any, rows: list[tuple[dict[str, float], int]]) -> Line:
    """Accuracy, and the share of all windows of 2,000 rows that stay below no change."""
    recorder = Recorder(learner)
    found = evaluate(recorder, rows)
    truth = np.array([y for _, y in rows])
    right = np.array(recorder.forecasts[1:]) == truth[1:]
    same = truth[1:] == truth[:-1]
    window = min(2000, len(right))
    lead = np.convolve(right.astype(float) - same, np.ones(window), "valid")
    ours = isinstance(learner, OnlineClassifier)
    return Line(
        stream="elec2",
        learner=name,
        rows=found.rows,
        metric="accuracy",
        score=found.score,
        no_change=found.no_change,
        ratio=(1 - found.score) / (1 - found.no_change),
        windows_below=float((lead < -0.5).mean()),
        rows_per_s=found.rows_per_s,
        bytes=learner.nbytes if ours else None,
    )


def forecast(name: str, learner: Any, stream: Stream) -> Line:
    """Errors of one-step forecasts, and the coverage of adaptive intervals around them."""
    first = next(row for row, value in enumerate(stream.values) if not math.isnan(value))
    values, inputs = stream.values[first:], stream.inputs[first:]
    recorder = Recorder(learner)
    found: Evaluation = evaluate(recorder, zip(inputs, values, strict=True), metric="mae")
    truth, said = np.array(values), np.array(recorder.forecasts)
    known = ~np.isnan(truth)
    before = np.array(values)[known][:-1]
    truth, said = truth[known][1:], said[known][1:]
    answered = ~np.isnan(said)  # river's forecasters are silent at first
    truth, said, before = truth[answered], said[answered], before[answered]
    inside = _inside(truth, said)
    window = min(COVERAGE_ROWS, len(inside))
    rolling = np.convolve(inside, np.ones(window) / window, "valid")
    return Line(
        stream=stream.name,
        learner=name,
        rows=found.rows,
        metric="mae",
        score=found.score,
        no_change=found.no_change,
        ratio=found.score / found.no_change,
        rmse_ratio=float(np.sqrt(np.mean((said - truth) ** 2) / np.mean((before - truth) ** 2))),
        smape=smape(truth, said),
        coverage=float(inside.mean()),
        coverage_lowest=float(rolling.min()),
        coverage_highest=float(rolling.max()),
        rows_per_s=found.rows_per_s,
        bytes=learner.forecaster.nbytes if isinstance(learner.forecaster, OnlineForecaster) else None,
    )


def _inside(truth: Array, said: Array) -> Array:
    """Whether each value lay in its 90 % interval, 1 or 0."""
    intervals = AdaptiveIntervals(0.9)
    inside = np.zeros(len(truth))
    for row, (value, expected) in enumerate(zip(truth.tolist(), said.tolist(), strict=True)):
        low, high = intervals.around(expected)
        inside[row] = low <= value <= high
        intervals.learn(expected, value)
    return inside


def river_classifiers() -> dict[str, Callable[[], Any]]:
    """river's, with river's defaults; the linear one after a scaler, as river's documents have it."""
    forest, linear, tree = (
        require(f"river.{part}", extra="online") for part in ("forest", "linear_model", "tree")
    )
    scale = require("river.preprocessing", extra="online")
    return {
        "river ARF": lambda: forest.ARFClassifier(seed=0),
        "river ALMA": lambda: scale.StandardScaler() | linear.ALMAClassifier(),
        "river Hoeffding tree": tree.HoeffdingTreeClassifier,
    }


def river_forecasters() -> dict[str, Callable[[], Any]]:
    """river's, with the settings of its own airline example where a setting must be given."""
    models = require("river.time_series", extra="online")
    linear, scale = (require(f"river.{part}", extra="online") for part in ("linear_model", "preprocessing"))
    return {
        "river SNARIMAX": lambda: models.SNARIMAX(
            p=12, d=1, q=12, m=12, sd=1, regressor=scale.StandardScaler() | linear.LinearRegression()
        ),
        "river Holt-Winters": lambda: models.HoltWinters(
            alpha=0.3, beta=0.1, gamma=0.6, seasonality=12, multiplicative=True
        ),
    }


class RiverSeries:
    """river's forecasters as learners of rows, silent until they have seen enough to forecast."""

    def __init__(self, forecaster: Any) -> None:
        self.forecaster = forecaster
        self._rows = 0

    def predict_one(self, x: Any) -> float | None:
        del x
        if self._rows < 26:
            return None
        found = self.forecaster.forecast(1)[0]
        return float(found) if math.isfinite(found) else math.inf

    def learn_one(self, x: Any, y: float) -> None:
        del x
        self._rows += 1
        self.forecaster.learn_one(y)


def measure(folder: Path, *, quick: bool, peers: bool, depth: int, console: Console) -> list[Line]:
    """Every learner on every stream."""
    rows = elec2(folder, QUICK_ROWS if quick else None)
    classify("warm-up", OnlineClassifier(depth=depth), rows[:300])  # loading torch is no part of a rate
    lines = [classify("lamina", OnlineClassifier(depth=depth), rows)]
    console.print(_sentence(lines[-1]))
    if peers:
        for name, make in river_classifiers().items():
            lines.append(classify(name, make(), rows))
            console.print(_sentence(lines[-1]))
    for stream in series(folder, quick=quick):
        cut = Stream(stream.name, stream.values[:QUICK_ROWS], stream.inputs[:QUICK_ROWS]) if quick else stream
        lines.append(forecast("lamina", SeriesLearner(OnlineForecaster(depth=depth)), cut))
        console.print(_sentence(lines[-1]))
        if peers and stream.name == "airline-passengers":
            for name, make in river_forecasters().items():
                lines.append(forecast(name, RiverSeries(make()), cut))
                console.print(_sentence(lines[-1]))
    return lines


def _sentence(line: Line) -> str:
    return f"{line.stream:55s} {line.learner:20s} {line.score:.4g} (no change {line.no_change:.4g})"


def bars(lines: list[Line]) -> Iterator[Bar]:
    """What the project asks of itself."""
    ours = {line.stream: line for line in lines if line.learner == "lamina"}
    electricity, airline = ours["elec2"], ours["airline-passengers"]
    below = electricity.windows_below or 0.0
    rate = electricity.rows_per_s or 0.0
    yield Bar("Elec2 accuracy", ">= 0.90", f"{electricity.score:.4f}", electricity.score >= 0.9)
    yield Bar("Elec2 windows of 2,000 rows below no change", "<= 5 %", f"{below:.1%}", below <= 0.05)
    yield Bar("Elec2 rows a second", ">= 5,000", f"{rate:,.0f}", rate >= 5000)
    error = airline.smape or 0.0
    yield Bar("AirPassengers sMAPE, one step", "<= 11.4", f"{error:.2f}", error <= 11.4)
    worst = max(ours.values(), key=lambda line: line.ratio)
    reached = f"{worst.ratio:.3f} ({worst.stream})"
    yield Bar("error over no change's, worst stream", "<= 1.02", reached, worst.ratio <= WORST_RATIO)
    for name in ("taylor", "beijing_pm25"):
        line = ours[name]
        share, low, high = line.coverage or 0.0, line.coverage_lowest or 0.0, line.coverage_highest or 0.0
        met = abs(share - 0.9) <= 0.015 and low >= 0.86 and high <= 0.94
        reached = f"{share:.3f}, {low:.3f} to {high:.3f}"
        yield Bar(f"coverage of 90 % on {name}", "0.885 to 0.915, windows 0.86 to 0.94", reached, met)


def show(console: Console, lines: list[Line], judged: list[Bar]) -> None:
    """The table, and a line for each bar."""
    table = Table(
        "stream", "learner", "rows", "score", "no change", "ratio", "rmse ratio", "coverage", "rows/s"
    )
    for line in lines:
        optional = [line.rmse_ratio, line.coverage]
        table.add_row(
            line.stream,
            line.learner,
            f"{line.rows:,}",
            f"{line.score:.4g}",
            f"{line.no_change:.4g}",
            f"{line.ratio:.3f}",
            *("" if value is None else f"{value:.3f}" for value in optional),
            "" if line.rows_per_s is None else f"{line.rows_per_s:,.0f}",
        )
    console.print(table)
    for bar in judged:
        console.print(f"{'met' if bar.met else 'NOT MET':8s} {bar.name}: {bar.reached} (asked {bar.asked})")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data-folder", type=Path, help=f"default: {FOLDER_VARIABLE}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument("--quick", action="store_true", help="3,000 rows of some streams, under 60 s")
    parser.add_argument("--no-peers", action="store_true", help="without river's models")
    parser.add_argument("--depth", type=int, default=2, help="layers of the recurrent experts (default 2)")
    options = parser.parse_args(arguments)
    folder = options.data_folder or Path(os.environ.get(FOLDER_VARIABLE, "."))
    if not (folder / "elec2").is_dir():
        print(f"{folder} has no elec2; name the folder of the data with --data-folder", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    console = Console(width=160)
    lines = measure(
        folder, quick=options.quick, peers=not options.no_peers, depth=options.depth, console=console
    )
    judged = list(bars(lines))
    show(console, lines, judged)
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
            "bars": [asdict(bar) for bar in judged],
            "lines": [asdict(line) for line in lines],
        }
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0 if options.quick or all(bar.met for bar in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
