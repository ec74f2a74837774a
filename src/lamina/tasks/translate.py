"""Translation: a text written token by token while another is looked at."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from lamina._config import Config
from lamina._optional import require
from lamina.data.batches import length_buckets, pad_sequences
from lamina.data.vocabulary import Tokens, Vocabulary
from lamina.errors import ConfigError, did_you_mean
from lamina.nn.cross_attention import Memory, Nested
from lamina.nn.decoder import DecoderConfig, DecoderState, RecurrentDecoder, state_tensors
from lamina.nn.embedding import TokenEmbedding
from lamina.nn.regularize import VariationalDropout
from lamina.nn.stack import Stack
from lamina.nn.transformer import Transformer, TransformerConfig
from lamina.nn.transformer_decoder import PrefixState, TransformerDecoder
from lamina.ops.lengths import valid_steps
from lamina.tasks.base import BodyConfig, build_body
from lamina.tasks.beam import Hypothesis, beam_search
from lamina.tasks.smoothing import smoothed_cross_entropy

TranslateMetric = Literal["nats", "bleu"]
State = DecoderState | PrefixState
ROWS = 64  # sentences side by side when nothing is learned


class TranslateConfig(Config):
    """The form of a translating network around its encoder and decoder.

    Attributes:
        embedding_size: features of a token's vector; source, target and output layer share the vectors.
        embedding_dropout: share of the vocabulary whose vectors are zero, one draw a batch.
        input_dropout: share of a vector's features that are zero, one draw a text (variational).
        output_dropout: share of the features that are zero before the output layer.
        label_smoothing: share of the target spread over all tokens.
    """

    embedding_size: int = Field(default=256, ge=1)
    embedding_dropout: float = Field(default=0.0, ge=0, lt=1)
    input_dropout: float = Field(default=0.2, ge=0, lt=1)
    output_dropout: float = Field(default=0.2, ge=0, lt=1)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)


@dataclass(frozen=True, eq=False)
class EncodedPairs:
    """Texts and their translations as tokens; both end with the end token."""

    source: list[Tokens]
    target: list[Tokens]

    @classmethod
    def encode(cls, source: Sequence[str], target: Sequence[str], vocabulary: Vocabulary) -> EncodedPairs:
        return cls(encode_ended(source, vocabulary), encode_ended(target, vocabulary))

    def __len__(self) -> int:
        return len(self.source)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of the longer side of each pair, (n,)."""
        return np.array([max(len(s), len(t)) for s, t in zip(self.source, self.target, strict=True)])

    def collate(self, chosen: NDArray[np.int64], begin: int) -> PairBatch:
        """Pad some pairs to the longest of each side."""
        source, source_lengths = pad_tokens([self.source[i] for i in chosen])
        target, target_lengths = pad_tokens([self.target[i] for i in chosen])
        return PairBatch(
            source, source_lengths, F.pad(target[:, :-1], (1, 0), value=begin), target, target_lengths
        )


def encode_ended(texts: Sequence[str], vocabulary: Vocabulary) -> list[Tokens]:
    """The tokens of each text and the end."""
    return [np.append(tokens, vocabulary.end) for tokens in vocabulary.encode_all(texts)]


def pad_tokens(rows: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
    """(rows, longest) int64, and the tokens of each row."""
    padded, lengths = pad_sequences([row[:, None] for row in rows])
    return torch.from_numpy(padded[:, :, 0]), torch.from_numpy(lengths)


class PairBatch(NamedTuple):
    """One batch.

    Attributes:
        source: tokens, (batch, source) int64.
        source_lengths: (batch,).
        read: what the decoder reads, the begin token and the target but for its end, (batch, target).
        target: what it should write, (batch, target).
        target_lengths: (batch,).
    """

    source: Tensor
    source_lengths: Tensor
    read: Tensor
    target: Tensor
    target_lengths: Tensor

    @property
    def tokens(self) -> int:
        """Tokens of both languages, padding not counted."""
        return int(self.source_lengths.sum() + self.target_lengths.sum())


class TranslateNetwork(nn.Module):
    """An encoder, a decoder that looks back at its outputs, and one table of token vectors for all.

    Args:
        config: embedding and noise.
        tokens: of the vocabulary, which both languages share.
        body: the encoder; a Transformer has a Transformer decoder with as many layers.
        decoder: of a recurrent encoder; None with a Transformer.

    Raises:
        ConfigError: a recurrent decoder is asked for behind a Transformer.
    """

    def __init__(
        self, config: TranslateConfig, tokens: int, body: BodyConfig, decoder: DecoderConfig | None
    ) -> None:
        super().__init__()
        size = config.embedding_size
        self.embed = TokenEmbedding(tokens, size, dropout=config.embedding_dropout)
        self.input_dropout = VariationalDropout(config.input_dropout)
        self.encoder = build_body(body, size)
        self.decoder = _build_decoder(body, decoder, self.encoder, size)
        self.output_dropout = nn.Dropout(config.output_dropout)
        self.bias = nn.Parameter(torch.zeros(tokens))

    def read(self, source: Tensor, lengths: Tensor) -> Memory:
        """Read the source, (batch, source) int64."""
        values, state = self.encoder(self.input_dropout(self.embed(source)), lengths=lengths)
        summary = torch.cat([values[:, 0, :0], *state_tensors(state)], -1)  # a Transformer ends in no state
        return self.decoder.remember(values, lengths, summary)

    def write(
        self, read: Tensor, memory: Memory, state: State | None = None, *, lengths: Tensor | None = None
    ) -> tuple[Tensor, State, Tensor | None]:
        """What follows each token read, (batch, time) int64, as features for ``logits``."""
        started = self.decoder.start(memory) if state is None else state
        vectors = self.input_dropout(self.embed(read))
        features, after, weights = self.decoder(vectors, memory, started, lengths=lengths)
        return features, after, weights

    def logits(self, features: Tensor) -> Tensor:
        """Scores of the next token, (..., tokens)."""
        return F.linear(self.output_dropout(features), self.embed.weight, self.bias)

    @override
    def forward(self, batch: PairBatch) -> tuple[Tensor, Tensor]:
        """Logits (tokens of all rows, vocabulary) of the valid steps, and what should be written there."""
        memory = self.read(batch.source, batch.source_lengths)
        features, _, _ = self.write(batch.read, memory, lengths=batch.target_lengths)
        valid = valid_steps(batch.target_lengths, batch.target.shape[1])
        return self.logits(features[valid]), batch.target[valid]


def _build_decoder(
    body: BodyConfig, decoder: DecoderConfig | None, encoder: Stack | Transformer, size: int
) -> RecurrentDecoder | TransformerDecoder:
    """The decoder of tokens' vectors of this size, behind an encoder."""
    if isinstance(body, TransformerConfig):
        if decoder is not None:
            raise ConfigError(
                "decoder= is that of a recurrent encoder, and a Transformer brings its own; leave decoder out"
            )
        return TransformerDecoder(body, input_size=size, memory_size=encoder.output_size, output_size=size)
    chosen = decoder or DecoderConfig()
    return RecurrentDecoder(
        chosen,
        chosen.stack or body,
        input_size=size,
        memory_size=encoder.output_size,
        summary_size=sum(h.shape[1] for h in state_tensors(encoder.init_state(1))),
        output_size=size,
    )


class PairBatches:
    """Training pairs in buckets of like length, in an order of the seed and the epoch's number alone.

    A batch has about as many tokens of the longer side, padding included, as ``batch_size`` average pairs.
    """

    def __init__(self, data: EncodedPairs, *, begin: int, batch_size: int, seed: int) -> None:
        self._data, self._begin, self._seed = data, begin, seed
        self._lengths = data.lengths
        self._budget = math.ceil(batch_size * float(self._lengths.mean()))

    def __len__(self) -> int:
        return len(self._buckets(0))

    def _buckets(self, number: int) -> list[NDArray[np.int64]]:
        generator = np.random.default_rng((self._seed, number))
        return length_buckets(self._lengths, token_budget=self._budget, generator=generator)

    def epoch(self, number: int, *, start: int = 0) -> Iterator[PairBatch]:
        for chosen in self._buckets(number)[start:]:
            yield self._data.collate(chosen, self._begin)


class TranslateObjective:
    """Cross-entropy of the target's tokens; weights are chosen by it, or by the BLEU of greedy translations.

    Args:
        config: for the label smoothing.
        vocabulary: to read translations.
        validation: pairs to choose weights by.
        references: the translations as text, for BLEU.
        metric: nats a token, or bleu.
    """

    def __init__(
        self,
        config: TranslateConfig,
        vocabulary: Vocabulary,
        validation: EncodedPairs,
        references: Sequence[str],
        *,
        metric: TranslateMetric,
    ) -> None:
        if metric not in get_args(TranslateMetric):
            raise ConfigError(
                f"metric is one of {', '.join(get_args(TranslateMetric))}, but is {metric!r}"
                f"{did_you_mean(metric, get_args(TranslateMetric))}"
            )
        self.higher_is_better = metric == "bleu"
        self._smoothing, self._vocabulary, self._validation = config.label_smoothing, vocabulary, validation
        self._references, self._metric = references, metric

    def loss(self, network: nn.Module, batch: PairBatch) -> Tensor:
        logits, targets = network(batch)
        return smoothed_cross_entropy(logits, targets, smoothing=self._smoothing)

    def validate(self, network: nn.Module) -> tuple[float, float]:
        """The metric and nats a token; BLEU takes greedy translations beside."""
        translating = cast(TranslateNetwork, getattr(network, "module", network))
        nats = pair_nats(translating, self._validation, self._vocabulary.end)
        if self._metric == "nats":
            return nats, nats
        found = translate_tokens(translating, self._validation.source, self._vocabulary, beam=1)
        texts = [self._vocabulary.decode(best[0].tokens) for best in found]
        return bleu(texts, self._references), nats

    @torch.no_grad()
    def constant_output(self, network: nn.Module) -> str | None:
        """Whatever the source says, the first token gets the same chances."""
        translating = cast(TranslateNetwork, getattr(network, "module", network))
        sources = {row.tobytes(): row for row in self._validation.source[:ROWS]}
        source, lengths = pad_tokens(list(sources.values()))
        begin = torch.full((len(lengths), 1), self._vocabulary.end)
        features, _, _ = translating.write(begin, translating.read(source, lengths))
        chances = translating.logits(features[:, 0]).softmax(-1)
        if len(lengths) > 1 and float((chances.amax(0) - chances.amin(0)).max()) < 1e-6:
            return "the chances of the first token do not depend on the source"
        return None


def bleu(texts: Sequence[str], references: Sequence[str]) -> float:
    """BLEU of a corpus as sacrebleu counts it by default, 0 to 100."""
    score: float = require("sacrebleu", extra="translation").BLEU().corpus_score(texts, [references]).score
    return score


@torch.no_grad()
def pair_nats(network: TranslateNetwork, pairs: EncodedPairs, begin: int) -> float:
    """Mean negative log-likelihood of the target's tokens, the end included."""
    device = network.bias.device
    nats, tokens = 0.0, 0
    for chosen in length_buckets(pairs.lengths, rows_per_batch=ROWS):
        logits, targets = network(PairBatch(*(part.to(device) for part in pairs.collate(chosen, begin))))
        nats += float(F.cross_entropy(logits, targets, reduction="sum"))
        tokens += len(targets)
    return nats / tokens


@torch.no_grad()
def translate_tokens(
    network: TranslateNetwork,
    source: Sequence[Tokens],
    vocabulary: Vocabulary,
    *,
    beam: int,
    length_power: float = 1.0,
) -> list[list[Hypothesis]]:
    """Hypotheses for each source, best first; at most twice as many tokens as it has, and ten."""
    device = network.bias.device
    found: list[list[Hypothesis]] = [[] for _ in source]

    def step(tokens: Tensor, state: Nested) -> tuple[Tensor, Nested]:
        memory, carried = cast(tuple[Memory, State], state)
        features, after, _ = network.write(tokens[:, None], memory, carried)
        logits = network.logits(features[:, 0])
        logits[:, vocabulary.unknown] = -torch.inf  # it stands for no text
        return logits.log_softmax(-1), (memory, after)

    for chosen in length_buckets(np.array([len(row) for row in source]), rows_per_batch=ROWS):
        ids, lengths = (part.to(device) for part in pad_tokens([source[i] for i in chosen]))
        memory = network.read(ids, lengths)
        best = beam_search(
            step,
            (memory, network.decoder.start(memory)),
            begin=vocabulary.end,
            end=vocabulary.end,
            longest=2 * lengths + 10,
            beam=beam,
            length_power=length_power,
        )
        for i, hypotheses in zip(chosen, best, strict=True):
            found[i] = hypotheses
    return found
