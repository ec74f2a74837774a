"""Texts as the numbered pieces that a BERT reads, its own marks of begin and end included."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from lamina.data.vocabulary import Tokens

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MARKS = PAD, UNKNOWN, BEGIN, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
PIECES = 4_000


class WordPieces:
    """A tokenizer of Hugging Face's ``tokenizers``, and what it has to know of its model.

    Args:
        tokenizer: the tokenizer; that it marks begin and end of a text is its own affair.
        pad: the piece that fills a batch.
        unknown: the piece that stands for what is not known.
        most: a longer text is cut to so many pieces, its marks included.

    >>> pieces = WordPieces.fit(["the cat sat", "the cat ran"] * 5)
    >>> [pieces.token(number) for number in pieces.encode_all(["the cat"])[0]]
    ['[CLS]', 'the', 'cat', '[SEP]']
    """

    def __init__(self, tokenizer: Tokenizer, *, pad: int, unknown: int, most: int) -> None:
        tokenizer.no_padding()
        tokenizer.enable_truncation(most)
        self._tokenizer = tokenizer
        self.pad, self.unknown, self.most = pad, unknown, most

    @classmethod
    def fit(cls, texts: Iterable[str], *, size: int = PIECES, most: int = 256) -> Self:
        """WordPiece in lower case, learned from training texts.

        Source: Schuster & Nakajima 2012, doi:10.1109/ICASSP.2012.6289079, as BERT applies it.
        """
        from tokenizers import Tokenizer, models, trainers

        read = list(texts)
        learner = _cutter(Tokenizer(models.WordPiece(unk_token=UNKNOWN)))
        characters = {c for text in read for c in learner.normalizer.normalize_str(text)}
        # The trainer would number what continues a word in the order of a hash table, and so break ties
        # by chance.
        inner = [f"##{character}" for character in sorted(characters)]
        trainer = trainers.WordPieceTrainer(
            vocab_size=size, special_tokens=[*MARKS, *inner], show_progress=False
        )
        learner.train_from_iterator(read, trainer)
        known = models.WordPiece(learner.get_vocab(), unk_token=UNKNOWN)
        return cls(_cutter(Tokenizer(known)), pad=0, unknown=1, most=most)

    def __len__(self) -> int:
        size: int = self._tokenizer.get_vocab_size()
        return size

    def token(self, number: int) -> str:
        """The piece of this number."""
        token = self._tokenizer.id_to_token(number)
        assert token is not None
        return token

    def encode_all(self, texts: Sequence[str]) -> list[Tokens]:
        """The pieces of each text between its marks, cut to ``most``."""
        return [np.array(code.ids, dtype=np.int64) for code in self._tokenizer.encode_batch(list(texts))]

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; exact."""
        return {
            "tokenizer": self._tokenizer.to_str(),
            "pad": self.pad,
            "unknown": self.unknown,
            "most": self.most,
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """The inverse of ``to_dict``."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(saved["tokenizer"])
        return cls(tokenizer, pad=saved["pad"], unknown=saved["unknown"], most=saved["most"])


def _cutter(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer, cutting and marking texts as BERT does."""
    from tokenizers import normalizers, pre_tokenizers, processors

    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing((END, 3), (BEGIN, 2))  # by their place in MARKS
    return tokenizer
