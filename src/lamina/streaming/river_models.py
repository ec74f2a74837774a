"""The online learners as river's own classes, for its metrics, its progressive validation and its pipelines.

Importing this file imports river (``pip install 'lamina[online]'``); ``lamina.streaming.online`` does not.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from river import base
from river.time_series.base import Forecaster
from typing_extensions import override

from lamina.errors import ConfigError
from lamina.streaming.drift import Detector
from lamina.streaming.online import OnlineClassifier, OnlineForecaster, OnlineRegressor

RiverRow = dict[Hashable, Any]
"""A row as river has it."""


class RiverClassifier(base.Classifier):
    """``OnlineClassifier`` for river; the arguments are those, kept under their names for river's ``clone``.

    Rows are recognised by their inputs. A scaler before it that learns changes a row between prediction and
    label, so give ``max_delay=0`` there, and labels at once: a row is then learned as it has become.

    >>> from river import evaluate, metrics, preprocessing
    >>> rows = [({"load": row % 7}, row % 7 > 3) for row in range(300)]
    >>> model = preprocessing.StandardScaler() | RiverClassifier(depth=0, max_delay=0)
    >>> evaluate.progressive_val_score(rows, model, metrics.Accuracy()).get() > 0.9
    True
    """

    def __init__(
        self,
        *,
        depth: int = 2,
        hidden_size: int = 16,
        drift: Detector | None = None,
        max_delay: int = 1024,
        seed: int = 0,
    ) -> None:
        self.depth = depth
        self.hidden_size = hidden_size
        self.drift = drift
        self.max_delay = max_delay
        self.seed = seed
        self.learner = OnlineClassifier(
            depth=depth, hidden_size=hidden_size, drift=drift, max_delay=max_delay, seed=seed
        )

    @property
    @override
    def _multiclass(self) -> bool:
        return True

    @override
    def learn_one(self, x: RiverRow, y: Any) -> None:
        self.learner.learn_one(x, y)

    @override
    def predict_proba_one(self, x: RiverRow, **kwargs: Any) -> dict[Any, float]:
        if kwargs:
            raise ConfigError(
                f"a prediction takes the row alone but came with {', '.join(kwargs)}; leave them out"
            )
        return self.learner.predict_proba_one(x)


class RiverRegressor(base.Regressor):
    """``OnlineRegressor`` for river; behind a scaler that learns give ``max_delay=0``, as for classes."""

    def __init__(
        self,
        *,
        depth: int = 2,
        hidden_size: int = 16,
        season: int | None = None,
        drift: Detector | None = None,
        max_delay: int = 1024,
        seed: int = 0,
    ) -> None:
        self.depth = depth
        self.hidden_size = hidden_size
        self.season = season
        self.drift = drift
        self.max_delay = max_delay
        self.seed = seed
        self.learner = OnlineRegressor(
            depth=depth,
            hidden_size=hidden_size,
            season=season,
            drift=drift,
            max_delay=max_delay,
            seed=seed,
        )

    @override
    def learn_one(self, x: RiverRow, y: float) -> None:
        self.learner.learn_one(x, y)

    @override
    def predict_one(self, x: RiverRow) -> float:
        return self.learner.predict_one(x)


class RiverForecaster(Forecaster):
    """``OnlineForecaster`` for river."""

    def __init__(
        self,
        *,
        depth: int = 2,
        hidden_size: int = 16,
        season: int | None = None,
        drift: Detector | None = None,
        seed: int = 0,
    ) -> None:
        self.depth = depth
        self.hidden_size = hidden_size
        self.season = season
        self.drift = drift
        self.seed = seed
        self.learner = OnlineForecaster(
            depth=depth, hidden_size=hidden_size, season=season, drift=drift, seed=seed
        )

    @override
    def learn_one(self, y: float, x: RiverRow | None = None) -> None:
        self.learner.learn_one(y, x)

    @override
    def forecast(self, horizon: int, xs: list[RiverRow] | None = None) -> list[float]:
        return self.learner.forecast(horizon, xs)
