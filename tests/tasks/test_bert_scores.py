from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lamina.errors import ConfigError, MissingPackageError
from lamina.tasks.bert_scores import read_tuned

TEXTS = ["it is good", "not good at all indeed", "", "bad", "badly bad " * 60]


def test_scores_are_those_of_transformers(tuned_folder: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tuned = read_tuned(tuned_folder)
    assert tuned.names == ("GOOD", "BAD")
    found = tuned.log_chances(TEXTS)
    tokenizer = AutoTokenizer.from_pretrained(tuned_folder)
    model = AutoModelForSequenceClassification.from_pretrained(tuned_folder).eval()
    for row, text in zip(found, TEXTS, strict=True):
        given = tokenizer(text, truncation=True, max_length=40, return_tensors="pt")
        with torch.no_grad():
            expected = model(**given).logits[0].log_softmax(-1)
        np.testing.assert_allclose(row, expected, atol=1e-5)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1)
    assert np.ptp(found[:, 0]) > 0.5  # it does tell texts apart


def copied(folder: Path, to: Path, **changes: object) -> Path:
    """The checkpoint with other fields in its configuration."""
    shutil.copytree(folder, to)
    config = json.loads((to / "config.json").read_text(encoding="utf-8"))
    (to / "config.json").write_text(json.dumps(config | changes), encoding="utf-8")
    return to


def test_a_folder_that_teaches_nothing_is_told(tmp_path: Path, tuned_folder: Path, bert_folder: Path) -> None:
    with pytest.raises(ConfigError, match="there is no folder 'nowhere'"):
        read_tuned("nowhere")
    with pytest.raises(
        ConfigError, match=r"has learned its classes, but .* lacks classifier\.bias, classifier\."
    ):
        read_tuned(bert_folder)
    several = copied(tuned_folder, tmp_path / "a", problem_type="multi_label_classification")
    with pytest.raises(ConfigError, match="is for multi_label_classification with 2 outputs"):
        read_tuned(several)
    damaged = copied(tuned_folder, tmp_path / "b")
    (damaged / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ConfigError, match=r"the model in .* cannot be read"):
        read_tuned(damaged)
    other = copied(tuned_folder, tmp_path / "c", hidden_size=32)
    with pytest.raises(ConfigError, match=r"the model in .* cannot be read"):
        read_tuned(other)


def test_transformers_is_asked_for_where_it_is_missing(
    tuned_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'lamina\[bert\]'"):
        read_tuned(tuned_folder)
