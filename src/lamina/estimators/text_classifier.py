"""Classifying texts with a recurrent network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from lamina.data.labelled_texts import draw_by_class
from lamina.data.vocabulary import Unit, Vocabulary
from lamina.data.word_vectors import read_word_vectors
from lamina.errors import NotFittedError
from lamina.estimators.configs import dump_body, dump_training, load_body, load_training
from lamina.estimators.saving import SavedModel, load_weights
from lamina.estimators.text_parts import (
    TextParts,
    Texts,
    dump_labels,
    load_labels,
    prepare_parts,
    read_labels,
    split_counts,
    strings,
    unlabelled,
    with_counts,
)
from lamina.nn.stack import StackConfig
from lamina.tasks.base import BodyConfig
from lamina.tasks.classify import ClassifyObjective, ClassMetric, predict_sequences
from lamina.tasks.text import PreparedTexts, TextBatches, TextConfig, TextNetwork
from lamina.training.callbacks import Callback
from lamina.training.history import History
from lamina.training.optim import TrainingConfig

Array = NDArray[np.float64]
NAME = "TextClassifier"
DEFAULT_STACK = StackConfig(cell="lstm", hidden_sizes=(128,), directions=("both",))
DEFAULT_FORM = TextConfig()
DEFAULT_TRAINING = TrainingConfig(max_steps=600, batch_size=32, learning_rate=2e-3, average=0.99)


class TextClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no annotations
    """Classifies texts of any length.

    A logistic regression on counts of words and pairs of words comes first, and the network corrects its
    scores by what it reads in order. While the network trains, each text's scores come from a regression
    fitted on other texts (cross-fitting).

    Args:
        stack: the recurrent stack, or a TransformerConfig; None is one layer of 128 LSTM units in each
            direction.
        form: embedding, pooling, attention and regularisation around the stack.
        counts: whether counts of words come first; without, the network stands alone.
        unit: what a token is; see ``lamina.data.vocabulary.Vocabulary``.
        vocabulary_size: most tokens; None keeps all (8,000 subwords).
        least_count: rarer tokens are unknown.
        lowercase: whether upper and lower case are the same.
        vectors: a file of word vectors in the text format to begin with; their size is the embedding's.
        metric: selects the best weights: accuracy or log_loss.
        validation_fraction: share of the training texts held out for early stopping.
        training: settings of the training run; a batch has the tokens of ``batch_size`` average texts.
        seed: of initialisation, order, dropout and the held-out part.

    Attributes:
        classes_: the labels, in the order of ``predict_proba``.
        history_: what happened in training.

    >>> texts = ["it is not good", "it is good", "not good at all", "good indeed"] * 10
    >>> model = TextClassifier(training=TrainingConfig(max_steps=20, batch_size=8))
    >>> model.fit(texts, ["bad", "fine"] * 20).predict(["it is not good indeed"]).tolist()
    ['bad']
    """

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
        self.seed = seed

    def fit(
        self,
        X: Sequence[str],
        y: Sequence[Any] | NDArray[Any],
        *,
        callbacks: Sequence[Callback] = (),
        checkpoint: Path | None = None,
    ) -> Self:
        """Train on labelled texts, of which a part of each class is held out for early stopping.

        Args:
            X: texts. One without a token is read as one unknown token.
            y: (n,) labels.
            callbacks: observers of the training run.
            checkpoint: a file that an interrupted run goes on from.

        Raises:
            DataError: texts or labels break a rule; the message names the row.
        """
        texts = strings(X)
        codes, names, classes = read_labels(y, len(texts))
        training, validation = (
            ([texts[i] for i in part], codes[part])
            for part in draw_by_class(codes, self.validation_fraction, self.seed)
        )
        parts = self.prepare(training, validation, names)
        return self.fit_parts(parts, classes, callbacks=callbacks, checkpoint=checkpoint)

    def prepare(self, training: Texts, validation: Texts, names: tuple[str, ...]) -> TextParts:
        """What ``fit_parts`` trains on; a study makes it once for many runs.

        Args:
            training, validation: texts, and positions of their labels in ``names``.
            names: of the classes.
        """
        vocabulary = Vocabulary.fit(
            training[0],
            unit=self.unit,
            size=self.vocabulary_size,
            least_count=self.least_count,
            lowercase=self.lowercase,
        )
        return prepare_parts(vocabulary, training, validation, names, counts=self.counts, seed=self.seed)

    def fit_parts(
        self,
        parts: TextParts,
        classes: NDArray[Any],
        *,
        callbacks: Sequence[Callback] = (),
        checkpoint: Path | None = None,
    ) -> Self:
        """Train on prepared texts; ``classes`` are the labels in the order of the parts' class names."""
        assert isinstance(parts.tokens, Vocabulary)
        self.classes_, self.vocabulary_, self.inputs_ = classes, parts.tokens, parts.inputs
        self.data_hash_ = parts.data_hash
        self._train(parts, callbacks, checkpoint)
        return self

    def _train(self, parts: TextParts, callbacks: Sequence[Callback], checkpoint: Path | None) -> None:
        from lamina.training.loop import fit  # the trainer is not needed to predict

        settings = self.training or DEFAULT_TRAINING
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.form_ = self.form or DEFAULT_FORM
            vectors = None
            if self.vectors is not None:
                vectors = read_word_vectors(self.vectors, self.vocabulary_)
                self.form_ = self.form_.replace(embedding_size=vectors.size)
            self.network_ = self._network()
            if vectors is not None:
                vectors.put_into(self.network_.embed.weight)
            self.history_ = fit(
                self.network_,
                ClassifyObjective(self.form_, self.inputs_, parts.validation, metric=self.metric),
                TextBatches(parts.training, self.inputs_, batch_size=settings.batch_size, seed=self.seed),
                settings,
                seed=self.seed,
                callbacks=callbacks,
                checkpoint=checkpoint,
            )

    def _network(self) -> TextNetwork:
        body = self.stack if self.stack is not None else DEFAULT_STACK
        return TextNetwork(self.form_, len(self.vocabulary_), len(self.classes_), body)

    def chances(self, data: PreparedTexts) -> Array:
        """Probability of each class for prepared texts, (n, classes)."""
        self._check_fitted()
        return predict_sequences(self.network_, self.inputs_, data, batch_size=64)

    def predict_proba(self, X: Sequence[str]) -> Array:
        """Probability of each class, (n, classes), in the order of ``classes_``."""
        self._check_fitted()
        encoded = unlabelled(strings(X), self.vocabulary_, self.inputs_.classes)
        return self.chances(self.inputs_.prepare(encoded))

    def predict(self, X: Sequence[str]) -> NDArray[Any]:
        """The most probable label of each text, (n,)."""
        chances = self.predict_proba(X)
        labels: NDArray[Any] = self.classes_[chances.argmax(axis=1)]
        return labels

    def _check_fitted(self) -> None:
        if not hasattr(self, "network_"):
            raise NotFittedError(
                "a TextClassifier predicts after it was fitted, and this one was not. Call fit(X, y) first."
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a directory that ``lamina.load`` reads; no pickle.

        Raises:
            SavedModelError: something other than a model is in the way.
        """
        self._check_fitted()
        parameters = {
            **self.get_params(deep=False),
            "stack": dump_body(self.stack),
            "form": None if self.form is None else self.form.model_dump(mode="json"),
            "vectors": None if self.vectors is None else os.fspath(self.vectors),
            "training": dump_training(self.training),
        }
        SavedModel(
            kind=NAME,
            config={
                "parameters": parameters,
                "form": self.form_.model_dump(mode="json"),
                "labels": dump_labels(self.classes_),
            },
            weights=with_counts(self.network_.state_dict(), self.inputs_),
            preprocessing={"vocabulary": self.vocabulary_.to_dict(), "classes": list(self.inputs_.classes)},
            manifest={
                "data_hash": self.data_hash_,
                "seed": self.seed,
                "metric": self.metric,
                "training": self.history_.to_dict(),
            },
        ).write(path)

    @classmethod
    def from_saved(cls, saved: SavedModel, where: str) -> Self:
        """The estimator that ``save`` wrote; ``where`` names it in errors."""
        parameters = dict(saved.config["parameters"])
        parameters["stack"] = load_body(parameters["stack"])
        parameters["form"] = None if parameters["form"] is None else TextConfig(**parameters["form"])
        parameters["training"] = load_training(parameters["training"])
        model = cls(**parameters)
        model.form_ = TextConfig(**saved.config["form"])
        model.classes_ = load_labels(saved.config["labels"])
        model.vocabulary_ = Vocabulary.from_dict(saved.preprocessing["vocabulary"])
        classes = saved.preprocessing["classes"]
        weights, model.inputs_ = split_counts(saved.weights, classes, len(model.vocabulary_))
        model.data_hash_ = saved.manifest["data_hash"]
        model.history_ = History.from_dict(saved.manifest["training"])
        model.network_ = model._network()
        load_weights(model.network_, weights, where)
        return model
