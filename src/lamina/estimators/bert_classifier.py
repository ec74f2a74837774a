"""Classifying texts with a BERT, beside the recurrent networks it is compared with."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from lamina._optional import require
from lamina.data.labelled_texts import draw_by_class
from lamina.data.word_pieces import WordPieces
from lamina.errors import NotFittedError
from lamina.estimators.configs import dump_training, load_training
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
from lamina.tasks.bert import (
    EXTRA,
    BertConfig,
    BertNetwork,
    config_from_dict,
    new_encoder,
    read_encoder,
    read_pieces,
)
from lamina.tasks.classify import Array, ClassifyObjective, ClassMetric, predict_sequences
from lamina.tasks.text import PreparedTexts, TextBatches, TextConfig
from lamina.training.callbacks import Callback
from lamina.training.history import History
from lamina.training.optim import TrainingConfig

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "BertClassifier"
FROM_NOTHING = TrainingConfig(max_steps=800, batch_size=32, learning_rate=5e-4)
# Steps and rate in the range of Devlin et al. 2019 (arXiv:1810.04805), appendix A.3.
FINE_TUNING = TrainingConfig(max_steps=600, batch_size=16, learning_rate=4e-5)


class BertClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no annotations
    """Classifies texts with a BERT or another encoder of transformers; needs the extra ``bert``.

    As in ``TextClassifier``, a logistic regression on counts, here of word pieces, comes first and the
    network corrects its scores, so that the two differ in what reads the text. Nothing is downloaded.

    Args:
        bert: folder of a checkpoint with its tokenizer, to be fine-tuned; or the form of one that is trained
            from nothing, with a tokenizer of its own; None is a ``BertConfig()``.
        counts: whether counts of pieces come first; without, the network stands alone.
        dropout: share of the vector that the head reads which is zero in training.
        most_pieces: longer texts are cut to so many pieces.
        metric: selects the best weights: accuracy or log_loss.
        validation_fraction: share of the training texts held out for early stopping.
        training: settings of the training run; None is 600 steps at a rate of 4e-5 for a checkpoint, 800 at
            5e-4 from nothing. A batch has the pieces of ``batch_size`` average texts.
        seed: of initialisation, order, dropout and the held-out part.

    Attributes:
        classes_: the labels, in the order of ``predict_proba``.
        history_: what happened in training.
    """

    def __init__(
        self,
        *,
        bert: str | os.PathLike[str] | BertConfig | None = None,
        counts: bool = True,
        dropout: float = 0.1,
        most_pieces: int = 256,
        metric: ClassMetric = "accuracy",
        validation_fraction: float = 0.1,
        training: TrainingConfig | None = None,
        seed: int = 0,
    ) -> None:
        self.bert = bert
        self.counts = counts
        self.dropout = dropout
        self.most_pieces = most_pieces
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
            X: texts.
            y: (n,) labels.
            callbacks: observers of the training run.
            checkpoint: a file that an interrupted run goes on from.

        Raises:
            DataError: texts or labels break a rule; the message names the row.
            ConfigError: the folder is not a checkpoint with a tokenizer.
            MissingPackageError: transformers is not installed.
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
        """What ``fit_parts`` trains on; see ``TextClassifier.prepare``."""
        require("transformers", extra=EXTRA)  # told before any work
        form = self._form
        if form is not None:
            pieces = WordPieces.fit(training[0], size=form.pieces, most=self.most_pieces)
        else:
            assert isinstance(self.bert, str | os.PathLike)
            pieces = read_pieces(self.bert, most=self.most_pieces)
        return prepare_parts(pieces, training, validation, names, counts=self.counts, seed=self.seed)

    @property
    def _form(self) -> BertConfig | None:
        """Of a BERT that is trained from nothing; None where a checkpoint is read."""
        return self.bert if isinstance(self.bert, BertConfig) else BertConfig() if self.bert is None else None

    def fit_parts(
        self,
        parts: TextParts,
        classes: NDArray[Any],
        *,
        callbacks: Sequence[Callback] = (),
        checkpoint: Path | None = None,
    ) -> Self:
        """Train on prepared texts; ``classes`` are the labels in the order of the parts' class names."""
        from lamina.training.loop import fit  # the trainer is not needed to predict

        assert isinstance(parts.tokens, WordPieces)
        self.classes_, self.pieces_, self.inputs_ = classes, parts.tokens, parts.inputs
        self.data_hash_ = parts.data_hash
        settings = self.training or (FINE_TUNING if self._form is None else FROM_NOTHING)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.network_ = self._network(self._encoder())
            self.history_ = fit(
                self.network_,
                ClassifyObjective(TextConfig(), self.inputs_, parts.validation, metric=self.metric),
                TextBatches(parts.training, self.inputs_, batch_size=settings.batch_size, seed=self.seed),
                settings,
                seed=self.seed,
                callbacks=callbacks,
                checkpoint=checkpoint,
            )
        return self

    def _encoder(self) -> PreTrainedModel:
        form = self._form
        if form is not None:
            return new_encoder(form.of_transformers(self.pieces_))
        assert isinstance(self.bert, str | os.PathLike)
        return read_encoder(self.bert)

    def _network(self, encoder: PreTrainedModel) -> BertNetwork:
        return BertNetwork(encoder, classes=len(self.classes_), pad=self.pieces_.pad, dropout=self.dropout)

    def chances(self, data: PreparedTexts) -> Array:
        """Probability of each class for prepared texts, (n, classes)."""
        self._check_fitted()
        return predict_sequences(self.network_, self.inputs_, data, batch_size=64)

    def predict_proba(self, X: Sequence[str]) -> Array:
        """Probability of each class, (n, classes), in the order of ``classes_``."""
        self._check_fitted()
        encoded = unlabelled(strings(X), self.pieces_, self.inputs_.classes)
        return self.chances(self.inputs_.prepare(encoded))

    def predict(self, X: Sequence[str]) -> NDArray[Any]:
        """The most probable label of each text, (n,)."""
        chances = self.predict_proba(X)
        labels: NDArray[Any] = self.classes_[chances.argmax(axis=1)]
        return labels

    def _check_fitted(self) -> None:
        if not hasattr(self, "network_"):
            raise NotFittedError(
                "a BertClassifier predicts after it was fitted, and this one was not. Call fit(X, y) first."
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a directory that ``lamina.load`` reads; no pickle. The checkpoint is not needed any more.

        Raises:
            SavedModelError: something other than a model is in the way.
        """
        self._check_fitted()
        form = self.bert
        parameters = {
            **self.get_params(deep=False),
            "bert": form.model_dump(mode="json")
            if isinstance(form, BertConfig)
            else None
            if form is None
            else os.fspath(form),
            "training": dump_training(self.training),
        }
        encoder = json.loads(self.network_.encoder.config.to_json_string())
        encoder.pop("_name_or_path", None)
        SavedModel(
            kind=NAME,
            config={
                "parameters": parameters,
                "encoder": encoder,
                "labels": dump_labels(self.classes_),
            },
            weights=with_counts(self.network_.state_dict(), self.inputs_),
            preprocessing={"pieces": self.pieces_.to_dict(), "classes": list(self.inputs_.classes)},
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
        if isinstance(parameters["bert"], dict):
            parameters["bert"] = BertConfig(**parameters["bert"])
        parameters["training"] = load_training(parameters["training"])
        model = cls(**parameters)
        model.classes_ = load_labels(saved.config["labels"])
        model.pieces_ = WordPieces.from_dict(saved.preprocessing["pieces"])
        classes = saved.preprocessing["classes"]
        weights, model.inputs_ = split_counts(saved.weights, classes, len(model.pieces_))
        model.data_hash_ = saved.manifest["data_hash"]
        model.history_ = History.from_dict(saved.manifest["training"])
        model.network_ = model._network(new_encoder(config_from_dict(saved.config["encoder"], where)))
        load_weights(model.network_, weights, where)
        return model
