"""Classifying texts with a recurrent network."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from lamina.data.labelled_texts import draw_by_class, encode_texts, label_codes
from lamina.data.vocabulary import Unit, Vocabulary
from lamina.data.word_vectors import read_word_vectors
from lamina.errors import DataError, NotFittedError
from lamina.estimators.configs import dump_body, dump_training, load_body, load_training
from lamina.estimators.saving import SavedModel, load_weights
from lamina.nn.stack import StackConfig
from lamina.tasks.base import BodyConfig
from lamina.tasks.classify import ClassifyObjective, ClassMetric, predict_sequences
from lamina.tasks.counts import CountClassifier, cross_fitted
from lamina.tasks.text import PreparedTexts, TextBatches, TextConfig, TextInputs, TextNetwork
from lamina.training.callbacks import Callback
from lamina.training.history import History
from lamina.training.optim import TrainingConfig

Array = NDArray[np.float64]
NAME = "TextClassifier"
COUNTS = "counts."  # before the names of its tensors, beside those of the network
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
        texts = _strings(X)
        labels = np.asarray(y)
        codes, names = label_codes(list(y), len(texts))
        given = {str(label): label for label in labels}
        self.classes_ = np.array([given[name] for name in names], dtype=labels.dtype)
        chosen, held_out = draw_by_class(codes, self.validation_fraction, self.seed)
        self.vocabulary_ = Vocabulary.fit(
            [texts[i] for i in chosen],
            unit=self.unit,
            size=self.vocabulary_size,
            least_count=self.least_count,
            lowercase=self.lowercase,
        )
        training, validation = (
            encode_texts([texts[i] for i in part], codes[part], self.vocabulary_, names)
            for part in (chosen, held_out)
        )
        self.data_hash_ = hashlib.sha256(training.values.tobytes()).hexdigest()
        counts = (
            CountClassifier.fit(training, np.arange(len(training)), len(self.vocabulary_))
            if self.counts
            else None
        )
        self.inputs_ = TextInputs(names, counts)
        prepared = (
            PreparedTexts(training, cross_fitted(training, len(self.vocabulary_), self.seed))
            if self.counts
            else self.inputs_.prepare(training)
        )
        self._train(prepared, self.inputs_.prepare(validation), callbacks, checkpoint)
        return self

    def _train(
        self,
        training: PreparedTexts,
        validation: PreparedTexts,
        callbacks: Sequence[Callback],
        checkpoint: Path | None,
    ) -> None:
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
                ClassifyObjective(self.form_, self.inputs_, validation, metric=self.metric),
                TextBatches(training, self.inputs_, batch_size=settings.batch_size, seed=self.seed),
                settings,
                seed=self.seed,
                callbacks=callbacks,
                checkpoint=checkpoint,
            )

    def _network(self) -> TextNetwork:
        body = self.stack if self.stack is not None else DEFAULT_STACK
        return TextNetwork(self.form_, len(self.vocabulary_), len(self.classes_), body)

    def predict_proba(self, X: Sequence[str]) -> Array:
        """Probability of each class, (n, classes), in the order of ``classes_``."""
        self._check_fitted()
        texts = _strings(X)
        unknown = np.full(len(texts), -1)
        encoded = encode_texts(texts, unknown, self.vocabulary_, self.inputs_.classes)
        return predict_sequences(self.network_, self.inputs_, self.inputs_.prepare(encoded), batch_size=64)

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
        counts = {} if self.inputs_.counts is None else self.inputs_.counts.tensors()
        SavedModel(
            kind=NAME,
            config={
                "parameters": parameters,
                "form": self.form_.model_dump(mode="json"),
                "labels": {"dtype": self.classes_.dtype.str, "values": self.classes_.tolist()},
            },
            weights=self.network_.state_dict() | {COUNTS + name: value for name, value in counts.items()},
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
        labels = saved.config["labels"]
        model.classes_ = np.array(labels["values"], dtype=np.dtype(labels["dtype"]))
        model.vocabulary_ = Vocabulary.from_dict(saved.preprocessing["vocabulary"])
        tensors = {n.removeprefix(COUNTS): v for n, v in saved.weights.items() if n.startswith(COUNTS)}
        counts = CountClassifier.from_tensors(tensors, len(model.vocabulary_)) if tensors else None
        model.inputs_ = TextInputs(tuple(saved.preprocessing["classes"]), counts)
        model.data_hash_ = saved.manifest["data_hash"]
        model.history_ = History.from_dict(saved.manifest["training"])
        model.network_ = model._network()
        weights = {name: value for name, value in saved.weights.items() if not name.startswith(COUNTS)}
        load_weights(model.network_, weights, where)
        return model


def _strings(texts: Sequence[str]) -> list[str]:
    """The texts, once it is sure that they are some."""
    if isinstance(texts, str):
        raise DataError("texts come as a list, but this is a single string. Pass [text].")
    found = list(texts)
    if not found:
        raise DataError("at least one text is needed but there are none; check the source")
    for row, text in enumerate(found):
        if not isinstance(text, str):
            raise DataError(
                f"a text is a string but row {row} is {type(text).__name__}; leave it out or mend it"
            )
    return found
