"""Any saved estimator from its directory."""

from __future__ import annotations

import os

from lamina.errors import SavedModelError
from lamina.estimators.bert_classifier import BertClassifier
from lamina.estimators.classifier import SequenceClassifier
from lamina.estimators.forecaster import Forecaster
from lamina.estimators.language_model import LanguageModel
from lamina.estimators.music_model import MusicModel
from lamina.estimators.saving import SavedModel
from lamina.estimators.tagger import SequenceTagger
from lamina.estimators.text_classifier import TextClassifier
from lamina.estimators.translator import Translator

Estimator = (
    Forecaster
    | SequenceClassifier
    | LanguageModel
    | MusicModel
    | TextClassifier
    | BertClassifier
    | SequenceTagger
    | Translator
)
ESTIMATORS: dict[str, type[Estimator]] = {
    "Forecaster": Forecaster,
    "SequenceClassifier": SequenceClassifier,
    "LanguageModel": LanguageModel,
    "MusicModel": MusicModel,
    "TextClassifier": TextClassifier,
    "BertClassifier": BertClassifier,
    "SequenceTagger": SequenceTagger,
    "Translator": Translator,
}


def load(path: str | os.PathLike[str]) -> Estimator:
    """The fitted estimator in a directory that ``save`` wrote; ready to predict, no trainer is started.

    Raises:
        SavedModelError: the directory is not a model, is damaged, or was written by a newer version.
    """
    saved = SavedModel.read(path)
    if saved.kind not in ESTIMATORS:
        raise SavedModelError(
            f"{path} holds a model of kind {saved.kind!r}, and this version of Lamina knows "
            f"{', '.join(sorted(ESTIMATORS))}. Install a newer Lamina: pip install -U lamina"
        )
    return ESTIMATORS[saved.kind].from_saved(saved, os.fspath(path))
