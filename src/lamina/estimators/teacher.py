"""A trained classifier of texts as a teacher of another one."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lamina.data.unlabelled_texts import UnlabelledTexts
from lamina.errors import ConfigError
from lamina.estimators.bert_classifier import NAME as BERT
from lamina.estimators.bert_classifier import BertClassifier
from lamina.estimators.fitted import require_fitted
from lamina.estimators.saving import SavedModel
from lamina.estimators.text_estimator import LEAST_CHANCE
from lamina.estimators.text_parts import TextParts
from lamina.tasks.bert_scores import read_tuned
from lamina.tasks.distill import TaughtTexts
from lamina.tasks.text import TextInputs
from lamina.training.callbacks import Callback

Array = NDArray[np.float64]


class Teacher(Protocol):
    """What says of texts how probable each class is."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of its classes."""

    def log_chances(self, texts: Sequence[str]) -> Array:
        """Log probability of each class, (texts, classes)."""


@dataclass(frozen=True, eq=False)
class FittedTeacher:
    """An estimator of ours as a teacher."""

    model: BertClassifier

    @property
    def names(self) -> tuple[str, ...]:
        return self.model.inputs_.classes

    def log_chances(self, texts: Sequence[str]) -> Array:
        logs: Array = np.log(np.maximum(self.model.predict_proba(texts), LEAST_CHANCE))
        return logs


def find_teacher(teacher: str | os.PathLike[str] | BertClassifier) -> Teacher:
    """The teacher that a user named.

    Args:
        teacher: a fitted BertClassifier, the folder that one was saved in, or the folder of a sequence
            classifier that transformers saved with its tokenizer.

    Raises:
        ConfigError: a folder that is neither.
        NotFittedError: the classifier was not fitted.
        SavedModelError: the saved classifier is damaged.
        MissingPackageError: transformers is not installed.
    """
    if isinstance(teacher, BertClassifier):
        require_fitted(teacher, does="teaches", call="fit(X, y)")
        return FittedTeacher(teacher)
    config = Path(teacher) / "config.json"
    if not config.is_file():
        raise ConfigError(
            f"a teacher is the folder of a saved BertClassifier, or of a sequence classifier that "
            f"transformers saved, and '{teacher}' has no config.json. Check the path."
        )
    try:
        kind = json.loads(config.read_text(encoding="utf-8")).get("kind")
    except (ValueError, AttributeError) as error:
        raise ConfigError(f"'{config}' is not the configuration of a model: {error}") from error
    if kind is None:
        return read_tuned(teacher)
    if kind != BERT:
        raise ConfigError(f"a teacher is a {BERT}, but '{teacher}' holds a {kind}. Name another folder.")
    return FittedTeacher(BertClassifier.from_saved(SavedModel.read(teacher), os.fspath(teacher)))


def teach(
    teacher: Teacher,
    parts: TextParts,
    training: Sequence[str],
    unlabelled: UnlabelledTexts | None,
    callbacks: Sequence[Callback],
) -> TaughtTexts:
    """What a teacher says of the training texts and of those without labels, for a student to learn.

    Args:
        parts: the texts as the student reads them.
        training: the same texts.
        unlabelled: the others.
        callbacks: are told how many texts have been read.

    Raises:
        ConfigError: the teacher's classes are not those of the labels.
    """
    places = _places(teacher.names, parts.inputs.classes)
    blocks = itertools.chain(UnlabelledTexts(training).blocks(), unlabelled or ())
    logs, read = [], 0
    for block in blocks:
        logs.append(teacher.log_chances(block)[:, places])
        read += len(block)
        for callback in callbacks:
            callback.on_reading(read)
    every = parts.training.texts if parts.every is None else parts.every
    alone = TextInputs(parts.inputs.classes, None)
    return TaughtTexts(alone.prepare(every), np.concatenate(logs))


def _places(names: Sequence[str], classes: Sequence[str]) -> list[int]:
    """Where the teacher has each class; capitals do not matter."""
    found = {name.casefold(): place for place, name in enumerate(names)}
    asked = [name.casefold() for name in classes]
    if len(set(asked)) < len(asked) or found.keys() != set(asked):
        raise ConfigError(
            f"teacher and texts have the same classes, but the teacher's are {', '.join(names)} and the "
            f"labels {', '.join(classes)}. Rename the labels, or id2label in the teacher's config.json."
        )
    return [found[name] for name in asked]
