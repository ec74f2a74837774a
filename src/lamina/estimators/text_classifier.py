"""Classifying texts with a recurrent network."""

from __future__ import annotations

import os
from typing import Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from lamina.data.labelled_texts import Encoder
from lamina.data.vocabulary import Unit, Vocabulary
from lamina.data.word_vectors import read_word_vectors
from lamina.estimators.configs import (
    dump_labels,
    dump_parameters,
    load_labels,
    load_parameters,
)
from lamina.estimators.fitted import dump_origin, load_origin
from lamina.estimators.saving import SavedModel, load_weights
from lamina.estimators.text_estimator import TextEstimator
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
from lamina.training.optim import TrainingConfig

Array = NDArray[np.float64]
NAME = "TextClassifier"
DEFAULT_STACK = StackConfig(cell="lstm", hidden_sizes=(128,), directions=("both",))
DEFAULT_FORM = TextConfig()
DEFAULT_TRAINING = TrainingConfig(max_steps=600, batch_size=32, learning_rate=2e-3, average=0.99)


class TextClassifier(TextEstimator):
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

    network_: TextNetwork

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

    @override
    def prepare(self, training: Texts, validation: Texts, names: tuple[str, ...]) -> TextParts:
        vocabulary = Vocabulary.fit(
            training[0],
            unit=self.unit,
            size=self.vocabulary_size,
            least_count=self.least_count,
            lowercase=self.lowercase,
        )
        return prepare_parts(vocabulary, training, validation, names, counts=self.counts, seed=self.seed)

    @property
    @override
    def _tokens(self) -> Vocabulary:
        return self.vocabulary_

    @override
    def _begin(self, tokens: Encoder) -> tuple[TextConfig, TrainingConfig]:
        assert isinstance(tokens, Vocabulary)
        self.vocabulary_, self.form_ = tokens, self.form or DEFAULT_FORM
        vectors = None
        if self.vectors is not None:
            vectors = read_word_vectors(self.vectors, self.vocabulary_)
            self.form_ = self.form_.replace(embedding_size=vectors.size)
        self.network_ = self._network()
        if vectors is not None:
            vectors.put_into(self.network_.embed.weight)
        return self.form_, self.training or DEFAULT_TRAINING

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
            manifest=dump_origin(self, self.metric),
        ).write(path)

    @classmethod
    def from_saved(cls, saved: SavedModel, where: str) -> Self:
        """The estimator that ``save`` wrote; ``where`` names it in errors."""
        model = cls(**load_parameters(saved.config["parameters"], form=TextConfig))
        model.form_ = TextConfig(**saved.config["form"])
        model.classes_ = load_labels(saved.config["labels"])
        model.vocabulary_ = Vocabulary.from_dict(saved.preprocessing["vocabulary"])
        classes = saved.preprocessing["classes"]
        weights, model.inputs_ = split_counts(saved.weights, classes, len(model.vocabulary_))
        load_origin(model, saved.manifest)
        model.network_ = model._network()
        load_weights(model.network_, weights, where)
        return model
