"""Learners of one row at a time: classes, numbers, and series to forecast.

Each is a mixture of experts over the same features: trivial rules, linear models at several rates of
forgetting and step sizes, and recurrent stacks of every depth up to ``depth``. The mixture's weights are
learned too, and between it and the trivial rule "no change" stands a floor, so that a learner cannot do much
worse than that rule for long; see ``aggregate`` for the bounds. The verbs are river's; ``river_models``
gives river's own classes.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from lamina.errors import ConfigError, DataError
from lamina.streaming.aggregate import Floor
from lamina.streaming.drift import Detector, Watch
from lamina.streaming.experts import Layout, Models, Said, mixture_of, shares_of
from lamina.streaming.feedback import LabelFeedback, ValueFeedback
from lamina.streaming.inputs import SPANS, InputContext, Row
from lamina.streaming.waiting import Waiting

Array = NDArray[np.float64]

FLOOR_LIMIT = 3.0
"""The largest difference of absolute errors in a row that the floor counts, in mean absolute changes."""

LARGEST_LOSS = 10.0
"""Absolute errors are cut here when experts are weighed, in mean absolute changes."""

LEAST_PROBABILITY = 1e-3
"""Probabilities of the label are raised to this when experts are weighed."""

OwnExpert = Callable[[Row, Array], float]
"""A forecast from a row's inputs and the last values, oldest first: how a trained model joins."""


@dataclass(frozen=True, eq=False)
class _ClassRow:
    """A row as it was predicted."""

    raw: Array
    said: Said
    experts: Array  # (experts, classes), no change first
    mixed: Array  # (classes,), before the floor
    output: Array  # (classes,)


class OnlineClassifier:
    """Learns to tell classes one row at a time.

    Args:
        depth: recurrent stacks of 1 to so many layers take part; 0 for none.
        hidden_size: units of each layer.
        drift: river's detector that watches the loss, or None; see ``drift.Watch`` for what follows.
        max_delay: rows that may wait for their label at most.
        seed: the same seed gives the same learner.

    >>> learner = OnlineClassifier(depth=0)
    >>> for row in range(200):
    ...     x, y = {"load": row % 7}, "high" if row % 7 > 3 else "low"
    ...     learner.learn_one(x, y)
    >>> learner.predict_one({"load": 6})
    'high'
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
        self.watch = Watch(drift)
        self.floor = Floor(limit=1.0)
        self._feedback = LabelFeedback()
        self._inputs = InputContext()
        self._layout = Layout()
        self._models = Models("softmax", 0, depth=depth, hidden_size=hidden_size, seed=seed)
        self._mixture = mixture_of(len(self.expert_names))
        self._waiting: Waiting[_ClassRow] = Waiting(max_delay)

    @property
    def expert_names(self) -> tuple[str, ...]:
        """What each expert is; the first is the trivial rule."""
        return ("no change", *(f"majority of {span}" for span in SPANS), *self._models.names)

    @property
    def weights(self) -> dict[str, float]:
        """The share of each expert in the next prediction."""
        return shares_of(self.expert_names, self._mixture, self.floor)

    @property
    def nbytes(self) -> int:
        """Bytes of what is learned; rows seen do not add to it."""
        return self._models.nbytes

    def predict_proba_one(self, x: Row) -> dict[Hashable, float]:
        """The probability of each class seen so far; empty before there is one.

        Raises:
            DataError: an input that is no finite number.
        """
        if not self._feedback.classes:
            return {}
        row = self._waiting.again(x)
        if row is None:
            row = self._prepare(x)
            self._waiting.add(x, row)
        return dict(zip(self._feedback.classes, row.output.tolist(), strict=True))

    def predict_one(self, x: Row) -> Hashable | None:
        """The most probable class; None before there is one."""
        found = self.predict_proba_one(x)
        return max(found, key=found.__getitem__) if found else None

    def learn_one(self, x: Row, y: Hashable) -> None:
        """Learn the label of a row; it may come up to ``max_delay`` predictions after the row.

        Raises:
            DataError: an input that is no finite number, a label that is missing, or too many classes.
        """
        code = self._feedback.code(y)
        row = self._waiting.take(x) or self._prepare(x)
        classes = len(self._feedback.classes)
        if row.experts.shape[1] == classes:
            self._weigh(row, code)
        self._models.fit_sizes(self._layout.size, classes)
        truth = np.zeros(classes)
        truth[code] = 1.0
        self._models.learn(row.said, truth)
        self._inputs.learn(row.raw)
        self._feedback.learn(code)

    def _prepare(self, x: Row) -> _ClassRow:
        raw = self._inputs.read(x)
        z = self._layout.vector(self._feedback.features(), self._inputs.features(raw))
        self._models.fit_sizes(self._layout.size, len(self._feedback.classes))
        said = self._models.say(z)
        experts = np.concatenate([self._feedback.trivial(), said.linear, said.recurrent])
        mixed = self._mixture.weights @ experts
        return _ClassRow(raw, said, experts, mixed, mixed + self.floor.weight * (experts[0] - mixed))

    def _weigh(self, row: _ClassRow, code: int) -> None:
        loss = float(row.mixed.argmax() != code)
        trivial_loss = float(row.experts[0].argmax() != code)
        self.floor.learn(loss, trivial_loss)
        self._mixture.learn(-np.log(np.maximum(row.experts[:, code], LEAST_PROBABILITY)))
        self._models = self.watch.follow(
            self._models, self._mixture, self.floor, loss=loss, trivial_loss=trivial_loss
        )


@dataclass(frozen=True, eq=False)
class _ValueRow:
    """A row as it was predicted; forecasts are in units of the mean absolute change, from the last value."""

    raw: Array
    said: Said
    last: float
    unit: float
    experts: Array  # (experts,), no change first, so that is 0
    mixed: float  # before the floor
    output: float  # in the target's own unit


class _ValueLearner:
    """What the regressor and the forecaster share: a mixture of experts on the next value."""

    def __init__(
        self,
        *,
        depth: int,
        hidden_size: int,
        season: int | None,
        drift: Detector | None,
        own: Mapping[str, OwnExpert],
        seed: int,
    ) -> None:
        if season is not None and season < 2:
            raise ConfigError(f"season must be at least 2 rows, or None to look for one, but is {season}")
        self.watch = Watch(drift)
        self.floor = Floor(limit=FLOOR_LIMIT)
        self.feedback = ValueFeedback(season)
        self.inputs = InputContext()
        self.own = dict(own)
        self.models = Models("identity", 1, depth=depth, hidden_size=hidden_size, seed=seed)
        self.names = (*ValueFeedback.names, *self.own, *self.models.names)
        self.mixture = mixture_of(len(self.names))
        self.layout = Layout()
        self._error = 1.0
        self._lowest, self._highest = math.inf, -math.inf

    def prepare(self, x: Row, feedback: ValueFeedback | None = None) -> _ValueRow:
        """A forecast of the next value; with other feedback than the stream's, of the one after that."""
        feedback = self.feedback if feedback is None else feedback
        raw = self.inputs.read(x)
        z = self.layout.vector(feedback.features(), self.inputs.features(raw))
        self.models.fit_sizes(self.layout.size, 1)
        said = self.models.say(z)
        last, unit = feedback.last, feedback.unit
        rules = feedback.trivial()
        if self.own:
            rules = np.append(rules, [expert(x, feedback.history) for expert in self.own.values()])
        models = np.concatenate([said.linear[:, 0], said.recurrent[:, 0]])
        experts = np.concatenate([(rules - last) / unit, np.clip(models, -LARGEST_LOSS, LARGEST_LOSS)])
        mixed = float(self.mixture.weights @ experts)
        return _ValueRow(raw, said, last, unit, experts, mixed, last + (1 - self.floor.weight) * mixed * unit)

    def learn(self, row: _ValueRow, value: float) -> None:
        """Learn a row's value; NaN is a missing one, and only the inputs are learned."""
        if math.isinf(value):
            raise DataError(
                "a value must be finite, or NaN where missing, but is infinite; leave that row out"
            )
        if not math.isnan(value):
            if self.feedback.rows:
                target = (value - row.last) / row.unit
                self._weigh(row, target)
                self.models.fit_sizes(self.layout.size, 1)
                self.models.learn(row.said, np.array([min(max(target, -LARGEST_LOSS), LARGEST_LOSS)]))
            self._lowest, self._highest = min(self._lowest, value), max(self._highest, value)
            self.feedback.learn(value)
        self.inputs.learn(row.raw)

    def forecast(self, horizon: int, xs: Sequence[Row]) -> list[float]:
        """Each next value in turn, the forecasts taken for the values that have not come.

        Forecasts stay within the range of the series widened by half of it on both sides, so that feeding
        them back cannot run away.
        """
        feedback = copy.deepcopy(self.feedback)
        room = (self._highest - self._lowest) / 2
        found = []
        for x in islice(xs, horizon):
            value = self.prepare(x, feedback).output
            if feedback.rows:
                value = min(max(value, self._lowest - room), self._highest + room)
            feedback.learn(value)
            found.append(value)
        return found

    def _weigh(self, row: _ValueRow, target: float) -> None:
        losses = np.minimum(np.abs(row.experts - target), LARGEST_LOSS)
        loss = min(abs(row.mixed - target), LARGEST_LOSS)
        self.floor.learn(loss, float(losses[0]))
        self.mixture.learn(losses / self._error)
        weight = max(1 / (self.feedback.rows + 1), 1 / 500)
        self._error = max(self._error + weight * (loss - self._error), 0.05)
        self.models = self.watch.follow(
            self.models, self.mixture, self.floor, loss=loss, trivial_loss=float(losses[0])
        )


class OnlineRegressor:
    """Learns a number from inputs, one row at a time, and from the numbers that came before it.

    Args:
        depth: recurrent stacks of 1 to so many layers take part; 0 for none.
        hidden_size: units of each layer.
        season: rows of a season; None to look for seasons while the stream runs.
        drift: river's detector that watches the loss, or None.
        own: experts of one's own by name, such as a trained model's forecast.
        max_delay: rows that may wait for their value at most.
        seed: the same seed gives the same learner.

    >>> learner = OnlineRegressor(depth=0)
    >>> for heat in np.random.default_rng(0).normal(size=500):
    ...     learner.learn_one({"heat": heat}, 3.0 * heat)
    >>> round(learner.predict_one({"heat": 1.0}), 1)
    3.0
    """

    def __init__(
        self,
        *,
        depth: int = 2,
        hidden_size: int = 16,
        season: int | None = None,
        drift: Detector | None = None,
        own: Mapping[str, OwnExpert] | None = None,
        max_delay: int = 1024,
        seed: int = 0,
    ) -> None:
        self._learner = _ValueLearner(
            depth=depth, hidden_size=hidden_size, season=season, drift=drift, own=own or {}, seed=seed
        )
        self._waiting: Waiting[_ValueRow] = Waiting(max_delay)

    @property
    def weights(self) -> dict[str, float]:
        """The share of each expert in the next prediction."""
        return shares_of(self._learner.names, self._learner.mixture, self._learner.floor)

    @property
    def watch(self) -> Watch:
        """What has been noticed: drifts and returns to an earlier state."""
        return self._learner.watch

    @property
    def nbytes(self) -> int:
        """Bytes of what is learned; rows seen do not add to it."""
        return self._learner.models.nbytes

    def predict_one(self, x: Row) -> float:
        """The number expected of a row.

        Raises:
            DataError: an input that is no finite number.
        """
        row = self._waiting.again(x)
        if row is None:
            row = self._learner.prepare(x)
            self._waiting.add(x, row)
        return row.output

    def learn_one(self, x: Row, y: float) -> None:
        """Learn the number of a row, NaN where missing; it may come up to ``max_delay`` predictions later.

        Raises:
            DataError: an input or a number that is infinite or no number.
        """
        value = _number(y)
        self._learner.learn(self._waiting.take(x) or self._learner.prepare(x), value)


class OnlineForecaster:
    """Learns a series one value at a time, and forecasts the next ones.

    Args:
        depth, hidden_size, season, drift, own, seed: as for ``OnlineRegressor``.

    >>> learner = OnlineForecaster(depth=0)
    >>> for row in range(200):
    ...     learner.learn_one(float(row % 6))
    >>> [round(value) for value in learner.forecast(6)]
    [2, 3, 4, 5, 0, 1]
    """

    def __init__(
        self,
        *,
        depth: int = 2,
        hidden_size: int = 16,
        season: int | None = None,
        drift: Detector | None = None,
        own: Mapping[str, OwnExpert] | None = None,
        seed: int = 0,
    ) -> None:
        self._learner = _ValueLearner(
            depth=depth, hidden_size=hidden_size, season=season, drift=drift, own=own or {}, seed=seed
        )
        self._next: tuple[Row, _ValueRow] | None = None

    @property
    def weights(self) -> dict[str, float]:
        """The share of each expert in the next forecast."""
        return shares_of(self._learner.names, self._learner.mixture, self._learner.floor)

    @property
    def watch(self) -> Watch:
        """What has been noticed: drifts and returns to an earlier state."""
        return self._learner.watch

    @property
    def nbytes(self) -> int:
        """Bytes of what is learned; rows seen do not add to it."""
        return self._learner.models.nbytes

    def learn_one(self, y: float, x: Row | None = None) -> None:
        """Learn the next value, NaN where missing, with what was known of its row before it.

        Raises:
            DataError: an input or a value that is infinite or no number.
        """
        value = _number(y)
        self._learner.learn(self._row(x or {}), value)
        self._next = None

    def forecast(self, horizon: int, xs: Sequence[Row] | None = None) -> list[float]:
        """The next ``horizon`` values.

        Args:
            horizon: at least 1.
            xs: what is known of each of their rows.

        Raises:
            ConfigError: a horizon below 1, or not one of ``xs`` for each step.
        """
        if horizon < 1:
            raise ConfigError(f"horizon must be at least 1 row but is {horizon}")
        rows: Sequence[Row] = [{}] * horizon if xs is None else xs
        if len(rows) != horizon:
            raise ConfigError(f"xs has {len(rows)} rows for a horizon of {horizon}; give one for each step")
        if horizon == 1:
            return [self._row(rows[0]).output]
        return self._learner.forecast(horizon, rows)

    def _row(self, x: Row) -> _ValueRow:
        """The forecast of the next value, made once for each row."""
        if self._next is None or self._next[0] != x:
            self._next = (dict(x), self._learner.prepare(x))
        return self._next[1]


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # what is no number raises here
    except (TypeError, ValueError) as error:
        raise DataError(f"a value must be a number, or NaN where missing, but is {value!r}") from error
