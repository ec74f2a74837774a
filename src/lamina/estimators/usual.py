"""How each kind of model is trained where nothing else is said."""

from __future__ import annotations

from lamina.estimators import (
    bert_classifier,
    classifier,
    forecaster,
    language_model,
    music_model,
    tagger,
    text_classifier,
    translator,
)
from lamina.tasks.bert import SMALL_BERT
from lamina.training.optim import TrainingConfig

USUAL = {
    "Forecaster": forecaster.DEFAULT_TRAINING,
    "SequenceClassifier": classifier.DEFAULT_TRAINING,
    "TextClassifier": text_classifier.DEFAULT_TRAINING,
    "BertClassifier": bert_classifier.FINE_TUNING,
    "SequenceTagger": tagger.DEFAULT_TRAINING,
    "LanguageModel": language_model.DEFAULT_TRAINING,
    "Translator": translator.DEFAULT_TRAINING,
    "MusicModel": music_model.DEFAULT_TRAINING,
}


def usual_training(kind: str, *, bert: str | None = None) -> TrainingConfig:
    """The settings of a kind of model; ``bert`` tells one that begins at nothing from one that is tuned."""
    return bert_classifier.FROM_NOTHING if bert == SMALL_BERT else USUAL[kind]
