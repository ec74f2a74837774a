from __future__ import annotations

import json

import pytest

from lamina.errors import SavedModelError
from lamina.estimators.configs import dump_body, dump_training, load_body, load_training
from lamina.nn.stack import StackConfig
from lamina.nn.transformer import TransformerConfig
from lamina.tasks.base import BodyConfig
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
    assert load_training(json.loads(json.dumps(dump_training(config)))) == config


def test_an_unknown_body_is_an_error() -> None:
    with pytest.raises(
        SavedModelError, match=r"one of \['stack', 'transformer'\], but the saved one is 'mamba'"
    ):
        load_body({"kind": "mamba"})
