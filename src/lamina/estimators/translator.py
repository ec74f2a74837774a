"""Translation between two languages with recurrent networks."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from lamina._optional import require
from lamina.data.labelled_texts import draw_share, take
from lamina.data.parallel import Pairs, check_pairs
from lamina.data.vocabulary import Vocabulary
from lamina.errors import ConfigError
from lamina.estimators.configs import (
    dump_parameters,
    load_parameters,
)
from lamina.estimators.fitted import dump_origin, load_origin, require_fitted
from lamina.estimators.saving import SavedModel, load_weights
from lamina.estimators.text_parts import strings_or_none
from lamina.nn.decoder import DecoderConfig
from lamina.nn.stack import StackConfig
from lamina.tasks.base import BodyConfig
from lamina.tasks.translate import (
    EncodedPairs,
    PairBatches,
    TranslateConfig,
    TranslateMetric,
    TranslateNetwork,
    TranslateObjective,
    encode_ended,
    translate_tokens,
)
from lamina.training.callbacks import Callback
from lamina.training.optim import TrainingConfig

NAME = "Translator"
DEFAULT_STACK = StackConfig(cell="lstm", hidden_sizes=(256, 256), directions=("both", "forward"), dropout=0.2)
DEFAULT_FORM = TranslateConfig()
DEFAULT_TRAINING = TrainingConfig(max_steps=8000, batch_size=64, learning_rate=2e-3, average=0.999)


@dataclass(frozen=True)
class TranslationScores:
    """How near translations come to those of people.

    Attributes:
        bleu: of the corpus, 0 to 100, by sacrebleu.
        chrf: chrF of the corpus, 0 to 100, by sacrebleu.
        bleu_signature: how the first was counted; to be stated beside it.
        chrf_signature: how the second was.
        texts: how many.
    """

    bleu: float
    chrf: float
    bleu_signature: str
    chrf_signature: str
    texts: int


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where a translation looked.

    Attributes:
        source: tokens of the text, its end the last.
        target: tokens of the translation, its end the last.
        weights: for each target token how much it read of each source token, (target, source); rows sum to 1.
    """

    source: list[str]
    target: list[str]
    weights: NDArray[np.float64]


class Translator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no annotations
    """Translates texts with an encoder, attention and a decoder.

    Both languages share one table of subwords (byte-pair encoding over bytes), so that every text has its
    tokens, and names can be copied.

    Args:
        stack: the encoder, a recurrent stack or a TransformerConfig; None is 256 LSTM units in each direction
            and 256 more above.
        decoder: attention and layers of the decoder; None is multiplicative attention and the layers of the
            encoder. A Transformer brings its own.
        form: embedding, dropout and label smoothing around them.
        vocabulary_size: most subwords of both languages together.
        metric: selects the best weights: nats a token, or bleu of greedy translations (needs the extra
            ``translation``).
        validation_fraction: share of the pairs held out for that.
        training: settings of the training run; a batch has the tokens of ``batch_size`` average pairs.
        seed: of initialisation, order, dropout and the held-out part.

    Attributes:
        vocabulary_: the subwords.
        history_: what happened in training.

    >>> numbers = ["one", "two", "three", "four"]
    >>> pairs = [(f"{a} {b}", f"{b} {a}") for a in numbers for b in numbers] * 4
    >>> model = Translator(
    ...     stack=StackConfig(hidden_sizes=(32,), directions=("both",)),
    ...     form=TranslateConfig(embedding_size=32, input_dropout=0, output_dropout=0),
    ...     training=TrainingConfig(max_steps=120, batch_size=16, learning_rate=0.01),
    ... ).fit(*zip(*pairs))
    >>> model.translate(["four two"])
    ['two four']
    """

    def __init__(
        self,
        *,
        stack: BodyConfig | None = None,
        decoder: DecoderConfig | None = None,
        form: TranslateConfig | None = None,
        vocabulary_size: int = 6000,
        metric: TranslateMetric = "nats",
        validation_fraction: float = 0.05,
        training: TrainingConfig | None = None,
        seed: int = 0,
    ) -> None:
        self.stack = stack
        self.decoder = decoder
        self.form = form
        self.vocabulary_size = vocabulary_size
        self.metric = metric
        self.validation_fraction = validation_fraction
        self.training = training
        self.seed = seed

    def fit(
        self,
        X: Sequence[str],
        y: Sequence[str],
        *,
        validation: tuple[Sequence[str], Sequence[str]] | None = None,
        callbacks: Sequence[Callback] = (),
        checkpoint: Path | None = None,
    ) -> Self:
        """Train on texts and their translations; ``lamina.data.parallel.read_pairs`` reads them.

        Args:
            X: texts.
            y: the translation of each.
            validation: texts and translations to choose the best weights by; None holds out some pairs.
            callbacks: observers of the training run.
            checkpoint: a file that an interrupted run goes on from.

        Raises:
            DataError: the pairs break a rule; the message names the row.
        """
        chosen, held_out = self._parts(check_pairs(X, y), validation)
        self.vocabulary_ = Vocabulary.fit([*chosen[0], *chosen[1]], unit="subword", size=self.vocabulary_size)
        self.data_hash_ = hashlib.sha256("\0".join([*chosen[0], *chosen[1]]).encode()).hexdigest()
        training, validating = (EncodedPairs.encode(*part, self.vocabulary_) for part in (chosen, held_out))
        settings = self.training or DEFAULT_TRAINING
        objective = TranslateObjective(
            self._form(), self.vocabulary_, validating, held_out[1], metric=self.metric
        )
        batches = PairBatches(
            training, begin=self.vocabulary_.end, batch_size=settings.batch_size, seed=self.seed
        )
        from lamina.training.loop import fit  # the trainer is not needed to translate

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.network_ = self._network()
            self.history_ = fit(
                self.network_,
                objective,
                batches,
                settings,
                seed=self.seed,
                callbacks=callbacks,
                checkpoint=checkpoint,
            )
        return self

    def _parts(
        self, pairs: Pairs, validation: tuple[Sequence[str], Sequence[str]] | None
    ) -> tuple[Pairs, Pairs]:
        """Pairs to train on and to choose weights by."""
        if validation is not None:
            return pairs, check_pairs(*validation)
        chosen, held_out = draw_share(len(pairs[0]), self.validation_fraction, self.seed, of="pairs")
        return take(pairs, chosen), take(pairs, held_out)

    def _form(self) -> TranslateConfig:
        return self.form or DEFAULT_FORM

    def _network(self) -> TranslateNetwork:
        body = self.stack if self.stack is not None else DEFAULT_STACK
        return TranslateNetwork(self._form(), len(self.vocabulary_), body, self.decoder)

    def translate(self, texts: Sequence[str], *, beam: int = 5, length_power: float = 1.0) -> list[str]:
        """The best translation of each text that beam search finds.

        Args:
            texts: a list; an empty text has an empty translation.
            beam: hypotheses kept at every step; 1 is greedy.
            length_power: hypotheses are compared by log p / length^length_power.

        Raises:
            DataError: a text is not a string.
            ConfigError: a beam below 1.
        """
        self._check_fitted()
        found = strings_or_none(texts)
        filled = [i for i, text in enumerate(found) if text.strip()]
        sources = encode_ended([found[i] for i in filled], self.vocabulary_)
        best = translate_tokens(
            self.network_, sources, self.vocabulary_, beam=beam, length_power=length_power
        )
        answers = [""] * len(found)
        for i, hypotheses in zip(filled, best, strict=True):
            answers[i] = self.vocabulary_.decode(hypotheses[0].tokens)
        return answers

    def evaluate(
        self, X: Sequence[str], y: Sequence[str], *, beam: int = 5, length_power: float = 1.0
    ) -> TranslationScores:
        """BLEU and chrF against given translations; needs the extra ``translation``.

        Raises:
            DataError: the pairs break a rule.
        """
        sacrebleu = require("sacrebleu", extra="translation")
        texts, references = check_pairs(X, y)
        answers = self.translate(texts, beam=beam, length_power=length_power)
        bleu, chrf = sacrebleu.BLEU(), sacrebleu.CHRF()
        return TranslationScores(
            bleu=bleu.corpus_score(answers, [references]).score,
            chrf=chrf.corpus_score(answers, [references]).score,
            bleu_signature=str(bleu.get_signature()),
            chrf_signature=str(chrf.get_signature()),
            texts=len(texts),
        )

    @torch.no_grad()
    def attention(self, text: str, translation: str | None = None) -> Alignment:
        """Where the decoder looks while it writes a translation; None takes its own, by beam search.

        ``lamina.report.attention_picture`` draws it.

        Raises:
            ConfigError: the decoder has no attention.
            DataError: the text or the translation is empty.
        """
        self._check_fitted()
        written = self.translate([text])[0] if translation is None else translation
        (source,), (target,) = check_pairs([text], [written])
        batch = EncodedPairs.encode([source], [target], self.vocabulary_).collate(
            np.array([0]), self.vocabulary_.end
        )
        memory = self.network_.read(batch.source, batch.source_lengths)
        _, _, weights = self.network_.write(batch.read, memory)
        if weights is None:
            raise ConfigError(
                "this decoder has attention=None, so there is nothing to see. "
                "Use DecoderConfig(attention='multiplicative')."
            )
        pieces, written_pieces = (
            [self._piece(int(number)) for number in ids[0]] for ids in (batch.source, batch.target)
        )
        return Alignment(pieces, written_pieces, weights[0].double().numpy())

    def _piece(self, number: int) -> str:
        return "<eos>" if number == self.vocabulary_.end else self.vocabulary_.decode([number])

    def _check_fitted(self) -> None:
        require_fitted(self, does="translates", call="fit(X, y)")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a directory that ``lamina.load`` reads; no pickle.

        Raises:
            SavedModelError: something other than a model is in the way.
        """
        self._check_fitted()
        parameters = dump_parameters(self.get_params(deep=False))
        SavedModel(
            kind=NAME,
            config={"parameters": parameters},
            weights=self.network_.state_dict(),
            preprocessing={"vocabulary": self.vocabulary_.to_dict()},
            manifest=dump_origin(self, self.metric),
        ).write(path)

    @classmethod
    def from_saved(cls, saved: SavedModel, where: str) -> Self:
        """The estimator that ``save`` wrote; ``where`` names it in errors."""
        model = cls(
            **load_parameters(saved.config["parameters"], decoder=DecoderConfig, form=TranslateConfig)
        )
        model.vocabulary_ = Vocabulary.from_dict(saved.preprocessing["vocabulary"])
        load_origin(model, saved.manifest)
        model.network_ = model._network()
        load_weights(model.network_, saved.weights, where)
        return model
