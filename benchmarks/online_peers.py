"""What online.py compares with: river's models, and deep-river's where it is installed."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from typing import Any

from lamina._optional import require

Peers = dict[str, Callable[[], Any]]

FIRST_FORECAST = 26  # rows after which every peer can forecast


def classifiers(inputs: int) -> Peers:
    """With their own defaults; what needs inputs of like size comes after a scaler, as in its documents."""
    forest, linear, tree = (
        require(f"river.{part}", extra="online") for part in ("forest", "linear_model", "tree")
    )
    scale = require("river.preprocessing", extra="online")
    found: Peers = {
        "river ARF": lambda: forest.ARFClassifier(seed=0),
        "river ALMA": lambda: scale.StandardScaler() | linear.ALMAClassifier(),
        "river Hoeffding tree": tree.HoeffdingTreeClassifier,
    }
    if has_deep_river():
        deep = importlib.import_module("deep_river.classification")
        found["deep-river LSTM"] = lambda: scale.StandardScaler() | deep.LSTMClassifier(n_features=inputs)
    return found


def forecasters() -> Peers:
    """With the settings of river's own airline example where a setting must be given."""
    models = require("river.time_series", extra="online")
    linear, scale = (require(f"river.{part}", extra="online") for part in ("linear_model", "preprocessing"))
    found: Peers = {
        "river SNARIMAX": lambda: models.SNARIMAX(
            p=12, d=1, q=12, m=12, sd=1, regressor=scale.StandardScaler() | linear.LinearRegression()
        ),
        "river Holt-Winters": lambda: models.HoltWinters(
            alpha=0.3, beta=0.1, gamma=0.6, seasonality=12, multiplicative=True
        ),
    }
    if has_deep_river():
        deep = importlib.import_module("deep_river.forecasting")
        found["deep-river LSTM"] = lambda: deep.LSTMForecaster(window_size=12)
    return found


def has_deep_river() -> bool:
    """Whether it is installed; one that does not import raises its own error where it is used."""
    return importlib.util.find_spec("deep_river") is not None


class SilentAtFirst:
    """A peer's forecaster as a learner of rows, silent until every one of them can forecast."""

    def __init__(self, forecaster: Any) -> None:
        self._forecaster = forecaster
        self._rows = 0

    def predict_one(self, x: Any) -> float | None:
        del x
        if self._rows < FIRST_FORECAST:
            return None
        found = self._forecaster.forecast(1)[0]
        return float(found) if math.isfinite(found) else math.inf

    def learn_one(self, x: Any, y: float) -> None:
        del x
        self._rows += 1
        self._forecaster.learn_one(y)
