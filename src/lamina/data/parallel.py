"""Texts and their translations."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from lamina.data.text import read_lines, require_text
from lamina.data.text_columns import is_table, read_columns
from lamina.errors import DataError

Pairs = tuple[list[str], list[str]]


def check_pairs(source: Sequence[str], target: Sequence[str]) -> Pairs:
    """Both sides as lists of texts, once it is sure that they are pairs.

    Raises:
        DataError: the sides differ in number, there is no pair, or a text is none or empty; with its row.

    >>> check_pairs(["a cat", " "], ["eine Katze", "ein Hund"])
    Traceback (most recent call last):
        ...
    lamina.errors.DataError: both texts of a pair have words, but the source of row 1 is empty; leave it out
    """
    sides = {"source": source, "target": target}
    for name, texts in sides.items():
        if isinstance(texts, str):
            raise DataError(f"texts come as a list, but the {name} is a single string. Pass [text].")
    if len(source) != len(target):
        raise DataError(
            f"every text has a translation, but there are {len(source)} texts and {len(target)} "
            "translations. Check where the two part."
        )
    if not len(source):
        raise DataError("at least one pair is needed but there are none; check the source")
    for name, texts in sides.items():
        for row, text in enumerate(texts):
            require_text(text, f"the {name} of row {row}")
            if not text.strip():
                raise DataError(
                    f"both texts of a pair have words, but the {name} of row {row} is empty; leave it out"
                )
    return list(source), list(target)


def read_pairs(
    path: str | os.PathLike[str],
    target_path: str | os.PathLike[str] | None = None,
    *,
    source: str = "source",
    target: str = "target",
) -> Pairs:
    """Pairs of two files of plain text, a text a line, or of one table.

    Args:
        path: the source texts; or a file that ends with .csv, .tsv or .jsonl (each may be gzipped, .gz).
        target_path: the translations, line by line; None where ``path`` is a table.
        source, target: the columns or keys of a table.

    Raises:
        DataError: a file cannot be read or is not UTF-8, a column is missing, or the pairs break a rule.
    """
    if target_path is not None:
        return check_pairs(*(read_lines(Path(one)) for one in (path, target_path)))
    return check_pairs(*_columns(Path(path), source, target))


def _columns(path: Path, source: str, target: str) -> Pairs:
    import polars as pl

    if not is_table(path):
        raise DataError(
            "pairs are read from two files of plain text, or from one .csv, .tsv or .jsonl file, but there "
            f"is only '{path}'. Name the file of the translations too."
        )
    frame = read_columns(path, {source: "source= (--text)", target: "target= (--translation)"})
    texts, translations = (
        frame[column].fill_null("").cast(pl.String).to_list() for column in (source, target)
    )
    return texts, translations
