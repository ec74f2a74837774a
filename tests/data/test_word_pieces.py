from __future__ import annotations

import numpy as np

from lamina.data.word_pieces import WordPieces

TEXTS = ["the cat sat on the mat", "The dogs ran"] * 5


def test_texts_stand_between_their_marks_in_lower_case() -> None:
    pieces = WordPieces.fit(TEXTS)
    found = pieces.encode_all(["The CAT", ""])
    assert [pieces.token(number) for number in found[0]] == ["[CLS]", "the", "cat", "[SEP]"]
    assert [pieces.token(number) for number in found[1]] == ["[CLS]", "[SEP]"]
    assert found[0].dtype == np.int64


def test_a_word_that_training_lacked_comes_in_pieces_or_is_unknown() -> None:
    pieces = WordPieces.fit(TEXTS)
    (found,) = pieces.encode_all(["cats 你"])
    tokens = [pieces.token(number) for number in found]
    assert tokens[1:-2] == ["cat", "##s"]
    assert tokens[-2] == "[UNK]"
    assert found[-2] == pieces.unknown


def test_a_long_text_is_cut_and_keeps_its_marks() -> None:
    pieces = WordPieces.fit(TEXTS, most=5)
    (found,) = pieces.encode_all(["the cat sat on the mat"])
    assert [pieces.token(number) for number in found] == ["[CLS]", "the", "cat", "sat", "[SEP]"]


def test_the_same_texts_give_the_same_pieces() -> None:
    """Many pairs are equally frequent here, so that a tie broken by chance shows."""
    texts = [f"w{n * 7919 % 1000}x" for n in range(300)]
    first = WordPieces.fit(texts, size=120).to_dict()
    assert all(WordPieces.fit(texts, size=120).to_dict() == first for _ in range(5))


def test_it_comes_back_from_json_types() -> None:
    pieces = WordPieces.fit(TEXTS, most=7)
    again = WordPieces.from_dict(pieces.to_dict())
    assert (len(again), again.pad, again.unknown, again.most) == (len(pieces), 0, 1, 7)
    for old, new in zip(pieces.encode_all(TEXTS), again.encode_all(TEXTS), strict=True):
        np.testing.assert_array_equal(old, new)
