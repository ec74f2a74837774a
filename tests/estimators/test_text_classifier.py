from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone

from lamina.errors import ConfigError, DataError, NotFittedError
from lamina.estimators.load import load
from lamina.estimators.text_classifier import TextClassifier
from lamina.nn.stack import StackConfig
from lamina.tasks.text import TextConfig
from lamina.training.optim import TrainingConfig

QUICK = TrainingConfig(max_steps=120, batch_size=16, validations=6, learning_rate=0.01)
SMALL = StackConfig(hidden_sizes=(12,), directions=("both",))
FORM = TextConfig(embedding_size=12, input_dropout=0.1, output_dropout=0.1)


def orders(n: int = 160) -> tuple[list[str], list[str]]:
    """Sentences whose label hangs on which of two words comes first, with many words between."""
    generator = np.random.default_rng(0)
    texts, labels = [], []
    for i in range(n):
        middle = " ".join(generator.choice(["the", "one", "and", "so"], size=int(generator.integers(2, 6))))
        first, second = ("sun", "rain") if i % 2 else ("rain", "sun")
        texts.append(f"{first} {middle} {second}")
        labels.append("better" if i % 2 == 0 else "worse")
    return texts, labels


def quick(**changes: object) -> TextClassifier:
    options: dict[str, object] = {"stack": SMALL, "form": FORM, "training": QUICK, "metric": "log_loss"}
    return TextClassifier(**(options | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("counts", [False, True])
def test_it_learns_the_order_of_words(counts: bool) -> None:
    X, y = orders()
    model = quick(counts=counts).fit(X[:120], y[:120])
    assert model.score(X[120:], y[120:]) >= 0.95
    chances = model.predict_proba(X)
    np.testing.assert_allclose(chances.sum(axis=1), 1)


@pytest.mark.parametrize("counts", [False, True])
def test_a_loaded_model_is_the_same_bit_for_bit(tmp_path: Path, counts: bool) -> None:
    X, y = orders(40)
    form = FORM.replace(attention=True, pooling="mean")
    model = quick(counts=counts, form=form).fit(X, [7 if label == "better" else 3 for label in y])
    model.save(tmp_path / "m")
    again = load(tmp_path / "m")
    assert isinstance(again, TextClassifier)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.predict(X).tolist() == model.predict(X).tolist()
    assert set(again.predict(X).tolist()) <= {3, 7}
    assert again.get_params() == model.get_params()


def test_words_never_seen_and_empty_texts_have_an_answer() -> None:
    model = quick().fit(*orders(40))
    chances = model.predict_proba(["", "snow", "☃ 雪"])
    np.testing.assert_array_equal(chances[0], chances[1])
    assert np.isfinite(chances).all()


def test_word_vectors_set_the_size_of_the_embedding(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("sun 1 0 0\nrain 0 1 0\n")
    model = quick(vectors=tmp_path / "v.txt").fit(*orders(40))
    assert model.network_.embed.weight.shape[1] == 3
    model.save(tmp_path / "m")
    (tmp_path / "v.txt").unlink()
    again = load(tmp_path / "m")  # needs the file no more
    assert isinstance(again, TextClassifier)
    np.testing.assert_array_equal(again.predict_proba(["sun"]), model.predict_proba(["sun"]))


def test_seeds_decide_and_the_users_random_state_stays() -> None:
    X, y = orders(40)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    found = [quick(seed=seed).fit(X, y).predict_proba(X) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    X, y = orders(20)
    with pytest.raises(NotFittedError, match="Call fit"):
        quick().predict(X)
    with pytest.raises(NotFittedError, match="Call fit"):
        quick().save(tmp_path / "m")
    with pytest.raises(DataError, match="Pass \\[text\\]"):
        quick().fit("sun", y)
    with pytest.raises(DataError, match="row 1 is float"):
        quick().fit(["sun", float("nan"), "rain"], y[:3])  # type: ignore[list-item]
    with pytest.raises(DataError, match="20 texts and 19 labels"):
        quick().fit(X, y[:-1])
    with pytest.raises(DataError, match="every label is 'one'"):
        quick().fit(X, ["one"] * 20)
    with pytest.raises(ConfigError, match="'acc'"):
        quick(metric="acc").fit(X, y)
    with pytest.raises(DataError, match="there are none"):
        quick().fit(X, y).predict([])


def test_clone_follows_scikit_learn() -> None:
    assert clone(quick(seed=4)).get_params() == quick(seed=4).get_params()
