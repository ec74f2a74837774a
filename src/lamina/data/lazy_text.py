"""Texts longer than memory: read in blocks, and as tokens on disk."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from lamina.data.text import Text, as_text, empty, missing, not_utf8, whole_gzip

if TYPE_CHECKING:
    from lamina.data.vocabulary import Vocabulary

Tokens = NDArray[np.int64] | NDArray[np.int32]
"""Of a text, in memory or on disk."""

BLOCK_BYTES = 1 << 18
"""A tokenizer keeps some 150 bytes a token of what it is given at once: tens of megabytes for a block."""


@dataclass(frozen=True)
class TextPart:
    """A stretch of a text; one of a file is read anew, in blocks, each time it is gone through.

    Blocks end where lines end, so that no token lies in two; one line is held whole.

    Attributes:
        source: a text, or a UTF-8 file of one, which may be gzipped (``.gz``).
        begin: first character of the part.
        end: the character after its last; None for the end of the source.
    """

    source: str | Path
    begin: int = 0
    end: int | None = None

    @classmethod
    def of(cls, text: Text) -> Self:
        """All of what a user may give.

        Raises:
            DataError: a file that cannot be read, the name of a file given as text, or no text at all.
        """
        whole = cls(text if isinstance(text, Path) else as_text(text))
        if not any(block.strip() for block in whole):
            raise empty()
        return whole

    def __iter__(self) -> Iterator[str]:
        """The blocks of the part.

        Raises:
            DataError: the file is not there, or is not UTF-8.
        """
        place = 0
        for block in read_blocks(self.source) if isinstance(self.source, Path) else [self.source]:
            first = max(0, self.begin - place)
            part = block[first:] if self.end is None else block[first : max(0, self.end - place)]
            place += len(block)
            if part:
                yield part
            if self.end is not None and place >= self.end:
                return

    def length(self) -> int:
        """Characters, counted by reading."""
        return sum(len(block) for block in self)

    def digest(self) -> str:
        """SHA-256 of the part in UTF-8."""
        found = hashlib.sha256()
        for block in self:
            found.update(block.encode())
        return found.hexdigest()

    def word_end(self, place: int) -> int:
        """The last place up to ``place`` that no word lies across."""
        begin = 0
        for block in self:
            if begin + len(block) > place:
                cut = place - begin
                return begin + max(block.rfind("\n", 0, cut), block.rfind(" ", 0, cut)) + 1
            begin += len(block)
        return begin

    def tokens(self, vocabulary: Vocabulary) -> Tokens:
        """The tokens, (tokens,): of a text in memory, of a file on disk."""
        if isinstance(self.source, Path):
            return _on_disk(self, vocabulary)
        return vocabulary.encode("".join(self))


def read_blocks(path: Path) -> Iterator[str]:
    """A UTF-8 file in blocks of about ``BLOCK_BYTES``, each up to the end of a line.

    Raises:
        DataError: the file is not there, is no whole gzip file, or is not UTF-8; with the line of the first
            bad byte.
    """
    if not path.is_file():
        raise missing(path)
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    lines, rest = 0, ""
    with whole_gzip(path), gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        while content := file.read(BLOCK_BYTES):
            lines, rest, block = _decoded(path, decoder, content, lines, rest)
            if block:
                yield block
        _, rest, block = _decoded(path, decoder, b"", lines, rest)
    if block + rest:
        yield block + rest


def _decoded(
    path: Path, decoder: codecs.IncrementalDecoder, content: bytes, lines: int, rest: str
) -> tuple[int, str, str]:
    """Lines so far, what stands after the last line end, and the text up to there."""
    try:
        text = decoder.decode(content, not content)
    except UnicodeDecodeError as error:
        line = lines + error.object[: error.start].count(b"\n") + 1
        raise not_utf8(path, line, error.object[error.start]) from error
    whole, end, after = text.rpartition("\n")
    if not end:
        return lines, rest + text, ""
    return lines + text.count("\n"), after, rest + whole + end


def _on_disk(part: TextPart, vocabulary: Vocabulary) -> NDArray[np.int32]:
    """In a file without a name, which ends with the array.

    It lies where ``tempfile`` puts files (the variable ``TMPDIR``), with four bytes a token.
    """
    with tempfile.TemporaryFile() as file:
        count = 0
        for block in part:
            found = vocabulary.encode(block).astype(np.int32)
            file.write(found.tobytes())
            count += len(found)
        file.flush()
        return np.memmap(file, dtype=np.int32, mode="r", shape=(count,))
