"""Classifying texts with a BERT, beside the recurrent networks it is compared with."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from typing_extensions import override

from lamina._optional import require
from lamina.data.word_pieces import WordPieces
from lamina.errors import ConfigError
from lamina.estimators.configs import (
    dump_labels,
    dump_parameters,
    load_labels,
    load_parameters,
)
from lamina.estimators.fitted import dump_origin, load_origin
from lamina.estimators.saving import SavedModel, load_weights
from lamina.estimators.text_estimator import Beginning, TextEstimator
from lamina.estimators.text_parts import (
    TextParts,
    Texts,
    prepare_parts,
    split_counts,
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
from lamina.tasks.classify import ClassMetric
from lamina.tasks.text import TextConfig
from lamina.training.callbacks import Callback
from lamina.training.optim import TrainingConfig

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "BertClassifier"
FROM_NOTHING = TrainingConfig(max_steps=800, batch_size=32, learning_rate=5e-4)
# Steps and rate in the range of Devlin et al. 2019 (arXiv:1810.04805), appendix A.3.
FINE_TUNING = TrainingConfig(max_steps=600, batch_size=16, learning_rate=4e-5)


class BertClassifier(TextEstimator):
    """Classifies texts with a BERT or another encoder of transformers; needs the extra ``bert``.

    As in ``TextClassifier``, a logistic regression on counts, here of word pieces, stands beside
    the network, so that the two differ in what reads the text. Nothing is downloaded.

    Args:
        bert: folder of a checkpoint with its tokenizer, to be fine-tuned; or the form of one that is trained
            from nothing, with a tokenizer of its own; None is a ``BertConfig()``.
        counts: whether counts of pieces stand beside the network.
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

    network_: BertNetwork

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

    @override
    def prepare(self, training: Texts, validation: Texts, names: tuple[str, ...]) -> TextParts:
        require("transformers", extra=EXTRA)  # told before any work
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is from 0 to below 1 but is {self.dropout}; use for example 0.1")
        form = self._form
        if form is not None:
            pieces = WordPieces.fit(training[0], size=form.pieces, most=self.most_pieces)
        else:
            assert isinstance(self.bert, str | os.PathLike)
            pieces = read_pieces(self.bert, most=self.most_pieces)
        return prepare_parts(pieces, training, validation, names, counts=self.counts)

    @property
    def _form(self) -> BertConfig | None:
        """Of a BERT that is trained from nothing; None where a checkpoint is read."""
        return self.bert if isinstance(self.bert, BertConfig) else BertConfig() if self.bert is None else None

    @property
    @override
    def _tokens(self) -> WordPieces:
        return self.pieces_

    @override
    def _begin(self, parts: TextParts, callbacks: Sequence[Callback], checkpoint: Path | None) -> Beginning:
        assert isinstance(parts.tokens, WordPieces)
        self.pieces_ = parts.tokens
        self.network_ = self._network(self._encoder())
        settings = self.training or (FINE_TUNING if self._form is None else FROM_NOTHING)
        return Beginning(TextConfig(), settings)

    def _encoder(self) -> PreTrainedModel:
        form = self._form
        if form is not None:
            return new_encoder(form.of_transformers(self.pieces_))
        assert isinstance(self.bert, str | os.PathLike)
        return read_encoder(self.bert)

    def _network(self, encoder: PreTrainedModel) -> BertNetwork:
        return BertNetwork(encoder, classes=len(self.classes_), pad=self.pieces_.pad, dropout=self.dropout)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a directory that ``lamina.load`` reads; no pickle. The checkpoint is not needed any more.

        Raises:
            SavedModelError: something other than a model is in the way.
        """
        self._check_fitted()
        parameters = dump_parameters(self.get_params(deep=False))
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
            manifest=dump_origin(self, self.metric),
        ).write(path)

    @classmethod
    def from_saved(cls, saved: SavedModel, where: str) -> Self:
        """The estimator that ``save`` wrote; ``where`` names it in errors."""
        model = cls(**load_parameters(saved.config["parameters"], bert=BertConfig))
        model.classes_ = load_labels(saved.config["labels"])
        model.pieces_ = WordPieces.from_dict(saved.preprocessing["pieces"])
        classes = saved.preprocessing["classes"]
        weights, model.inputs_ = split_counts(saved.weights, classes, len(model.pieces_))
        load_origin(model, saved.manifest)
        model.network_ = model._network(new_encoder(config_from_dict(saved.config["encoder"], where)))
        load_weights(model.network_, weights, where)
        return model
