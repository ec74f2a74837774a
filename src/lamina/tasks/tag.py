"""Tagging: one label for every word of a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from lamina._config import Config
from lamina._optional import require
from lamina.data.batches import length_buckets
from lamina.errors import ConfigError, DataError, did_you_mean
from lamina.nn.crf import CRF, allowed_transitions
from lamina.nn.embedding import TokenEmbedding
from lamina.nn.regularize import VariationalDropout
from lamina.nn.stack import StackConfig
from lamina.ops.lengths import valid_steps
from lamina.tasks.base import BodyConfig, Reader, build_body

Sentences = Sequence[Sequence[str]]
TagMetric = Literal["accuracy", "f1"]
UNKNOWN = 0
"""The number of a word, or a character, that training text lacked."""


class TagConfig(Config):
    """The form of a tagging network.

    Attributes:
        word_size: features of a word's vector.
        character_size: features of a character's vector, and units of each direction over them; 0 reads no
            characters.
        word_dropout: share of the words known whose vectors are zero, one draw a batch.
        input_dropout: share of what the stack reads that is zero, one draw a sentence.
        decoder: ``softmax`` decides word by word, ``crf`` over whole sentences.
    """

    word_size: int = Field(default=100, ge=1)
    character_size: int = Field(default=32, ge=0)
    word_dropout: float = Field(default=0.1, ge=0, lt=1)
    input_dropout: float = Field(default=0.3, ge=0, lt=1)
    decoder: Literal["softmax", "crf"] = "softmax"


class TagBatch(NamedTuple):
    """Sentences side by side.

    Attributes:
        words: numbers of the words, (batch, time).
        forms: which row of ``characters`` spells each word, (batch, time).
        characters: numbers of the characters of the forms in the batch, (forms, longest).
        spelled: characters of each form, (forms,).
        lengths: words of each sentence, (batch,).
        tags: (batch, time); 0 at padding.
    """

    words: Tensor
    forms: Tensor
    characters: Tensor
    spelled: Tensor
    lengths: Tensor
    tags: Tensor

    @property
    def tokens(self) -> int:
        """Words read, padding not counted."""
        return int(self.lengths.sum())


@dataclass(frozen=True, eq=False)
class PreparedSentences:
    """Sentences as numbers, one behind the other.

    Attributes:
        words: numbers of all words, (total,).
        forms: which of ``spelling`` each word is, (total,).
        spelling: characters of every form.
        tags: (total,); -1 where not known.
        starts: sentence i is ``starts[i]:starts[i + 1]``, (n + 1,).
    """

    words: NDArray[np.int64]
    forms: NDArray[np.int64]
    spelling: list[NDArray[np.int64]]
    tags: NDArray[np.int64]
    starts: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.starts)


@dataclass(frozen=True)
class TagInputs:
    """What is known of words, characters and tags from the training sentences.

    Attributes:
        words: in lower case, by number; the first stands for all others.
        characters: likewise.
        tags: by number, sorted.
    """

    words: tuple[str, ...]
    characters: tuple[str, ...]
    tags: tuple[str, ...]

    @classmethod
    def fit(cls, sentences: Sentences, tags: Sentences, *, least_count: int) -> Self:
        """Take in the words that training has at least ``least_count`` times, and all characters and tags."""
        counts = Counter(word.lower() for sentence in sentences for word in sentence)
        words = ["", *sorted(word for word, count in counts.items() if count >= least_count)]
        characters = ["", *sorted({c for sentence in sentences for word in sentence for c in word})]
        return cls(tuple(words), tuple(characters), tuple(sorted({tag for row in tags for tag in row})))

    def prepare(self, sentences: Sentences, tags: Sentences | None = None) -> PreparedSentences:
        """Sentences as numbers.

        Raises:
            DataError: a tag that training lacked, or another number of tags than words; with the sentence.
        """
        word_of, character_of = _numbers(self.words), _numbers(self.characters)
        flat = [word for sentence in sentences for word in sentence]
        forms = sorted(set(flat))
        form_of = _numbers(forms)
        codes = np.full(len(flat), -1, dtype=np.int64)
        if tags is not None:
            codes[:] = self._codes(sentences, tags)
        return PreparedSentences(
            words=np.array([word_of.get(word.lower(), UNKNOWN) for word in flat], dtype=np.int64),
            forms=np.array([form_of[word] for word in flat], dtype=np.int64),
            spelling=[
                np.array([character_of.get(c, UNKNOWN) for c in form] or [UNKNOWN], dtype=np.int64)
                for form in forms
            ],
            tags=codes,
            starts=np.concatenate([[0], np.cumsum([len(sentence) for sentence in sentences])]).astype(
                np.int64
            ),
        )

    def _codes(self, sentences: Sentences, tags: Sentences) -> list[int]:
        tag_of = _numbers(self.tags)
        codes: list[int] = []
        for number, (sentence, row) in enumerate(zip(sentences, tags, strict=True)):
            if len(sentence) != len(row):
                raise DataError(
                    f"every word has a tag, but sentence {number} has {len(sentence)} words and "
                    f"{len(row)} tags"
                )
            for tag in row:
                if tag not in tag_of:
                    raise DataError(
                        f"the tags are {', '.join(self.tags)}, but sentence {number} has '{tag}'"
                        f"{did_you_mean(tag, self.tags)}; training lacked it"
                    )
                codes.append(tag_of[tag])
        return codes

    def collate(self, data: PreparedSentences, chosen: NDArray[np.int64]) -> TagBatch:
        """Pad some sentences to the longest; each form of a word is spelled once a batch."""
        lengths = data.lengths[chosen]
        steps = np.arange(int(lengths.max()))
        valid = steps < lengths[:, None]  # (batch, time)
        places = np.where(valid, data.starts[chosen][:, None] + steps, data.starts[chosen][:, None])
        found, forms = np.unique(data.forms[places], return_inverse=True)
        spelled = np.array([len(data.spelling[form]) for form in found], dtype=np.int64)
        characters = np.zeros((len(found), int(spelled.max())), dtype=np.int64)
        for row, form in zip(characters, found, strict=True):
            row[: len(data.spelling[form])] = data.spelling[form]
        return TagBatch(
            torch.from_numpy(np.where(valid, data.words[places], UNKNOWN)),
            torch.from_numpy(forms.reshape(places.shape)),
            torch.from_numpy(characters),
            torch.from_numpy(spelled),
            torch.from_numpy(lengths),
            torch.from_numpy(np.where(valid, data.tags[places], 0)),
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; exact."""
        return {"words": list(self.words), "characters": list(self.characters), "tags": list(self.tags)}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """The inverse of ``to_dict``."""
        return cls(tuple(saved["words"]), tuple(saved["characters"]), tuple(saved["tags"]))


class TagNetwork(nn.Module):
    """Scores of the tags of each word, from its vector and its characters, read by a stack."""

    def __init__(self, config: TagConfig, inputs: TagInputs, body: BodyConfig) -> None:
        super().__init__()
        size = config.character_size
        self.embed = TokenEmbedding(len(inputs.words), config.word_size, dropout=config.word_dropout)
        self.characters = TokenEmbedding(len(inputs.characters), size) if size else None
        self.spell = None
        if size:
            speller = StackConfig(hidden_sizes=(size,), directions=("both",))
            self.spell = Reader(size, speller, pooling="last")
        width = config.word_size + (self.spell.output_size if self.spell is not None else 0)
        self.input_dropout = VariationalDropout(config.input_dropout)
        self.body = build_body(body, width)
        self.head = nn.Linear(self.body.output_size, len(inputs.tags))
        self.crf = (
            CRF(len(inputs.tags), allowed_transitions(inputs.tags)) if config.decoder == "crf" else None
        )

    @override
    def forward(self, batch: TagBatch) -> Tensor:
        """One batch -> scores (batch, time, tags)."""
        x = self.embed(batch.words)
        if self.spell is not None and self.characters is not None:
            spelled = self.spell(self.characters(batch.characters), batch.spelled)  # (forms, size)
            x = torch.cat([x, spelled[batch.forms]], -1)
        y, _ = self.body(self.input_dropout(x), lengths=batch.lengths)
        scores: Tensor = self.head(y)
        return scores


class TagBatches:
    """Sentences in buckets of like length, in an order of the seed and the epoch's number alone."""

    def __init__(self, data: PreparedSentences, inputs: TagInputs, *, batch_size: int, seed: int) -> None:
        self._data, self._inputs, self._size, self._seed = data, inputs, batch_size, seed

    def __len__(self) -> int:
        return len(self._buckets(0))

    def _buckets(self, number: int) -> list[NDArray[np.int64]]:
        generator = np.random.default_rng((self._seed, number))
        return length_buckets(self._data.lengths, rows_per_batch=self._size, generator=generator)

    def epoch(self, number: int, *, start: int = 0) -> Iterator[TagBatch]:
        for chosen in self._buckets(number)[start:]:
            yield self._inputs.collate(self._data, chosen)


class TagObjective:
    """Negative log-likelihood of the tags, in nats a word; the metric on validation sentences selects."""

    higher_is_better = True

    def __init__(self, inputs: TagInputs, validation: PreparedSentences, *, metric: TagMetric) -> None:
        if metric not in get_args(TagMetric):
            raise ConfigError(
                f"metric is one of {', '.join(get_args(TagMetric))}, but is {metric!r}"
                f"{did_you_mean(metric, get_args(TagMetric))}"
            )
        self._inputs, self._validation, self._metric = inputs, validation, metric

    def loss(self, network: nn.Module, batch: TagBatch) -> Tensor:
        return tag_nats(network, network(batch), batch) / batch.lengths.sum()

    @torch.no_grad()
    def validate(self, network: nn.Module) -> tuple[float, float]:
        """The metric, and nats a word."""
        data, nats = self._validation, 0.0
        found = np.zeros(len(data.words), dtype=np.int64)
        for chosen, batch in _in_order(self._inputs, data, next(network.parameters()).device):
            scores = network(batch)
            nats += float(tag_nats(network, scores, batch))
            _place(found, data, chosen, _decode(network, scores, batch.lengths))
        if self._metric == "accuracy":
            return float((found == data.tags).mean()), nats / len(data.tags)
        return entity_f1(self._inputs.tags, data, found), nats / len(data.tags)

    def constant_output(self, network: nn.Module) -> str | None:
        """Every validation word gets the same tag though there are several."""
        found = predict_tags(network, self._inputs, self._validation)
        if len(np.unique(found)) == 1 and len(np.unique(self._validation.tags)) > 1:
            return f"every validation word is tagged {self._inputs.tags[int(found[0])]!r}"
        return None


def tag_nats(network: nn.Module, scores: Tensor, batch: TagBatch) -> Tensor:
    """-log p of the tags of a batch by its scores, a sum over words or, with a CRF, over sentences."""
    crf = network.crf
    if isinstance(crf, CRF):
        return crf.nats(scores, batch.tags, batch.lengths).sum()
    valid = valid_steps(batch.lengths, batch.tags.shape[1])
    return F.cross_entropy(scores[valid], batch.tags[valid], reduction="sum")


@torch.no_grad()
def predict_tags(network: nn.Module, inputs: TagInputs, data: PreparedSentences) -> NDArray[np.int64]:
    """Numbers of the tags of all words, (total,), in the order of ``data``."""
    tags = np.zeros(len(data.words), dtype=np.int64)
    for chosen, batch in _in_order(inputs, data, next(network.parameters()).device):
        _place(tags, data, chosen, _decode(network, network(batch), batch.lengths))
    return tags


def _place(
    tags: NDArray[np.int64], data: PreparedSentences, chosen: NDArray[np.int64], decoded: Tensor
) -> None:
    """Write decoded tags of some sentences, (batch, time), where their words stand in ``tags``."""
    for row, sentence in zip(decoded.cpu().numpy(), chosen, strict=True):
        begin, end = data.starts[sentence], data.starts[sentence + 1]
        tags[begin:end] = row[: end - begin]


def _decode(network: nn.Module, scores: Tensor, lengths: Tensor) -> Tensor:
    """The tags chosen, (batch, time)."""
    crf = network.crf
    return crf.decode(scores, lengths) if isinstance(crf, CRF) else scores.argmax(-1)


def _in_order(
    inputs: TagInputs, data: PreparedSentences, device: torch.device
) -> Iterator[tuple[NDArray[np.int64], TagBatch]]:
    """All sentences that have a word, in batches of like length."""
    filled = np.flatnonzero(data.lengths)
    for rows in length_buckets(data.lengths[filled], rows_per_batch=64):
        chosen = filled[rows]
        yield chosen, TagBatch(*(part.to(device) for part in inputs.collate(data, chosen)))


def entity_f1(tags: tuple[str, ...], data: PreparedSentences, found: NDArray[np.int64]) -> float:
    """F1 of whole entities in BIO or BIOES, by seqeval as conlleval counts; needs the extra ``tagging``."""
    metrics = require("seqeval.metrics", extra="tagging")
    true, guess = (
        [
            [tags[code] for code in codes[begin:end]]
            for begin, end in zip(data.starts[:-1], data.starts[1:], strict=True)
        ]
        for codes in (data.tags, found)
    )
    return float(metrics.f1_score(true, guess, zero_division=0))


def _numbers(names: Sequence[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(names)}
