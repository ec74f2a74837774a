from __future__ import annotations

import json
import math

from lamina.training.history import History


def test_the_best_is_the_validation_at_the_best_step() -> None:
    assert History(steps=[5, 10, 15], validation=[3.0, 1.0, 2.0], best_step=10).best == 1.0
    assert math.isnan(History().best)


def test_a_history_comes_back_from_its_dictionary() -> None:
    history = History(
        steps=[1, 2],
        train_loss=[0.1, 1 / 3],
        validation=[2.0, 1e-17],
        gradient_norms={"layer 1": [0.1, 0.2]},
        clip_rate=0.5,
        seconds=1.25,
        best_step=2,
        outcome="stopped",
    )
    assert History.from_dict(json.loads(json.dumps(history.to_dict()))) == history


def test_null_of_json_is_nan_again() -> None:
    saved = {"steps": [1], "train_loss": [None], "validation": [None], "gradient_norms": {"head": [None]}}
    history = History.from_dict(saved)
    assert math.isnan(history.train_loss[0])
    assert math.isnan(history.validation[0])
    assert math.isnan(history.gradient_norms["head"][0])
    assert saved["validation"] == [None]
