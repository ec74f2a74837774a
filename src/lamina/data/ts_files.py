"""Files of labelled sequences: .ts of the UEA archive and .tsv of the UCR archive, plain or gzipped."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lamina.data.labelled import LabelledSequences, labelled_sequences
from lamina.data.sheet import existing_file
from lamina.errors import DataError

TS_SUFFIXES = (".ts", ".ts.gz")
TSV_SUFFIXES = (".tsv", ".tsv.gz")
LABELLED_SUFFIXES = TS_SUFFIXES + TSV_SUFFIXES


def read_labelled(path: str | Path, *, classes: Sequence[str] | None = None) -> LabelledSequences:
    """Labelled sequences from a .ts or .tsv file, plain or gzipped.

    A .ts line holds the dimensions of one sequence, divided by ":", each a list of numbers divided by
    ",", and the label last; "?" is missing. A .tsv line holds the label and the values, divided by tabs.

    Args:
        path: of the file.
        classes: every class, to keep the codes of a training file. Default: of the header, or as found.

    Raises:
        DataError: with the line that breaks a rule.
    """
    file = existing_file(path)
    if file.name.endswith(TS_SUFFIXES):
        return _read_ts(file, classes)
    if file.name.endswith(TSV_SUFFIXES):
        return _read_tsv(file, classes)
    raise DataError(
        f"a file of labelled sequences ends in {', '.join(LABELLED_SUFFIXES)} but this is "
        f"'{file.name}'; "
        f"rename or convert it"
    )


def write_ts(path: str | Path, data: LabelledSequences, *, problem: str) -> None:
    """Write a .ts file, so that ``read_labelled`` gives the same values and labels.

    Args:
        path: ends in .ts or .ts.gz.
        data: sequences whose classes have no space, comma or colon in their names.
        problem: its name in the header.
    """
    lines = [
        f"@problemName {problem}",
        "@timeStamps false",
        f"@missing {str(bool(np.isnan(data.values).any())).lower()}",
        f"@univariate {str(data.n_features == 1).lower()}",
        f"@dimensions {data.n_features}",
        f"@equalLength {str(len(set(data.lengths.tolist())) == 1).lower()}",
        f"@classLabel true {' '.join(data.classes)}",
        "@data",
    ]
    for row in range(len(data)):
        dimensions = [",".join(_written(value) for value in feature) for feature in data[row].T.tolist()]
        lines.append(":".join([*dimensions, data.classes[data.labels[row]]]))
    content = ("\n".join(lines) + "\n").encode()
    Path(path).write_bytes(gzip.compress(content) if str(path).endswith(".gz") else content)


def _read_ts(path: Path, classes: Sequence[str] | None) -> LabelledSequences:
    lines = [(number, line) for number, line in _lines(path) if not line.startswith("#")]
    keys = [line.partition(" ")[0].lower() for _, line in lines]
    if "@data" not in keys:
        raise DataError(f"{path.name}: a .ts file has a line '@data' before its sequences but this has none")
    begin = keys.index("@data")
    header = {key: line.partition(" ")[2] for key, (_, line) in zip(keys[:begin], lines, strict=False)}
    named = _named_classes(path, header)
    sequences, labels = [], []
    for number, line in lines[begin + 1 :]:
        *dimensions, label = line.split(":")
        if not dimensions:
            raise _fault(path, number, "dimensions and a label divided by ':'", line)
        features = [_numbers(path, number, dimension, ",") for dimension in dimensions]
        if len({len(feature) for feature in features}) > 1:
            found = ", ".join(str(len(feature)) for feature in features)
            raise _fault(path, number, "dimensions of equal length", f"lengths {found}")
        sequences.append(np.stack(features, axis=1))
        labels.append(label.strip())
    return labelled_sequences(sequences, labels, classes=classes or named or None)


def _named_classes(path: Path, header: dict[str, str]) -> list[str]:
    """Classes that the header names, after refusing what is not read."""
    if header.get("@timestamps", "false").strip().lower() == "true":
        raise DataError(f"{path.name}: .ts files with time stamps are not read; write the values alone")
    told, *named = header.get("@classlabel", "false").split() or ["false"]
    if told.lower() != "true":
        raise DataError(
            f"{path.name}: every sequence needs a class but @classLabel does not say 'true'; add the labels"
        )
    return named


def _read_tsv(path: Path, classes: Sequence[str] | None) -> LabelledSequences:
    sequences, labels = [], []
    for number, line in _lines(path):
        label, tab, values = line.partition("\t")
        if not tab:
            raise _fault(path, number, "a label, a tab and values", line)
        steps = _numbers(path, number, values, "\t")
        labels.append(label.strip())
        # The archive fills shorter sequences with NaN up to the longest.
        sequences.append(steps[: _last_observed(steps) + 1])
    return labelled_sequences(sequences, labels, classes=classes)


def _lines(path: Path) -> list[tuple[int, str]]:
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.name.endswith(".gz") else content).decode("utf-8", "replace")
    kept = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not kept:
        raise DataError(f"{path.name} must hold sequences but is empty; check that it was written completely")
    return kept


def _numbers(path: Path, number: int, text: str, divider: str) -> np.ndarray:
    try:
        values = [
            np.nan if (item := raw.strip()) in ("?", "") else float(item) for raw in text.split(divider)
        ]
    except ValueError as error:
        word = str(error).rpartition(": ")[2].strip("'")
        raise _fault(path, number, "numbers, or ? where missing", word) from error
    return np.array(values, dtype=np.float32)


def _last_observed(steps: np.ndarray) -> int:
    observed = np.flatnonzero(~np.isnan(steps))
    return int(observed[-1]) if observed.size else len(steps) - 1


def _fault(path: Path, number: int, rule: str, came: str) -> DataError:
    return DataError(f"{path.name}: line {number} must hold {rule} but has {came[:60]!r}; mend that line")


def _written(value: float) -> str:
    return "?" if np.isnan(value) else repr(value)
