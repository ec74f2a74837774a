"""Known data sets by name: where their files are, that they are the right ones, and how they are split.

Nothing is fetched from a network. A few small sets come with the package; the others are looked for in
a folder that the user names, or that the environment variable LAMINA_DATA names.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from lamina.data import layouts
from lamina.data.labelled import LabelledSequences
from lamina.data.series import SeriesTable, read_series
from lamina.data.splits import Cuts, split_in_time
from lamina.data.ts_files import read_labelled
from lamina.errors import DataError, did_you_mean

HERE = Path(__file__).parent
BUNDLED = HERE / "bundled"
FOLDER_VARIABLE = "LAMINA_DATA"


class LabelledParts(NamedTuple):
    """The published training and test part of a classification set."""

    train: LabelledSequences
    test: LabelledSequences


@dataclass(frozen=True)
class SeriesSource:
    """A forecasting set.

    Args:
        name: in SOURCES.
        files: paths below the data folder; their SHA-256 are in checksums.txt.
        read: the table from the paths of the files.
        horizon: steps to forecast at once.
        validation: rows or share of each series before the test part.
        test: rows or share at the end of each series.
        licence: of the data.
        about: one line.
        bundled: whether the files come with the package.
    """

    name: str
    files: tuple[str, ...]
    read: Callable[..., SeriesTable]
    horizon: int
    validation: float | int
    test: float | int
    licence: str
    about: str
    bundled: bool = False
    task: Literal["forecast"] = "forecast"

    def cuts(self, table: SeriesTable) -> Cuts:
        """The published split of the table."""
        return split_in_time(table, horizon=self.horizon, validation=self.validation, test=self.test)


@dataclass(frozen=True)
class LabelledSource:
    """A classification set with a published training and test part; fields as in SeriesSource."""

    name: str
    files: tuple[str, str]
    licence: str
    about: str
    bundled: bool = False
    task: Literal["classify"] = "classify"


Source = SeriesSource | LabelledSource

AS_IS = "none stated; passed on for research"
UCR = "UCR archive: free for research, with citation"
CC_BY = "CC BY 4.0"
ETT_COLUMNS = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")


def _classic(
    name: str, file: str, target: str, time: str, *, horizon: int, test: float | int
) -> SeriesSource:
    read = partial(read_series, target=target, time=time, gaps="missing")
    about = f"{target} of {file}, one short series"
    return SeriesSource(name, (f"classic_series/{file}.csv.gz",), read, horizon, test, test, AS_IS, about)


def _tourism(span: str, step: str, horizon: int) -> SeriesSource:
    files = (f"tourism/{span}_in.csv.gz", f"tourism/{span}_oos.csv.gz")
    read = partial(layouts.read_tourism, step=step)
    about = f"many short {span} series of tourism"
    return SeriesSource(f"tourism_{span}", files, read, horizon, horizon, horizon, CC_BY, about)


def _ett(name: str, file: str, rows: int, targets: str | tuple[str, ...]) -> SeriesSource:
    read = partial(layouts.read_ett, rows=rows, targets=targets)
    part = rows // 5  # 12, 4 and 4 months
    about = f"{'the oil temperature' if targets == 'OT' else 'all columns'} of an electricity transformer"
    return SeriesSource(name, (f"ett/{file}.csv.gz",), read, 96, part, part, "CC BY-ND 4.0", about)


def _ucr(name: str, about: str) -> LabelledSource:
    return LabelledSource(name, (f"ucr/{name}_TRAIN.tsv.gz", f"ucr/{name}_TEST.tsv.gz"), UCR, about)


def _uea(name: str, licence: str, about: str) -> LabelledSource:
    files = (f"uea/{name}_TRAIN.ts.gz", f"uea/{name}_TEST.ts.gz")
    return LabelledSource(name, files, licence, about, bundled=True)


SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        SeriesSource(
            name="wikipedia_views",
            files=("wikipedia_views/example_wp_log_peyton_manning.csv.gz",),
            read=partial(read_series, target="y", time="ds", gaps="missing"),
            horizon=30,
            validation=365,
            test=365,
            licence="CC0 (counts by Wikimedia)",
            about="log of the daily page views of one article over eight years, with gaps",
            bundled=True,
        ),
        _uea("JapaneseVowels", CC_BY, "nine speakers by 12 channels of two vowels, unequal lengths"),
        _uea("BasicMotions", "BSD-3-Clause (aeon)", "four motions by a wrist accelerometer and gyroscope"),
        _ett("ETTh1", "ETTh1", 14_400, "OT"),
        _ett("ETTh1_multivariate", "ETTh1", 14_400, ETT_COLUMNS),
        _ett("ETTm1", "ETTm1", 57_600, "OT"),
        _ett("ETTm1_multivariate", "ETTm1", 57_600, ETT_COLUMNS),
        SeriesSource(
            name="m4_hourly",
            files=("m4_hourly/Hourly-train.csv.gz", "m4_hourly/Hourly-test.csv.gz"),
            read=layouts.read_m4_hourly,
            horizon=48,
            validation=48,
            test=48,
            licence="competition data, free use with citation",
            about="414 hourly series of the M4 competition",
        ),
        _tourism("monthly", "1mo", 24),
        _tourism("quarterly", "1q", 8),
        _tourism("yearly", "1y", 4),
        SeriesSource(
            name="beijing_pm25",
            files=("beijing_pm25/pollution.csv.gz",),
            read=layouts.read_beijing_pm25,
            horizon=24,
            validation=8_760,
            test=8_760,
            licence="CC BY 4.0 (UCI)",
            about="five years of hourly air pollution with missing values and a categorical column",
        ),
        SeriesSource(
            name="exchange_rate",
            files=("exchange_rate/exchange_rate.txt.gz",),
            read=layouts.read_exchange_rate,
            horizon=96,
            validation=0.1,
            test=0.2,
            licence=AS_IS,
            about="eight currencies a day, near random walks",
        ),
        SeriesSource(
            name="los_speed",
            files=("los_speed/los_speed.csv.gz",),
            read=layouts.read_los_speed,
            horizon=12,
            validation=0.1,
            test=0.2,
            licence=AS_IS,
            about="a week of traffic speeds at 207 sensors",
        ),
        SeriesSource(
            name="sp500",
            files=("sp500/sp500-2000.csv.gz",),
            read=layouts.read_sp500,
            horizon=1,
            validation=0.1,
            test=1_021,
            licence="none for the prices (Yahoo Finance)",
            about="log close of a share index, which no rule should beat by much",
        ),
        SeriesSource(
            name="taylor",
            files=("classic_series/taylor.csv.gz",),
            read=layouts.read_taylor,
            horizon=48,
            validation=672,
            test=672,
            licence=AS_IS,
            about="electricity demand every half-hour for twelve weeks",
        ),
        _classic("airline", "airline-passengers", "Passengers", "Month", horizon=12, test=24),
        _classic("sunspots", "monthly-sunspots", "Sunspots", "Month", horizon=12, test=0.2),
        _classic("min_temperatures", "daily-min-temperatures", "Temp", "Date", horizon=7, test=0.2),
        _classic("female_births", "daily-total-female-births", "Births", "Date", horizon=7, test=0.2),
        _ucr("ArrowHead", "outlines of arrow heads, 3 classes"),
        _ucr("CBF", "cylinder, bell and funnel, simulated"),
        _ucr("CricketX", "gestures of an umpire, 12 classes"),
        _ucr("ECG200", "heart beats, 2 classes"),
        _ucr("ECG5000", "heart beats, 5 classes"),
        _ucr("FaceAll", "outlines of faces, 14 persons"),
        _ucr("ItalyPowerDemand", "days of electricity demand, winter or summer"),
        _ucr("SwedishLeaf", "outlines of leaves, 15 trees"),
        _ucr("SyntheticControl", "simulated control charts, 6 classes"),
    )
}


def find_source(name: str) -> Source:
    """The source of this name.

    Raises:
        DataError: there is none; with the nearest name.

    >>> find_source("JapaneseVowels").task
    'classify'
    """
    if name not in SOURCES:
        raise DataError(
            f"no data set is called '{name}'{did_you_mean(name, SOURCES)}; use {', '.join(SOURCES)}"
        )
    return SOURCES[name]


def source_files(name: str, folder: str | Path | None = None) -> tuple[Path, ...]:
    """Paths of the files of a data set, after checking that they are the published ones.

    Args:
        name: in SOURCES.
        folder: the data folder; default: LAMINA_DATA. Not used by bundled sets.

    Raises:
        DataError: no folder was named, a file is not in it, or it is another file.
    """
    source = find_source(name)
    root = BUNDLED if source.bundled else _data_folder(name, folder)
    checksums = _checksums()
    paths = tuple(root / file for file in source.files)
    for file, path in zip(source.files, paths, strict=True):
        if not path.is_file():
            raise DataError(
                f"data set '{name}' needs the file '{file}' but folder '{root}' does not hold it; put it "
                f"there or "
                f"name another folder (--data-folder, {FOLDER_VARIABLE})"
            )
        if hashlib.sha256(path.read_bytes()).hexdigest() != checksums[file]:
            raise DataError(
                f"'{path}' must be the published file of '{name}' but its SHA-256 differs; get the file "
                f"again, or "
                f"read yours by its path"
            )
    return paths


def load_series(name: str, folder: str | Path | None = None) -> SeriesTable:
    """The table of a forecasting set; arguments as in ``source_files``.

    >>> load_series("wikipedia_views").rows
    2964
    """
    source = find_source(name)
    if not isinstance(source, SeriesSource):
        raise DataError(f"a forecasting set is needed but '{name}' is for classification; use load_labelled")
    return source.read(*source_files(name, folder))


def load_labelled(name: str, folder: str | Path | None = None) -> LabelledParts:
    """Training and test part of a classification set; arguments as in ``source_files``.

    >>> [len(part) for part in load_labelled("JapaneseVowels")]
    [270, 370]
    """
    source = find_source(name)
    if not isinstance(source, LabelledSource):
        raise DataError(f"a classification set is needed but '{name}' is for forecasting; use load_series")
    train_file, test_file = source_files(name, folder)
    train = read_labelled(train_file)
    return LabelledParts(train, read_labelled(test_file, classes=train.classes))


def load(name: str, folder: str | Path | None = None) -> SeriesTable | LabelledParts:
    """A data set of either kind; arguments as in ``source_files``."""
    if find_source(name).task == "forecast":
        return load_series(name, folder)
    return load_labelled(name, folder)


def _data_folder(name: str, folder: str | Path | None) -> Path:
    named = folder or os.environ.get(FOLDER_VARIABLE)
    if not named:
        bundled = ", ".join(source.name for source in SOURCES.values() if source.bundled)
        raise DataError(
            f"data set '{name}' does not come with the package (only {bundled} do) and no data folder was "
            f"named; "
            f"name it with --data-folder, folder= or {FOLDER_VARIABLE}"
        )
    return Path(named)


def _checksums() -> dict[str, str]:
    """SHA-256 by path, from the output of sha256sum."""
    lines = (HERE / "checksums.txt").read_text(encoding="utf-8").splitlines()
    return {path: checksum for checksum, path in (line.split("  ", 1) for line in lines)}
