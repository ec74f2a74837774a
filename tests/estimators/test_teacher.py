from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lamina.data.unlabelled_texts import UnlabelledTexts
from lamina.errors import ConfigError, NotFittedError, SavedModelError
from lamina.estimators.bert_classifier import BertClassifier
from lamina.estimators.teacher import Teacher, find_teacher, teach
from lamina.estimators.text_classifier import TextClassifier
from lamina.estimators.text_parts import TextParts
from lamina.nn.stack import StackConfig
from lamina.tasks.bert import BertConfig
from lamina.tasks.bert_scores import TunedBert
from lamina.training.callbacks import Callback
from lamina.training.optim import TrainingConfig

TEXTS = ["it is not good", "it is good", "not good at all", "good indeed"] * 5
LABELS = np.array(["bad", "good"] * 10)
MORE = ["indeed", "", "not at all"]
SHORT = TrainingConfig(max_steps=2, batch_size=8)


@pytest.fixture(scope="module")
def fitted() -> BertClassifier:
    form = BertConfig(hidden_size=16, layers=1, heads=2, feedforward_size=32, pieces=60)
    return BertClassifier(bert=form, training=SHORT).fit(TEXTS, LABELS)


def parts(names: tuple[str, ...], *, unlabelled: bool) -> TextParts:
    labelled = TEXTS, np.arange(20) % 2
    more = UnlabelledTexts.of(MORE) if unlabelled else None
    return TextClassifier().prepare(labelled, labelled, names, unlabelled=more)


def test_a_fitted_classifier_and_its_folder_teach_the_same(fitted: BertClassifier, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    for teacher in (find_teacher(fitted), find_teacher(tmp_path / "model")):
        assert teacher.names == ("bad", "good")
        np.testing.assert_allclose(np.exp(teacher.log_chances(MORE)), fitted.predict_proba(MORE), atol=1e-6)


def test_a_checkpoint_of_transformers_teaches(tuned_folder: Path) -> None:
    teacher = find_teacher(tuned_folder)
    assert isinstance(teacher, TunedBert)
    assert teacher.names == ("GOOD", "BAD")


@pytest.mark.parametrize("unlabelled", [False, True])
def test_each_text_gets_what_the_teacher_says_in_the_order_of_the_labels(
    tuned_folder: Path, unlabelled: bool
) -> None:
    teacher, read = find_teacher(tuned_folder), []

    class Reading(Callback):
        def on_reading(self, texts: int) -> None:
            read.append(texts)

    made = parts(("bad", "good"), unlabelled=unlabelled)
    more = UnlabelledTexts.of(MORE) if unlabelled else None
    found = teach(teacher, made, TEXTS, more, [Reading()])
    said = ["indeed", "not at all"] if unlabelled else []
    expected = teacher.log_chances([*TEXTS, *said])[:, ::-1]  # GOOD comes first in the checkpoint
    np.testing.assert_allclose(found.teacher, expected, atol=1e-6)
    assert found.labels.tolist() == [*(np.arange(20) % 2), *(-1 for _ in said)]
    assert read == ([20, 22] if unlabelled else [20])


class Knows:
    """A teacher of some classes."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def log_chances(self, texts: object) -> np.ndarray:  # noqa: ARG002  # the interface
        raise AssertionError("it is asked before its classes are compared")


@pytest.mark.parametrize(
    "names", [("LABEL_0", "LABEL_1"), ("bad", "good", "fine"), ("good",), ("Good", "good")]
)
def test_other_classes_are_told_before_anything_is_read(names: tuple[str, ...]) -> None:
    teacher: Teacher = Knows(*names)
    with pytest.raises(
        ConfigError, match=rf"teacher's are {', '.join(names)} and the labels bad, good\. Rename"
    ):
        teach(teacher, parts(("bad", "good"), unlabelled=False), TEXTS, None, [])


def test_what_is_no_teacher_is_told(fitted: BertClassifier, tmp_path: Path, bert_folder: Path) -> None:
    with pytest.raises(NotFittedError, match=r"Call fit\(X, y\) first"):
        find_teacher(BertClassifier())
    with pytest.raises(ConfigError, match=r"'nowhere' has no config\.json\. Check the path"):
        find_teacher("nowhere")
    with pytest.raises(ConfigError, match="lacks classifier"):
        find_teacher(bert_folder)
    other = TextClassifier(stack=StackConfig(hidden_sizes=(4,)), training=SHORT).fit(TEXTS, LABELS)
    other.save(tmp_path / "text")
    with pytest.raises(ConfigError, match=r"a teacher is a BertClassifier, but .* holds a TextClassifier"):
        find_teacher(tmp_path / "text")
    (tmp_path / "list").mkdir()
    for content in ("[]", "{"):
        (tmp_path / "list" / "config.json").write_text(content, encoding="utf-8")
        with pytest.raises(ConfigError, match="is not the configuration of a model"):
            find_teacher(tmp_path / "list")
    fitted.save(tmp_path / "damaged")
    (tmp_path / "damaged" / "weights.safetensors").write_bytes(b"")
    with pytest.raises(SavedModelError, match="damaged"):
        find_teacher(tmp_path / "damaged")
    assert json.loads((tmp_path / "damaged" / "config.json").read_text())["kind"] == "BertClassifier"
