from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from lamina.errors import ConfigError, NotFittedError
from lamina.estimators.bert_classifier import BertClassifier
from lamina.estimators.load import load
from lamina.tasks.bert import BertConfig
from lamina.training.optim import TrainingConfig

TEXTS = ["it is not good", "it is good", "not good at all", "good indeed"] * 10
LABELS = np.array([0, 1, 0, 1] * 10)
SMALL = BertConfig(hidden_size=16, layers=1, heads=2, feedforward_size=32, pieces=60)
SHORT = TrainingConfig(max_steps=60, batch_size=8, learning_rate=5e-3)


def small(**changes: object) -> BertClassifier:
    options = {"bert": SMALL, "counts": False, "training": SHORT} | changes
    return BertClassifier(**options)  # type: ignore[arg-type]  # options of tests


def test_it_learns_from_nothing_and_comes_back(tmp_path: Path) -> None:
    model = small().fit(TEXTS, LABELS)
    assert model.predict(["not good at all", "good indeed"]).tolist() == [0, 1]
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert isinstance(again, BertClassifier)
    np.testing.assert_array_equal(again.predict_proba(TEXTS[:4]), model.predict_proba(TEXTS[:4]))
    assert again.bert == SMALL
    assert again.history_.to_dict() == model.history_.to_dict()


def test_a_checkpoint_is_tuned_and_not_needed_any_more(tmp_path: Path, bert_folder: Path) -> None:
    folder = tmp_path / "bert"
    shutil.copytree(bert_folder, folder)
    model = small(bert=folder).fit(TEXTS, LABELS)
    assert model.score(TEXTS, LABELS) == 1.0
    model.save(tmp_path / "model")
    shutil.rmtree(folder)
    again = load(tmp_path / "model")
    assert isinstance(again, BertClassifier)
    np.testing.assert_array_equal(again.predict_proba(TEXTS[:4]), model.predict_proba(TEXTS[:4]))


def test_a_checkpoint_gives_the_weights_that_training_begins_with(bert_folder: Path) -> None:
    from transformers import AutoModel

    still = TrainingConfig(max_steps=1, batch_size=8, learning_rate=1e-9)
    model = small(bert=bert_folder, training=still).fit(TEXTS, LABELS)
    theirs = AutoModel.from_pretrained(bert_folder).state_dict()
    for name, value in model.network_.encoder.state_dict().items():
        np.testing.assert_allclose(value, theirs[name], atol=1e-7)


def test_counts_answer_where_the_network_has_learned_nothing() -> None:
    still = TrainingConfig(max_steps=1, batch_size=8, learning_rate=1e-9)
    alone = small(training=still).fit(TEXTS, LABELS)
    np.testing.assert_allclose(alone.predict_proba(TEXTS[:2]), 0.5, atol=1e-6)
    with_counts = small(training=still, counts=True).fit(TEXTS, LABELS)
    assert with_counts.score(TEXTS, LABELS) == 1.0


def test_the_same_seed_gives_the_same_model() -> None:
    one, same, other = (small(seed=seed).fit(TEXTS, LABELS).predict_proba(TEXTS[:3]) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_mistakes_are_told() -> None:
    with pytest.raises(NotFittedError, match="Call fit"):
        small().predict(["a"])
    with pytest.raises(ConfigError, match="dropout is from 0 to below 1 but is 2"):
        small(dropout=2).fit(TEXTS, LABELS)
    with pytest.raises(ConfigError, match="there is no folder 'nowhere'"):
        small(bert="nowhere").fit(TEXTS, LABELS)
