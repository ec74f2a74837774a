"""How accurate the defaults are beside neuralforecast's: `python benchmarks/accuracy.py --data-folder DIR`.

Lamina runs with default settings. neuralforecast's LSTM and NHITS then train on the same rows, in the same
process, with the same threads and for the same wall time, seed by seed in turn. Their defaults hold except
for scaler and window: the better of two settings is taken by its score on the validation part, each after
half that time. NHITS halves its learning rate over its time as it would over its steps.

M4 hourly and tourism monthly: every method learns from all rows before the test part and forecasts it once,
series by series; MASE with the seasonal difference of those rows. ETTh1: the published twelve, four and four
months; the first twelve teach, the next four only stop our training early, and every window of the last four
is scored, by the MSE of channels standardised over the first twelve. JapaneseVowels: the published parts;
neuralforecast does not classify. The test part decides nothing here but the numbers printed.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import logging
import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from lamina.data.series import SeriesTable
from lamina.data.sources import (
    FOLDER_VARIABLE,
    LabelledParts,
    SeriesSource,
    find_source,
    load_labelled,
    load_series,
)
from lamina.data.splits import Cuts
from lamina.data.windows import Part, Windows, evaluation_windows
from lamina.errors import ConfigError, LaminaError, MissingPackageError, did_you_mean
from lamina.estimators.classifier import DEFAULT_TRAINING as CLASSIFIER_TRAINING
from lamina.estimators.classifier import SequenceClassifier
from lamina.estimators.forecaster import DEFAULT_TRAINING as FORECASTER_TRAINING
from lamina.estimators.forecaster import Forecaster
from lamina.metrics import mase, mase_scale, mse
from lamina.training.history import History
from lamina.training.optim import TrainingConfig

Array = NDArray[np.float64]
QUICK_STEPS = 30
UNBOUNDED = 1_000_000  # steps; the clock ends the training of a peer


@dataclass(frozen=True)
class Bar:
    """What the median over the seeds must reach."""

    metric: str
    limit: float
    higher_is_better: bool = False

    def reached(self, score: float) -> bool:
        return score >= self.limit if self.higher_is_better else score <= self.limit


BARS = {
    "m4_hourly": Bar("MASE", 1.00),
    "ETTh1_multivariate": Bar("MSE", 0.40),
    "tourism_monthly": Bar("MASE", 1.50),
    "JapaneseVowels": Bar("accuracy", 0.96, higher_is_better=True),
}


@dataclass(frozen=True)
class Run:
    """One training of one method and its score on the test part."""

    method: str
    setting: str
    seed: int
    score: float
    seconds: float
    steps: int


@dataclass(frozen=True)
class Problem:
    """A forecasting set with its published split and score.

    Args:
        table: all rows.
        cuts: the parts.
        metric: MASE or MSE.
        validation_teaches: the validation rows are learned from too, before the test part is forecast.
    """

    table: SeriesTable
    cuts: Cuts
    metric: str
    validation_teaches: bool

    @classmethod
    def load(cls, name: str, folder: Path | None) -> Problem:
        source, table = find_source(name), load_series(name, folder)
        assert isinstance(source, SeriesSource)
        cuts = source.cuts(table)
        if BARS[name].metric == "MSE":
            return cls(standardized(table, cuts), cuts, "MSE", validation_teaches=False)
        return cls(table, cuts, "MASE", validation_teaches=True)

    @property
    def season(self) -> int:
        return self.table.frequency.season

    def rows(self, part: Part) -> tuple[SeriesTable, SeriesTable]:
        """What may be learned from before ``part`` is forecast, and all rows to the end of that part."""
        cuts = self.cuts
        if part == "validation":
            return before(self.table, cuts.train_end), before(self.table, cuts.validation_end)
        taught = cuts.validation_end if self.validation_teaches else cuts.train_end
        return before(self.table, taught), before(self.table, cuts.end)

    def stride(self, part: Part) -> int:
        """Rows between the windows of ``part`` that are scored: every one of the test part."""
        return 1 if part == "test" else max(1, self.cuts.horizon // 4)

    def windows(self, part: Part, *, input_size: int) -> Windows:
        """What is scored, in order of series, then of time."""
        return evaluation_windows(
            self.table,
            self.cuts,
            part=part,
            input_size=input_size,
            horizon=self.cuts.horizon,
            stride=self.stride(part),
        )

    def score(self, forecast: Array, part: Part) -> float:
        """The metric over all ``windows`` of ``part``; (windows, horizon)."""
        windows = self.windows(part, input_size=1)
        truth = windows.batch(slice(None)).target
        assert truth.shape == forecast.shape
        if self.metric == "MSE":
            return mse(truth, forecast)
        known = self.cuts.validation_end if part == "test" else self.cuts.train_end
        scales = mase_scale(self.table, replace(self.cuts, train_end=known), self.season)
        return mase(truth, forecast, scales[windows.series][:, None])


def before(table: SeriesTable, ends: NDArray[np.int64]) -> SeriesTable:
    """The first rows of every series."""
    return table.keep(np.zeros_like(ends), ends)


def standardized(table: SeriesTable, cuts: Cuts) -> SeriesTable:
    """Every series less its mean and over its deviation in the training part."""
    y = table.y.copy()
    for start, stop, rows in zip(table.starts[:-1], table.starts[1:], cuts.train_end, strict=True):
        taught = y[start : start + rows]
        y[start:stop] = (y[start:stop] - np.nanmean(taught)) / np.nanstd(taught)
    return replace(table, y=y)


def seasonal_naive(problem: Problem, part: Part) -> Array:
    """The last season again and again, (windows, horizon)."""
    horizon, season = problem.cuts.horizon, problem.season
    windows = problem.windows(part, input_size=season)
    past = windows.batch(slice(None)).past_y  # (windows, season)
    return np.tile(past, -(-horizon // season))[:, :horizon]


def steps_of(history: History) -> int:
    return history.steps[-1]


def run_forecaster(problem: Problem, seed: int, training: TrainingConfig | None) -> Run:
    """Train the default Forecaster and score it on the test part."""
    horizon = problem.cuts.horizon
    model = Forecaster(horizon, seed=seed, training=training)
    begin = time.perf_counter()
    if problem.validation_teaches:
        model.fit_known(problem.rows("test")[0])
        steps = steps_of(model.history_) + model.history_.best_step
    else:
        model.fit_table(problem.table, problem.cuts)
        steps = steps_of(model.history_)
    seconds = time.perf_counter() - begin
    windows = problem.windows("test", input_size=model.config_.input_size)
    median = model.predict_windows(windows)[..., model.config_.quantiles.index(0.5)]
    return Run("lamina", "default", seed, problem.score(median, "test"), seconds, steps)


def run_classifier(parts: LabelledParts, seed: int, training: TrainingConfig | None) -> Run:
    """Train the default SequenceClassifier and score it on the test part."""
    train, test = parts
    labels = [train.classes[code] for code in train.labels]
    model = SequenceClassifier(seed=seed, training=training)
    begin = time.perf_counter()
    model.fit([train[i] for i in range(len(train))], labels)
    seconds = time.perf_counter() - begin
    right = model.predict([test[i] for i in range(len(test))]) == np.array(test.classes)[test.labels]
    return Run("lamina", "default", seed, float(right.mean()), seconds, steps_of(model.history_))


@dataclass(frozen=True)
class Setting:
    """How a peer is set up where its defaults do not fit: its window and how it scales one."""

    input_size: int
    scaler_type: str

    def __str__(self) -> str:
        return f"input_size={self.input_size}, scaler_type={self.scaler_type}"


class Clock:
    """Ends a training of Lightning after ``seconds`` from now, counts its steps, and sets its rate.

    The models decay their rate over ``max_steps``, which a limit in seconds leaves unknown; the clock keeps
    that shape over time: halved after each 1 / ``halvings`` of it.
    """

    def __init__(self, seconds: float, halvings: int) -> None:
        self.seconds, self.halvings, self.steps = seconds, halvings, 0
        self.begin = time.perf_counter()

    def __deepcopy__(self, memo: object) -> Clock:
        return self  # neuralforecast trains a copy of the model that it is given

    def after_step(self, trainer: Any, *_: Any) -> None:
        """Lightning's ``on_train_batch_end``."""
        self.steps += 1
        share = (time.perf_counter() - self.begin) / self.seconds
        trainer.should_stop = share >= 1
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = group["initial_lr"] * 0.5 ** int(self.halvings * min(share, 1.0))


@dataclass(frozen=True)
class Peer:
    """A model of neuralforecast.

    Args:
        name: of its class.
        halvings: of its learning rate over a training, as is its default.
        settings: to choose from, by horizon, shortest and longest season.
    """

    name: str
    halvings: int
    settings: Callable[[int, int, int], tuple[Setting, Setting]]

    def train(self, problem: Problem, part: Part, setting: Setting, *, seconds: float, seed: int) -> Run:
        """Train for ``seconds``, start-up included, and score ``part``."""
        library = importlib.import_module("neuralforecast")
        taught, whole = problem.rows(part)
        whole_windows = bool(taught.lengths.min() >= setting.input_size + problem.cuts.horizon)
        callback = importlib.import_module("pytorch_lightning.callbacks").LambdaCallback
        clock = Clock(seconds, self.halvings)
        model = getattr(importlib.import_module("neuralforecast.models"), self.name)(
            h=problem.cuts.horizon,
            input_size=setting.input_size,
            scaler_type=setting.scaler_type,
            start_padding_enabled=not whole_windows,
            max_steps=UNBOUNDED,
            val_check_steps=UNBOUNDED,
            random_seed=seed,
            callbacks=[callback(on_train_batch_end=clock.after_step)],
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
        )
        wrapper = library.NeuralForecast(models=[model], freq=1)
        wrapper.fit(counted_frame(taught))
        spent = time.perf_counter() - clock.begin
        cuts = problem.cuts
        ahead = cuts.end - cuts.validation_end if part == "test" else cuts.validation_end - cuts.train_end
        answers = wrapper.cross_validation(
            counted_frame(whole),
            n_windows=None,
            test_size=int(ahead[0]),
            step_size=problem.stride(part),
            use_fitted=True,
        )
        ordered = answers.sort("unique_id", "cutoff", "ds")[self.name].to_numpy()
        forecast = ordered.reshape(-1, problem.cuts.horizon).astype(np.float64)
        return Run(self.name, str(setting), seed, problem.score(forecast, part), spent, clock.steps)

    def choose(self, problem: Problem, *, seconds: float) -> tuple[Setting, list[Run]]:
        """The setting with the better validation score, and both runs."""
        seasons = problem.table.frequency.seasons
        tried = self.settings(problem.cuts.horizon, min(seasons), max(seasons))
        runs = [self.train(problem, "validation", setting, seconds=seconds, seed=0) for setting in tried]
        return tried[int(np.argmin([run.score for run in runs]))], runs


def lstm_settings(horizon: int, shortest: int, _: int) -> tuple[Setting, Setting]:
    """Two horizons, or five short seasons where that is more; its steps cost by length, so not more."""
    return Setting(2 * horizon, "standard"), Setting(max(2 * horizon, 5 * shortest), "robust")


def nhits_settings(horizon: int, _: int, longest: int) -> tuple[Setting, Setting]:
    """Five horizons, or two of the longest season (two horizons where these are more)."""
    return Setting(5 * horizon, "robust"), Setting(2 * max(horizon, longest), "standard")


PEERS = (
    Peer("LSTM", halvings=0, settings=lstm_settings),
    Peer("NHITS", halvings=3, settings=nhits_settings),
)


def counted_frame(table: SeriesTable) -> pl.DataFrame:
    """unique_id, ds, y, with series and rows counted, so that neuralforecast keeps the order of the table."""
    ds = np.concatenate([np.arange(rows) for rows in table.lengths])
    return pl.DataFrame({"unique_id": table.series_of_row, "ds": ds, "y": table.y})


def run_forecasts(
    name: str, folder: Path | None, *, seeds: int, peers: Sequence[Peer], training: TrainingConfig | None
) -> Iterator[tuple[str, Run]]:
    """Every run on a forecasting set, with the part it was scored on, as it ends."""
    problem = Problem.load(name, folder)
    naive = problem.score(seasonal_naive(problem, "test"), "test")
    yield "test", Run("seasonal naive", f"season {problem.season}", 0, naive, 0.0, 0)
    chosen: dict[str, Setting] = {}
    for seed in range(seeds):
        ours = run_forecaster(problem, seed, training)
        yield "test", ours
        for peer in peers:
            if peer.name not in chosen:
                chosen[peer.name], tried = peer.choose(problem, seconds=ours.seconds / 2)
                yield from (("validation", run) for run in tried)
            setting = chosen[peer.name]
            yield "test", peer.train(problem, "test", setting, seconds=ours.seconds, seed=seed)


def run_classification(
    name: str, folder: Path | None, *, seeds: int, training: TrainingConfig | None
) -> Iterator[tuple[str, Run]]:
    """Every run on a classification set."""
    parts = load_labelled(name, folder)
    for seed in range(seeds):
        yield "test", run_classifier(parts, seed, training)


@dataclass(frozen=True)
class Summary:
    """One line of the table: a method on a set, over the seeds."""

    data: str
    method: str
    setting: str
    metric: str
    median: float
    lowest: float
    highest: float
    seconds: float
    steps: int
    runs: int


def summarize(data: str, runs: Sequence[Run]) -> list[Summary]:
    """Medians and ranges of each method, in the order in which they ran."""
    lines = []
    for method in dict.fromkeys(run.method for run in runs):
        own = [run for run in runs if run.method == method]
        scores = [run.score for run in own]
        lines.append(
            Summary(
                data=data,
                method=method,
                setting=own[0].setting,
                metric=BARS[data].metric,
                median=statistics.median(scores),
                lowest=min(scores),
                highest=max(scores),
                seconds=statistics.median(run.seconds for run in own),
                steps=int(statistics.median(run.steps for run in own)),
                runs=len(own),
            )
        )
    return lines


def verdicts(lines: Sequence[Summary]) -> dict[str, dict[str, Any]]:
    """Of each set: whether our median reaches the bar, and whether it is behind neuralforecast's LSTM."""
    found: dict[str, dict[str, Any]] = {}
    for ours in (line for line in lines if line.method == "lamina"):
        bar = BARS[ours.data]
        rival = next((line for line in lines if line.data == ours.data and line.method == "LSTM"), None)
        found[ours.data] = {
            "bar": bar.limit,
            "median": ours.median,
            "reached": bar.reached(ours.median),
            "behind_lstm": rival and not replace(bar, limit=rival.median).reached(ours.median),
        }
    return found


def make_table(lines: Sequence[Summary]) -> Table:
    table = Table(
        "data", "method", "setting", "metric", "median", "lowest to highest", "train s", "steps", "runs"
    )
    for line in lines:
        table.add_row(
            line.data, line.method, line.setting, line.metric, f"{line.median:.3f}",
            f"{line.lowest:.3f} to {line.highest:.3f}", f"{line.seconds:.1f}", str(line.steps),
            str(line.runs),
        )  # fmt: skip
    return table


def sentence(data: str, verdict: dict[str, Any]) -> str:
    """The verdict of one set in words.

    >>> sentence("JapaneseVowels", {"bar": 0.96, "median": 0.97, "reached": True, "behind_lstm": None})
    'JapaneseVowels: pass, accuracy 0.970 (bar: at least 0.96)'
    """
    bar = BARS[data]
    limit = f"at {'least' if bar.higher_is_better else 'most'} {bar.limit:g}"
    rival = {None: "", True: "; behind neuralforecast's LSTM", False: "; not behind neuralforecast's LSTM"}
    passed = verdict["reached"] and not verdict["behind_lstm"]
    return (
        f"{data}: {'pass' if passed else 'FAIL'}, {bar.metric} {verdict['median']:.3f} (bar: {limit})"
        f"{rival[verdict['behind_lstm']]}"
    )


def describe_environment(threads: int, *, peers: bool) -> dict[str, Any]:
    packages = ["lamina", "torch", "numpy", *(["neuralforecast", "pytorch-lightning"] if peers else [])]
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": threads,
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {package: version(package) for package in packages},
    }


def parse_names(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in BARS:
            raise ConfigError(
                f"--only takes sets of {', '.join(BARS)}, but one is '{name}'{did_you_mean(name, BARS)}"
            )
    return names


def import_peers() -> None:
    """Import what the peers need before one is timed, and keep Lightning's greetings out of the table.

    Raises:
        MissingPackageError: neuralforecast is not installed.
    """
    if importlib.util.find_spec("neuralforecast") is None:
        raise MissingPackageError(
            "neuralforecast is needed for the comparison and is not installed. Run "
            "pip install -c constraints.txt -r benchmarks/requirements-peers.txt, or leave it out with "
            "--no-peers."
        )
    importlib.import_module("neuralforecast")
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning|neuralforecast")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--data-folder", type=Path, help=f"of the published files (default: {FOLDER_VARIABLE})"
    )
    parser.add_argument("--only", default=",".join(BARS), metavar="SET,...", help=f"of {', '.join(BARS)}")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each method (default 3)")
    parser.add_argument("--threads", type=int, default=2, help="of torch, for every method (default 2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run there too")
    parser.add_argument("--no-peers", action="store_true", help="leave neuralforecast out")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"{QUICK_STEPS} steps and one seed: shows that it runs, judges nothing",
    )
    return parser.parse_args(arguments)


def measure(options: argparse.Namespace, tell: Callable[[str], None]) -> dict[str, Any]:
    """Run what was asked for; the content of the JSON file."""
    names = parse_names(options.only)
    peers = () if options.no_peers else PEERS
    if peers:
        import_peers()
    environment = describe_environment(options.threads, peers=bool(peers))
    seeds = 1 if options.quick else options.seeds
    runs: list[dict[str, Any]] = []
    lines: list[Summary] = []
    for name in names:
        if find_source(name).task == "classify":
            training = CLASSIFIER_TRAINING.replace(max_steps=QUICK_STEPS) if options.quick else None
            found = run_classification(name, options.data_folder, seeds=seeds, training=training)
        else:
            training = FORECASTER_TRAINING.replace(max_steps=QUICK_STEPS) if options.quick else None
            found = run_forecasts(name, options.data_folder, seeds=seeds, peers=peers, training=training)
        tested = []
        for part, run in found:
            tell(
                f"{name}: {run.method} ({run.setting}), seed {run.seed}: {part} {BARS[name].metric} "
                f"{run.score:.3f} after {run.seconds:.1f} s, {run.steps} steps"
            )
            runs.append({"data": name, "part": part, **asdict(run)})
            tested += [run] if part == "test" else []
        lines += summarize(name, tested)
    return {
        "schema": 1,
        "quick": options.quick,
        "environment": environment,
        "summary": [asdict(line) for line in lines],
        "verdicts": {} if options.quick else verdicts(lines),
        "runs": runs,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    console = Console(width=150)
    torch.set_num_threads(options.threads)
    try:
        report = measure(options, lambda line: console.print(line, highlight=False))
    except LaminaError as error:
        console.print(f"{error}", highlight=False, markup=False)
        return 2
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    console.print(make_table([Summary(**line) for line in report["summary"]]))
    console.print(report["environment"])
    for data, verdict in report["verdicts"].items():
        console.print(sentence(data, verdict), highlight=False)
    if options.quick:
        console.print("quick: too few steps to judge by")
    return 0 if all(v["reached"] and not v["behind_lstm"] for v in report["verdicts"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
