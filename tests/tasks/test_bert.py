from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lamina.data.word_pieces import WordPieces
from lamina.errors import ConfigError, MissingPackageError
from lamina.tasks.bert import (
    BertConfig,
    BertNetwork,
    check_checkpoint,
    new_encoder,
    read_encoder,
    read_pieces,
)
from lamina.tasks.text import TextBatch

SMALL = BertConfig(hidden_size=8, layers=1, heads=2, feedforward_size=16, pieces=60)


def batch(rows: list[list[int]], classes: int = 3) -> TextBatch:
    lengths = torch.tensor([len(row) for row in rows])
    x = nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
    prior = torch.log_softmax(torch.arange(float(len(rows) * classes)).sin().view(-1, classes), -1)
    return TextBatch(x, lengths, torch.zeros(len(rows), dtype=torch.int64), prior)


@pytest.fixture
def network() -> BertNetwork:
    pieces = WordPieces.fit(["the cat sat on the mat"] * 3, most=12)
    torch.manual_seed(0)
    return BertNetwork(new_encoder(SMALL.of_transformers(pieces)), classes=3, pad=0, dropout=0.5).eval()


def test_padding_changes_nothing(network: BertNetwork) -> None:
    nn.init.normal_(network.head.weight)
    together = network(batch([[2, 5, 6, 7, 3], [2, 7, 3]]))
    alone = network(batch([[2, 7, 3]]))
    torch.testing.assert_close(together[1:], alone)


def test_it_reads_the_mean_of_the_last_layer(network: BertNetwork) -> None:
    nn.init.normal_(network.head.weight)
    given = batch([[2, 5, 6, 3]])
    y = network.encoder(input_ids=given.x).last_hidden_state
    torch.testing.assert_close(network(given), network.head(y.mean(1)))


def test_order_of_the_words_counts(network: BertNetwork) -> None:
    nn.init.normal_(network.head.weight)
    one, other = network(batch([[2, 5, 6, 3]])), network(batch([[2, 6, 5, 3]]))
    assert (one - other).abs().max() > 1e-4


def test_a_checkpoint_is_read_as_transformers_reads_it(bert_folder: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(bert_folder)
    pieces = read_pieces(bert_folder, most=256)
    text = "it is not badly good"
    (ids,) = pieces.encode_all([text])
    assert ids.tolist() == theirs(text)["input_ids"]
    assert (pieces.pad, pieces.unknown, pieces.most) == (0, 1, 40)  # the model has 40 positions
    ours, other = read_encoder(bert_folder), AutoModel.from_pretrained(bert_folder)
    found = ours.train(False)(torch.from_numpy(ids)[None]).last_hidden_state
    expected = other.train(False)(torch.from_numpy(ids)[None]).last_hidden_state
    np.testing.assert_array_equal(found.detach(), expected.detach())


def test_a_wrong_folder_is_told(tmp_path: Path, bert_folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no folder 'bert-base'.*'small'"):
        check_checkpoint("bert-base")
    with pytest.raises(ConfigError, match=r"lacks the file of its checkpoint: config\.json"):
        read_encoder(tmp_path)
    folder = tmp_path / "copy"
    shutil.copytree(bert_folder, folder)
    for name in ("tokenizer.json", "vocab.txt"):
        (folder / name).unlink()
    with pytest.raises(ConfigError, match=r"lacks the file of its tokenizer: tokenizer\.json or vocab\.txt"):
        read_pieces(folder, most=10)
    (folder / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_pieces(folder, most=10)
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ConfigError, match=r"the model in .* cannot be read"):
        read_encoder(folder)


def test_transformers_is_asked_for_where_it_is_missing(
    bert_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'lamina\[bert\]'"):
        read_encoder(bert_folder)


def test_heads_divide_the_size() -> None:
    pieces = WordPieces.fit(["a b"], most=12)
    with pytest.raises(ConfigError, match="multiple of heads, 3, but is 8"):
        SMALL.replace(heads=3).of_transformers(pieces)
