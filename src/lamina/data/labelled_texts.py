"""Labelled texts, for classification."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from lamina.data.lazy_text import Tokens
from lamina.data.text import read_lines
from lamina.data.text_columns import is_json, is_table, read_columns
from lamina.errors import ConfigError, DataError

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, eq=False)
class LabelledTexts:
    """Texts as tokens, one behind the other.

    Attributes:
        values: tokens of all texts, (total,).
        starts: text i is ``values[starts[i]:starts[i + 1]]``, (n + 1,).
        labels: positions in ``classes``, (n,); -1 where not known.
        classes: names of the classes.
    """

    values: Tokens
    starts: NDArray[np.int64]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Tokens:
        """The tokens of one text."""
        return self.values[self.starts[index] : self.starts[index + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text, (n,)."""
        return np.diff(self.starts)

    def between(self, begin: int, end: int) -> LabelledTexts:
        """The texts from ``begin`` up to ``end``; their tokens are not copied."""
        starts = self.starts[begin : end + 1]
        values: Tokens = self.values[starts[0] : starts[-1]]
        return LabelledTexts(values, starts - starts[0], self.labels[begin:end], self.classes)

    def subset(self, chosen: NDArray[np.int64]) -> LabelledTexts:
        """Some of the texts, in this order; one may come several times."""
        tokens = [self[int(i)] for i in chosen]
        starts = np.concatenate([[0], np.cumsum([len(one) for one in tokens])]).astype(np.int64)
        values = np.concatenate([*tokens, self.values[:0]]).astype(np.int64)
        return LabelledTexts(values, starts, self.labels[chosen], self.classes)


class Encoder(Protocol):
    """What cuts texts into numbered tokens."""

    def __len__(self) -> int:
        """How many tokens there are."""

    @property
    def unknown(self) -> int:
        """The token of what is not known."""

    def encode_all(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """The tokens of each text."""


def encode_texts(
    texts: Sequence[str], labels: NDArray[np.int64], vocabulary: Encoder, classes: tuple[str, ...]
) -> LabelledTexts:
    """Texts by the numbers of their tokens; one without any is read as one unknown token."""
    found = vocabulary.encode_all(texts)
    nothing = np.array([vocabulary.unknown])
    found = [tokens if len(tokens) else nothing for tokens in found]
    starts = np.concatenate([[0], np.cumsum([len(tokens) for tokens in found])]).astype(np.int64)
    return LabelledTexts(np.concatenate(found), starts, labels, classes)


def encode_unlabelled(texts: Sequence[str], vocabulary: Encoder, classes: tuple[str, ...]) -> LabelledTexts:
    """Texts whose labels are not known."""
    return encode_texts(texts, np.full(len(texts), -1), vocabulary, classes)


def label_codes(labels: Sequence[object], texts: int) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Positions of labels among the classes, which are their names, sorted.

    Raises:
        DataError: another number of labels than texts, a missing label, or a single class.

    >>> label_codes(["spam", "ham", "spam"], 3)[1]
    ('ham', 'spam')
    """
    if len(labels) != texts:
        raise DataError(f"every text has a label but there are {texts} texts and {len(labels)} labels")
    for row, label in enumerate(labels):
        if label is None or label != label or not str(label).strip():  # noqa: PLR0124  # NaN is not itself
            raise DataError(f"every text has a label but row {row} has none; add it or leave the row out")
    names, codes = np.unique([str(label) for label in labels], return_inverse=True)
    if len(names) < 2:
        raise DataError(f"at least two classes are needed but every label is '{names[0]}'; check the labels")
    return codes.astype(np.int64), tuple(names.tolist())


def draw_by_class(
    labels: NDArray[np.int64], fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of two parts with like shares of every class, each in the order of the data.

    A class of one text stays in the first part.

    Raises:
        ConfigError: the fraction is not between 0 and 1.
        DataError: there are too few texts for a second part.

    >>> [part.tolist() for part in draw_by_class(np.array([0, 0, 1, 1]), 0.5, seed=0)]
    [[1, 3], [0, 2]]
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"fraction is between 0 and 1 but is {fraction}; use for example 0.1")
    generator = np.random.default_rng(seed)
    second = np.zeros(len(labels), dtype=np.bool_)
    for code in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == code))
        second[members[: min(max(1, round(fraction * len(members))), len(members) - 1)]] = True
    if not second.any():
        raise DataError("no class has two texts, so none can be held out; give more texts")
    return np.flatnonzero(~second), np.flatnonzero(second)


def require_share(fraction: float) -> None:
    """Raise ConfigError where a ``validation_fraction`` is not between 0 and 1."""
    if not 0 < fraction < 1:
        raise ConfigError(f"validation_fraction is between 0 and 1 but is {fraction}; use for example 0.1")


def draw_share(
    count: int, fraction: float, seed: int, *, of: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of two parts of pairs: the first in the order of the data, the second by chance.

    Args:
        count: of pairs.
        fraction: of the second part, which has one at least.
        seed: of the draw.
        of: what the pairs are, for errors.

    Raises:
        ConfigError: the fraction is not between 0 and 1.
        DataError: nothing would be left for the first part.
    """
    require_share(fraction)
    order = np.random.default_rng(seed).permutation(count)
    share = max(1, round(fraction * count))
    if share >= count:
        raise DataError(f"some {of} are held out, but there are only {count}; give more")
    return np.sort(order[share:]), order[:share]


def take(sides: tuple[Sequence[A], Sequence[B]], chosen: NDArray[np.int64]) -> tuple[list[A], list[B]]:
    """The chosen pairs of two sides."""
    return [sides[0][i] for i in chosen], [sides[1][i] for i in chosen]


def read_labelled_texts(
    path: str | os.PathLike[str], *, text: str = "text", label: str = "label"
) -> tuple[list[str], list[str]]:
    """Texts and labels of a CSV, TSV or JSON lines file.

    Args:
        path: a file that ends with .csv, .tsv or .jsonl (or, gzipped, with .gz behind).
        text: the column or key of the texts.
        label: that of the labels.

    Raises:
        DataError: the file cannot be read, lacks a column, or a JSON line lacks its text.
    """
    texts, labels = _columns(Path(path), (text, label))
    return texts, labels


def read_texts(path: str | os.PathLike[str], *, text: str = "text") -> list[str]:
    """Texts of a CSV, TSV or JSON lines file, or of another file, each line of which is one.

    Args:
        path: the file, UTF-8.
        text: the column or key of the texts, where there are columns.

    Raises:
        DataError: the file cannot be read, lacks the column, or a JSON line lacks its text.
    """
    file = Path(path)
    if is_table(file):
        return _columns(file, (text,))[0]
    return read_lines(file)


def _columns(file: Path, names: Sequence[str]) -> list[list[str]]:
    """Columns of a table; the first has a value in every row."""
    import polars as pl

    if not is_table(file):
        raise DataError(f"labelled texts are read from .csv, .tsv or .jsonl files, but this is '{file}'")
    frame = read_columns(file, dict(zip(names, ("text= (--text)", "label= (--label)"), strict=False)))
    if is_json(file):
        missing = frame[names[0]].is_null()
        if missing.any():
            raise DataError(f"every row has a text, but row {missing.arg_true()[0]} of '{file}' has none")
    else:  # an empty cell is an empty text, whether or not it stands between quotation marks
        frame = frame.with_columns(pl.col(names[0]).fill_null(""))
    return [frame[name].cast(pl.String).to_list() for name in names]
