"""Class scores of a BERT that transformers has tuned already: a checkpoint with its own head."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from lamina._optional import require
from lamina.data.word_pieces import WordPieces
from lamina.errors import ConfigError
from lamina.tasks.bert import EXTRA, Quiet, check_checkpoint, read_pieces

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LONGEST = 512
BATCH = 32


@dataclass(frozen=True, eq=False)
class TunedBert:
    """A sequence classifier of transformers.

    Attributes:
        names: of its classes, in the order of its outputs.
    """

    model: PreTrainedModel
    pieces: WordPieces
    names: tuple[str, ...]

    @torch.no_grad()
    def log_chances(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Log probability of each class, (texts, classes)."""
        ids = self.pieces.encode_all(texts)
        order = np.argsort([len(one) for one in ids], kind="stable")  # like lengths together
        found = np.zeros((len(ids), len(self.names)))
        for begin in range(0, len(order), BATCH):
            chosen = order[begin : begin + BATCH]
            longest = len(ids[chosen[-1]])
            x = np.full((len(chosen), longest), self.pieces.pad, dtype=np.int64)
            for row, i in zip(x, chosen, strict=True):
                row[: len(ids[i])] = ids[i]
            lengths = torch.tensor([len(ids[i]) for i in chosen])
            valid = torch.arange(longest) < lengths[:, None]
            logits = self.model(input_ids=torch.from_numpy(x), attention_mask=valid.long()).logits
            found[chosen] = logits.double().log_softmax(-1).numpy()
        return found


def read_tuned(folder: str | os.PathLike[str]) -> TunedBert:
    """The sequence classifier in a folder that transformers saved, with its tokenizer.

    Raises:
        ConfigError: the folder is no checkpoint, or its head was not trained or does not choose a class.
        MissingPackageError: transformers is not installed.
    """
    check_checkpoint(folder)
    transformers = require("transformers", extra=EXTRA)
    from safetensors import SafetensorError

    with Quiet(transformers):
        try:
            model, told = transformers.AutoModelForSequenceClassification.from_pretrained(
                os.fspath(folder), local_files_only=True, dtype=torch.float32, output_loading_info=True
            )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise ConfigError(f"the model in '{folder}' cannot be read: {error}") from error
    if missing := sorted(told["missing_keys"]):
        raise ConfigError(
            f"a teacher has learned its classes, but the model in '{folder}' lacks {', '.join(missing)}. "
            "Tune it first, for example as BertClassifier(bert=...), and name the folder that it is saved in."
        )
    names = model.config.id2label
    if model.config.num_labels < 2 or model.config.problem_type not in (None, "single_label_classification"):
        raise ConfigError(
            f"a teacher chooses one of several classes, but that in '{folder}' is for "
            f"{model.config.problem_type or 'regression'} with {model.config.num_labels} outputs"
        )
    pieces = read_pieces(folder, most=LONGEST)
    return TunedBert(model.eval(), pieces, tuple(str(names[i]) for i in range(model.config.num_labels)))
