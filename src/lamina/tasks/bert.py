"""Text classification by a BERT: a Transformer of Hugging Face's transformers, pretrained or from nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from lamina._config import Config
from lamina._optional import require
from lamina.data.word_pieces import WordPieces
from lamina.errors import ConfigError, SavedModelError
from lamina.tasks.text import BesideCounts, TextBatch

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

EXTRA = "bert"
SMALL_BERT = "small"  # names a BERT that is trained from nothing, where others are named by their folder
FOLDER_FILES = (("config.json",), ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"))
TOKENIZER_FILES = ("tokenizer.json", "vocab.txt")


class BertConfig(Config):
    """The form of a BERT that is trained from nothing.

    By default that of BERT-tiny (Turc et al. 2019, arXiv:1908.08962), which a CPU trains in a minute.
    """

    hidden_size: int = Field(default=128, ge=1)
    """Features of every layer; a multiple of heads."""
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=2, ge=1)
    feedforward_size: int = Field(default=512, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    pieces: int = Field(default=4_000, ge=30)
    """Most word pieces of its vocabulary."""

    def of_transformers(self, pieces: WordPieces) -> PreTrainedConfig:
        """The same as transformers has it."""
        from transformers import BertConfig as TheirConfig

        if self.hidden_size % self.heads:
            raise ConfigError(
                f"hidden_size is a multiple of heads, {self.heads}, but is {self.hidden_size}; change one"
            )
        return TheirConfig(
            vocab_size=len(pieces),
            hidden_size=self.hidden_size,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=self.feedforward_size,
            hidden_dropout_prob=self.dropout,
            attention_probs_dropout_prob=self.dropout,
            max_position_embeddings=pieces.most,
            pad_token_id=pieces.pad,
        )


class BertNetwork(BesideCounts):
    """Class scores of texts, read by a BERT: r is the mean of its last layer over the pieces, with dropout.

    Args:
        encoder: the model, without a head.
        pad: the piece that fills a batch.
        dropout: share of r that is zero.
    """

    def __init__(self, encoder: PreTrainedModel, *, classes: int, pad: int, dropout: float) -> None:
        super().__init__(encoder.config.hidden_size, classes)
        self.encoder = encoder
        self._pad = pad
        self.output_dropout = nn.Dropout(dropout)

    @override
    def forward(self, batch: TextBatch) -> Tensor:
        """One batch -> logits (batch, classes)."""
        valid = torch.arange(batch.x.shape[1], device=batch.x.device) < batch.lengths[:, None]
        ids = batch.x.masked_fill(~valid, self._pad)  # positions of some models hang on it
        y = self.encoder(input_ids=ids, attention_mask=valid.long()).last_hidden_state
        read = (y * valid[..., None]).sum(1) / batch.lengths[:, None]  # (batch, hidden)
        return self.scores(self.output_dropout(read), batch)


def check_checkpoint(folder: str | os.PathLike[str]) -> None:
    """Raise ConfigError unless a folder has the files of a checkpoint and of its tokenizer."""
    place = Path(folder)
    if not place.is_dir():
        raise ConfigError(
            f"a BERT is read from a local folder that transformers has saved, and there is no folder "
            f"'{folder}'. Name one, or 'small' for one that is trained from nothing."
        )
    for names in (*FOLDER_FILES, TOKENIZER_FILES):
        if not any((place / name).is_file() for name in names):
            what = "tokenizer" if names == TOKENIZER_FILES else "checkpoint"
            raise ConfigError(
                f"'{folder}' lacks the file of its {what}: {' or '.join(names)}. Save model and tokenizer "
                "there with save_pretrained of transformers."
            )


def read_pieces(folder: str | os.PathLike[str], *, most: int) -> WordPieces:
    """The tokenizer of a checkpoint.

    Args:
        most: pieces of a text at most; a model that has fewer positions is the limit.

    Raises:
        ConfigError: the folder is not a checkpoint with a tokenizer.
        MissingPackageError: transformers is not installed.
    """
    check_checkpoint(folder)
    transformers = require("transformers", extra=EXTRA)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(os.fspath(folder), local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"the tokenizer in '{folder}' cannot be read: {error}") from error
    if not tokenizer.is_fast:
        raise ConfigError(
            f"the tokenizer in '{folder}' has no tokenizer.json, which is needed. Save it with a newer "
            "transformers."
        )
    if tokenizer.pad_token_id is None or tokenizer.unk_token_id is None:
        raise ConfigError(f"the tokenizer in '{folder}' names no padding or no unknown token; add it")
    limit = min(most, int(tokenizer.model_max_length), _positions(folder, tokenizer.pad_token_id))
    return WordPieces(
        tokenizer.backend_tokenizer, pad=tokenizer.pad_token_id, unknown=tokenizer.unk_token_id, most=limit
    )


def _positions(folder: str | os.PathLike[str], pad: int) -> int:
    """Pieces for which the model has positions; those of RoBERTa are counted from behind the padding's."""
    config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    most = int(config.get("max_position_embeddings", 512))
    return most - pad - 1 if "roberta" in str(config.get("model_type", "")) else most


def read_encoder(folder: str | os.PathLike[str]) -> PreTrainedModel:
    """The model of a checkpoint, without a head.

    Raises:
        ConfigError: the folder is not a checkpoint.
        MissingPackageError: transformers is not installed.
    """
    check_checkpoint(folder)
    transformers = require("transformers", extra=EXTRA)
    from safetensors import SafetensorError

    with Quiet(transformers):
        try:
            model: PreTrainedModel = transformers.AutoModel.from_pretrained(
                os.fspath(folder), local_files_only=True, dtype=torch.float32
            )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise ConfigError(f"the model in '{folder}' cannot be read: {error}") from error
    return model


def new_encoder(config: PreTrainedConfig) -> PreTrainedModel:
    """A model of this form with random weights."""
    transformers = require("transformers", extra=EXTRA)
    model: PreTrainedModel = transformers.AutoModel.from_config(config)
    return model


def config_from_dict(saved: dict[str, Any], where: str) -> PreTrainedConfig:
    """The form of a saved model.

    Raises:
        SavedModelError: this version of transformers does not know it.
    """
    transformers = require("transformers", extra=EXTRA)
    fields = dict(saved)
    kind = fields.pop("model_type", None)
    try:
        config: PreTrainedConfig = transformers.AutoConfig.for_model(kind, **fields)
    except (ValueError, TypeError) as error:
        raise SavedModelError(f"the BERT in {where} cannot be built: {error}") from error
    return config


class Quiet:
    """Keeps transformers from drawing progress bars and telling of heads that are left out."""

    def __init__(self, transformers: Any) -> None:
        self._logging = transformers.utils.logging

    def __enter__(self) -> None:
        self._verbosity = self._logging.get_verbosity()
        self._bars = self._logging.is_progress_bar_enabled()
        self._logging.set_verbosity_error()
        self._logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        self._logging.set_verbosity(self._verbosity)
        if self._bars:
            self._logging.enable_progress_bar()
