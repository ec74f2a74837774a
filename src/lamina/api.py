"""``lamina.study`` and what it returns: the one place where reading, studying and reporting meet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any, get_args

import numpy as np
import polars as pl

from lamina.data.labelled import labelled_sequences, split_labelled
from lamina.data.series import SeriesTable, read_series
from lamina.data.sources import SOURCES, LabelledSource, load_labelled, load_series
from lamina.data.splits import split_in_time
from lamina.data.ts_files import LABELLED_SUFFIXES, read_labelled
from lamina.errors import ConfigError, DataError, did_you_mean
from lamina.estimators.bert_classifier import BertClassifier
from lamina.estimators.classifier import SequenceClassifier
from lamina.estimators.forecaster import Forecaster
from lamina.estimators.load import load
from lamina.estimators.text_classifier import TextClassifier
from lamina.places import require_file
from lamina.study.bench import Bench
from lamina.study.budget import parse_duration
from lamina.study.checks import CheckResult, columns_to_leave_out, parse_allow
from lamina.study.classify_bench import ClassifyBench
from lamina.study.constraints import Limits, parse_size_mb
from lamina.study.forecast_bench import ForecastBench
from lamina.study.questions import FURTHER, parse_questions
from lamina.study.replay import Replay, replay
from lamina.study.run import RECORD, Quiet, StudyListener, require_place, run_study
from lamina.study.table_checks import column_leaks, constant_target
from lamina.study.text_bench import HELD_OUT, text_bench
from lamina.study.verdict import StudyRecord, Verdict
from lamina.tasks.forecast import PointMetric

REPORT = "report.html"
LEAST_SHARED_S = 60.0  # processes take some ten seconds of work to start
MOST_SHARED_ROWS = 500_000
METRICS: tuple[PointMetric, ...] = get_args(PointMetric)
STEPS = {
    "1h": "hourly",
    "1d": "daily",
    "1w": "weekly",
    "1mo": "monthly",
    "1q": "quarterly",
    "1y": "yearly",
}


@dataclass(frozen=True)
class Study:
    """What a study found.

    Attributes:
        record: everything, as in study.json.
        folder: where it was written.
    """

    record: StudyRecord
    folder: Path

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """The answers by question: depth, direction, cell, attention, transformer, bert, trivial."""
        return {verdict.id: verdict for verdict in self.record.questions}

    def leaderboard(self) -> pl.DataFrame:
        """Candidates and trivial methods with mean scores and costs, the best validation score first."""
        rows = [
            {
                "id": entry.id,
                "label": entry.label,
                "validation": _mean([score.validation for score in entry.scores]),
                "test": _mean([score.test for score in entry.scores]),
                "seeds": len(entry.scores),
                "train_s": entry.train_s,
                "predict_ms": entry.predict_ms,
                "parameters": entry.parameters,
                "outcome": entry.outcome,
            }
            for entry in self.record.candidates
        ]
        rows += [
            {
                "id": entry.id,
                "label": entry.label,
                "validation": entry.validation,
                "test": entry.test,
                "seeds": None,
                "train_s": entry.train_s,
                "predict_ms": entry.predict_ms,
                "parameters": None,
                "outcome": "failed" if entry.validation is None else "complete",
            }
            for entry in self.record.baselines
        ]
        schema = {
            "id": pl.String,
            "label": pl.String,
            "validation": pl.Float64,
            "test": pl.Float64,
            "seeds": pl.Int64,
            "train_s": pl.Float64,
            "predict_ms": pl.Float64,
            "parameters": pl.Int64,
            "outcome": pl.String,
        }
        higher = self.record.metric.direction == "higher"
        return pl.DataFrame(rows, schema=schema).sort("validation", descending=higher, nulls_last=True)

    @property
    def best(self) -> Forecaster | SequenceClassifier | TextClassifier | BertClassifier:
        """The model that the answers lead to, trained anew on all rows.

        Raises:
            ConfigError: the study was interrupted, or no network trained.
        """
        if self.record.best is None:
            raise ConfigError("this study has no best model: it was interrupted, or no network trained.")
        model = load(self.folder / self.record.best.path)
        assert isinstance(model, Forecaster | SequenceClassifier | TextClassifier | BertClassifier)
        return model

    def report(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the report, by default report.html in the study's folder, and return where it is.

        Raises:
            ConfigError: it cannot be written there.
        """
        from lamina.report.render import render  # charts are not needed to study

        target = Path(path) if path is not None else self.folder / REPORT
        require_file(target)
        render(self.record, target)
        return target

    def replay(self) -> Replay:
        """Decide every question once more from the recorded scores, and say what does not follow.

        Raises:
            ConfigError: the study was made before scores were recorded.
            SavedModelError: the file of scores is missing or is not the one that the study wrote.
        """
        return replay(self.record, self.folder)


def open_study(folder: str | os.PathLike[str]) -> Study:
    """A study that was run before, from its folder."""
    return Study(StudyRecord.load(Path(folder) / RECORD), Path(folder))


def study(
    data: Any,
    *,
    target: str | Sequence[str] | None = None,
    horizon: int | None = None,
    time: str | None = None,
    id: str | None = None,
    future: Sequence[str] = (),
    past: Sequence[str] | None = None,
    static: Sequence[str] = (),
    duplicates: str = "error",
    gaps: str = "error",
    frequency: str | None = None,
    labels: Sequence[Any] | None = None,
    groups: Sequence[Any] | None = None,
    text: str | None = None,
    label: str | None = None,
    bert: str | os.PathLike[str] | None = None,
    test: Any = None,
    metric: str | None = None,
    budget: str | float = "5m",
    ask: str | None = None,
    depths: Sequence[int] = (1, 2, 3, 4),
    rope: float = 0.005,
    max_latency_us: float | None = None,
    max_params: int | None = None,
    max_train_time: str | float | None = None,
    max_memory: str | float | None = None,
    allow: Sequence[str] = (),
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    workers: int = 1,
    listener: StudyListener | None = None,
    command: str = "",
    data_folder: str | os.PathLike[str] | None = None,
) -> Study:
    """Find out which recurrent network the data call for, with evidence, and train it.

    Args:
        data: a table of series (a path, or a frame of pandas, Polars or Arrow); or labelled sequences (a .ts
            or .tsv file, or arrays with ``labels``); or labelled texts (a .csv, .tsv or .jsonl file with
            ``text`` and ``label``); or the name of a known data set.
        target: what to forecast; see ``Forecaster.fit`` for this and the next arguments.
        horizon: steps ahead; needed for a table of series.
        labels: the class of each sequence, where ``data`` are arrays.
        groups: what must stay together in a split, one entry a sequence.
        text: the column of texts to classify; then ``label`` is needed too.
        label: the column of their labels.
        bert: the folder of a BERT to compare with, as transformers saves it with its tokenizer, or ``small``
            for one that is trained from nothing; for texts only (extra ``bert``).
        test: sequences for the test part: a file, or a pair (arrays, labels); of texts a file with the same
            columns; None cuts one from ``data``.
        metric: of forecasts: mase (the default), mae, mse, rmse or smape. Classes are judged by accuracy.
        budget: time for everything, such as 90s, 5m, 1h.
        ask: some of depth, direction, cell, attention, transformer, bert, depth-parameters, depth-time,
            residual, transformer-time, clipping, overfitting and data, divided by commas. By default the
            first five, and bert where there is one; the others follow where these leave time.
        depths: rungs of the depth ladder.
        rope: relative difference that does not matter.
        max_latency_us: microseconds from a row to its answer, as a streaming session gives it, or, for a
            network that cannot stream, as ``predict`` does.
        max_params: numbers that the network learns.
        max_train_time: seconds, or such as 30s or 2m, to train one seed.
        max_memory: bytes, or such as 200MB, by which training may grow the process. Where the answer breaks
            a limit, the smallest that is as good as the best that keeps them all is recommended.
        allow: codes of checks, such as LK05, that are told but neither leave a column out nor end the study.
        seed: the same seed gives the same search.
        out: folder for the results; default ``<name>-study``.
        resume: go on with a study in ``out`` that was interrupted.
        workers: training runs at the same time, a process of one thread each; a script that asks for more
            than one runs under ``if __name__ == "__main__":``. One is taken for budgets below a minute and
            for tables above 500,000 rows, of which each process would hold a copy.
        listener: hears of progress.
        command: what was typed, for the record.
        data_folder: where known data sets lie that do not come with the package; default: LAMINA_DATA.

    Raises:
        DataError: the data break a rule; the message names column and row.
        ConfigError: an option breaks a rule or would have no effect, or ``out`` holds something else.
    """
    began = monotonic()
    seconds = parse_duration(budget)
    source = "" if bert is None else os.fspath(bert)
    questions = parse_questions(ask, bert=bool(source))
    rungs = _depths(depths)
    name = _name(data)
    folder = Path(out) if out is not None else Path(f"{_stem(name)}-study")
    if not resume:
        require_place(folder)
    known = SOURCES.get(data) if isinstance(data, str) and not Path(data).exists() else None
    columns = {
        "target": target,
        "time": time,
        "id": id,
        "future": tuple(future),
        "past": past,
        "static": tuple(static),
        "frequency": frequency,
    }
    mending = {
        option: None if value == "error" else value
        for option, value in (("duplicates", duplicates), ("gaps", gaps))
    }
    forecasts = {**columns, **mending, "horizon": horizon, "metric": metric}
    sequences = {"labels": labels, "groups": groups, "test": test}
    bench: Bench
    allowed = parse_allow(allow)
    limits = Limits(
        latency_us=_positive("max_latency_us", max_latency_us),
        params=_positive("max_params", max_params),
        train_s=None if max_train_time is None else parse_duration(max_train_time),
        memory_mb=None if max_memory is None else parse_size_mb(max_memory),
    )
    checks: tuple[CheckResult, ...] = ()
    if text is not None or label is not None:
        _refuse({**forecasts, "labels": labels, "groups": groups}, f"{name} holds texts")
        bench, facts = text_bench(data, text=text, label=label, test=test, seed=seed, bert=source)
    elif source:
        raise ConfigError("a BERT reads texts, so that it needs text= and label= (--text, --label).")
    elif labels is not None or isinstance(known, LabelledSource) or _is_sequence_file(data):
        _refuse(forecasts, f"{name} holds labelled sequences")
        bench, facts = _classify_bench(
            data, labels=labels, groups=groups, test=test, seed=seed, name=name, data_folder=data_folder
        )
    else:
        _refuse(sequences, f"{name} is a table of series")
        if known is None and isinstance(data, str) and not Path(data).exists():
            raise DataError(
                f"there is no file '{data}', and no known data set of that name{did_you_mean(data, SOURCES)} "
                "(see: lamina data list)"
            )
        if known is not None:
            _refuse({**columns, **mending}, f"{name} is a known data set, whose columns are known too")
            table, horizon = load_series(name, _folder(data_folder)), horizon or known.horizon
        else:
            table = read_series(data, **columns, duplicates=duplicates, gaps=gaps)  # type: ignore[arg-type]  # checked there, with a message
        if horizon is None:
            raise ConfigError(
                "a forecast needs a horizon: the number of rows ahead. Give horizon= (--horizon)."
            )
        _require_change(table, horizon, allowed)
        table, checks = _without_leaks(table, horizon, allowed)
        bench = ForecastBench(table, horizon=horizon, metric=_metric(metric or "mase"), path=name)
        facts = _facts(table)
    record = run_study(
        bench,
        folder,
        budget_s=seconds,
        questions=questions,
        further=() if ask else FURTHER,
        depths=rungs,
        seed=seed,
        rope=rope,
        listener=listener or Quiet(),
        resume=resume,
        command=command,
        checks=checks,
        allow=allowed,
        limits=limits,
        bert=source,
        facts=facts,
        began=began,
        workers=_workers(workers, seconds, bench.data.rows),
    )
    found = Study(record, folder)
    found.report()
    return found


def _workers(asked: int, budget_s: float, rows: int) -> int:
    if asked < 1:
        raise ConfigError(f"workers is at least 1, but is {asked}; use the number of cores")
    return asked if budget_s >= LEAST_SHARED_S and rows <= MOST_SHARED_ROWS else 1


def _positive(name: str, limit: float | None) -> float | None:
    if limit is not None and limit <= 0:
        raise ConfigError(f"{name} is above 0, but is {limit}; leave it out for no limit.")
    return limit


def _depths(depths: Sequence[int]) -> tuple[int, ...]:
    rungs = tuple(sorted(set(depths)))
    if not rungs or rungs[0] < 1 or len(rungs) < 2:
        raise ConfigError(
            f"depths are at least two numbers of layers, each at least 1, but are {tuple(depths)}."
        )
    return rungs


def _metric(name: str) -> PointMetric:
    for metric in METRICS:
        if metric == name:
            return metric
    raise ConfigError(f"metric is one of {', '.join(METRICS)}, but is '{name}'{did_you_mean(name, METRICS)}")


def _refuse(options: dict[str, Any], reason: str) -> None:
    """An option that would have no effect is an error."""
    given = [option for option, value in options.items() if value is not None and value != ()]
    if given:
        raise ConfigError(f"{reason}, so that {', '.join(given)} would have no effect. Leave it out.")


def _require_change(table: SeriesTable, horizon: int, allow: tuple[str, ...]) -> None:
    found = constant_target(table, split_in_time(table, horizon=horizon))  # which refuses a long horizon
    if found.outcome == "fail":
        exempt = " No network trains on it, so that --allow LK03 cannot help." if "LK03" in allow else ""
        raise DataError(f"LK03: {found.sentence}{exempt}")


def _facts(table: SeriesTable) -> tuple[str, ...]:
    """What the head of a study says of a table."""
    covariates = len(table.encoding.columns)
    missing = int(np.isnan(table.y).sum())
    step = table.frequency.step
    facts = [f"{table.rows:,} rows", STEPS.get(step, f"every {step}")]
    if table.frequency.is_integer:
        facts[1] = "steps are counted"
    if table.n_series > 1:
        facts.insert(1, f"{table.n_series:,} series")
    if covariates:
        facts.append(f"{covariates} covariate{'s' if covariates > 1 else ''}")
    return (*facts, f"{missing:,} missing (kept as missing)" if missing else "none missing")


def _without_leaks(
    table: SeriesTable, horizon: int, allow: tuple[str, ...]
) -> tuple[SeriesTable, tuple[CheckResult, ...]]:
    """The table without the columns that give the target away, and the failed check of each."""
    leaks = columns_to_leave_out(column_leaks(table, horizon=horizon), allow)
    if not leaks:
        return table, ()
    names = set(leaks)
    kept = [i for i, name in enumerate(table.past_names) if name not in names]
    ahead = [i for i, name in enumerate(table.future_names) if name not in names]
    encoding = table.encoding
    left = replace(
        table,
        past=table.past[:, kept],
        past_names=tuple(table.past_names[i] for i in kept),
        future=table.future[:, ahead],
        future_names=tuple(table.future_names[i] for i in ahead),
        encoding=replace(
            encoding,
            past=tuple(column for column in encoding.past if column.name not in names),
            future=tuple(column for column in encoding.future if column.name not in names),
        ),
        notes=(*table.notes, f"left out as a leak of the future: {', '.join(sorted(names))}"),
    )
    return left, tuple(leaks.values())


def _classify_bench(
    data: Any,
    *,
    labels: Sequence[Any] | None,
    groups: Sequence[Any] | None,
    test: Any,
    seed: int,
    name: str,
    data_folder: str | os.PathLike[str] | None,
) -> tuple[ClassifyBench, tuple[str, ...]]:
    notes = []
    if labels is not None:
        rest = labelled_sequences(data, labels, groups=groups)
        held = None if test is None else labelled_sequences(test[0], test[1], classes=rest.classes)
    elif _is_sequence_file(data):
        rest = read_labelled(data)
        held = None if test is None else read_labelled(test, classes=rest.classes)
    else:
        rest, held = load_labelled(name, _folder(data_folder))
    if held is None:
        rest, held = split_labelled(rest, HELD_OUT, seed)
        notes.append(
            f"{HELD_OUT:.0%} of the sequences are the test part, drawn with like shares of each class"
        )
    training, validation = split_labelled(rest, HELD_OUT, seed + 1)
    notes.append(f"{HELD_OUT:.0%} of the training sequences are held out for validation")
    bench = ClassifyBench(training, validation, held, path=name, notes=tuple(notes))
    lengths = np.concatenate([part.lengths for part in (training, validation, held)])
    span = (
        f"{lengths.min()} steps"
        if lengths.min() == lengths.max()
        else f"{lengths.min()} to {lengths.max()} steps"
    )
    return bench, (
        f"{bench.data.series:,} sequences",
        f"{len(training.classes)} classes",
        f"{training.n_features} feature{'s' if training.n_features > 1 else ''}",
        span,
    )


def _is_sequence_file(data: Any) -> bool:
    return isinstance(data, str | os.PathLike) and str(data).endswith(LABELLED_SUFFIXES)


def _folder(path: str | os.PathLike[str] | None) -> Path | None:
    return None if path is None else Path(path)


def _name(data: Any) -> str:
    return os.fspath(data) if isinstance(data, str | os.PathLike) else type(data).__name__


def _stem(name: str) -> str:
    return Path(name).name.partition(".")[0] or "data"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
