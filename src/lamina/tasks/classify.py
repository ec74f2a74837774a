"""Classification: one label for a whole sequence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from lamina._config import Config
from lamina.data.batches import length_buckets, pad_sequences
from lamina.data.labelled import LabelledSequences
from lamina.data.scaling import Standardizer
from lamina.errors import ConfigError, DataError, did_you_mean
from lamina.tasks.base import BodyConfig, Pooling, Reader

Array = NDArray[np.float64]
ClassMetric = Literal["accuracy", "log_loss"]


class ClassifyConfig(Config):
    """The form of a classifying network.

    Attributes:
        width: features each step is mapped to before the body.
        pooling: how outputs become one vector: the ends of each direction, or mean or max over valid steps.
        attention: join an attention over all outputs to the pooled vector.
        label_smoothing: share of the target spread over the other classes.
    """

    width: int = Field(default=64, ge=1)
    pooling: Pooling = "mean"
    attention: bool = False
    label_smoothing: float = Field(default=0.05, ge=0, lt=1)


class ClassifyBatch(NamedTuple):
    """One batch: x (batch, time, features), lengths (batch,), labels (batch,)."""

    x: Tensor
    lengths: Tensor
    labels: Tensor


class Smoothed(Protocol):
    """A configuration that says how far targets are smoothed."""

    @property
    def label_smoothing(self) -> float:
        """Share of the target spread over the other classes."""


class Labelled(Protocol):
    """Sequences or texts with a label each."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """Positions of the classes, (n,)."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Steps of each, (n,)."""


class Inputs(Protocol):
    """What turns labelled data into batches; a batch is a named tuple of tensors, ``labels`` among them."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels, in the order of the network's outputs."""

    def collate(self, data: Any, chosen: NDArray[np.int64]) -> Any:
        """One batch of some of the data."""


@dataclass(frozen=True)
class ClassifyInputs:
    """Scaler and layout of the features, fitted on the training sequences.

    Attributes:
        scaler: one mean and deviation a feature.
        gaps: features with missing values, each with a mask of its own.
        classes: names of the labels, in the order of the network's outputs.
    """

    scaler: Standardizer
    gaps: tuple[int, ...]
    classes: tuple[str, ...]

    @classmethod
    def fit(cls, training: LabelledSequences, *others: LabelledSequences) -> ClassifyInputs:
        """Fit the scaler on training sequences; of others only which features have missing values is read."""
        missing = [np.isnan(part.values).any(axis=0) for part in (training, *others)]
        gaps = tuple(int(i) for i in np.flatnonzero(np.any(missing, axis=0)))
        return cls(scaler=Standardizer.fit(training.values), gaps=gaps, classes=training.classes)

    @property
    def features(self) -> int:
        return len(self.scaler.mean) + len(self.gaps)

    def collate(self, data: LabelledSequences, chosen: NDArray[np.int64]) -> ClassifyBatch:
        """Scale, mask and pad some sequences."""
        # Scaled in one go, as a call for each short sequence would take longer than a network's step.
        steps = np.concatenate([data.values[data.starts[i] : data.starts[i + 1]] for i in chosen])
        x, lengths = pad_sequences(np.split(self._scaled(steps), np.cumsum(data.lengths[chosen])[:-1]))
        return ClassifyBatch(
            torch.from_numpy(x),
            torch.from_numpy(np.asarray(lengths, dtype=np.int64)),
            torch.from_numpy(np.asarray(data.labels[chosen], dtype=np.int64)),
        )

    def _scaled(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        if values.shape[1] != len(self.scaler.mean):
            raise DataError(
                f"sequences must have {len(self.scaler.mean)} features a step, as in training, but one has "
                f"{values.shape[1]}. Give the same features in the same order."
            )
        missing = np.isnan(values)
        scaled = np.where(missing, 0.0, self.scaler.transform(values))
        masks = ~missing[:, list(self.gaps)]
        steps: NDArray[np.float32] = np.concatenate([scaled, masks], axis=1).astype(np.float32)
        return steps

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; exact."""
        return {"scaler": self.scaler.to_dict(), "gaps": list(self.gaps), "classes": list(self.classes)}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> ClassifyInputs:
        """The inverse of ``to_dict``."""
        return cls(Standardizer.from_dict(saved["scaler"]), tuple(saved["gaps"]), tuple(saved["classes"]))


class ClassifyNetwork(nn.Module):
    """Class scores of padded sequences."""

    def __init__(self, config: ClassifyConfig, inputs: ClassifyInputs, body: BodyConfig) -> None:
        super().__init__()
        self.config = config
        self.reader = Reader(
            inputs.features, body, width=config.width, pooling=config.pooling, attention=config.attention
        )
        self.head = nn.Linear(self.reader.output_size, len(inputs.classes))

    def forward(self, batch: ClassifyBatch) -> Tensor:
        """One batch -> logits (batch, classes)."""
        out: Tensor = self.head(self.reader(batch.x, batch.lengths))
        return out


class ClassifyBatches:
    """Training sequences in buckets of like length, in an order of the seed and the epoch's number alone."""

    def __init__(
        self, data: LabelledSequences, inputs: ClassifyInputs, *, batch_size: int, seed: int
    ) -> None:
        self._data, self._inputs, self._size, self._seed = data, inputs, batch_size, seed
        self._lengths = np.diff(data.starts)

    def __len__(self) -> int:
        return len(self._buckets(0))

    def _buckets(self, number: int) -> list[NDArray[np.int64]]:
        generator = np.random.default_rng((self._seed, number))
        return list(length_buckets(self._lengths, rows_per_batch=self._size, generator=generator))

    def epoch(self, number: int, *, start: int = 0) -> Iterator[ClassifyBatch]:
        for chosen in self._buckets(number)[start:]:
            yield self._inputs.collate(self._data, chosen)


class ClassifyObjective:
    """Cross-entropy to descend; the metric on validation sequences to select by.

    Args:
        alone: nothing answers beside the network, so that one class for all sequences is a failure.
    """

    def __init__(
        self,
        config: Smoothed,
        inputs: Inputs,
        validation: Labelled,
        *,
        metric: ClassMetric,
        alone: bool = True,
    ) -> None:
        if metric not in get_args(ClassMetric):
            raise ConfigError(
                f"metric is one of {', '.join(get_args(ClassMetric))}, but is {metric!r}"
                f"{did_you_mean(metric, get_args(ClassMetric))}"
            )
        self.higher_is_better = metric == "accuracy"
        self._inputs, self._validation, self._metric = inputs, validation, metric
        self.label_smoothing, self._alone = config.label_smoothing, alone

    def loss(self, network: nn.Module, batch: Any) -> Tensor:
        return nn.functional.cross_entropy(network(batch), batch.labels, label_smoothing=self.label_smoothing)

    def validate(self, network: nn.Module) -> tuple[float, float]:
        """The metric, and cross-entropy in nats, smoothed as in training."""
        chances = predict_sequences(network, self._inputs, self._validation)
        logs = np.log(np.maximum(chances, 1e-15))
        smoothing, labels = self.label_smoothing, self._validation.labels
        right = np.take_along_axis(logs, labels[:, None], axis=1)[:, 0]
        losses = -((1 - smoothing) * right + smoothing * logs.mean(axis=1))
        return float(case_scores(self._metric, labels, chances).mean()), float(losses.mean())

    def constant_output(self, network: nn.Module) -> str | None:
        """Every validation sequence gets the same class though there are several."""
        if not self._alone:
            return None
        predicted = predict_sequences(network, self._inputs, self._validation).argmax(axis=1)
        if len(np.unique(predicted)) == 1 and len(np.unique(self._validation.labels)) > 1:
            return f"every validation sequence is called {self._inputs.classes[int(predicted[0])]!r}"
        return None


def case_scores(metric: ClassMetric, labels: NDArray[np.int64], chances: Array) -> Array:
    """The metric of each sequence: 1 or 0 for right or wrong, or its log loss in nats; (sequences,)."""
    if metric == "accuracy":
        right: Array = (chances.argmax(axis=1) == labels).astype(np.float64)
        return right
    picked = np.take_along_axis(chances, labels[:, None], axis=1)[:, 0]
    result: Array = -np.log(np.maximum(picked, 1e-15))
    return result


@torch.no_grad()
def predict_sequences(network: nn.Module, inputs: Inputs, data: Labelled, *, batch_size: int = 256) -> Array:
    """Class probabilities, (sequences, classes), in the order of ``data``."""
    device = next(network.parameters()).device
    lengths = data.lengths
    order = np.argsort(lengths, kind="stable")  # like lengths together, so little is padded
    chances = np.zeros((len(lengths), len(inputs.classes)))
    for begin in range(0, len(order), batch_size):
        chosen = order[begin : begin + batch_size]
        batch = inputs.collate(data, chosen)
        batch = batch._make(part.to(device) for part in batch)
        chances[chosen] = torch.softmax(network(batch).double(), dim=-1).cpu().numpy()
    return chances
