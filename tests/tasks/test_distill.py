from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from lamina.data.labelled_texts import LabelledTexts
from lamina.nn.stack import StackConfig
from lamina.tasks.classify import ClassifyObjective
from lamina.tasks.distill import TEMPERATURE, DistillObjective, TaughtBatch, TaughtInputs, TaughtTexts
from lamina.tasks.text import TextBatches, TextConfig, TextInputs, TextNetwork

CLASSES = ("a", "b", "c")
INPUTS = TextInputs(CLASSES, None)


def texts(labels: list[int]) -> LabelledTexts:
    lengths = np.arange(1, len(labels) + 1)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    values = np.random.default_rng(0).integers(20, size=starts[-1])
    return LabelledTexts(values, starts, np.array(labels), CLASSES)


def taught(labels: list[int], chances: list[list[float]]) -> TaughtTexts:
    return TaughtTexts(INPUTS.prepare(texts(labels)), np.log(chances))


class Scores(nn.Module):
    """These logits, whatever it reads."""

    def __init__(self, logits: list[list[float]]) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, batch: TaughtBatch) -> torch.Tensor:
        assert len(batch.x) == len(self.logits)
        return self.logits


def objective(smoothing: float = 0.0) -> DistillObjective:
    validation, form = INPUTS.prepare(texts([0, 1, 2])), TextConfig(label_smoothing=smoothing)
    return DistillObjective(ClassifyObjective(form, INPUTS, validation, metric="accuracy"))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_loss_is_that_of_the_paper(smoothing: float) -> None:
    """T^2 KL of softened distributions for each text, and cross-entropy where there is a label."""
    logits, chances = [[0.3, -1.0, 2.0], [0.0, 0.5, -0.5]], [[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]]
    data = taught([2, -1], chances)
    batch = TaughtInputs(INPUTS).collate(data, np.array([0, 1]))
    soft = 0.0
    for given, wanted in zip(logits, chances, strict=True):
        p = np.array(wanted) ** (1 / TEMPERATURE)
        p /= p.sum()
        q = np.exp(np.array(given) / TEMPERATURE)
        q /= q.sum()
        soft += float((p * np.log(p / q)).sum())
    label = (1 - smoothing) * 2.0 + smoothing * np.mean(logits[0])
    hard = -(label - np.log(np.exp(logits[0]).sum()))
    expected = TEMPERATURE**2 * soft / 2 + hard / 2
    assert objective(smoothing).loss(Scores(logits), batch).item() == pytest.approx(expected, rel=1e-5)


def test_a_student_that_agrees_with_its_teacher_learns_nothing_more_from_texts_without_labels() -> None:
    chances = [[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]]
    student = Scores(np.log(chances).tolist())
    batch = TaughtInputs(INPUTS).collate(taught([-1, -1], chances), np.array([0, 1]))
    loss = objective().loss(student, batch)
    assert loss.item() == pytest.approx(0, abs=1e-6)
    loss.backward()  # type: ignore[no-untyped-call]  # torch's own
    assert student.logits.grad is not None
    torch.testing.assert_close(student.logits.grad, torch.zeros(2, 3), atol=1e-6, rtol=0)


def test_batches_keep_each_text_with_its_teacher() -> None:
    chances = np.random.default_rng(1).dirichlet(np.ones(3), size=9)
    data = taught([0, 1, 2, -1, -1, -1, 0, -1, 1], chances.tolist())
    seen = {}
    for batch in TextBatches(data, TaughtInputs(INPUTS), batch_size=3, seed=0).epoch(0):
        for length, row, label in zip(batch.lengths, batch.teacher, batch.labels, strict=True):
            seen[int(length) - 1] = (row.numpy(), int(label))
        assert batch.tokens == int(batch.lengths.sum())
    assert len(seen) == 9
    for i, (row, label) in seen.items():
        np.testing.assert_allclose(np.exp(row), chances[i], rtol=1e-5)
        assert label == data.labels[i]


def test_weights_are_chosen_as_those_of_a_classifier() -> None:
    torch.manual_seed(0)
    network = TextNetwork(TextConfig(embedding_size=4), 20, 3, StackConfig(hidden_sizes=(4,))).eval()
    validation = INPUTS.prepare(texts([0, 1, 2]))
    for metric in ("accuracy", "log_loss"):
        classify = ClassifyObjective(TextConfig(), INPUTS, validation, metric=metric)
        distil = DistillObjective(classify)
        assert distil.higher_is_better == classify.higher_is_better == (metric == "accuracy")
        assert distil.validate(network) == classify.validate(network)
        assert distil.constant_output(network) == classify.constant_output(network) is not None
