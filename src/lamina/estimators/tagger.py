"""Tagging the words of sentences with a recurrent network."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from sklearn.base import BaseEstimator

from lamina.data.conll import mark_entities
from lamina.data.labelled_texts import draw_share, take
from lamina.errors import ConfigError, DataError
from lamina.estimators.configs import (
    dump_parameters,
    load_parameters,
)
from lamina.estimators.fitted import dump_origin, load_origin, require_fitted
from lamina.estimators.saving import SavedModel, load_weights
from lamina.nn.crf import allowed_transitions
from lamina.nn.stack import StackConfig
from lamina.tasks.base import BodyConfig
from lamina.tasks.tag import (
    Sentences,
    TagBatches,
    TagConfig,
    TagInputs,
    TagMetric,
    TagNetwork,
    TagObjective,
    entity_f1,
    predict_tags,
)
from lamina.training.callbacks import Callback
from lamina.training.optim import TrainingConfig

NAME = "SequenceTagger"
DEFAULT_STACK = StackConfig(cell="lstm", hidden_sizes=(128,), directions=("both",), dropout=0.3)
DEFAULT_FORM = TagConfig()
DEFAULT_TRAINING = TrainingConfig(max_steps=1500, batch_size=32, learning_rate=4e-3)


@dataclass(frozen=True)
class TagScores:
    """How well words were tagged.

    Attributes:
        accuracy: share of the words with the right tag.
        f1: of whole entities, by seqeval; None where the tags are not BIO or BIOES.
        words: how many.
    """

    accuracy: float
    f1: float | None
    words: int


class SequenceTagger(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no annotations
    """Tags every word of a sentence, from the word, its characters, and what stands around it.

    Args:
        stack: the recurrent stack, or a TransformerConfig; None is one layer of 128 LSTM units in each
            direction.
        form: word and character encoders, dropout, and the decoder: softmax, or a CRF, which never gives a
            sequence that BIO or BIOES forbids.
        metric: selects the best weights: accuracy of words, or f1 of entities (needs the extra ``tagging``).
        least_count: rarer words are known by their characters alone.
        validation_fraction: share of the sentences held out for early stopping.
        training: settings of the training run; ``batch_size`` counts sentences.
        seed: of initialisation, order, dropout and the held-out part.

    Attributes:
        tags_: every tag, sorted.
        history_: what happened in training.

    >>> sentences = [["the", "cat", "sleeps"], ["a", "dog", "runs"]] * 10
    >>> training = TrainingConfig(max_steps=60, batch_size=4, learning_rate=0.02)
    >>> model = SequenceTagger(stack=StackConfig(hidden_sizes=(16,), directions=("both",)), training=training)
    >>> model = model.fit(sentences, [["DET", "NOUN", "VERB"]] * 20)
    >>> model.predict([["a", "cat", "runs"]])
    [['DET', 'NOUN', 'VERB']]
    """

    def __init__(
        self,
        *,
        stack: BodyConfig | None = None,
        form: TagConfig | None = None,
        metric: TagMetric = "accuracy",
        least_count: int = 2,
        validation_fraction: float = 0.1,
        training: TrainingConfig | None = None,
        seed: int = 0,
    ) -> None:
        self.stack = stack
        self.form = form
        self.metric = metric
        self.least_count = least_count
        self.validation_fraction = validation_fraction
        self.training = training
        self.seed = seed

    def fit(
        self,
        X: Sentences,
        y: Sentences,
        *,
        validation: tuple[Sentences, Sentences] | None = None,
        callbacks: Sequence[Callback] = (),
        checkpoint: Path | None = None,
    ) -> Self:
        """Train on tagged sentences.

        Args:
            X: sentences, each a list of words; ``lamina.data.conll`` reads them.
            y: a tag for each word.
            validation: words and tags to choose the best weights by; None holds out some of X.
            callbacks: observers of the training run.
            checkpoint: a file that an interrupted run goes on from.

        Raises:
            DataError: sentences or tags break a rule, or, with a CRF, that of BIO or BIOES; the message names
                the sentence.
            ConfigError: f1 is to select the weights, and the tags are not those of entities.
        """
        chosen, held_out = self._parts(X, y, validation)
        # every tag is known beforehand, also one that only held-out sentences have
        self.inputs_ = TagInputs.fit(chosen[0], [*chosen[1], *held_out[1]], least_count=self.least_count)
        self.tags_ = list(self.inputs_.tags)
        if len(self.tags_) < 2:
            raise DataError(f"at least two tags are needed but every word has '{self.tags_[0]}'")
        if self.metric == "f1" and not mark_entities(self.tags_):
            raise ConfigError(
                f"f1 is that of entities, in BIO or BIOES, but the tags are such as '{self.tags_[0]}'. "
                "Use metric='accuracy'."
            )
        if self._form().decoder == "crf":
            _check_scheme(y, self.inputs_.tags)
            if validation is not None:
                _check_scheme(validation[1], self.inputs_.tags, of="validation ")
        training, validating = (self.inputs_.prepare(*part) for part in (chosen, held_out))
        self.data_hash_ = hashlib.sha256(training.words.tobytes() + training.tags.tobytes()).hexdigest()
        settings = self.training or DEFAULT_TRAINING
        objective = TagObjective(self.inputs_, validating, metric=self.metric)
        batches = TagBatches(training, self.inputs_, batch_size=settings.batch_size, seed=self.seed)
        from lamina.training.loop import fit  # the trainer is not needed to predict

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
        self, X: Sentences, y: Sentences, validation: tuple[Sentences, Sentences] | None
    ) -> tuple[tuple[Sentences, Sentences], tuple[Sentences, Sentences]]:
        """Sentences and tags to train on and to choose weights by."""
        _check(X, y)
        filled = [i for i, sentence in enumerate(X) if len(sentence)]
        whole = [X[i] for i in filled], [y[i] for i in filled]
        if validation is not None:
            _check(*validation)
            return whole, validation
        chosen, held_out = draw_share(len(filled), self.validation_fraction, self.seed, of="sentences")
        return take(whole, chosen), take(whole, held_out)

    def _form(self) -> TagConfig:
        return self.form or DEFAULT_FORM

    def _network(self) -> TagNetwork:
        body = self.stack if self.stack is not None else DEFAULT_STACK
        return TagNetwork(self._form(), self.inputs_, body)

    def predict(self, X: Sentences) -> list[list[str]]:
        """The tags of each sentence; an empty one has none."""
        self._check_fitted()
        _check(X)
        data = self.inputs_.prepare(X)
        tags = [self.tags_[code] for code in predict_tags(self.network_, self.inputs_, data)]
        return [tags[begin:end] for begin, end in zip(data.starts[:-1], data.starts[1:], strict=True)]

    def evaluate(self, X: Sentences, y: Sentences) -> TagScores:
        """Accuracy of words and, where tags are BIO or BIOES, F1 of entities.

        Raises:
            DataError: there is no word, or a tag that training lacked.
        """
        self._check_fitted()
        _check(X, y)
        data = self.inputs_.prepare(X, y)
        if not len(data.words):
            raise DataError("at least one word is needed but there are none")
        found = predict_tags(self.network_, self.inputs_, data)
        return TagScores(
            accuracy=float((found == data.tags).mean()),
            f1=entity_f1(self.inputs_.tags, data, found) if self._entities() else None,
            words=len(found),
        )

    def _entities(self) -> bool:
        """Whether all tags are of entities; some may be, where the decoder is no CRF."""
        try:
            return mark_entities(self.tags_)
        except DataError:
            return False

    def _check_fitted(self) -> None:
        require_fitted(self, does="predicts", call="fit(X, y)")

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
            preprocessing={"inputs": self.inputs_.to_dict()},
            manifest=dump_origin(self, self.metric),
        ).write(path)

    @classmethod
    def from_saved(cls, saved: SavedModel, where: str) -> Self:
        """The estimator that ``save`` wrote; ``where`` names it in errors."""
        model = cls(**load_parameters(saved.config["parameters"], form=TagConfig))
        model.inputs_ = TagInputs.from_dict(saved.preprocessing["inputs"])
        model.tags_ = list(model.inputs_.tags)
        load_origin(model, saved.manifest)
        model.network_ = model._network()
        load_weights(model.network_, saved.weights, where)
        return model


def _check(X: Sentences, y: Sentences | None = None) -> None:
    """Raise DataError where sentences are not lists of words, or do not go with their lists of tags."""
    if y is not None and len(X) != len(y):
        raise DataError(f"every sentence has its tags but there are {len(X)} sentences and {len(y)} of tags")
    for number, sentence in enumerate(X):
        if isinstance(sentence, str):
            raise DataError(f"a sentence is a list of words but number {number} is a string. Split it first.")
        _check_strings(sentence, "word", number)
    for number, row in enumerate(() if y is None else y):
        _check_strings(row, "tag", number)
    if y is not None and not any(len(sentence) for sentence in X):
        raise DataError("at least one word is needed but there are none; check the source")


def _check_strings(row: Sequence[str], what: str, number: int) -> None:
    for place, item in enumerate(row):
        if not isinstance(item, str):
            raise DataError(
                f"a {what} is a string but number {place} of sentence {number} is {type(item).__name__}; "
                "leave the sentence out or mend it"
            )


def _check_scheme(rows: Sentences, tags: tuple[str, ...], *, of: str = "") -> None:
    """Raise DataError where a sentence has tags in an order that a CRF over ``tags`` never gives."""
    allowed, code_of = allowed_transitions(tags), {tag: code for code, tag in enumerate(tags)}
    outside = len(tags)  # begin and end of a sentence
    for number, row in enumerate(rows):
        path = [outside, *(code_of[tag] for tag in row), outside]
        for before, after in itertools.pairwise(path):
            if not allowed[before, after]:
                if before == outside:
                    seen = f"begins with '{tags[after]}'"
                elif after == outside:
                    seen = f"ends with '{tags[before]}'"
                else:
                    seen = f"has '{tags[after]}' after '{tags[before]}'"
                raise DataError(
                    f"a CRF keeps to BIO or BIOES, but {of}sentence {number} {seen}. "
                    "lamina.data.conll.to_bioes(tags) makes BIOES of BIO and IOB1; or use decoder='softmax'."
                )
