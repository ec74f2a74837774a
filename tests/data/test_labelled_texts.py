from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lamina.data.labelled_texts import (
    draw_by_class,
    encode_texts,
    label_codes,
    read_labelled_texts,
    read_texts,
)
from lamina.data.vocabulary import Vocabulary
from lamina.errors import ConfigError, DataError


def test_texts_lie_one_behind_the_other_and_an_empty_one_is_unknown() -> None:
    words = Vocabulary.fit(["a b c"], unit="word")
    data = encode_texts(["a b", "", "c\nd"], np.array([0, 1, 0]), words, ("x", "y"))
    assert data.lengths.tolist() == [2, 1, 2]
    assert data[1].tolist() == [words.unknown]
    assert words.decode(data[2]) == "c <unk>"
    assert len(data) == 3


def test_labels_are_named_and_checked() -> None:
    codes, names = label_codes([10, 9, 10], 3)
    assert (codes.tolist(), names) == ([0, 1, 0], ("10", "9"))
    with pytest.raises(DataError, match="2 texts and 1 labels"):
        label_codes(["a"], 2)
    with pytest.raises(DataError, match="row 1 has none"):
        label_codes(["a", None], 2)
    with pytest.raises(DataError, match="row 1 has none"):
        label_codes([1.0, float("nan")], 2)
    with pytest.raises(DataError, match="every label is 'a'"):
        label_codes(["a", "a"], 2)


def test_every_class_gives_its_share_and_a_single_text_trains() -> None:
    labels = np.array([0] * 20 + [1] * 10 + [2])
    first, second = draw_by_class(labels, 0.2, seed=3)
    assert np.bincount(labels[second], minlength=3).tolist() == [4, 2, 0]
    assert sorted([*first, *second]) == list(range(31))
    assert draw_by_class(labels, 0.2, seed=4)[1].tolist() != second.tolist()
    with pytest.raises(ConfigError, match="between 0 and 1"):
        draw_by_class(labels, 1.0, seed=0)
    with pytest.raises(DataError, match="no class has two"):
        draw_by_class(np.array([0, 1]), 0.5, seed=0)


def test_tables_of_texts_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,label\n"good, really",1\nbäd,0\n', encoding="utf-8")
    (tmp_path / "a.tsv").write_text("label\ttext\n1\tgood, really\n0\tbäd\n", encoding="utf-8")
    (tmp_path / "a.jsonl").write_text('{"text": "good, really", "label": 1}\n{"text": "bäd", "label": 0}\n')
    for name in ("a.csv", "a.tsv", "a.jsonl"):
        assert read_labelled_texts(tmp_path / name) == (["good, really", "bäd"], ["1", "0"])


def test_an_empty_cell_is_an_empty_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,label\ngood,1\n,0\n"",0\n')
    assert read_labelled_texts(tmp_path / "a.csv") == (["good", "", ""], ["1", "0", "0"])


def test_whole_surrogate_pairs_are_characters(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(r'{"text": "\ud83d\ude00 \\ud83d"}')
    assert read_texts(tmp_path / "a.jsonl") == ["😀 \\ud83d"]


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("review,label\ngood,1\n,0\n")
    (tmp_path / "a.jsonl").write_text('{"text": "good"}\n{"text": null}\n')
    (tmp_path / "half.jsonl").write_text('{"text": "\\ud83d\\ude00"}\n{"text": "a \\ud83d b"}\n')
    with pytest.raises(DataError, match="and no 'text'"):
        read_labelled_texts(tmp_path / "a.csv")
    with pytest.raises(DataError, match="did you mean 'review'"):
        read_labelled_texts(tmp_path / "a.csv", text="reviews")
    with pytest.raises(DataError, match="row 1 of"):
        read_texts(tmp_path / "a.jsonl")
    with pytest.raises(DataError, match=r"line 2 of .* has half of a surrogate pair, '\\ud83d'"):
        read_texts(tmp_path / "half.jsonl")
    with pytest.raises(DataError, match="there is no file"):
        read_labelled_texts(tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"\.csv, \.tsv or \.jsonl"):
        read_labelled_texts(tmp_path / "a.xlsx")
