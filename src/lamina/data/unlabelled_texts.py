"""Texts without labels, which may be longer than memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from lamina.data.labelled_texts import Encoder, LabelledTexts, encode_unlabelled
from lamina.data.lazy_text import read_blocks
from lamina.data.text import lines_of, require_text
from lamina.data.text_columns import is_table
from lamina.errors import DataError

BLOCK_TEXTS = 1_000


@dataclass(frozen=True)
class UnlabelledTexts:
    """Texts that are gone through in blocks, as often as one likes.

    Attributes:
        source: texts, or a file of plain text, each line of which is one; it is read anew each time.
    """

    source: Sequence[str] | Path

    @classmethod
    def of(cls, texts: Sequence[str] | Path) -> Self:
        """All of what a user may give.

        Raises:
            DataError: what was given is no texts, or a table.
        """
        if isinstance(texts, str):
            raise DataError("unlabelled texts come as a list or a Path, but this is a single string.")
        if isinstance(texts, Path):
            if is_table(texts):
                raise DataError(
                    f"a Path names plain text, a text a line, but '{texts}' is a table. Pass "
                    "read_texts(path, text=COLUMN) of lamina.data.labelled_texts."
                )
        else:
            for row, text in enumerate(texts):
                require_text(text, f"row {row} of the unlabelled ones")
        return cls(texts)

    def __iter__(self) -> Iterator[list[str]]:
        """Blocks of texts that have a word; others are passed over.

        Raises:
            DataError: the file is not there, is not UTF-8, or there is no text.
        """
        found = False
        for block in self.blocks():
            texts = [text for text in block if text.strip()]
            found = found or bool(texts)
            if texts:
                yield texts
        if not found:
            raise DataError("unlabelled texts were given, but none has a word. Check the source.")

    def blocks(self) -> Iterator[Sequence[str]]:
        """All texts, empty ones too."""
        if isinstance(self.source, Path):
            for block in read_blocks(self.source):
                yield lines_of(block)
            return
        for begin in range(0, len(self.source), BLOCK_TEXTS):
            yield self.source[begin : begin + BLOCK_TEXTS]

    def behind(self, known: LabelledTexts, tokens: Encoder) -> LabelledTexts:
        """Labelled texts and, behind them, these without labels.

        Their tokens are in a temporary file, four bytes each, where ``tempfile`` puts it (``TMPDIR``).
        """
        lengths, labels = [known.lengths], [known.labels]
        with tempfile.TemporaryFile() as file:
            file.write(known.values.astype(np.int32).tobytes())
            for block in self:
                found = encode_unlabelled(block, tokens, known.classes)
                file.write(found.values.astype(np.int32).tobytes())
                lengths.append(found.lengths)
                labels.append(found.labels)
            file.flush()
            starts = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
            values = np.memmap(file, dtype=np.int32, mode="r", shape=(int(starts[-1]),))
        return LabelledTexts(values, starts, np.concatenate(labels), known.classes)
