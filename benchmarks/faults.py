"""How many planted faults the checks find: `python benchmarks/faults.py --data DIR [--json FILE]`.

Each of 45 faults is planted in series or sequences that are sound otherwise, bundled or made. A fault counts
as found where a check that should name it does not pass. Then every check runs on every data set at hand as
published, split as a study would split it; what does not pass there is an alarm. Alarms are counted by data
set and by check. One that was looked at and is true of its data stands in ``TRUE_OF_DATA`` with the reason;
any other is false, and at most 5 % of the data sets may raise one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lamina.data.labelled import LabelledSequences, labelled_sequences, split_labelled
from lamina.data.scaling import Standardizer
from lamina.data.series import SeriesTable, read_series
from lamina.data.sources import FOLDER_VARIABLE, SOURCES, SeriesSource, load_labelled, load_series
from lamina.data.splits import split_in_time
from lamina.data.windows import evaluation_windows, training_windows
from lamina.errors import DataError
from lamina.study.after_checks import check_findings, earlier_readings
from lamina.study.checks import CheckResult
from lamina.study.labelled_checks import check_labelled
from lamina.study.row_checks import check_rows, fitted_on_training, windows_apart
from lamina.study.table_checks import check_table
from lamina.study.trials import RATES
from lamina.study.verdict import (
    Baseline,
    Best,
    Budget,
    Candidate,
    Data,
    Environment,
    Metric,
    Score,
    Settings,
    StudyRecord,
    Verdict,
)

Array = NDArray[np.float64]
Results = list[CheckResult]
Rng = np.random.Generator
HORIZON = 24
FOUND_BAR, ALARM_BAR = 0.95, 0.05
# Distances and shifts are those of LK04; copies were compared value by value.
TRUE_OF_DATA = {
    ("ETTh1", "LK04"): "the test part lies 1.6 standard deviations below training",
    ("ETTm1", "LK04"): "the test part lies 1.6 standard deviations below training",
    (
        "tourism_monthly",
        "LK04",
    ): "the means of 232 of 366 test parts lie beyond 80 % of their training values",
    (
        "tourism_quarterly",
        "LK04",
    ): "the means of 291 of 427 test parts lie beyond 80 % of their training values",
    ("tourism_yearly", "LK04"): "the means of 413 of 518 test parts lie beyond 80 % of their training values",
    ("sp500", "LK04"): "every test value lies above all of training",
    ("airline", "LK04"): "the test part lies 2.4 standard deviations above training",
    ("FaceAll", "LB01"): "test sequence 663 is a training sequence, value for value",
    ("SwedishLeaf", "LB01"): "test sequences 243 and 407 are training sequences, value for value",
}


@dataclass(frozen=True)
class Fault:
    """One planted fault: the codes of which one has to speak, and how to plant it and check."""

    name: str
    codes: tuple[str, ...]
    plant: Callable[[Rng], Results]


@dataclass(frozen=True)
class Outcome:
    """What the checks said of one fault, or of one sound data set."""

    name: str
    expected: tuple[str, ...]
    spoke: tuple[str, ...]
    checks: int
    seconds: float

    @property
    def found(self) -> bool:
        return bool(set(self.expected) & set(self.spoke))


# Sound series and sequences


def hourly(rng: Rng, rows: int = 1_500) -> Array:
    """A daily cycle on a slow random walk, with noise."""
    hours = np.arange(rows)
    return (
        20 + 6 * np.sin(hours * np.pi / 12) + np.cumsum(rng.normal(0, 0.4, rows)) + rng.normal(0, 0.5, rows)
    )


def table(y: Array, **columns: Array) -> pl.DataFrame:
    start = np.datetime64("2025-01-01T00:00:00", "us")
    return pl.DataFrame({"ds": start + np.arange(len(y)) * np.timedelta64(1, "h"), "y": y, **columns})


def many(rng: Rng, series: int = 12, rows: int = 300) -> pl.DataFrame:
    return pl.concat(
        table(hourly(rng, rows) * rng.uniform(1, 50)).with_columns(pl.lit(f"s{i:02}").alias("unique_id"))
        for i in range(series)
    )


def recording(rng: Rng, rows: int) -> Array:
    """A smooth signal of three channels with noise, as a sensor gives it."""
    steps = rng.normal(size=(rows, 3))
    for _ in range(2):
        steps[1:] = 0.7 * steps[:-1] + 0.3 * steps[1:]
    return np.asarray(np.cumsum(steps, axis=0) * 0.1 + steps, np.float64)


def later(y: Array, lag: int) -> Array:
    return np.asarray(np.r_[y[lag:], np.full(lag, np.nan)], np.float64)


def centred_mean(y: Array, reach: int) -> Array:
    padded = np.pad(y, reach, mode="edge")
    return np.asarray(np.convolve(padded, np.ones(2 * reach + 1) / (2 * reach + 1), mode="valid"), np.float64)


# Checking


def checked(
    frame: pl.DataFrame | SeriesTable, future: tuple[str, ...] = (), horizon: int = HORIZON
) -> Results:
    found = frame if isinstance(frame, SeriesTable) else read_series(frame, target="y", future=future)
    cuts = split_in_time(found, horizon=horizon)
    return check_table(found, cuts, horizon=horizon) + check_rows(found, cuts)


def parted(data: LabelledSequences) -> Results:
    rest, test = split_labelled(data, 0.2, 0)
    training, validation = split_labelled(rest, 0.2, 1)
    return check_labelled(training, validation, test)


def bundled_parts() -> tuple[LabelledSequences, LabelledSequences, LabelledSequences]:
    rest, test = load_labelled("JapaneseVowels")
    training, validation = split_labelled(rest, 0.2, 1)
    return training, validation, test


def joined(first: LabelledSequences, *more: LabelledSequences) -> LabelledSequences:
    parts = (first, *more)
    sequences = [part[i] for part in parts for i in range(len(part))]
    labels = [part.classes[code] for part in parts for code in part.labels]
    return labelled_sequences(sequences, labels, classes=first.classes, names=first.names)


def rescaled(data: LabelledSequences, scale: float, offset: float) -> LabelledSequences:
    sequences = [scale * data[i] + offset for i in range(len(data))]
    return labelled_sequences(sequences, [data.classes[code] for code in data.labels], classes=data.classes)


def windows_of(rng: Rng, *, length: int, stride: int, scaled: bool = False) -> LabelledSequences:
    """Windows of two long recordings, labelled by their recording, cut before they are split."""
    sequences, labels = [], []
    for name in ("walk", "run"):
        rows = recording(rng, 4_000)
        for begin in range(0, len(rows) - length, stride):
            window = rows[begin : begin + length]
            sequences.append((window - window.mean(axis=0)) / window.std(axis=0) if scaled else window)
            labels.append(name)
    return labelled_sequences(sequences, labels)


# Faults of tables


def leak(make: Callable[[Rng, Array], Array], *, ahead: bool = False) -> Callable[[Rng], Results]:
    """A covariate that ``make`` computes from the whole target."""

    def plant(rng: Rng) -> Results:
        y = hourly(rng)
        return checked(table(y, column=make(rng, y)), future=("column",) if ahead else ())

    return plant


def real_leak(make: Callable[[Array], Array]) -> Callable[[Rng], Results]:
    """The same, in the bundled page views of Wikipedia."""

    def plant(rng: Rng) -> Results:
        del rng
        y = load_series("wikipedia_views").y
        filled = np.interp(np.arange(len(y)), np.flatnonzero(~np.isnan(y)), y[~np.isnan(y)])
        return checked(table(filled, column=make(filled)), horizon=7)

    return plant


def of_series(make: Callable[[Rng], pl.DataFrame]) -> Callable[[Rng], Results]:
    return lambda rng: checked(make(rng))


def standardised(y: Array) -> Array:
    return np.asarray((y - y.mean()) / y.std(), np.float64)


def rising(rng: Rng) -> Array:
    return hourly(rng) + np.linspace(0, 30, 1_500)


def scaled_each(rng: Rng) -> pl.DataFrame:
    return many(rng).with_columns(((pl.col("y") - pl.col("y").mean()) / pl.col("y").std()).over("unique_id"))


def covariate_scaled(rng: Rng) -> pl.DataFrame:
    return table(hourly(rng), load=standardised(rising(rng)))


def foreign_scaler(rng: Rng) -> Results:
    values = np.stack([rising(rng), hourly(rng)], axis=1)
    training = np.arange(len(values)) < 1_000
    return [fitted_on_training(Standardizer.fit(values), values, training)]


def overlapping_parts(rng: Rng) -> Results:
    found = read_series(table(hourly(rng)), target="y")
    cuts = split_in_time(found, horizon=HORIZON)
    late = split_in_time(found, horizon=HORIZON, validation=100, test=HORIZON)
    sizes = {"input_size": 48, "horizon": HORIZON}
    return [
        windows_apart(
            training_windows(found, late, **sizes),
            evaluation_windows(found, cuts, part="validation", **sizes),
            evaluation_windows(found, cuts, part="test", **sizes),
        )
    ]


def pasted_twice(rng: Rng) -> pl.DataFrame:
    y = hourly(rng)
    y[-300:] = y[200:500]
    return table(y)


def shifted_series(rng: Rng) -> pl.DataFrame:
    whole = hourly(rng, 2_000)
    frames = [table(whole[begin : begin + 1_200]) for begin in (0, 700)]
    return pl.concat(
        frame.with_columns(pl.lit(name).alias("unique_id")) for frame, name in zip(frames, "ab", strict=True)
    )


def shuffled(rng: Rng) -> pl.DataFrame:
    return table(rng.permutation(hourly(rng)))


def shuffled_each(rng: Rng) -> pl.DataFrame:
    return many(rng).with_columns(pl.col("y").shuffle(seed=1).over("unique_id"))


def shuffled_views(rng: Rng) -> pl.DataFrame:
    y = load_series("wikipedia_views").y
    return table(rng.permutation(y[~np.isnan(y)]))


def flat_from(first: int, stop: int, value: float) -> Callable[[Rng], pl.DataFrame]:
    def make(rng: Rng) -> pl.DataFrame:
        y = hourly(rng)
        y[first:stop] = value
        return table(y)

    return make


# Faults of labelled sequences


def copied(count: int, scale: float = 1.0, offset: float = 0.0) -> Callable[[Rng], Results]:
    def plant(rng: Rng) -> Results:
        training, validation, test = bundled_parts()
        copies = rescaled(training.subset(rng.choice(len(training), count, replace=False)), scale, offset)
        return check_labelled(training, validation, joined(test, copies))

    return plant


def duplicated_before_split(rng: Rng) -> Results:
    rest, _ = load_labelled("BasicMotions")
    return parted(joined(rest, rest.subset(rng.choice(len(rest), 15, replace=False))))


def cut_before_split(length: int, stride: int, *, scaled: bool = False) -> Callable[[Rng], Results]:
    return lambda rng: parted(windows_of(rng, length=length, stride=stride, scaled=scaled))


def same_group(share: float) -> Callable[[Rng], Results]:
    def plant(rng: Rng) -> Results:
        arrays = rng.normal(size=(120, 30, 2))
        people = np.where(rng.random(120) < share, "p0", [f"p{1 + i // 40 * 10 + i % 3}" for i in range(120)])
        data = labelled_sequences(list(arrays), [str(i % 2) for i in range(120)], groups=people)
        parts = [data.subset(np.arange(first, first + 40)) for first in (0, 40, 80)]
        return check_labelled(*parts)

    return plant


def only_classes(
    part: str, keep: Callable[[NDArray[np.int64]], NDArray[np.bool_]]
) -> Callable[[Rng], Results]:
    def plant(rng: Rng) -> Results:
        del rng
        parts = dict(zip(("training", "validation", "test"), bundled_parts(), strict=True))
        chosen = parts[part]
        parts[part] = chosen.subset(np.flatnonzero(keep(chosen.labels)))
        return check_labelled(parts["training"], parts["validation"], parts["test"])

    return plant


# Faults of findings


def record(
    *,
    scores: tuple[float, float] = (0.8, 0.7),
    naive: float = 1.0,
    rate: float = 3e-3,
    dropout: float = 0.1,
    answer: int = 1,
    directions: str = "forward",
    direction: str = "lower",
) -> StudyRecord:
    """A finished study of depths 1 and 2 with fields that checks read."""
    candidates = tuple(
        Candidate(
            id=f"lstm-{depth}",
            label=f"lstm ×{depth}",
            config={
                "hidden_sizes": [64] * depth,
                "directions": [directions],
                "learning_rate": rate,
                "learning_rates": [*RATES],
                "dropout": dropout,
            },
            scores=tuple(
                Score(seed=i, validation=scores[depth - 1], test=scores[depth - 1]) for i in range(5)
            ),
        )
        for depth in (1, 2)
    )
    arms = tuple(candidate.id for candidate in candidates)
    return StudyRecord(
        task="forecast",
        metric=Metric(name="MASE", unit="ratio", direction="higher" if direction == "higher" else "lower"),
        data=Data(path="x.csv", rows=1, series=1, hash="abc", splits={}),
        environment=Environment(versions={}, cpu="", threads=1, backend=""),
        budget=Budget(used_s=1),
        settings=Settings(seed=0),
        questions=(
            Verdict(
                id="depth", answer=answer, status="decided", sentence="", arms=arms, chosen=f"lstm-{answer}"
            ),
        ),
        candidates=candidates,
        baselines=(Baseline(id="naive", label="naive", validation=naive),),
        best=Best(candidate=f"lstm-{answer}", path="best"),
    )


def of_record(streams: bool = False, **fields: object) -> Callable[[Rng], Results]:
    def plant(rng: Rng) -> Results:
        del rng
        return check_findings(record(**fields), streams=streams)  # type: ignore[arg-type]  # fields of record

    return plant


def read_before(rng: Rng) -> Results:
    import tempfile

    del rng
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "first").mkdir()
        record().save(Path(folder) / "first" / "study.json")
        return [earlier_readings(Path(folder) / "second", "abc")]


FORESEEN = ("LK01", "LK05")
FAULTS = (
    Fault("target of the next step as a covariate", FORESEEN, leak(lambda _, y: later(y, 1))),
    Fault("target a day later, rescaled", FORESEEN, leak(lambda _, y: 5 - 2 * later(y, 24))),
    Fault(
        "next step with a little noise", FORESEEN, leak(lambda r, y: later(y, 1) + r.normal(0, 0.1, len(y)))
    ),
    Fault(
        "target six steps later with noise",
        FORESEEN,
        leak(lambda r, y: later(y, 6) + r.normal(0, 0.3, len(y))),
    ),
    Fault("mean centred on today, 3 rows", FORESEEN, leak(lambda _, y: centred_mean(y, 1))),
    Fault("mean centred on today, 7 rows", FORESEEN, leak(lambda _, y: centred_mean(y, 3))),
    Fault("change to the next step", FORESEEN, leak(lambda _, y: later(y, 1) - y)),
    Fault("next step in logarithms", FORESEEN, leak(lambda _, y: np.log(later(y, 1) - np.nanmin(y) + 5))),
    Fault("copy of the target given as known ahead", ("LK02",), leak(lambda _, y: 3 * y, ahead=True)),
    Fault(
        "noisy copy of the target given as known ahead",
        ("LK02", "LK05"),
        leak(lambda r, y: y + r.normal(0, 0.15, len(y)), ahead=True),
    ),
    Fault("page views of tomorrow", FORESEEN, real_leak(lambda y: later(y, 1))),
    Fault("page views, mean centred on today", FORESEEN, real_leak(lambda y: centred_mean(y, 1))),
    Fault(
        "target standardised over all rows", ("SC01",), of_series(lambda r: table(standardised(rising(r))))
    ),
    Fault(
        "target scaled to 0..1 over all rows",
        ("SC01",),
        of_series(lambda r: table((y - y.min()) / (y.max() - y.min())) if len(y := rising(r)) else table(y)),
    ),
    Fault("covariate standardised over all rows", ("SC01",), of_series(covariate_scaled)),
    Fault("each series standardised over all its rows", ("SC01",), of_series(scaled_each)),
    Fault("scaler of the models fitted on all rows", ("SC02",), foreign_scaler),
    Fault("training windows reach into validation", ("WN01",), overlapping_parts),
    Fault("rows of training pasted at the end", ("WN02",), of_series(pasted_twice)),
    Fault("one series is another one shifted", ("WN02",), of_series(shifted_series)),
    Fault("rows shuffled", ("TM01",), of_series(shuffled)),
    Fault("rows of each of many series shuffled", ("TM01",), of_series(shuffled_each)),
    Fault("page views shuffled", ("TM01",), of_series(shuffled_views)),
    Fault("target constant in training", ("LK03",), of_series(flat_from(0, 1_060, 7.0))),
    Fault("target constant in the test part", ("LK06",), of_series(flat_from(1_270, 1_500, 7.0))),
    Fault("target missing in the validation part", ("LK06",), of_series(flat_from(1_045, 1_280, np.nan))),
    Fault("sequences of training in the test part", ("LB01",), copied(12)),
    Fault("one sequence of training in the test part", ("LB01",), copied(1)),
    Fault("sequences of training, rescaled, in the test part", ("LB01",), copied(12, 2.5, -1.0)),
    Fault("sequences stored twice, then split", ("LB01",), duplicated_before_split),
    Fault("windows overlap by half, then split", ("LB03",), cut_before_split(64, 32)),
    Fault("windows overlap by nine tenths, then split", ("LB03",), cut_before_split(100, 10)),
    Fault("scaled windows overlap by half, then split", ("LB03",), cut_before_split(96, 48, scaled=True)),
    Fault("a person lies in all parts", ("LB05",), same_group(0.2)),
    Fault("every person lies in all parts", ("LB05",), same_group(1.0)),
    Fault("one class in the test part", ("LB04",), only_classes("test", lambda labels: labels == 2)),
    Fault("a class lacks in the test part", ("LB04",), only_classes("test", lambda labels: labels != 3)),
    Fault("a class lacks in training", ("LB02",), only_classes("training", lambda labels: labels != 5)),
    Fault("both directions where it has to stream", ("NC01",), of_record(streams=True, directions="both")),
    Fault("network loses to persistence", ("PS01",), of_record(scores=(1.1, 1.2))),
    Fault(
        "accuracy below the majority", ("PS01",), of_record(scores=(0.5, 0.4), naive=0.6, direction="higher")
    ),
    Fault("learning rate at the edge", ("ED01",), of_record(rate=9.9e-3)),
    Fault("dropout at the edge", ("ED01",), of_record(dropout=0.395)),
    Fault("deepest network is the answer", ("ED01",), of_record(answer=2)),
    Fault("test part read by an earlier study", ("TR01",), read_before),
)


def planted(seed: int) -> Iterator[Outcome]:
    """Each fault in data of its own."""
    for number, fault in enumerate(FAULTS):
        began = time.perf_counter()
        results = fault.plant(np.random.default_rng([seed, number]))
        yield _outcome(fault.name, fault.codes, results, began)


def sound(folder: Path | None) -> Iterator[Outcome]:
    """Every known data set at hand, as published; and a finding that is in order."""
    for name, source in SOURCES.items():
        began = time.perf_counter()
        try:
            if isinstance(source, SeriesSource):
                results = checked(load_series(name, folder), horizon=source.horizon)
            else:
                rest, test = load_labelled(name, folder)
                training, validation = split_labelled(rest, 0.2, 1)
                results = check_labelled(training, validation, test)
        except DataError as error:
            if folder is None:
                continue  # it does not come with the package
            raise SystemExit(f"{name}: {error}") from error
        yield _outcome(name, (), results, began)
    yield _outcome("a finding in order", (), check_findings(record()), time.perf_counter())


def _outcome(name: str, expected: tuple[str, ...], results: Results, began: float) -> Outcome:
    spoke = tuple(dict.fromkeys(result.code for result in results if result.outcome != "pass"))
    checks = len({result.code for result in results})
    return Outcome(name, expected, spoke, checks, time.perf_counter() - began)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=os.environ.get(FOLDER_VARIABLE), help="the data folder")
    parser.add_argument("--seed", type=int, default=0, help="of the planted data")
    parser.add_argument("--json", type=Path, help="file to write")
    chosen = parser.parse_args(arguments)
    faults = list(planted(chosen.seed))
    clean = list(sound(chosen.data))
    found = sum(outcome.found for outcome in faults)
    alarms = [(outcome.name, code) for outcome in clean for code in outcome.spoke]
    checks = sum(outcome.checks for outcome in clean)
    for outcome in faults:
        mark = "found " if outcome.found else "MISSED"
        print(f"{mark}  {outcome.name:52} {', '.join(outcome.spoke) or '-'}")
    print()
    for name, code in alarms:
        print(f"alarm   {name:52} {code}  {TRUE_OF_DATA.get((name, code), 'FALSE')}")
    alarmed = {name for name, _ in alarms}
    false_of = {name for name, code in alarms if (name, code) not in TRUE_OF_DATA}
    sets = len(clean) - 1  # the last is a finding
    share, rate = found / len(faults), len(false_of) / sets
    print(
        f"\n{found} of {len(faults)} faults found ({share:.1%}, bar {FOUND_BAR:.0%}); "
        f"{len(alarms)} alarms in {checks} checks ({len(alarms) / checks:.1%}), "
        f"on {len(alarmed)} of {sets} data sets ({len(alarmed) / sets:.1%}); "
        f"false ones on {len(false_of)} data sets ({rate:.1%}, bar {ALARM_BAR:.0%})"
    )
    met = share >= FOUND_BAR and rate <= ALARM_BAR
    if chosen.json:
        content = {
            "seed": chosen.seed,
            "faults": len(faults),
            "found": found,
            "checks_of_sound_sets": checks,
            "alarms": [
                {"name": name, "code": code, "true": TRUE_OF_DATA.get((name, code))} for name, code in alarms
            ],
            "alarms_by_check": len(alarms) / checks,
            "alarms_by_set": len(alarmed) / sets,
            "false_alarms_by_set": rate,
            "met": met,
            "planted": [asdict(outcome) for outcome in faults],
            "sound": [asdict(outcome) for outcome in clean],
        }
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
