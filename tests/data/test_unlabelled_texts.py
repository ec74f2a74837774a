from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from lamina.data.labelled_texts import encode_texts
from lamina.data.unlabelled_texts import BLOCK_TEXTS, UnlabelledTexts
from lamina.data.vocabulary import Vocabulary
from lamina.errors import DataError
from lamina.estimators.text_classifier import TextClassifier

KNOWN = ["good soup", "", "poor"]
MORE = ["soup of the day", "  ", "", "no soup"]


def vocabulary() -> Vocabulary:
    return Vocabulary.fit([*KNOWN, *MORE], unit="word")


@pytest.mark.parametrize("from_file", [False, True])
def test_they_stand_behind_the_labelled_ones(tmp_path: Path, from_file: bool) -> None:
    file = tmp_path / "more.txt"
    file.write_text("\n".join(MORE) + "\n", encoding="utf-8")
    words, labels = vocabulary(), np.array([1, 0, 1])
    known = encode_texts(KNOWN, labels, words, ("bad", "good"))
    every = UnlabelledTexts.of(file if from_file else MORE).behind(known, words)
    assert [words.decode(every[i]) for i in range(len(every))] == [
        "good soup",
        "<unk>",
        "poor",
        "soup of the day",
        "no soup",
    ]
    assert every.labels.tolist() == [1, 0, 1, -1, -1]
    assert every.classes == known.classes
    part = every.between(2, 4)
    assert [words.decode(part[i]) for i in range(2)] == ["poor", "soup of the day"]
    assert part.labels.tolist() == [1, -1]


def test_a_file_is_gone_through_in_blocks_as_often_as_one_likes(tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    lines = [f"this is line {i} of a file that is longer than a block" for i in range(40_000)]
    file.write_text("\n".join(lines), encoding="utf-8")
    texts = UnlabelledTexts.of(file)
    tracemalloc.start()
    sizes = [len(block) for block in texts]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(sizes) == 40_000
    assert len(sizes) > 5
    assert peak < file.stat().st_size
    assert [line for block in texts for line in block] == lines


def test_many_texts_come_in_blocks() -> None:
    assert [len(block) for block in UnlabelledTexts.of(["a"] * (BLOCK_TEXTS + 1))] == [BLOCK_TEXTS, 1]


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a list or a Path, but this is a single string"):
        UnlabelledTexts.of("more.txt")
    with pytest.raises(DataError, match="row 1 of the unlabelled ones is float"):
        UnlabelledTexts.of(["a", float("nan")])  # type: ignore[list-item]
    with pytest.raises(DataError, match="row 1 of the unlabelled ones has half of a surrogate pair"):
        UnlabelledTexts.of(["a", "\ud800"])
    with pytest.raises(DataError, match=r"'.*more\.csv' is a table\. Pass read_texts"):
        UnlabelledTexts.of(tmp_path / "more.csv")
    with pytest.raises(DataError, match="there is no file"):
        list(UnlabelledTexts.of(tmp_path / "more.txt"))
    (tmp_path / "blank.txt").write_text("\n \n", encoding="utf-8")
    with pytest.raises(DataError, match="none has a word"):
        list(UnlabelledTexts.of(tmp_path / "blank.txt"))
    with pytest.raises(DataError, match="none has a word"):
        list(UnlabelledTexts.of([]))
    (tmp_path / "latin.txt").write_bytes("soup\ncaf\xe9\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"line 2 of '.*latin\.txt' has the byte 0xe9"):
        list(UnlabelledTexts.of(tmp_path / "latin.txt"))


def test_a_vocabulary_is_counted_without_holding_a_file(tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    file.write_text("this is a line of a file that is longer than a block\n" * 200_000, encoding="utf-8")
    texts, labels = ["good line", "bad line"] * 4, np.tile([0, 1], 4)
    classifier = TextClassifier(counts=False)
    tracemalloc.start()
    parts = classifier.prepare(
        (texts, labels), (texts, labels), ("bad", "good"), unlabelled=UnlabelledTexts.of(file)
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert parts.every is not None
    assert len(parts.every) == 200_008
    assert peak < file.stat().st_size
