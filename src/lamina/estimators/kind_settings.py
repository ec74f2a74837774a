"""What a configuration file says of each kind of model, beside its stack and its training."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from lamina._config import Config
from lamina.nn.decoder import DecoderConfig
from lamina.tasks.base import Pooling
from lamina.tasks.bert import BertConfig
from lamina.tasks.classify import ClassMetric
from lamina.tasks.forecast import PointMetric
from lamina.tasks.language import LanguageConfig
from lamina.tasks.tag import TagConfig, TagMetric
from lamina.tasks.text import TextConfig
from lamina.tasks.translate import TranslateConfig, TranslateMetric

Share = Field(default=0.1, gt=0, lt=1)
Count = Field(default=1, ge=1)

# Defaults here are never read: what a file leaves out is what the model's class has.


class ForecasterSettings(Config):
    """Of a Forecaster."""

    input_size: int = Count
    metric: PointMetric = "mase"


class SequenceSettings(Config):
    """Of a SequenceClassifier."""

    pooling: Pooling = "mean"
    metric: ClassMetric = "accuracy"
    validation_fraction: float = Share


class TextSettings(Config):
    """Of a TextClassifier."""

    form: TextConfig = TextConfig()
    counts: bool = True
    vocabulary_size: int = Count
    least_count: int = Count
    lowercase: bool = True
    metric: ClassMetric = "accuracy"
    validation_fraction: float = Share


class BertSettings(Config):
    """Of a BertClassifier; the form is of one that is trained from nothing."""

    form: BertConfig = BertConfig()
    counts: bool = True
    dropout: float = Field(default=0.1, ge=0, lt=1)
    most_pieces: int = Field(default=256, ge=3)
    metric: ClassMetric = "accuracy"
    validation_fraction: float = Share


class TagSettings(Config):
    """Of a SequenceTagger; ``tag`` is the column of the file that has the tags."""

    form: TagConfig = TagConfig()
    tag: int | str = -1
    metric: TagMetric = "accuracy"
    least_count: int = Count
    validation_fraction: float = Share


class LanguageSettings(Config):
    """Of a LanguageModel."""

    form: LanguageConfig = LanguageConfig()
    vocabulary_size: int = Count
    least_count: int = Count
    window_steps: int = Field(default=96, ge=2)
    validation_fraction: float = Share


class TranslateSettings(Config):
    """Of a Translator; ``attention = "none"`` in the decoder looks at no step of the source."""

    form: TranslateConfig = TranslateConfig()
    decoder: DecoderConfig = DecoderConfig()
    vocabulary_size: int = Count
    metric: TranslateMetric = "nats"
    validation_fraction: float = Share

    @field_validator("decoder", mode="before")
    @classmethod
    def _none(cls, decoder: Any) -> Any:
        """TOML has no word for None."""
        if isinstance(decoder, dict) and decoder.get("attention") == "none":
            return {**decoder, "attention": None}
        return decoder


class MusicSettings(Config):
    """Of a MusicModel."""

    transpose: int = Field(default=0, ge=0)
    validation_fraction: float = Share


KIND_SETTINGS: dict[str, type[Config]] = {
    "Forecaster": ForecasterSettings,
    "SequenceClassifier": SequenceSettings,
    "TextClassifier": TextSettings,
    "BertClassifier": BertSettings,
    "SequenceTagger": TagSettings,
    "LanguageModel": LanguageSettings,
    "Translator": TranslateSettings,
    "MusicModel": MusicSettings,
}
