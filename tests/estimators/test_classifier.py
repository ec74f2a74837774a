from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import accuracy_score

from lamina.data.labelled import LabelledSequences
from lamina.errors import ConfigError, DataError, NotFittedError, SavedModelError
from lamina.estimators.classifier import SequenceClassifier
from lamina.estimators.load import load
from lamina.nn.stack import StackConfig
from lamina.nn.transformer import TransformerConfig
from lamina.tasks.base import BodyConfig
from lamina.training.optim import TrainingConfig

QUICK = TrainingConfig(max_steps=20, batch_size=8, validations=4, learning_rate=0.02)
SMALL = StackConfig(hidden_sizes=(6,))


def ragged(n: int = 24, *, missing: bool = False) -> tuple[list[np.ndarray], list[int]]:
    """Rising or falling sequences of 2 to 9 steps with a second, empty feature; labels 7 and 3."""
    generator = np.random.default_rng(0)
    sequences, labels = [], []
    for i in range(n):
        length = int(generator.integers(2, 10))
        slope = 1.0 if i % 2 else -1.0
        steps = np.stack([slope * np.arange(length), generator.normal(size=length)], axis=1)
        if missing:
            steps[generator.random(length) < 0.3, 1] = np.nan
        sequences.append(steps)
        labels.append(7 if i % 2 else 3)
    return sequences, labels


def quick(**changes: object) -> SequenceClassifier:
    return SequenceClassifier(**({"stack": SMALL, "training": QUICK} | changes))  # type: ignore[arg-type]


def test_it_learns_what_can_be_learnt() -> None:
    X, y = ragged()
    model = quick(metric="log_loss").fit(X, y)
    assert model.score(X, y) == accuracy_score(y, model.predict(X)) == 1.0
    assert model.history_.outcome in ("complete", "stopped")


@pytest.mark.parametrize(
    "labels", [[7, 3], [True, False], ["up", "down"], [1.5, -2.5], [np.int8(10), np.int8(9)]]
)
def test_labels_come_out_as_they_went_in(labels: list[object], tmp_path: Path) -> None:
    X, y = ragged()
    given = [labels[0] if label == 7 else labels[1] for label in y]
    model = quick(metric="log_loss").fit(X, given)
    np.testing.assert_array_equal(model.predict(X), given)
    assert model.predict(X).dtype == np.asarray(given).dtype
    model.save(tmp_path / "m")
    again = load(tmp_path / "m")
    assert isinstance(again, SequenceClassifier)
    np.testing.assert_array_equal(again.predict(X), given)
    assert again.classes_.dtype == model.classes_.dtype


def test_numbers_are_ordered_as_numbers() -> None:
    X, y = ragged()
    model = quick().fit(X, [10 if label == 7 else 9 for label in y])
    assert model.classes_.tolist() == [9, 10]


@pytest.mark.parametrize("body", [SMALL, TransformerConfig(size=4, heads=2, layers=1)])
@pytest.mark.parametrize("pooling", ["last", "max"])
def test_predictions_after_loading_are_equal_bit_for_bit(
    tmp_path: Path, body: BodyConfig, pooling: str
) -> None:
    X, y = ragged(missing=True)
    model = quick(stack=body, pooling=pooling, attention=True).fit(X, y)
    model.save(tmp_path / "m")
    again = load(tmp_path / "m")
    assert isinstance(again, SequenceClassifier)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.get_params() == model.get_params()
    assert again.history_ == model.history_


def test_probabilities_sum_to_one_in_the_order_of_classes() -> None:
    X, y = ragged()
    model = quick().fit(X, y)
    chances = model.predict_proba(X)
    assert chances.shape == (24, 2)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    np.testing.assert_array_equal(model.predict(X), model.classes_[chances.argmax(axis=1)])


def test_the_same_seed_gives_the_same_numbers_again() -> None:
    X, y = ragged()
    stack = SMALL.replace(dropout=0.3)
    chances = [quick(stack=stack, seed=seed).fit(X, y).predict_proba(X) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(chances[0], chances[1])
    assert not np.array_equal(chances[0], chances[2])


def test_fit_leaves_the_users_random_state_alone() -> None:
    X, y = ragged()
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002  # the user's global state
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    quick().fit(X, y)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # type: ignore[index]  # noqa: NPY002


def test_clone_and_parameters_follow_scikit_learn() -> None:
    model = quick(attention=True, seed=4)
    twin = clone(model)
    assert twin is not model
    assert twin.get_params() == model.get_params()
    assert set(model.get_params()) == {
        "stack", "attention", "pooling", "metric", "validation_fraction", "training", "seed",
    }  # fmt: skip
    assert model.set_params(seed=9) is model
    assert model.seed == 9
    with pytest.raises(ValueError, match="Invalid parameter 'sed'"):
        model.set_params(sed=1)


def test_a_fitted_model_is_not_changed_by_predicting() -> None:
    X, y = ragged()
    model = quick().fit(X, y)
    first = model.predict_proba(X)
    model.predict_proba(X[:3])
    np.testing.assert_array_equal(model.predict_proba(X), first)


def test_groups_stay_together(monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[LabelledSequences] = []

    def keep(
        model: SequenceClassifier, training: LabelledSequences, validation: LabelledSequences, **_: object
    ) -> SequenceClassifier:
        parts.extend([training, validation])
        return model

    monkeypatch.setattr(SequenceClassifier, "fit_sequences", keep)
    X, y = ragged()
    quick().fit(X, y, groups=[f"g{i // 4}" for i in range(24)])
    first, second = (set(np.asarray(part.groups)) for part in parts)
    assert len(first) + len(second) == 6
    assert not first & second


def test_a_rank_two_array_has_one_feature() -> None:
    X = np.stack([np.linspace(0, s, 5) for s in (1, -1) * 6])
    model = quick(metric="log_loss").fit(X, ["up", "down"] * 6)
    assert model.inputs_.features == 1
    np.testing.assert_allclose(model.predict_proba(X), model.predict_proba(X[:, :, None]))


def test_a_run_that_collapsed_can_be_saved_and_loaded(tmp_path: Path) -> None:
    X, y = ragged()
    wild = TrainingConfig(max_steps=20, learning_rate=1e30, schedule="constant", validations=20)
    model = quick(training=wild, metric="log_loss").fit(X, y)
    assert model.history_.outcome == "collapsed"
    model.history_.validation.append(float("nan"))
    model.save(tmp_path / "m")
    again = load(tmp_path / "m")
    assert again.history_.outcome == "collapsed"
    assert again.history_.reason == model.history_.reason
    np.testing.assert_array_equal(again.history_.validation, model.history_.validation)


def test_the_directory_is_json_and_tensors(tmp_path: Path) -> None:
    X, y = ragged()
    quick().fit(X, y).save(tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert (config["schema"], config["kind"]) == (1, "SequenceClassifier")
    assert config["labels"]["values"] == [3, 7]
    assert not (tmp_path / "m" / "history.safetensors").exists()


def test_wrong_input_says_what_is_wrong(tmp_path: Path) -> None:
    X, y = ragged()
    unfitted = quick()
    with pytest.raises(NotFittedError, match=r"was not\. Call fit\(X, y\) first"):
        unfitted.predict(X)
    with pytest.raises(NotFittedError, match="Call fit"):
        unfitted.save(tmp_path / "m")
    with pytest.raises(DataError, match="24 sequences and 23 labels"):
        unfitted.fit(X, y[:-1])
    with pytest.raises(DataError, match="at least two classes"):
        unfitted.fit(X, [1] * 24)
    with pytest.raises(ConfigError, match="'acc'"):
        quick(metric="acc").fit(X, y)
    with pytest.raises(ConfigError, match=r"stack is a StackConfig .* but is 'lstm'"):
        quick(stack="lstm").fit(X, y)
    with pytest.raises(ConfigError, match="pooling: "):
        quick(pooling="median").fit(X, y)
    fitted = quick().fit(X, y)
    with pytest.raises(DataError, match="2 features a step, as in training, but one has 1"):
        fitted.predict([np.zeros((4, 1))])
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(SavedModelError, match="holds something else"):
        fitted.save(tmp_path)
