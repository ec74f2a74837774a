from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone

from lamina.data.conll import to_bioes
from lamina.errors import ConfigError, DataError, NotFittedError
from lamina.estimators.load import load
from lamina.estimators.tagger import SequenceTagger
from lamina.nn.stack import StackConfig
from lamina.tasks.tag import TagConfig
from lamina.training.optim import TrainingConfig

QUICK = TrainingConfig(max_steps=120, batch_size=16, validations=4, learning_rate=0.02)
SMALL = StackConfig(hidden_sizes=(12,), directions=("both",))
FORM = TagConfig(word_size=10, character_size=6, input_dropout=0.1)


def sentences(n: int = 150) -> tuple[list[list[str]], list[list[str]]]:
    """Names of one to three words after "mr", invented anew each time, among lower-case words."""
    generator = np.random.default_rng(0)
    X, y = [], []
    for _ in range(n):
        words, tags = [], []
        for _ in range(int(generator.integers(2, 5))):
            words += list(generator.choice(["we", "met", "and", "saw"], size=2))
            tags += ["O", "O"]
            size = int(generator.integers(1, 4))
            name = ["".join(generator.choice(list("abcdefg"), size=4)).title() for _ in range(size)]
            words += name
            tags += ["B-PER"] + ["I-PER"] * (size - 1)
        X.append([str(word) for word in words])
        y.append(tags)
    return X, y


def quick(**changes: object) -> SequenceTagger:
    options: dict[str, object] = {"stack": SMALL, "form": FORM, "training": QUICK}
    return SequenceTagger(**(options | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("decoder", ["softmax", "crf"])
def test_it_finds_names_it_never_saw(decoder: str) -> None:
    X, y = sentences()
    form = FORM.replace(decoder=decoder)
    model = quick(form=form, metric="f1").fit(X[:120], y[:120])
    scores = model.evaluate(X[120:], y[120:])
    assert scores.accuracy > 0.95
    assert scores.f1 is not None
    assert scores.f1 > 0.9
    assert scores.words == sum(len(sentence) for sentence in X[120:])
    found = model.predict(X[120:])
    assert [len(row) for row in found] == [len(sentence) for sentence in X[120:]]
    right = np.concatenate([np.array(a) == np.array(b) for a, b in zip(found, y[120:], strict=True)])
    assert scores.accuracy == pytest.approx(right.mean())


@pytest.mark.parametrize("decoder", ["softmax", "crf"])
def test_a_loaded_model_is_the_same(tmp_path: Path, decoder: str) -> None:
    X, y = sentences(40)
    model = quick(form=FORM.replace(decoder=decoder)).fit(X, y, validation=(X[:5], y[:5]))
    model.save(tmp_path / "m")
    again = load(tmp_path / "m")
    assert isinstance(again, SequenceTagger)
    assert again.predict(X) == model.predict(X)
    assert again.evaluate(X, y) == model.evaluate(X, y)
    assert again.get_params() == model.get_params()


def test_other_tags_than_entities_have_no_f1_and_empty_sentences_no_tags() -> None:
    X, y = sentences(40)
    model = quick().fit([*X, []], [[{"O": "LOW"}.get(tag, "CAP") for tag in row] for row in y] + [[]])
    assert model.evaluate(X[:2], [["LOW"] * len(sentence) for sentence in X[:2]]).f1 is None
    assert model.predict([[], ["we"], [""]])[0] == []


def test_f1_and_a_crf_need_tags_of_entities() -> None:
    X, y = sentences(20)
    with pytest.raises(
        ConfigError, match="f1 is that of entities, in BIO or BIOES, but the tags are such as"
    ):
        quick(metric="f1").fit(X, [["DET" if tag == "O" else "NOUN" for tag in row] for row in y])
    mixed = [*X, ["we"]], [*y, ["Z-PER"]]
    for options in ({"metric": "f1"}, {"form": FORM.replace(decoder="crf")}):
        with pytest.raises(DataError, match="but 'Z-PER' stands among such as"):
            quick(**options).fit(*mixed)
    softmax = quick(training=QUICK.replace(max_steps=1)).fit(*mixed)
    assert softmax.evaluate(X[:2], y[:2]).f1 is None


def test_seeds_decide_and_the_users_random_state_stays() -> None:
    X, y = sentences(30)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    losses = [quick(seed=seed).fit(X, y).history_.train_loss for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert losses[0] == losses[1] != losses[2]


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    X, y = sentences(20)
    with pytest.raises(NotFittedError, match="Call fit"):
        quick().predict(X)
    with pytest.raises(NotFittedError, match="Call fit"):
        quick().save(tmp_path / "m")
    with pytest.raises(DataError, match="20 sentences and 19 of tags"):
        quick().fit(X, y[:-1])
    with pytest.raises(DataError, match="number 0 is a string"):
        quick().fit(["we met"], [["O", "O"]])
    bad: Any
    for bad in (None, float("nan"), 3):
        seen = f"number 1 of sentence 20 is {type(bad).__name__}"
        with pytest.raises(DataError, match=f"a word is a string but {seen}"):
            quick().fit([*X, ["we", bad]], [*y, ["O", "O"]])
        with pytest.raises(DataError, match=f"a tag is a string but {seen}"):
            quick().fit([*X, ["we", "met"]], [*y, ["O", bad]])
    with pytest.raises(DataError, match="there are none"):
        quick().fit([[]], [[]])
    with pytest.raises(DataError, match="every word has 'O'"):
        quick().fit([["a"]] * 4, [["O"]] * 4)
    with pytest.raises(ConfigError, match="accuracy, f1, but is 'F1'"):
        quick(metric="F1").fit(X, y)
    with pytest.raises(DataError, match="training lacked it"):
        quick().fit(X, y).evaluate([["we"]], [["B-LOC"]])


@pytest.mark.parametrize(
    ("row", "seen"),
    [
        (["I-PER", "O"], "begins with 'I-PER'"),
        (["O", "I-PER"], "has 'I-PER' after 'O'"),
        (["B-PER", "I-LOC"], "has 'I-LOC' after 'B-PER'"),
    ],
)
def test_a_crf_refuses_tags_that_it_never_gives(row: list[str], seen: str) -> None:
    X, y = sentences(20)
    crf = quick(form=FORM.replace(decoder="crf"), training=QUICK.replace(max_steps=1))
    tagged = [*X, ["we", "met"]], [*y, row]
    with pytest.raises(DataError, match=f"but sentence 20 {seen}. lamina.data.conll.to_bioes"):
        crf.fit(*tagged)
    with pytest.raises(DataError, match=f"but validation sentence 20 {seen}"):
        crf.fit(X, y, validation=tagged)
    crf.fit(tagged[0], [to_bioes(tags) for tags in tagged[1]])
    with pytest.raises(DataError, match="but sentence 1 ends with 'B-PER'"):
        crf.fit([["a", "b"]] * 4, [["S-PER", "O"], ["O", "B-PER"]] * 2)
    quick(training=QUICK.replace(max_steps=1)).fit(*tagged)


def test_clone_follows_scikit_learn() -> None:
    assert clone(quick(seed=4)).get_params() == quick(seed=4).get_params()
