"""Word vectors from a file in the text format of word2vec and GloVe."""

from __future__ import annotations

import gzip
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lamina.data.text import not_utf8, whole_gzip
from lamina.data.vocabulary import Vocabulary
from lamina.errors import DataError


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Vectors of the words that a vocabulary and a file share.

    Attributes:
        numbers: of the words in the vocabulary, (words,).
        vectors: (words, size).
    """

    numbers: NDArray[np.int64]
    vectors: NDArray[np.float32]

    @property
    def size(self) -> int:
        return int(self.vectors.shape[1])

    @torch.no_grad()
    def put_into(self, embedding: Tensor) -> None:
        """Overwrite the rows of an embedding (tokens, size), scaled to the spread of what stood there."""
        scale = float(embedding.std()) / max(float(self.vectors.std()), 1e-12)
        embedding[torch.from_numpy(self.numbers)] = torch.from_numpy(self.vectors * np.float32(scale))


def read_word_vectors(path: str | os.PathLike[str], vocabulary: Vocabulary) -> WordVectors:
    """Vectors of a vocabulary's words; a line holds a word and its numbers, divided by spaces.

    A first line may tell how many words there are and their size, as word2vec writes it. A word may hold
    spaces, but for the first where nothing tells the size. The file is read line by line.

    Raises:
        DataError: the file is not there, is no whole gzip file or not UTF-8, has no word of the vocabulary, a
            vector is shorter than the first, or is not made of numbers.
    """
    file = Path(path)
    if not file.is_file():
        raise DataError(f"word vectors are read from a file, and there is no file '{file}'")
    found: dict[int, NDArray[np.float32]] = {}
    size = 0
    with whole_gzip(file), gzip.open(file) if file.suffix == ".gz" else file.open("rb") as lines:
        for row, content in enumerate(lines, start=1):
            try:
                line = content.decode("utf-8").rstrip(" \r\n")
            except UnicodeDecodeError as error:
                raise not_utf8(file, row, content[error.start]) from error
            word, *numbers = line.rsplit(" ", size) if size else line.split(" ")
            if row == 1 and len(numbers) == 1 and numbers[0].isdecimal():
                size = int(numbers[0])
                continue
            size = size or len(numbers)
            if len(numbers) != size:
                raise DataError(
                    f"every word vector has one size, but line {row} of '{file}' has {len(numbers)} numbers "
                    f"where {size} are due"
                )
            number = vocabulary.number(word)
            if number is not None:
                try:
                    found[number] = np.array(numbers, dtype=np.float32)
                except ValueError as error:
                    raise DataError(
                        f"a word vector is made of numbers, but line {row} of '{file}' is not: {error}"
                    ) from error
    if not found:
        raise DataError(f"'{file}' has no word of the training texts; check its language and case")
    return WordVectors(np.array(list(found), dtype=np.int64), np.stack(list(found.values())))
