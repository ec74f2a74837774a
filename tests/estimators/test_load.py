from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lamina.errors import SavedModelError
from lamina.estimators.classifier import SequenceClassifier
from lamina.estimators.forecaster import Forecaster
from lamina.estimators.load import load
from lamina.estimators.saving import SavedModel
from lamina.nn.stack import StackConfig
from lamina.training.optim import TrainingConfig

QUICK = TrainingConfig(max_steps=5, batch_size=8)
SMALL = StackConfig(hidden_sizes=(4,))
SCRIPT = """
import json, sys
import numpy as np
from lamina.estimators.load import load
forecaster, classifier = load(sys.argv[1]), load(sys.argv[2])
forecast = forecaster.predict(level=[80])["Forecaster"].to_list()
chances = classifier.predict_proba([np.arange(4.0), -np.arange(5.0)]).tolist()
heavy = ("lamina.training.loop", "lightning_fabric", "statsforecast", "lightgbm", "altair", "optuna")
print(json.dumps([forecast, chances, [name for name in heavy if name in sys.modules]]))
"""


def test_a_loaded_model_predicts_in_a_new_process_without_a_trainer(tmp_path: Path) -> None:
    forecaster = Forecaster(horizon=2, input_size=8, stack=SMALL, training=QUICK)
    forecaster.fit(pl.DataFrame({"y": np.sin(np.arange(60.0))})).save(tmp_path / "forecaster")
    X = [np.arange(n) * s for n in (3.0, 4.0, 5.0, 6.0) for s in (1, -1)]
    classifier = SequenceClassifier(stack=SMALL, training=QUICK, validation_fraction=0.25)
    classifier.fit(X, ["up", "down"] * 4).save(tmp_path / "classifier")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "forecaster"), str(tmp_path / "classifier")],
        capture_output=True,
        text=True,
        check=True,
    )
    forecast, chances, imported = json.loads(done.stdout)
    assert imported == []
    # Another process may run another number of threads, which may sum in another order.
    np.testing.assert_allclose(forecast, forecaster.predict()["Forecaster"].to_list(), rtol=1e-6)
    np.testing.assert_allclose(
        chances, classifier.predict_proba([np.arange(4.0), -np.arange(5.0)]), rtol=1e-6
    )


def test_an_unknown_kind_says_what_is_known(tmp_path: Path) -> None:
    SavedModel(kind="Oracle", config={}, weights={}, preprocessing={}).write(tmp_path / "m")
    with pytest.raises(SavedModelError, match=r"'Oracle', and this version .* Forecaster, LanguageModel"):
        load(tmp_path / "m")


def test_a_path_that_holds_no_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SavedModelError, match=r"a model is a directory with a config\.json"):
        load(tmp_path)
