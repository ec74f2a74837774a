"""Checkpoints of a BERT as transformers saves them: random weights, a WordPiece vocabulary of a few words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] it is not good at all indeed bad ##ly"


def _with_tokenizer(folder: Path) -> Path:
    """A new folder that has the tokenizer."""
    from transformers import AutoTokenizer
    from transformers.utils import logging

    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(WORDS.split()), encoding="utf-8")
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # it has no annotations
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}', encoding="utf-8")
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
    return folder


def _small(**changes: Any) -> Any:
    from transformers import BertConfig

    return BertConfig(
        vocab_size=len(WORDS.split()),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
        **changes,
    )


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without a head."""
    import torch
    from transformers import BertModel

    folder = _with_tokenizer(tmp_path_factory.mktemp("checkpoint") / "tiny-bert")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(_small()).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tuned_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a head that tells GOOD from BAD, by random weights that are large enough to tell texts apart."""
    import torch
    from transformers import BertForSequenceClassification

    folder = _with_tokenizer(tmp_path_factory.mktemp("checkpoint") / "tuned-bert")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = BertForSequenceClassification(_small(id2label={0: "GOOD", 1: "BAD"}))
        for parameter in model.parameters():
            if parameter.ndim == 2:
                torch.nn.init.normal_(parameter, std=0.7)
        model.save_pretrained(folder)
    return folder
