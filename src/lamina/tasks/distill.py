"""Distillation: a network learns what a teacher says of texts, those without a label among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from lamina.tasks.classify import ClassifyObjective
from lamina.tasks.text import Array, PreparedTexts, TextInputs

TEMPERATURE = 2.0
UNKNOWN = -1  # the label of a text that has none


class TaughtBatch(NamedTuple):
    """A ``TextBatch``, and the teacher's log probabilities, (batch, classes)."""

    x: Tensor
    lengths: Tensor
    labels: Tensor
    prior: Tensor
    teacher: Tensor

    @property
    def tokens(self) -> int:
        """Tokens read, padding not counted."""
        return int(self.lengths.sum())


@dataclass(frozen=True, eq=False)
class TaughtTexts:
    """Texts, some of them without a label, and what a teacher says of each.

    Attributes:
        prepared: the texts.
        teacher: its log probabilities, (n, classes).
    """

    prepared: PreparedTexts
    teacher: Array

    @property
    def labels(self) -> NDArray[np.int64]:
        return self.prepared.labels

    @property
    def lengths(self) -> NDArray[np.int64]:
        return self.prepared.lengths


@dataclass(frozen=True, eq=False)
class TaughtInputs:
    """Batches of taught texts, otherwise as ``inputs`` makes them."""

    inputs: TextInputs

    @property
    def classes(self) -> tuple[str, ...]:
        return self.inputs.classes

    def collate(self, data: TaughtTexts, chosen: NDArray[np.int64]) -> TaughtBatch:
        """Pad some texts to the longest."""
        teacher = torch.from_numpy(data.teacher[chosen].astype(np.float32))
        return TaughtBatch(*self.inputs.collate(data.prepared, chosen), teacher)


class DistillObjective:
    """The teacher's probabilities to come near to, and the labels where they are known.

    loss = mean over texts of T^2 KL(teacher_T || student_T) + cross-entropy of the label, if there is one,
    with p_T = softmax(log p / T), T = 2; the label is smoothed as the classifier's
    are. What selects weights is the classifier's own objective.

    Source: Hinton et al. 2015, arXiv:1503.02531. Tang et al. 2019 (arXiv:1903.12136), who distil a BERT into
    a BiLSTM, take the mean squared error of logits, which is the limit of this for large T.
    """

    def __init__(self, classify: ClassifyObjective) -> None:
        self._classify = classify
        self.higher_is_better = classify.higher_is_better

    def loss(self, network: nn.Module, batch: TaughtBatch) -> Tensor:
        logits: Tensor = network(batch)
        student = (logits / TEMPERATURE).log_softmax(-1)
        teacher = (batch.teacher / TEMPERATURE).log_softmax(-1)
        soft = F.kl_div(student, teacher, reduction="batchmean", log_target=True)
        hard = F.cross_entropy(
            logits,
            batch.labels,
            ignore_index=UNKNOWN,
            reduction="sum",
            label_smoothing=self._classify.label_smoothing,
        )
        return TEMPERATURE**2 * soft + hard / len(logits)

    def validate(self, network: nn.Module) -> tuple[float, float]:
        """The metric, and cross-entropy in nats, of the labelled validation texts."""
        return self._classify.validate(network)

    def constant_output(self, network: nn.Module) -> str | None:
        """Every validation text gets the same class though there are several."""
        return self._classify.constant_output(network)
