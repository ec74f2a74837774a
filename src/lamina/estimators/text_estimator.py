"""What classifiers of texts share, whatever reads the texts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from lamina.data.labelled_texts import Encoder, draw_by_class, encode_unlabelled
from lamina.estimators.fitted import require_fitted
from lamina.estimators.text_parts import TextParts, Texts, read_labels, strings
from lamina.tasks.classify import Array, ClassifyObjective, ClassMetric, case_scores, predict_sequences
from lamina.tasks.counts import blend
from lamina.tasks.distill import DistillObjective, TaughtInputs
from lamina.tasks.text import BesideCounts, PreparedTexts, TextBatches, TextConfig, TextInputs
from lamina.training.callbacks import Callback
from lamina.training.history import History
from lamina.training.optim import ParameterGroup, TrainingConfig

if TYPE_CHECKING:
    from lamina.training.loop import Objective


Shares = tuple[float, float]
"""Weights of the counts and of the network."""
COUNTS_ALONE: Shares = (1.0, 0.0)
LEAST_CHANCE = 1e-12  # of a class, so that its logarithm is a number


class Beginning(NamedTuple):
    """What training on labels begins with, beside the network.

    Attributes:
        form: of the loss.
        settings: of the run.
        groups: parameters that wait for their turn.
        collapse: why there is nothing to go on from, where a run before this one collapsed.
    """

    form: TextConfig
    settings: TrainingConfig
    groups: Sequence[ParameterGroup] = ()
    collapse: str = ""


class TextEstimator(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no annotations
    """Holds texts out, trains and predicts; a child brings its tokens and its network.

    Attributes:
        classes_: the labels, in the order of ``predict_proba``.
        history_: what happened in training, to the network alone.
        notes_: how the counts and the network are weighed, a sentence; none without counts.
    """

    notes_: tuple[str, ...] = ()
    metric: ClassMetric
    validation_fraction: float
    seed: int
    classes_: NDArray[Any]
    inputs_: TextInputs
    data_hash_: str
    history_: History
    network_: BesideCounts

    @abstractmethod
    def prepare(self, training: Texts, validation: Texts, names: tuple[str, ...]) -> TextParts:
        """What ``fit_parts`` trains on; a study makes it once for many runs.

        Args:
            training, validation: texts, and positions of their labels in ``names``.
            names: of the classes.
        """

    @property
    @abstractmethod
    def _tokens(self) -> Encoder:
        """What cut the texts of training."""

    @abstractmethod
    def _begin(self, parts: TextParts, callbacks: Sequence[Callback], checkpoint: Path | None) -> Beginning:
        """Make the network that is to learn from labels, and say how it is trained."""

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
            ConfigError: the folder named is not a checkpoint with a tokenizer.
            MissingPackageError: the network needs a package that is not installed.
        """
        training, validation, names, classes = self._held_out(X, y)
        parts = self.prepare(training, validation, names)
        return self.fit_parts(parts, classes, callbacks=callbacks, checkpoint=checkpoint)

    def _held_out(
        self, X: Sequence[str], y: Sequence[Any] | NDArray[Any]
    ) -> tuple[Texts, Texts, tuple[str, ...], NDArray[Any]]:
        """Texts to train on and to hold out, the names of the classes, and the labels in their order."""
        texts = strings(X)
        codes, names, classes = read_labels(y, len(texts))
        training, validation = (
            ([texts[i] for i in part], codes[part])
            for part in draw_by_class(codes, self.validation_fraction, self.seed)
        )
        return training, validation, names, classes

    def fit_parts(
        self,
        parts: TextParts,
        classes: NDArray[Any],
        *,
        callbacks: Sequence[Callback] = (),
        checkpoint: Path | None = None,
        shares: Shares | None = None,
    ) -> Self:
        """Train on prepared texts.

        Args:
            parts: the texts.
            classes: the labels, in the order of the parts' class names.
            callbacks, checkpoint: as in ``fit``.
            shares: weights of the counts and of the network, from a run whose validation part neither had
                learned; None asks that of ``parts``.
        """
        from lamina.training.loop import fit  # the trainer is not needed to predict

        self.classes_, self.inputs_, self.data_hash_ = classes, parts.inputs, parts.data_hash
        self.notes_ = ()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            beginning = self._begin(parts, callbacks, checkpoint)
            if beginning.collapse:
                self.network_.weigh(*COUNTS_ALONE)
                self.network_.eval()
                self.history_ = History(outcome="collapsed", reason=beginning.collapse)
                return self
            settings = beginning.settings
            objective, batches = self._lessons(parts, beginning.form, settings)
            self.history_ = fit(
                self.network_,
                objective,
                batches,
                settings,
                seed=self.seed,
                groups=beginning.groups,
                callbacks=callbacks,
                checkpoint=checkpoint,
            )
        if self.history_.outcome == "collapsed":
            shares = COUNTS_ALONE
        if self.inputs_.counts is not None:
            self.network_.weigh(*(shares or self._shares(parts.validation)))
        return self

    def _shares(self, held_out: PreparedTexts) -> Shares:
        """The weights of the counts and of the network, by held-out texts; the notes then tell them."""
        from scipy.special import softmax

        alone = np.log(np.maximum(self.chances(held_out), LEAST_CHANCE))
        shares = blend(held_out.prior, alone, held_out.labels)
        both = softmax(shares[0] * held_out.prior + shares[1] * alone, axis=1)
        score = case_scores(self.metric, held_out.labels, both).mean()
        self.notes_ = (
            f"counts of words ({shares[0]:.2f}) and the network ({shares[1]:.2f}) answer together; their "
            f"{self.metric} of held-out texts is {score:.4g}",
        )
        return shares

    def _lessons(
        self, parts: TextParts, form: TextConfig, settings: TrainingConfig
    ) -> tuple[Objective, TextBatches]:
        """What is learned, and from which batches: the labels, or what a teacher says beside them."""
        alone = self.inputs_.counts is None
        labels = ClassifyObjective(form, self.inputs_, parts.validation, metric=self.metric, alone=alone)
        if parts.taught is None:
            return labels, TextBatches(
                parts.training, self.inputs_, batch_size=settings.batch_size, seed=self.seed
            )
        taught = TextBatches(
            parts.taught, TaughtInputs(self.inputs_), batch_size=settings.batch_size, seed=self.seed
        )
        return DistillObjective(labels), taught

    def chances(self, data: PreparedTexts) -> Array:
        """Probability of each class for prepared texts, (n, classes)."""
        self._check_fitted()
        return predict_sequences(self.network_, self.inputs_, data, batch_size=64)

    def predict_proba(self, X: Sequence[str]) -> Array:
        """Probability of each class, (n, classes), in the order of ``classes_``."""
        self._check_fitted()
        encoded = encode_unlabelled(strings(X), self._tokens, self.inputs_.classes)
        return self.chances(self.inputs_.prepare(encoded))

    def predict(self, X: Sequence[str]) -> NDArray[Any]:
        """The most probable label of each text, (n,)."""
        chances = self.predict_proba(X)
        labels: NDArray[Any] = self.classes_[chances.argmax(axis=1)]
        return labels

    def _check_fitted(self) -> None:
        require_fitted(self, does="predicts", call="fit(X, y)")
