from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from lamina.data.vocabulary import Vocabulary
from lamina.data.word_vectors import read_word_vectors
from lamina.errors import DataError

WORDS = Vocabulary.fit(["cat dog bird"], unit="word")


@pytest.mark.parametrize("head", ["", "3 2\n"])
def test_vectors_go_where_their_words_are(tmp_path: Path, head: str) -> None:
    (tmp_path / "v.txt.gz").write_bytes(gzip.compress(f"{head}dog 1 -1\nhouse 5 5\ncat 3 0.5\n".encode()))
    vectors = read_word_vectors(tmp_path / "v.txt.gz", WORDS)
    assert vectors.size == 2
    embedding = torch.randn(len(WORDS), 2)
    before = embedding.clone()
    vectors.put_into(embedding)
    dog, cat, bird = (WORDS.number(word) for word in ("dog", "cat", "bird"))
    scale = float(before.std()) / np.std([1, -1, 3, 0.5])
    np.testing.assert_allclose(embedding[dog], np.array([1, -1]) * scale, rtol=1e-5)
    np.testing.assert_allclose(embedding[cat], np.array([3, 0.5]) * scale, rtol=1e-5)
    assert torch.equal(embedding[bird], before[bird])


def test_files_without_use_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    with pytest.raises(DataError, match="there is no file"):
        read_word_vectors(path, WORDS)
    path.write_text("house 1 2\n")
    with pytest.raises(DataError, match="no word of the training texts"):
        read_word_vectors(path, WORDS)
    path.write_text("cat 1 2\ndog 1\n")
    with pytest.raises(DataError, match=r"line 2 of .* has 1 numbers where 2 are due"):
        read_word_vectors(path, WORDS)
    path.write_text("cat 1 2\ndog 1 two\n")
    with pytest.raises(DataError, match=r"made of numbers, but line 2 of .* is not: .*two"):
        read_word_vectors(path, WORDS)
    path.write_bytes("cat 1 2\ncafé 1 2\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"line 2 of .* has the byte 0xe9"):
        read_word_vectors(path, WORDS)


def test_words_may_hold_spaces(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_text("cat 1 2\n. . . 5 6\ndog 3 4\n")
    assert read_word_vectors(path, WORDS).vectors.tolist() == [[1, 2], [3, 4]]
