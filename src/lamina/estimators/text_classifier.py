"""Classifying texts with a recurrent network."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from lamina.data.unlabelled_texts import UnlabelledTexts
from lamina.data.vocabulary import Unit, Vocabulary
from lamina.data.word_vectors import read_word_vectors
from lamina.errors import ConfigError
from lamina.estimators.bert_classifier import BertClassifier
from lamina.estimators.configs import (
    dump_labels,
    dump_parameters,
    load_labels,
    load_parameters,
)
from lamina.estimators.fitted import dump_origin, load_origin
from lamina.estimators.pretraining import DEFAULT_PRETRAINING, from_the_top_down, pretrain
from lamina.estimators.saving import SavedModel, load_weights
from lamina.estimators.teacher import find_teacher, teach
from lamina.estimators.text_estimator import Beginning, TextEstimator
from lamina.estimators.text_parts import (
    TextParts,
    Texts,
    prepare_parts,
    split_counts,
    with_counts,
)
from lamina.nn.stack import StackConfig
from lamina.tasks.base import BodyConfig
from lamina.tasks.classify import ClassMetric
from lamina.tasks.text import TextConfig, TextNetwork
from lamina.training.callbacks import Callback
from lamina.training.history import History
from lamina.training.optim import ParameterGroup, TrainingConfig

Array = NDArray[np.float64]
NAME = "TextClassifier"
DEFAULT_STACK = StackConfig(cell="lstm", hidden_sizes=(128,), directions=("both",))
DEFAULT_FORM = TextConfig()
DEFAULT_TRAINING = TrainingConfig(max_steps=600, batch_size=32, learning_rate=2e-3, average=0.99)


class TextClassifier(TextEstimator):
    """Classifies texts of any length.

    A logistic regression on counts of words and pairs of words stands beside the network, which learns from
    what it reads in order. Afterwards the log probabilities of both are added, with weights that the held-out
    texts give them.

    Args:
        stack: the recurrent stack, or a TransformerConfig; None is one layer of 128 LSTM units in each
            direction.
        form: embedding, pooling, attention and regularisation around the stack.
        counts: whether counts of words stand beside the network.
        unit: what a token is; see ``lamina.data.vocabulary.Vocabulary``.
        vocabulary_size: most tokens; None keeps all (8,000 subwords).
        least_count: rarer tokens are unknown.
        lowercase: whether upper and lower case are the same.
        vectors: a file of word vectors in the text format to begin with; their size is the embedding's.
        metric: selects the best weights: accuracy or log_loss.
        validation_fraction: share of the training texts held out for early stopping.
        training: settings of the training run; a batch has the tokens of ``batch_size`` average texts.
        pretraining: those of the run before, on texts without labels, which is scored in nats a token.
        seed: of initialisation, order, dropout and the held-out part.

    Attributes:
        classes_: the labels, in the order of ``predict_proba``.
        history_: what happened in training.
        pretraining_history_: what happened before, in nats a token; None without unlabelled texts. Where that
            run collapsed, so did the training, which has no step.

    >>> texts = ["it is not good", "it is good", "not good at all", "good indeed"] * 10
    >>> model = TextClassifier(training=TrainingConfig(max_steps=20, batch_size=8))
    >>> model.fit(texts, ["bad", "fine"] * 20).predict(["it is not good indeed"]).tolist()
    ['bad']
    """

    network_: TextNetwork
    pretraining_history_: History | None

    def __init__(
        self,
        *,
        stack: BodyConfig | None = None,
        form: TextConfig | None = None,
        counts: bool = True,
        unit: Unit = "word",
        vocabulary_size: int | None = None,
        least_count: int = 1,
        lowercase: bool = True,
        vectors: str | os.PathLike[str] | None = None,
        metric: ClassMetric = "accuracy",
        validation_fraction: float = 0.1,
        training: TrainingConfig | None = None,
        pretraining: TrainingConfig | None = None,
        seed: int = 0,
    ) -> None:
        self.stack = stack
        self.form = form
        self.counts = counts
        self.unit = unit
        self.vocabulary_size = vocabulary_size
        self.least_count = least_count
        self.lowercase = lowercase
        self.vectors = vectors
        self.metric = metric
        self.validation_fraction = validation_fraction
        self.training = training
        self.pretraining = pretraining
        self.seed = seed

    @override
    def fit(
        self,
        X: Sequence[str],
        y: Sequence[Any] | NDArray[Any],
        *,
        unlabelled: Sequence[str] | Path | None = None,
        teacher: str | os.PathLike[str] | BertClassifier | None = None,
        callbacks: Sequence[Callback] = (),
        checkpoint: Path | None = None,
    ) -> Self:
        """Train on labelled texts, of which a part of each class is held out for early stopping.

        With ``unlabelled`` texts, the network first learns to foresee the tokens beside each one in them and
        in the training texts. With a ``teacher``, it learns what that says of the training texts and of the
        unlabelled ones, beside the labels.

        Args:
            X: texts. One without a token is read as one unknown token.
            y: (n,) labels.
            unlabelled: texts whose labels are not known; or the ``Path`` of a UTF-8 file with a text a line,
                which may be longer than memory: it is read in blocks, and its tokens lie on disk.
            teacher: a fitted BertClassifier, the folder of a saved one, or that of a sequence classifier that
                transformers saved with its tokenizer. Its classes are those of the labels.
            callbacks: observers of the training run, and of the one before.
            checkpoint: a file that an interrupted run goes on from; a pre-training has its own beside it.

        Raises:
            DataError: texts or labels break a rule; the message names the row.
            ConfigError: the teacher cannot be read or has other classes; the network cannot be pre-trained,
                or there are settings for that but no texts.
            MissingPackageError: the teacher needs a package that is not installed.
        """
        if self.pretraining is not None and unlabelled is None:
            raise ConfigError(
                "pretraining= are settings of a run on texts without labels, and there are none, so that "
                "they would have no effect. Give fit(..., unlabelled=...), or leave them out."
            )
        training, validation, names, classes = self._held_out(X, y)
        taught_by = None if teacher is None else find_teacher(teacher)
        more = None if unlabelled is None else UnlabelledTexts.of(unlabelled)
        parts = self.prepare(training, validation, names, unlabelled=more)
        if taught_by is not None:
            parts = replace(parts, taught=teach(taught_by, parts, training[0], more, callbacks))
        return self.fit_parts(parts, classes, callbacks=callbacks, checkpoint=checkpoint)

    @override
    def prepare(
        self,
        training: Texts,
        validation: Texts,
        names: tuple[str, ...],
        *,
        unlabelled: UnlabelledTexts | None = None,
    ) -> TextParts:
        known = (
            training[0]
            if unlabelled is None
            else itertools.chain(training[0], itertools.chain.from_iterable(unlabelled))
        )
        vocabulary = Vocabulary.fit(
            known,
            unit=self.unit,
            size=self.vocabulary_size,
            least_count=self.least_count,
            lowercase=self.lowercase,
        )
        parts = prepare_parts(vocabulary, training, validation, names, counts=self.counts)
        if unlabelled is None:
            return parts
        return replace(parts, every=unlabelled.behind(parts.training.texts, vocabulary))

    @property
    @override
    def _tokens(self) -> Vocabulary:
        return self.vocabulary_

    @override
    def _begin(self, parts: TextParts, callbacks: Sequence[Callback], checkpoint: Path | None) -> Beginning:
        assert isinstance(parts.tokens, Vocabulary)
        self.vocabulary_, self.form_ = parts.tokens, self.form or DEFAULT_FORM
        vectors = None
        if self.vectors is not None:
            vectors = read_word_vectors(self.vectors, self.vocabulary_)
            self.form_ = self.form_.replace(embedding_size=vectors.size)
        self.network_ = self._network()
        if vectors is not None:
            vectors.put_into(self.network_.embed.weight)
        self.pretraining_history_ = None
        groups: Sequence[ParameterGroup] = ()
        collapse = ""
        if parts.every is not None:
            before = self.pretraining_history_ = pretrain(
                self.network_,
                parts.every,
                self.pretraining or DEFAULT_PRETRAINING,
                seed=self.seed,
                callbacks=callbacks,
                checkpoint=checkpoint and checkpoint.with_stem(f"{checkpoint.stem}-pretraining"),
            )
            groups = from_the_top_down(self.network_)
            collapse = f"in pre-training {before.reason}" if before.outcome == "collapsed" else ""
        return Beginning(self.form_, self.training or DEFAULT_TRAINING, groups, collapse)

    def _network(self) -> TextNetwork:
        body = self.stack if self.stack is not None else DEFAULT_STACK
        return TextNetwork(self.form_, len(self.vocabulary_), len(self.classes_), body)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a directory that ``lamina.load`` reads; no pickle.

        Raises:
            SavedModelError: something other than a model is in the way.
        """
        self._check_fitted()
        parameters = dump_parameters(self.get_params(deep=False))
        SavedModel(
            kind=NAME,
            config={
                "parameters": parameters,
                "form": self.form_.model_dump(mode="json"),
                "labels": dump_labels(self.classes_),
            },
            weights=with_counts(self.network_.state_dict(), self.inputs_),
            preprocessing={"vocabulary": self.vocabulary_.to_dict(), "classes": list(self.inputs_.classes)},
            manifest=dump_origin(self, self.metric) | self._pretraining_origin(),
        ).write(path)

    def _pretraining_origin(self) -> dict[str, Any]:
        before = self.pretraining_history_
        return {} if before is None else {"pretraining": before.to_dict()}

    @classmethod
    def from_saved(cls, saved: SavedModel, where: str) -> Self:
        """The estimator that ``save`` wrote; ``where`` names it in errors."""
        model = cls(
            **load_parameters(saved.config["parameters"], form=TextConfig, pretraining=TrainingConfig)
        )
        model.form_ = TextConfig(**saved.config["form"])
        model.classes_ = load_labels(saved.config["labels"])
        model.vocabulary_ = Vocabulary.from_dict(saved.preprocessing["vocabulary"])
        classes = saved.preprocessing["classes"]
        weights, model.inputs_ = split_counts(saved.weights, classes, len(model.vocabulary_))
        load_origin(model, saved.manifest)
        before = saved.manifest.get("pretraining")
        model.pretraining_history_ = None if before is None else History.from_dict(before)
        model.network_ = model._network()
        load_weights(model.network_, weights, where)
        return model
