"""Sessions of language and music models: what comes next, one token or one frame at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import override

from lamina.errors import ConfigError, DataError
from lamina.streaming.packed import Storage, Weights, new_model, optional, pack_stack, plain, require_native
from lamina.streaming.session import Session, as_numbers, digest_of

if TYPE_CHECKING:
    from lamina.data.vocabulary import Vocabulary

Array = NDArray[np.float64]


class TokenSession(Session):
    """A session of a LanguageModel: a token goes in, and the probability of each next one comes out."""

    def __init__(
        self,
        native: Any,
        vectors: NDArray[np.float32],
        vocabulary: Vocabulary,
        digest: str,
        *,
        cutoffs: Sequence[int] = (),
    ) -> None:
        super().__init__(native, digest=digest)
        self._step = native.step if not cutoffs else self._step_in_classes
        self._native, self._cutoffs = native, tuple(cutoffs)
        self._vectors = vectors
        self.vocabulary = vocabulary

    @staticmethod
    def over(
        body: Mapping[str, Any],
        weights: Weights,
        vocabulary: Mapping[str, Any],
        *,
        storage: Storage,
        max_keys: int,
    ) -> TokenSession:
        """A session over a language model's weights, by the names of its network's ``state_dict()``."""
        from lamina.data.vocabulary import Vocabulary  # loads tokenizers

        vectors = plain(weights, "embed.weight")  # (tokens, size)
        head = optional(weights, "head")
        head, bias = vectors if head is None else head, plain(weights, "bias")
        cutoffs = weights["cutoffs"].tolist() if "cutoffs" in weights else []
        if cutoffs:  # an adaptive softmax; see lamina.nn.next_token
            head = np.concatenate((head, plain(weights, "classes.weight")))
            bias = np.concatenate((bias, plain(weights, "classes.bias")))
        project = optional(weights, "project.weight")
        if project is not None:  # two maps without anything between them are one
            head = np.ascontiguousarray(head.astype(np.float64) @ project, np.float32)
        model = new_model(storage)
        inputs = pack_stack(model, body, weights, prefix="body.")
        model.head(head, bias)
        model.finish(inputs)
        digest = digest_of({"kind": "LanguageModel", "body": body, "storage": storage}, weights)
        native = _native_session(model, max_keys, chances=True)
        return TokenSession(native, vectors, Vocabulary.from_dict(dict(vocabulary)), digest, cutoffs=cutoffs)

    @override
    def step(self, x: str | int, *, key: str = "") -> Array:
        """Read one token of a key's text.

        Args:
            x: the token, or its number in ``vocabulary``. A token that training text lacked is read as
                unknown.
            key: the text.

        Returns:
            the probability of each token to come next, (tokens,), by its number.

        Raises:
            DataError: the text is not one token, or there is no such number; nothing is read then.
        """
        answer: Array = self._step(self._vectors[self._number(x)], key)
        return answer

    def step_many(self, x: Sequence[str | int], keys: Sequence[str]) -> Array:
        """Read one token of each of many texts, and answer each as ``step`` does: (rows, tokens).

        A key that stands twice is stepped twice, in the order of the rows. Where a token breaks a rule, none
        is read.
        """
        numbers = [self._number(each) for each in x]
        shares: Array = self._native.step_many(self._vectors[numbers], keys)
        if not self._cutoffs:
            return shares
        return np.array([self._whole(each) for each in shares]).reshape(len(shares), len(self._vectors))

    def read(self, text: str, *, key: str = "") -> Array:
        """Read all tokens of a piece of text, and answer as ``step`` does after the last.

        Raises:
            DataError: the piece holds no token.
        """
        _require_utf8(text)
        numbers = self.vocabulary.encode(text)
        if not len(numbers):
            raise DataError(f"text to read has at least one token, but {text[:60]!r} has none. Leave it out.")
        answer: Array
        for number in numbers:
            answer = self._step(self._vectors[number], key)
        return answer

    def likeliest(self, chances: Array, count: int = 5) -> dict[str, float]:
        """Token -> probability of the most probable next ones, the best first."""
        order = np.argsort(-chances, kind="stable")[:count]
        return {self.vocabulary.token(int(number)): float(chances[number]) for number in order}

    def _step_in_classes(self, vector: NDArray[np.float32], key: str) -> Array:
        return self._whole(self._native.step(vector, key))

    def _whole(self, shares: Array) -> Array:
        """The chances of all tokens, of one softmax over tokens and classes, (tokens + classes,)."""
        tokens, classes = np.split(shares, [len(self._vectors)])
        head, *inside = np.split(tokens, self._cutoffs)
        whole = head.sum() + classes.sum()
        within = (part * (share / part.sum()) for part, share in zip(inside, classes, strict=True))
        chances: Array = np.concatenate((head, *within)) / whole
        return chances

    def _number(self, x: str | int) -> int:
        if isinstance(x, str):
            _require_utf8(x)
            known = self.vocabulary.number(x)
            if known is not None:
                return known
            numbers = self.vocabulary.encode(x)
            if len(numbers) == 1:
                return int(numbers[0])
            raise DataError(
                f"a step reads one token, but {x[:60]!r} is {len(numbers)} of unit {self.vocabulary.unit!r}. "
                "Use read() for a piece of text."
            )
        if isinstance(x, bool) or not isinstance(x, int | np.integer) or not 0 <= x < len(self._vectors):
            raise DataError(
                f"a token is text, or a number from 0 to {len(self._vectors) - 1}, but is {x!r}. Mend it."
            )
        return int(x)


def _require_utf8(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            "text is what UTF-8 can write, but this holds a lone surrogate. Leave it out."
        ) from error


class RollSession(Session):
    """A session of a MusicModel: a frame goes in, and each key's chance to sound in the next comes out."""

    def __init__(self, native: Any, keys: int, digest: str) -> None:
        super().__init__(native, digest=digest)
        self._step = native.step
        self._keys = keys

    @staticmethod
    def over(body: Mapping[str, Any], weights: Weights, *, storage: Storage, max_keys: int) -> RollSession:
        """A session over a music model's weights, by the names of its network's ``state_dict()``."""
        model = new_model(storage)
        inputs = pack_stack(model, body, weights, prefix="body.")
        model.head(plain(weights, "head.weight"), plain(weights, "head.bias"))
        model.finish(inputs)
        digest = digest_of({"kind": "MusicModel", "body": body, "storage": storage}, weights)
        return RollSession(_native_session(model, max_keys, chances=False), inputs, digest)

    @override
    def step(self, x: ArrayLike, *, key: str = "") -> Array:
        """Read one frame of a key's piece; silence as the first asks for the piece's first frame.

        Args:
            x: (88,) of 0 and 1, the keys that sound.
            key: the piece.

        Returns:
            (88,), each key's chance to sound in the next frame.

        Raises:
            DataError: not 88 numbers of 0 and 1; nothing is read then.
        """
        frame = as_numbers(x)
        self._check(frame, (self._keys,))
        return _sigmoid(self._step(frame, key))

    def step_many(self, x: ArrayLike, keys: Sequence[str]) -> Array:
        """Read one frame of each of many pieces: (rows, 88) -> (rows, 88); see ``step``.

        A key that stands twice is stepped twice, in the order of the rows. Where a frame breaks a rule, none
        is read.
        """
        frames = as_numbers(x)
        self._check(frames, (len(keys), self._keys))
        return _sigmoid(self._native.step_many(frames, keys))

    @staticmethod
    def _check(frames: Array, shape: tuple[int, ...]) -> None:
        if frames.shape != shape or not np.isin(frames, (0.0, 1.0)).all():
            raise DataError(
                f"a frame is {shape[-1]} numbers, 1 for a key that sounds and 0 for the others, but this "
                f"one has the shape {frames.shape} or other numbers. Mend it."
            )


def _sigmoid(logits: NDArray[np.float32]) -> Array:
    chances: Array = 0.5 * (1.0 + np.tanh(0.5 * logits.astype(np.float64)))
    return chances


def _native_session(model: Any, max_keys: int, *, chances: bool) -> Any:
    if max_keys < 1:
        raise ConfigError(f"max_keys is at least 1, but is {max_keys}. Use for example 1_000_000.")
    return require_native().Session(model, max_keys, [], [], [], chances, as_numbers)
