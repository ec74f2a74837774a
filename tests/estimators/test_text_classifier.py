from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone

from lamina.errors import ConfigError, DataError, NotFittedError
from lamina.estimators.bert_classifier import BertClassifier
from lamina.estimators.load import load
from lamina.estimators.text_classifier import TextClassifier
from lamina.nn.stack import StackConfig
from lamina.nn.transformer import TransformerConfig
from lamina.tasks.bert import BertConfig
from lamina.tasks.text import TextConfig
from lamina.training.callbacks import Callback
from lamina.training.loop import Run
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


def test_notes_tell_how_counts_and_network_are_weighed() -> None:
    X, y = orders(40)
    model = quick().fit(X, y)
    counts, network = model.network_.shares.tolist()
    (note,) = model.notes_
    assert note.startswith(
        f"counts of words ({counts:.2f}) and the network ({network:.2f}) answer together; "
    )
    assert quick(counts=False).fit(X, y).notes_ == ()


def test_where_training_collapses_the_counts_answer() -> None:
    X = ["sun and warmth", "ice and snow"] * 20
    wild = QUICK.replace(learning_rate=1e30, clip_norm=None, max_steps=30)
    model = quick(training=wild).fit(X, ["summer", "winter"] * 20)
    assert model.history_.outcome == "collapsed"
    assert model.network_.shares.tolist() == [1.0, 0.0]
    assert model.score(X, ["summer", "winter"] * 20) == 1.0


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


GOOD, BAD = ([f"{side}{i}" for i in range(12)] for side in ("ga", "bo"))
PRETRAINING = TrainingConfig(max_steps=150, batch_size=16, validations=3, learning_rate=0.02)


def words_alike() -> tuple[list[str], list[str], list[str], list[str], list[str]]:
    """Few labelled texts and test texts, which share no word that tells the label, and texts without labels.

    Those show which words stand in like places: the good ones beside "bright", the bad ones beside "dull".
    """
    generator = np.random.default_rng(0)
    unlabelled = []
    for _ in range(400):
        words, beside = (GOOD, "bright") if generator.random() < 0.5 else (BAD, "dull")
        first, second = generator.choice(words, size=2)
        unlabelled.append(f"{beside} {first} {beside} {second} {beside}")
    labelled = [f"it is {word}" for word in (*GOOD[:4], *BAD[:4])] * 3
    test = [f"it is {word}" for word in (*GOOD[4:], *BAD[4:])]
    return labelled, (["yes"] * 4 + ["no"] * 4) * 3, test, ["yes"] * 8 + ["no"] * 8, unlabelled


def test_texts_without_labels_teach_which_words_are_alike() -> None:
    X, y, test, truth, unlabelled = words_alike()
    alone = quick().fit(X, y)
    assert alone.pretraining_history_ is None
    assert alone.score(test, truth) <= 0.7
    model = quick(pretraining=PRETRAINING).fit(X, y, unlabelled=unlabelled)
    assert model.score(test, truth) >= 0.9
    history = model.pretraining_history_
    assert history is not None
    assert history.validation[-1] < history.validation[0] < np.log(30)


def test_a_file_without_labels_gives_the_same_model_as_its_texts(tmp_path: Path) -> None:
    X, y, test, _, unlabelled = words_alike()
    file = tmp_path / "more.txt"
    file.write_text("\n".join(unlabelled), encoding="utf-8")
    short = PRETRAINING.replace(max_steps=5)
    one, other = (quick(pretraining=short).fit(X, y, unlabelled=more) for more in (unlabelled, file))
    np.testing.assert_array_equal(one.predict_proba(test), other.predict_proba(test))
    assert one.data_hash_ == other.data_hash_ != quick().fit(X, y).data_hash_
    one.save(tmp_path / "m")
    again = load(tmp_path / "m")
    assert isinstance(again, TextClassifier)
    np.testing.assert_array_equal(again.predict_proba(test), one.predict_proba(test))
    assert again.pretraining == short
    assert again.pretraining_history_ == one.pretraining_history_
    assert again.vocabulary_.number("bright") is not None


def test_words_of_held_out_texts_stay_unknown() -> None:
    """The vocabulary is that of training and unlabelled texts alone."""
    X = [f"word{i} {'sun' if i % 2 else 'rain'}" for i in range(40)]
    model = quick(training=QUICK.replace(max_steps=1), pretraining=PRETRAINING.replace(max_steps=1))
    model.fit(X, [i % 2 for i in range(40)], unlabelled=["sun and rain"] * 4)
    known = [i for i in range(40) if model.vocabulary_.number(f"word{i}") is not None]
    assert len(known) == 36  # one in ten is held out
    assert model.vocabulary_.number("and") is not None


@pytest.mark.parametrize(
    "stack", [SMALL, StackConfig(hidden_sizes=(6, 5)), SMALL.replace(hidden_sizes=(6, 6, 6))]
)
def test_stacks_of_any_depth_are_pretrained_and_tuned(stack: StackConfig) -> None:
    X, y, _, _, unlabelled = words_alike()
    seen: list[tuple[str, int]] = []

    class Steps(Callback):
        def on_step(self, run: Run) -> None:
            seen.append((run.stage, run.step))

    short = PRETRAINING.replace(max_steps=3, validations=1)
    model = quick(stack=stack, training=short, pretraining=short)
    model.fit(X, y, unlabelled=unlabelled, callbacks=[Steps()])
    assert seen == [*(("pre-training", i) for i in (1, 2, 3)), *(("training", i) for i in (1, 2, 3))]
    assert all(p.requires_grad for p in model.network_.parameters())


@pytest.mark.parametrize("validations", [1, 4])
def test_a_collapsed_pretraining_ends_the_training(tmp_path: Path, validations: int) -> None:
    X, y, test, _, unlabelled = words_alike()
    wild = PRETRAINING.replace(max_steps=8, learning_rate=1e30, validations=validations)
    model = quick(pretraining=wild).fit(X, y, unlabelled=unlabelled)
    assert model.pretraining_history_ is not None
    assert model.pretraining_history_.outcome == model.history_.outcome == "collapsed"
    assert model.history_.reason == f"in pre-training {model.pretraining_history_.reason}"
    assert model.history_.steps == []
    model.save(tmp_path / "m")
    again = load(tmp_path / "m")
    assert isinstance(again, TextClassifier)
    assert again.predict(test).tolist() == model.predict(test).tolist()


def test_an_interrupted_pretraining_goes_on(tmp_path: Path) -> None:
    X, y, test, _, unlabelled = words_alike()
    short = PRETRAINING.replace(max_steps=12, validations=4)
    options: dict[str, object] = {"training": short, "pretraining": short}
    whole = quick(**options).fit(X, y, unlabelled=unlabelled)

    class Ends(Exception):
        """Stands for Ctrl-C."""

    class End(Callback):
        def __init__(self, stage: str) -> None:
            self.stage = stage

        def on_step(self, run: Run) -> None:
            if (run.stage, run.step) == (self.stage, 7):
                raise Ends

    for stage in ("pre-training", "training"):
        with pytest.raises(Ends):
            quick(**options).fit(
                X, y, unlabelled=unlabelled, callbacks=[End(stage)], checkpoint=tmp_path / "run.pt"
            )
    assert {file.name for file in tmp_path.iterdir()} == {"run.pt", "run-pretraining.pt"}
    again = quick(**options).fit(X, y, unlabelled=unlabelled, checkpoint=tmp_path / "run.pt")
    np.testing.assert_array_equal(again.predict_proba(test), whole.predict_proba(test))


def test_a_teacher_teaches_what_few_labels_do_not_tell() -> None:
    """It knows all words; the student has labels for a third of them, and the others in texts without."""
    X, y, test, truth, _ = words_alike()
    teacher = BertClassifier(
        bert=BertConfig(hidden_size=16, layers=1, heads=2, feedforward_size=32, pieces=120),
        training=TrainingConfig(max_steps=60, batch_size=16, learning_rate=3e-3, validations=1),
    ).fit([*X, *test * 3], [*y, *truth * 3])
    assert teacher.score(test, truth) == 1.0
    still = PRETRAINING.replace(max_steps=1, validations=1)
    student = quick(pretraining=still, training=QUICK.replace(max_steps=300))
    alone = clone(student).fit(X, y, unlabelled=test)
    taught = clone(student).fit(X, y, unlabelled=test, teacher=teacher)
    assert alone.score(test, truth) <= 0.7
    assert taught.score(test, truth) >= 0.9


def test_a_teacher_without_unlabelled_texts_teaches_the_labelled_ones(tuned_folder: Path) -> None:
    X, y = (
        ["it is good", "not good at all", "bad indeed", "good indeed"] * 6,
        ["GOOD", "BAD", "BAD", "GOOD"] * 6,
    )
    model = quick(counts=False).fit(X, y, teacher=tuned_folder)
    assert model.pretraining_history_ is None
    plain = quick(counts=False).fit(X, y)
    assert not np.allclose(model.predict_proba(X), plain.predict_proba(X))
    with pytest.raises(ConfigError, match="the teacher's are GOOD, BAD and the labels no, yes"):
        quick().fit(X, ["yes", "no"] * 12, teacher=tuned_folder)


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
    for act in (lambda texts: quick().fit(texts, y[:3]), quick().fit(X, y).predict):
        with pytest.raises(DataError, match=r"row 1 has half of a surrogate pair, '\\ud800', at 2; leave"):
            act(["sun", "a \ud800 b", "rain"])
    with pytest.raises(DataError, match="20 texts and 19 labels"):
        quick().fit(X, y[:-1])
    with pytest.raises(DataError, match="every label is 'one'"):
        quick().fit(X, ["one"] * 20)
    with pytest.raises(ConfigError, match="'acc'"):
        quick(metric="acc").fit(X, y)
    with pytest.raises(DataError, match="there are none"):
        quick().fit(X, y).predict([])
    with pytest.raises(ConfigError, match=r"would have no effect. Give fit\(..., unlabelled=...\), or leave"):
        quick(pretraining=PRETRAINING).fit(X, y)
    with pytest.raises(DataError, match="none has a word"):
        quick().fit(X, y, unlabelled=[""])
    with pytest.raises(ConfigError, match="a Transformer that reads whole texts has seen already"):
        quick(stack=TransformerConfig()).fit(X, y, unlabelled=["more"])
    with pytest.raises(ConfigError, match="norm='layer' takes its mean over both"):
        quick(stack=SMALL.replace(norm="layer")).fit(X, y, unlabelled=["more"])
    with pytest.raises(ConfigError, match=r"'nowhere' has no config\.json"):
        quick().fit(X, y, teacher="nowhere")


def test_clone_follows_scikit_learn() -> None:
    assert clone(quick(seed=4)).get_params() == quick(seed=4).get_params()
