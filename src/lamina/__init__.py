"""Lamina learns from sequences with stacked recurrent networks and says, with evidence, which one to use.

Names appear when they are first used, so that ``import lamina`` costs little.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import lamina.nn as nn  # noqa: PLR0402  # no file imports from `lamina`
    from lamina.api import Study, open_study, study
    from lamina.data.series import read_series
    from lamina.errors import LaminaError
    from lamina.estimators.bert_classifier import BertClassifier
    from lamina.estimators.classifier import SequenceClassifier
    from lamina.estimators.forecaster import Forecaster
    from lamina.estimators.language_model import LanguageModel
    from lamina.estimators.load import load
    from lamina.estimators.music_model import MusicModel
    from lamina.estimators.tagger import SequenceTagger
    from lamina.estimators.text_classifier import TextClassifier
    from lamina.estimators.translator import Translator
    from lamina.nn.accelerate import accelerate, restore
    from lamina.nn.attention import Attention
    from lamina.nn.stack import Stack, StackConfig
    from lamina.nn.transformer import Transformer, TransformerConfig
    from lamina.streaming.online import OnlineClassifier, OnlineForecaster, OnlineRegressor
    from lamina.streaming.session import Session
    from lamina.training.optim import TrainingConfig

# In the order in which data flow.
_HOME = {
    "read_series": "lamina.data.series",
    "StackConfig": "lamina.nn.stack",
    "Stack": "lamina.nn.stack",
    "Attention": "lamina.nn.attention",
    "TransformerConfig": "lamina.nn.transformer",
    "Transformer": "lamina.nn.transformer",
    "accelerate": "lamina.nn.accelerate",
    "restore": "lamina.nn.accelerate",
    "TrainingConfig": "lamina.training.optim",
    "Forecaster": "lamina.estimators.forecaster",
    "SequenceClassifier": "lamina.estimators.classifier",
    "TextClassifier": "lamina.estimators.text_classifier",
    "BertClassifier": "lamina.estimators.bert_classifier",
    "SequenceTagger": "lamina.estimators.tagger",
    "LanguageModel": "lamina.estimators.language_model",
    "Translator": "lamina.estimators.translator",
    "MusicModel": "lamina.estimators.music_model",
    "load": "lamina.estimators.load",
    "Session": "lamina.streaming.session",
    "OnlineClassifier": "lamina.streaming.online",
    "OnlineRegressor": "lamina.streaming.online",
    "OnlineForecaster": "lamina.streaming.online",
    "study": "lamina.api",
    "Study": "lamina.api",
    "open_study": "lamina.api",
    "LaminaError": "lamina.errors",
}

__all__ = [  # noqa: RUF022  # in the order of the flow, not of the alphabet
    "read_series",
    "nn",
    "StackConfig",
    "Stack",
    "Attention",
    "TransformerConfig",
    "Transformer",
    "accelerate",
    "restore",
    "TrainingConfig",
    "Forecaster",
    "SequenceClassifier",
    "TextClassifier",
    "BertClassifier",
    "SequenceTagger",
    "LanguageModel",
    "Translator",
    "MusicModel",
    "load",
    "Session",
    "OnlineClassifier",
    "OnlineRegressor",
    "OnlineForecaster",
    "study",
    "Study",
    "open_study",
    "LaminaError",
]


def __getattr__(name: str) -> Any:
    if name == "nn":  # a package with public names of its own, so that `lamina.nn.LSTM` needs one import
        return importlib.import_module("lamina.nn")
    if name not in _HOME:
        raise AttributeError(f"module 'lamina' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Keeps ``lamina.study`` the function: importing the package of that name would put it in its place."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
