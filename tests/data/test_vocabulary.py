from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina.data.vocabulary import CHUNK_CHARACTERS, Unit, Vocabulary
from lamina.errors import ConfigError

TEXT = "the cat sat\nthe dog sat, too\n"


def test_characters_keep_the_text() -> None:
    words = Vocabulary.fit([TEXT], unit="character")
    assert len(words) == len(set(TEXT)) + 2
    assert len(words.encode(TEXT)) == len(TEXT)
    assert words.decode(words.encode(TEXT)) == TEXT


def test_a_text_longer_than_a_chunk_is_whole() -> None:
    text = "ab\n" * CHUNK_CHARACTERS
    words = Vocabulary.fit([text], unit="character")
    assert words.decode(words.encode(text)) == text


def test_words_part_signs_and_end_lines() -> None:
    words = Vocabulary.fit([TEXT], unit="word")
    tokens = [words.token(int(number)) for number in words.encode(TEXT)]
    assert tokens == ["the", "cat", "sat", "<eos>", "the", "dog", "sat", ",", "too", "<eos>"]
    assert words.encode("the cat").tolist() == words.encode("the cat\n").tolist()[:-1]
    assert words.decode(words.encode("the dog sat\n")) == "the dog sat\n"


def test_spaced_words_are_what_stands_between_spaces() -> None:
    words = Vocabulary.fit([TEXT], unit="spaced")
    assert [words.token(int(number)) for number in words.encode("dog sat, too")] == ["dog", "sat,", "too"]
    assert [words.token(int(n)) for n in words.encode("a <unk> @-@ \n")] == ["<unk>"] * 3 + ["<eos>"]


@pytest.mark.parametrize("unit", ["character", "word", "spaced", "subword"])
def test_token_by_token_the_same_text_comes(unit: Unit) -> None:
    words = Vocabulary.fit(["a naïve line\n"] * 5, unit=unit, size=270 if unit == "subword" else None)
    numbers = words.encode("a naïve line 🎉 日\n\nline" if unit == "subword" else "a naïve line\n\nline")
    pieces = list(words.decode_each(numbers.tolist()))
    assert len(pieces) == len(numbers)
    assert "".join(pieces) == words.decode(numbers)
    assert not any("\ufffd" in piece for piece in pieces)
    signs = words.encode("\ufffd \ufffd")  # which look like what is broken
    assert "".join(words.decode_each(signs.tolist())) == words.decode(signs)


def test_bytes_that_are_no_character_lose_none_of_their_neighbours() -> None:
    words = Vocabulary.fit([TEXT], unit="subword", size=257)  # a token for each byte
    party, kanji, stray = (words.encode(text).tolist() for text in ("🎉", "日", "À"))
    for numbers in (stray[1:] + party, party[:1] * 2 + kanji, party[:3] + kanji, stray[1:] * 9, party[:3]):
        assert "".join(words.decode_each(numbers)) == words.decode(numbers)


@settings(max_examples=30, deadline=None)
@given(st.text())
def test_subwords_know_every_text(text: str) -> None:
    words = Vocabulary.fit([TEXT], unit="subword", size=300)
    assert words.decode(words.encode(text)) == text


def test_the_rare_and_the_unseen_are_unknown() -> None:
    words = Vocabulary.fit([TEXT], unit="word", least_count=2)
    assert len(words) == 4  # the, sat and the two special ones
    assert words.encode("the cat").tolist() == [words.encode("the")[0], words.unknown]
    assert len(Vocabulary.fit([TEXT], unit="word", size=3)) == 3


@pytest.mark.parametrize("unit", get_args(Unit))
def test_a_text_that_holds_the_reserved_tokens_stays_inside_the_vocabulary(unit: Unit) -> None:
    text = "the <unk> sat <eos> on the <unk>\n<unk> cat <unk>\n" * 3
    words = Vocabulary.fit([text], unit=unit)
    numbers = words.encode(text)
    assert numbers.max() < len(words)
    assert (numbers == words.unknown).sum() == 12
    assert len({words.token(number) for number in range(len(words))}) == len(words)


def test_case_is_kept_unless_it_is_not_wanted() -> None:
    assert Vocabulary.fit([TEXT], unit="word").encode("The")[0] == 0
    lower = Vocabulary.fit([TEXT], unit="word", lowercase=True)
    assert lower.encode("THE") == lower.encode("the") != [lower.unknown]


@pytest.mark.parametrize("unit", ["character", "word", "spaced", "subword"])
def test_it_comes_back_from_json(unit: Unit) -> None:
    words = Vocabulary.fit([TEXT], unit=unit)
    again = Vocabulary.from_dict(json.loads(json.dumps(words.to_dict())))
    assert again.encode(TEXT).tolist() == words.encode(TEXT).tolist()
    assert (again.unit, len(again), again.end) == (unit, len(words), words.end)


def test_several_texts_are_encoded_one_by_one() -> None:
    words = Vocabulary.fit([TEXT], unit="word")
    found = words.encode_all(["the cat", "", "dog\nsat"])
    assert [len(ids) for ids in found] == [2, 0, 2]


def test_an_unknown_unit_is_guessed() -> None:
    with pytest.raises(ConfigError, match="'charcter'; did you mean 'character'"):
        Vocabulary.fit([TEXT], unit="charcter")  # type: ignore[arg-type]
