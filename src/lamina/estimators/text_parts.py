"""What every classifier of texts does with texts, labels and counts of tokens around its network."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lamina.data.labelled_texts import Encoder, LabelledTexts, encode_texts, label_codes
from lamina.data.text import require_text
from lamina.errors import DataError
from lamina.tasks.counts import CountClassifier
from lamina.tasks.distill import TaughtTexts
from lamina.tasks.text import PreparedTexts, TextInputs

COUNTS = "counts."  # before the names of its tensors, beside those of the network
Texts = tuple[Sequence[str], NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class TextParts:
    """Labelled texts ready for training.

    Attributes:
        tokens: cuts texts into tokens.
        training: without what counts say, which know these texts by heart.
        every: the training texts and, behind them, those without labels, if there are any.
        taught: all of these with what a teacher says of each, if there is one.
    """

    tokens: Encoder
    inputs: TextInputs
    training: PreparedTexts
    validation: PreparedTexts
    every: LabelledTexts | None = None
    taught: TaughtTexts | None = None

    def drawn(self, chosen: NDArray[np.int64]) -> TextParts:
        """With some of the training texts, which may come several times."""
        return replace(self, training=self.training.subset(chosen))

    @property
    def data_hash(self) -> str:
        """Of the tokens of training, those without labels included."""
        texts = self.training.texts if self.every is None else self.every
        return hashlib.sha256(texts.values.data).hexdigest()


def prepare_parts(
    tokens: Encoder, training: Texts, validation: Texts, classes: tuple[str, ...], *, counts: bool
) -> TextParts:
    """Encode texts, and fit the classifier by counts on those of training.

    Args:
        training, validation: texts, and positions of their labels in ``classes``.
        counts: whether there is a classifier by counts.
    """
    learned, held_out = (encode_texts(*part, tokens, classes) for part in (training, validation))
    alone = TextInputs(classes, None)
    inputs = alone
    if counts:
        inputs = TextInputs(classes, CountClassifier.fit(learned, np.arange(len(learned)), len(tokens)))
    return TextParts(tokens, inputs, alone.prepare(learned), inputs.prepare(held_out))


def strings(texts: Sequence[str]) -> list[str]:
    """The texts, once it is sure that they are some."""
    found = strings_or_none(texts)
    if not found:
        raise DataError("at least one text is needed but there are none; check the source")
    return found


def strings_or_none(texts: Sequence[str]) -> list[str]:
    """The texts, once it is sure that they are texts; there may be none."""
    if isinstance(texts, str):
        raise DataError("texts come as a list, but this is a single string. Pass [text].")
    found = list(texts)
    for row, text in enumerate(found):
        require_text(text, f"row {row}")
    return found


def read_labels(
    y: Sequence[Any] | NDArray[Any], texts: int
) -> tuple[NDArray[np.int64], tuple[str, ...], NDArray[Any]]:
    """Codes of labels, the names of the classes, and the labels themselves in the order of the names."""
    labels = np.asarray(y)
    codes, names = label_codes(list(y), texts)
    given = {str(label): label for label in labels}
    return codes, names, np.array([given[name] for name in names], dtype=labels.dtype)


def with_counts(network: dict[str, Tensor], inputs: TextInputs) -> dict[str, Tensor]:
    """Tensors of the network and of the classifier by counts, told apart by their names."""
    counts = {} if inputs.counts is None else inputs.counts.tensors()
    return network | {COUNTS + name: value for name, value in counts.items()}


def split_counts(
    weights: dict[str, Tensor], classes: Sequence[str], tokens: int
) -> tuple[dict[str, Tensor], TextInputs]:
    """The inverse of ``with_counts``."""
    tensors = {name.removeprefix(COUNTS): v for name, v in weights.items() if name.startswith(COUNTS)}
    counts = CountClassifier.from_tensors(tensors, tokens) if tensors else None
    network = {name: value for name, value in weights.items() if not name.startswith(COUNTS)}
    return network, TextInputs(tuple(classes), counts)
