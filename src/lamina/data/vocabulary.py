"""Text as numbers and back: which tokens there are, fitted on training text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from lamina.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Unit = Literal["character", "word", "spaced", "subword"]
Tokens = NDArray[np.int64]

UNKNOWN, END = "<unk>", "<eos>"
CHUNK_CHARACTERS = 1 << 14  # a tokenizer keeps offsets of every token, so a long text goes in pieces
SUBWORDS = 8_000
BROKEN = "\ufffd"  # what bytes that are no character decode to


class Vocabulary:
    r"""The tokens of a language, numbered; the most frequent first.

    ``character``: every character is a token. ``word``: runs of letters and digits, and runs of other signs.
    ``spaced``: what stands between spaces, for text that is tokenised already. ``subword``: byte-pair
    encoding over bytes, which knows every text. In words, a line ends with ``<eos>`` and spaces are not kept;
    characters and subwords keep every character, line ends included.

    A token that training text lacked is ``<unk>``. Where a text itself holds ``<unk>`` or ``<eos>``, as texts
    do whose rare words were taken out, they are these tokens.

    >>> words = Vocabulary.fit(["the cat\nthe dog\n"], unit="word")
    >>> words.decode(words.encode("the bird\n"))
    'the <unk>\n'
    """

    def __init__(self, tokenizer: Tokenizer, unit: Unit) -> None:
        self._tokenizer, self.unit = tokenizer, unit

    @classmethod
    def fit(
        cls,
        texts: Iterable[str],
        *,
        unit: Unit,
        size: int | None = None,
        least_count: int = 1,
        lowercase: bool = False,
    ) -> Self:
        """Count the tokens of training text.

        Args:
            texts: training text, in as many pieces as one likes.
            unit: what a token is.
            size: most tokens, ``<unk>`` and ``<eos>`` included; None keeps all (8,000 subwords).
            least_count: rarer tokens are unknown.
            lowercase: whether upper and lower case are the same.

        Raises:
            ConfigError: no such unit.
        """
        from tokenizers import Tokenizer, decoders, models, normalizers

        if unit not in get_args(Unit):
            raise ConfigError(
                f"unit is one of {', '.join(get_args(Unit))}, but is {unit!r}"
                f"{did_you_mean(unit, get_args(Unit))}"
            )
        model: Any = models.BPE() if unit == "subword" else models.WordLevel(unk_token=UNKNOWN)
        tokenizer = Tokenizer(model)
        tokenizer.pre_tokenizer = _splitter(unit)
        if lowercase:
            tokenizer.normalizer = normalizers.Lowercase()
        if unit == "subword":
            tokenizer.decoder = decoders.ByteLevel()
        pieces = (_without_reserved(piece) for text in texts for piece in _pieces(text, unit))
        tokenizer.train_from_iterator(pieces, _trainer(unit, size, least_count))
        return cls(tokenizer, unit)

    def __len__(self) -> int:
        size: int = self._tokenizer.get_vocab_size()
        return size

    @property
    def unknown(self) -> int:
        """The number of ``<unk>``."""
        return self._special(UNKNOWN)

    @property
    def end(self) -> int:
        """The number of ``<eos>``."""
        return self._special(END)

    def _special(self, token: str) -> int:
        number = self.number(token)
        assert number is not None
        return number

    def number(self, token: str) -> int | None:
        """The number of a token, or None where it is not known."""
        found = self._tokenizer.token_to_id(token)
        return None if found is None else int(found)

    def token(self, number: int) -> str:
        """The token of this number, as it stands in the vocabulary."""
        token = self._tokenizer.id_to_token(number)
        assert token is not None
        return token

    def encode(self, text: str) -> Tokens:
        """The tokens of a text, (tokens,)."""
        pieces = _pieces(text, self.unit)
        found = [np.array(code.ids, dtype=np.int64) for code in self._tokenizer.encode_batch(pieces)]
        if self.unit in ("word", "spaced"):  # every piece but the last ended with a line end
            last = len(found) - 1
            found = [ids if i == last else np.append(ids, self.end) for i, ids in enumerate(found)]
        return np.concatenate(found)

    def encode_all(self, texts: Sequence[str]) -> list[Tokens]:
        """The tokens of each text, line ends as any other space."""
        return [np.array(code.ids, dtype=np.int64) for code in self._tokenizer.encode_batch(list(texts))]

    def decode(self, numbers: Sequence[int] | NDArray[np.integer[Any]]) -> str:
        """The text of tokens; words are parted by spaces."""
        if self.unit == "subword":
            text = self._tokenizer.decode([int(number) for number in numbers], skip_special_tokens=False)
            return text or ""
        tokens = [self.token(int(number)) for number in numbers]
        if self.unit == "character":
            return "".join("\n" if token == END else token for token in tokens)
        return (
            " ".join("\n" if token == END else token for token in tokens)
            .replace(" \n", "\n")
            .replace("\n ", "\n")
        )

    def decode_each(self, numbers: Iterable[int]) -> Iterator[str]:
        """What each token adds to the text of those before it; all joined are ``decode`` of them.

        A subword may end within a character: its bytes wait, and "" is given, until the character is whole.
        Bytes that still wait after the last token come by themselves.
        """
        tokens: list[int] = []  # since the last one that ended with a whole character
        given = 0  # characters of their text
        for number in numbers:
            tokens.append(number)
            text = self.decode(tokens)
            sure = text.removesuffix(BROKEN) if self.unit == "subword" else text
            yield sure[given:]
            given = len(sure)
            if sure == text:
                tokens, given = [number], len(self.decode([number]))
        if rest := self.decode(tokens)[given:]:
            yield rest

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; exact."""
        return {"unit": self.unit, "tokenizer": self._tokenizer.to_str()}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """The inverse of ``to_dict``."""
        from tokenizers import Tokenizer

        return cls(Tokenizer.from_str(saved["tokenizer"]), saved["unit"])


def _splitter(unit: Unit) -> Any:
    from tokenizers import Regex, pre_tokenizers

    if unit == "character":
        return pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    if unit == "word":
        return pre_tokenizers.Whitespace()
    if unit == "spaced":
        return pre_tokenizers.WhitespaceSplit()
    return pre_tokenizers.ByteLevel(add_prefix_space=False)


def _without_reserved(piece: str) -> str:
    """Training text in which ``<unk>`` and ``<eos>`` stand written; a trainer that counted them as words
    would number each a second time, above the size of the vocabulary."""
    return piece.replace(UNKNOWN, " ").replace(END, " ")


def _trainer(unit: Unit, size: int | None, least_count: int) -> Any:
    from tokenizers import pre_tokenizers, trainers

    if unit == "subword":
        return trainers.BpeTrainer(
            vocab_size=size or SUBWORDS,
            min_frequency=least_count,
            special_tokens=[UNKNOWN, END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
    return trainers.WordLevelTrainer(
        vocab_size=size or 2**31,
        min_frequency=least_count,
        special_tokens=[UNKNOWN, END],
        show_progress=False,
    )


def _pieces(text: str, unit: Unit) -> list[str]:
    """A text in pieces that share no token: lines, or for characters stretches of one length."""
    if unit == "character":
        return [
            text[begin : begin + CHUNK_CHARACTERS] for begin in range(0, max(1, len(text)), CHUNK_CHARACTERS)
        ]
    return text.splitlines(keepends=True) or [""] if unit == "subword" else text.split("\n")
