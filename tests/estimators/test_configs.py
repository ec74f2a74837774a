from __future__ import annotations

import json
from pathlib import Path

import pytest

from lamina.errors import SavedModelError
from lamina.estimators.configs import dump_body, dump_parameters, load_body, load_parameters
from lamina.nn.stack import StackConfig
from lamina.nn.transformer import TransformerConfig
from lamina.tasks.base import BodyConfig
from lamina.tasks.bert import BertConfig
from lamina.tasks.text import TextConfig
from lamina.training.optim import TrainingConfig


@pytest.mark.parametrize(
    "config",
    [
        None,
        StackConfig(cell="gru", hidden_sizes=(8, 4), directions=("both", "forward"), dropout=1 / 3),
        TransformerConfig(size=8, heads=2, positions="learned", max_steps=9),
    ],
)
def test_a_body_comes_back_from_json(config: BodyConfig | None) -> None:
    assert load_body(json.loads(json.dumps(dump_body(config)))) == config


@pytest.mark.parametrize("config", [None, TrainingConfig(max_steps=7, clip_norm=None, learning_rate=1 / 3)])
def test_training_settings_come_back_from_json(config: TrainingConfig | None) -> None:
    saved = json.loads(json.dumps(dump_parameters({"training": config})))
    assert load_parameters(saved) == {"training": config}


def test_parameters_come_back_by_the_class_of_each(tmp_path: Path) -> None:
    given = {
        "stack": StackConfig(hidden_sizes=(4,)),
        "form": TextConfig(attention=True),
        "training": None,
        "vectors": tmp_path / "vectors.txt",
        "bert": "small",
        "seed": 3,
    }
    saved = json.loads(json.dumps(dump_parameters(given)))
    expected = given | {"vectors": str(tmp_path / "vectors.txt")}
    assert load_parameters(saved, form=TextConfig, bert=BertConfig) == expected


def test_an_unknown_body_is_an_error() -> None:
    with pytest.raises(
        SavedModelError, match=r"one of \['stack', 'transformer'\], but the saved one is 'mamba'"
    ):
        load_body({"kind": "mamba"})
