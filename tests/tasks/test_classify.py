from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss
from torch import nn

from lamina.data.labelled import LabelledSequences, labelled_sequences
from lamina.errors import ConfigError, DataError
from lamina.nn.stack import StackConfig
from lamina.tasks.classify import (
    ClassifyBatch,
    ClassifyBatches,
    ClassifyConfig,
    ClassifyInputs,
    ClassifyNetwork,
    ClassifyObjective,
    case_scores,
    predict_sequences,
)

NAN = float("nan")


def ragged(n: int = 11, *, seed: int = 0) -> LabelledSequences:
    """n sequences of 1 to 6 steps with two features."""
    generator = np.random.default_rng(seed)
    parts = [generator.normal(size=(length, 2)) for length in generator.integers(1, 7, size=n)]
    return labelled_sequences(parts, [("a", "b", "c")[i % 3] for i in range(n)])


def network(inputs: ClassifyInputs) -> ClassifyNetwork:
    torch.manual_seed(0)
    return ClassifyNetwork(ClassifyConfig(width=3), inputs, StackConfig(hidden_sizes=(4,))).eval()


def test_sequences_are_scaled_masked_and_padded() -> None:
    data = labelled_sequences(
        [np.array([[1.0, 10.0], [NAN, 20.0], [3.0, 30.0]]), np.array([[5.0, 20.0]])], ["x", "y"]
    )
    inputs = ClassifyInputs.fit(data)
    assert inputs.gaps == (0,)
    assert inputs.features == 3
    batch = inputs.collate(data, np.array([1, 0]))
    unit = np.sqrt(8 / 3)  # standard deviation of 1, 3, 5, with mean 3
    tens = np.sqrt(50.0)  # of 10, 20, 30, 20, with mean 20
    expected = [
        [[2 / unit, 0, 1], [0, 0, 0], [0, 0, 0]],
        [[-2 / unit, -10 / tens, 1], [0, 0, 0], [0, 10 / tens, 1]],
    ]
    torch.testing.assert_close(batch.x, torch.tensor(expected, dtype=torch.float32))
    assert batch.lengths.tolist() == [1, 3]
    assert batch.labels.tolist() == [1, 0]


def test_a_feature_missing_in_validation_only_has_a_mask_and_moves_no_scaler() -> None:
    training, validation = ragged(seed=1), ragged(seed=2)
    validation.values[0, 1] = NAN
    inputs = ClassifyInputs.fit(training, validation)
    assert inputs.gaps == (1,)
    assert inputs.scaler.to_dict() == ClassifyInputs.fit(training).scaler.to_dict()


def test_inputs_come_back_from_json() -> None:
    data = ragged()
    data.values[3, 1] = NAN
    inputs = ClassifyInputs.fit(data)
    again = ClassifyInputs.from_dict(json.loads(json.dumps(inputs.to_dict())))
    chosen = np.arange(len(data))
    for left, right in zip(inputs.collate(data, chosen), again.collate(data, chosen), strict=True):
        assert torch.equal(left, right)
    assert again.classes == ("a", "b", "c")


def test_another_number_of_features_is_an_error() -> None:
    inputs = ClassifyInputs.fit(ragged())
    other = labelled_sequences([np.zeros((2, 3))], None, classes=inputs.classes)
    with pytest.raises(DataError, match=r"2 features a step, as in training, but one has 3\. Give"):
        inputs.collate(other, np.array([0]))


def test_batches_depend_on_seed_and_epoch_alone_and_start_skips() -> None:
    data = ragged()
    inputs = ClassifyInputs.fit(data)

    def labels(epoch: int, *, start: int = 0, seed: int = 4) -> list[list[float]]:
        batches = ClassifyBatches(data, inputs, batch_size=3, seed=seed)
        return [batch.x.sum(dim=(1, 2)).tolist() for batch in batches.epoch(epoch, start=start)]

    whole = labels(2)
    assert len(whole) == len(ClassifyBatches(data, inputs, batch_size=3, seed=4)) == 4
    assert labels(2) == whole
    assert labels(2, start=1) == whole[1:]
    assert labels(3) != whole
    assert labels(2, seed=5) != whole


def test_an_epoch_has_every_sequence_once() -> None:
    data = ragged()
    batches = ClassifyBatches(data, ClassifyInputs.fit(data), batch_size=4, seed=0)
    seen = [label for batch in batches.epoch(0) for label in batch.labels.tolist()]
    assert sorted(seen) == sorted(data.labels.tolist())


def test_the_loss_is_smoothed_cross_entropy() -> None:
    data = ragged()
    inputs = ClassifyInputs.fit(data)
    config = ClassifyConfig(label_smoothing=0.3)
    objective = ClassifyObjective(config, inputs, data, metric="accuracy")
    logits = torch.tensor([[1.0, 2.0, 0.0], [0.0, 0.0, 3.0]])

    class Fixed(nn.Module):
        def forward(self, batch: ClassifyBatch) -> torch.Tensor:  # noqa: ARG002  # the interface
            return logits

    batch = ClassifyBatch(torch.zeros(2, 1, 2), torch.ones(2), torch.tensor([1, 2]))
    log_p = (logits - logits.exp().sum(-1, keepdim=True).log()).numpy()
    target = np.array([[0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])  # 0.7 for the truth, 0.3 spread over all three
    assert objective.loss(Fixed(), batch).item() == pytest.approx(-(target * log_p).sum(-1).mean(), rel=1e-6)


def test_case_scores_average_to_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, size=50)
    chances = generator.dirichlet([1, 1, 1], size=50)
    assert case_scores("accuracy", labels, chances).mean() == accuracy_score(labels, chances.argmax(1))
    assert case_scores("log_loss", labels, chances).mean() == pytest.approx(log_loss(labels, chances))


def test_a_certain_wrong_answer_has_a_finite_log_loss() -> None:
    scores = case_scores("log_loss", np.array([0]), np.array([[0.0, 1.0]]))
    assert scores.tolist() == pytest.approx([-np.log(1e-15)])


def test_probabilities_keep_the_order_of_the_data() -> None:
    data = ragged(seed=3)
    inputs = ClassifyInputs.fit(data)
    model = network(inputs)
    together = predict_sequences(model, inputs, data, batch_size=4)
    alone = [predict_sequences(model, inputs, data.subset(np.array([i]))) for i in range(len(data))]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=2e-5)
    np.testing.assert_allclose(together.sum(axis=1), 1.0)


@pytest.mark.parametrize(("metric", "higher"), [("accuracy", True), ("log_loss", False)])
def test_the_score_is_the_metric_on_validation(metric: str, higher: bool) -> None:
    data = ragged()
    inputs = ClassifyInputs.fit(data)
    model = network(inputs)
    objective = ClassifyObjective(ClassifyConfig(), inputs, data, metric=metric)  # type: ignore[arg-type]
    chances = predict_sequences(model, inputs, data)
    truth = {
        "accuracy": accuracy_score(data.labels, chances.argmax(axis=1)),
        "log_loss": log_loss(data.labels, chances),
    }
    assert objective.higher_is_better == higher
    score, loss = objective.validate(model)
    assert score == pytest.approx(truth[metric])
    smoothed = 0.05 / chances.shape[1] + 0.95 * np.eye(chances.shape[1])[data.labels]
    assert loss == pytest.approx(float(-(smoothed * np.log(chances)).sum(axis=1).mean()))


def test_validation_is_read_once() -> None:
    data = ragged()
    inputs = ClassifyInputs.fit(data)
    model, read = network(inputs), []
    model.register_forward_hook(lambda _, args, __: read.extend(args[0].labels.tolist()))
    ClassifyObjective(ClassifyConfig(), inputs, data, metric="accuracy").validate(model)
    assert sorted(read) == sorted(data.labels.tolist())


def test_one_class_for_all_is_evidence_of_collapse() -> None:
    data = ragged()
    inputs = ClassifyInputs.fit(data)
    model = network(inputs)
    objective = ClassifyObjective(ClassifyConfig(), inputs, data, metric="accuracy")
    nn.init.zeros_(model.head.weight)
    model.head.bias.data = torch.tensor([0.0, 5.0, 0.0])
    assert objective.constant_output(model) == "every validation sequence is called 'b'"
    beside = ClassifyObjective(ClassifyConfig(), inputs, data, metric="accuracy", alone=False)
    assert beside.constant_output(model) is None
    same = data.subset(np.flatnonzero(data.labels == 1))
    assert ClassifyObjective(ClassifyConfig(), inputs, same, metric="accuracy").constant_output(model) is None


def test_an_unknown_metric_is_an_error_that_guesses() -> None:
    data = ragged()
    with pytest.raises(ConfigError, match=r"accuracy, log_loss, but is 'accurcy'; did you mean 'accuracy'\?"):
        ClassifyObjective(ClassifyConfig(), ClassifyInputs.fit(data), data, metric="accurcy")  # type: ignore[arg-type]
