"""Tagged sentences from CoNLL files: CoNLL-U, and columns divided by spaces or tabs."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lamina.data.text import read_lines
from lamina.errors import DataError

CONLLU_COLUMNS = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
SENTENCE_ID = "# id "  # begins a comment above a sentence, as in MultiCoNER
DOCUMENT = "-DOCSTART-"
"""What stands for a word where a document begins."""


class TaggedSentences(NamedTuple):
    """Sentences, word by word, and their tags."""

    words: list[list[str]]
    tags: list[list[str]]


@dataclass(frozen=True)
class _Columns:
    """Where words and tags stand in a line."""

    word: int
    tag: int
    is_conllu: bool


def read_conllu(path: str | os.PathLike[str], *, tag: str = "UPOS") -> TaggedSentences:
    """Words and tags of a CoNLL-U file; words of several tokens and empty nodes are passed over.

    Args:
        path: the file, UTF-8, gzipped or not.
        tag: a column such as UPOS, XPOS, FEATS or DEPREL.

    Raises:
        DataError: the file cannot be read, or a line has not ten columns; with its number.
    """
    if tag not in CONLLU_COLUMNS:
        raise DataError(f"a column of CoNLL-U is one of {', '.join(CONLLU_COLUMNS)}, but is '{tag}'")
    return _read(Path(path), _Columns(1, CONLLU_COLUMNS.index(tag), is_conllu=True))


def read_conll(path: str | os.PathLike[str], *, word: int = 0, tag: int = -1) -> TaggedSentences:
    """Words and tags of a file with a word a line and an empty line after a sentence.

    Lines ``-DOCSTART-``, and ``# id ...`` above a sentence, are passed over.

    Args:
        path: the file, UTF-8, gzipped or not.
        word: the column of words, from 0.
        tag: the column of tags; -1 is the last.

    Raises:
        DataError: the file cannot be read, or a line has other columns than the first; with its number.
    """
    return _read(Path(path), _Columns(word, tag, is_conllu=False))


def _read(path: Path, columns: _Columns) -> TaggedSentences:
    words: list[list[str]] = [[]]
    tags: list[list[str]] = [[]]
    width = len(CONLLU_COLUMNS) if columns.is_conllu else 0  # that of the first line, where it is not known
    for number, line in enumerate(read_lines(path), start=1):
        found = line.split("\t") if columns.is_conllu else cells(line)
        if not cells(line):
            if words[-1]:
                words.append([])
                tags.append([])
            continue
        if line.startswith(DOCUMENT) or (columns.is_conllu and line.startswith("#")):
            continue
        if not words[-1] and line.startswith(SENTENCE_ID):
            continue
        if columns.is_conllu and len(found) == len(CONLLU_COLUMNS) and not found[0].isdigit():
            continue  # 3-4 joins words, 5.1 is an empty node
        needed = max(columns.word + 1, columns.tag + 1, 2)
        width = width or max(needed, len(found))
        if len(found) != width:
            raise DataError(
                f"every word's line has the same columns, here {width}, but line {number} of '{path}' has "
                f"{len(found)}: {line[:60]!r}. Columns are parted by "
                f"{'tabs' if columns.is_conllu else 'spaces or tabs, which no word may hold'}; leave out "
                "what is no word"
            )
        words[-1].append(found[columns.word])
        tags[-1].append(found[columns.tag])
    if not words[-1]:
        words.pop()
        tags.pop()
    if not words:
        raise DataError(f"a file of tagged sentences has a sentence, but '{path}' has none")
    return TaggedSentences(words, tags)


def cells(line: str) -> list[str]:
    r"""What stands in a line, parted by spaces and tabs alone, since a word may hold other blanks.

    >>> cells("10\u00a0000 NUM\tO")
    ['10\xa0000', 'NUM', 'O']
    """
    return re.findall(r"[^ \t]+", line)


def mark_entities(tags: Collection[str]) -> bool:
    """Whether tags are of BIO or BIOES: O, or a letter of these, a hyphen and a name.

    Raises:
        DataError: there is an O, and some of the others are of entities and some are not.

    >>> mark_entities(["O", "B-PER", "I-PER"]), mark_entities(["NOUN", "VERB"])
    (True, False)
    """
    known = [tag for tag in tags if tag != "O"]
    marked = [tag for tag in known if tag[:2] in ("B-", "I-", "E-", "S-") and len(tag) > 2]
    if marked and len(marked) < len(known) and "O" in tags:
        other = next(tag for tag in known if tag not in marked)
        raise DataError(
            f"tags of entities are O, or B-, I-, E- or S- before a name, but '{other}' stands among such as "
            f"'{marked[0]}'. Mend it, or use decoder='softmax' and metric='accuracy', which take any tags."
        )
    return bool(marked) and len(marked) == len(known)


def to_bioes(tags: list[str]) -> list[str]:
    """Tags of entities in BIO or IOB1 as BIOES, which marks ends and single words too; such tags stay.

    Raises:
        DataError: a tag is not of entities.

    >>> to_bioes(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"])
    ['B-PER', 'E-PER', 'O', 'S-LOC', 'S-LOC']
    """
    if not mark_entities(tags) and (other := next((tag for tag in tags if tag != "O"), None)):
        raise DataError(f"tags of entities are O, or B- or I- before a name, but there is '{other}'")
    if any(tag.startswith(("E-", "S-")) for tag in tags):
        return list(tags)
    result = []
    for place, tag in enumerate(tags):
        if tag == "O":
            result.append(tag)
            continue
        kind = tag[2:]
        before = tags[place - 1] if place else "O"
        after = tags[place + 1] if place + 1 < len(tags) else "O"
        begins = tag.startswith("B-") or before == "O" or before[2:] != kind
        ends = after != f"I-{kind}"
        result.append(f"{('S' if ends else 'B') if begins else ('E' if ends else 'I')}-{kind}")
    return result


def to_bio(tags: list[str]) -> list[str]:
    """BIOES tags as BIO.

    >>> to_bio(["S-LOC", "O", "B-PER", "E-PER"])
    ['B-LOC', 'O', 'B-PER', 'I-PER']
    """
    return [{"S": "B", "E": "I"}.get(tag[0], tag[0]) + tag[1:] for tag in tags]
