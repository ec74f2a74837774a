"""Learners of one row at a time: classes, numbers, and series to forecast.

Each is a mixture of experts over the same features: trivial rules, linear models at several rates of
forgetting and step sizes, and recurrent stacks of every depth up to ``depth``. The mixture's weights are
learned too, and between it and the trivial rule "no change" stands a floor, so that a learner cannot do much
worse than that rule for long; see ``aggregate`` for the bounds. The verbs are river's; ``river_models``
gives river's own classes.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from lamina.errors import ConfigError, DataError
from lamina.streaming.aggregate import Floor
from lamina.streaming.drift import Detector, Watch
from lamina.streaming.experts import Layout, Models, Said, mixture_of, shares_of
from lamina.streaming.feedback import LabelFeedback
from lamina.streaming.inputs import LARGEST, SPANS, InputContext, Row, is_number, shown, whole_number
from lamina.streaming.learner import OnlineLearner, checked
from lamina.streaming.own import OwnClassExpert, OwnValueExpert, chances_of, class_expert
from lamina.streaming.state import Stateful, bytes_of
from lamina.streaming.value_learner import ValueLearner, ValueRow
from lamina.streaming.waiting import Waiting, key_of

Array = NDArray[np.float64]

LEAST_PROBABILITY = 1e-3
"""Probabilities of the label are raised to this when experts are weighed."""


@dataclass(frozen=True, eq=False)
class _ClassRow:
    """A row as it was predicted."""

    raw: Array
    said: Said
    experts: Array  # (experts, classes), no change first
    mixed: Array  # (classes,), before the floor
    output: Array  # (classes,)

    def state(self) -> dict[str, Any]:
        """Everything by name."""
        return {**vars(self), "said": self.said.state()}

    @staticmethod
    def of(state: Mapping[str, Any]) -> _ClassRow:
        """The inverse of ``state``."""
        return _ClassRow(**{**state, "said": Said(**state["said"])})


class OnlineClassifier(OnlineLearner):
    """Learns to tell classes one row at a time.

    Args:
        depth: recurrent stacks of 1 to so many layers take part; 0 for none.
        hidden_size: units of each layer.
        drift: river's detector that watches the loss, or None; see ``drift.Watch`` for what follows.
        own: experts of one's own by name: a function of a row that gives the probability of each class, or
            the session of a fitted SequenceClassifier, which belongs to the learner from then on.
        max_delay: rows that may wait for their label at most; 0 where each comes before the next prediction.
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
        own: Mapping[str, OwnClassExpert] | None = None,
        max_delay: int = 1024,
        seed: int = 0,
    ) -> None:
        self._made_with = checked(
            {
                "depth": depth,
                "hidden_size": hidden_size,
                "drift": drift,
                "own": list(own or {}),
                "max_delay": max_delay,
                "seed": seed,
            }
        )
        self.watch = Watch(drift)
        self.floor = Floor(limit=1.0)
        self._feedback = LabelFeedback()
        self._inputs = InputContext()
        self._layout = Layout()
        self._own = {name: class_expert(each) for name, each in (own or {}).items()}
        self._models = Models("softmax", 0, depth=depth, hidden_size=hidden_size, seed=seed)
        self._mixture = mixture_of(len(self.expert_names))
        self._waiting: Waiting[_ClassRow] = Waiting(max_delay)

    @property
    def expert_names(self) -> tuple[str, ...]:
        """What each expert is; the first is the trivial rule."""
        return ("no change", *(f"majority of {span}" for span in SPANS), *self._own, *self._models.names)

    @property
    @override
    def weights(self) -> dict[str, float]:
        """The share of each expert in the next prediction."""
        return shares_of(self.expert_names, self._mixture, self.floor)

    def predict_proba_one(self, x: Row) -> dict[Hashable, float]:
        """The probability of each class seen so far; empty before there is one.

        Raises:
            DataError: an input that is no finite number.
        """
        raw = self._inputs.read(x)
        key = key_of(raw)
        row = self._waiting.again(key)
        if row is None:
            row = self._prepare(x, raw)
            self._waiting.add(key, row)
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
        self._feedback.check(y)
        raw = self._inputs.read(x)
        row = self._waiting.take(key_of(raw)) or self._prepare(x, raw)
        code = self._feedback.code(y)
        classes = len(self._feedback.classes)
        if not row.experts.shape[1]:  # it was predicted before there was a class
            row = self._prepare(x, raw)
        if row.experts.shape[1] == classes:
            self._weigh(row, code)
        self._models.fit_sizes(self._layout.size, classes)
        truth = np.zeros(classes)
        truth[code] = 1.0
        self._models.learn(row.said, truth)
        self._inputs.learn(row.raw)
        self._feedback.learn(code)
        for expert in self._own.values():
            expert.learn(x)

    def _prepare(self, x: Row, raw: Array) -> _ClassRow:
        z = self._layout.vector(self._feedback.features(), self._inputs.features(raw))
        self._models.fit_sizes(self._layout.size, len(self._feedback.classes))
        said = self._models.say(z)
        own = [chances_of(expert, x, list(self._feedback.classes))[None] for expert in self._own.values()]
        experts = np.concatenate([self._feedback.trivial(), *own, said.linear, said.recurrent])
        mixed = self._mixture.weights @ experts
        if not np.isfinite(mixed).all():
            # an expert has run away; the watch sees to it, and meanwhile it is mute
            experts = np.nan_to_num(experts)
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

    @property
    @override
    def bound_bytes(self) -> int:
        classes, experts = len(self._feedback.classes), len(self.expert_names)
        said = (len(self._models.names) + experts + 2) * classes
        row = 8 * (2 * len(self._inputs.names) + self._layout.size + said)
        rest = bytes_of([part.state() for name, part in self._parts.items() if name != "models"])
        own = bytes_of([expert.state() for expert in self._own.values()])
        return 2 * self._models.bound_bytes + self._waiting.most * row + rest + own

    @override
    def _settings(self) -> dict[str, Any]:
        return self._made_with

    @property
    def _parts(self) -> dict[str, Stateful]:
        return {
            "floor": self.floor,
            "feedback": self._feedback,
            "inputs": self._inputs,
            "layout": self._layout,
            "models": self._models,
            "mixture": self._mixture,
        }

    @override
    def _state(self) -> dict[str, Any]:
        return {
            **{name: part.state() for name, part in self._parts.items()},
            "watch": self.watch.state(),
            "own": [expert.state() for expert in self._own.values()],
            "waiting": self._waiting.state(_ClassRow.state),
        }

    @override
    def _take(self, state: Mapping[str, Any]) -> None:
        for name, part in self._parts.items():
            part.take(state[name])
        self.watch.take_with(state["watch"], self._models)
        for expert, then in zip(self._own.values(), state["own"], strict=True):
            expert.take(then)
        self._waiting.take_state(state["waiting"], _ClassRow.of)


class OnlineRegressor(OnlineLearner):
    """Learns a number from inputs, one row at a time, and from the numbers that came before it.

    Args:
        depth: recurrent stacks of 1 to so many layers take part; 0 for none.
        hidden_size: units of each layer.
        season: rows of a season; None to look for seasons while the stream runs.
        drift: river's detector that watches the loss, or None.
        own: experts of one's own by name: a function of a row and the last values, oldest first, that gives
            the next value, or the session of a fitted Forecaster, which belongs to the learner from then on.
        level: share of the values that ``interval_one`` is to hold.
        max_delay: rows that may wait for their value at most; 0 where each comes before the next prediction.
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
        own: Mapping[str, OwnValueExpert] | None = None,
        level: float = 0.9,
        max_delay: int = 1024,
        seed: int = 0,
    ) -> None:
        self._made_with = checked(
            {
                "depth": depth,
                "hidden_size": hidden_size,
                "season": season,
                "drift": drift,
                "own": list(own or {}),
                "level": level,
                "max_delay": max_delay,
                "seed": seed,
            }
        )
        self._learner = ValueLearner.of(self._made_with, own or {})
        self.watch = self._learner.watch
        self._waiting: Waiting[ValueRow] = Waiting(max_delay)

    @property
    @override
    def weights(self) -> dict[str, float]:
        """The share of each expert in the next prediction."""
        return shares_of(self._learner.names, self._learner.mixture, self._learner.floor)

    def predict_one(self, x: Row) -> float:
        """The number expected of a row.

        Raises:
            DataError: an input that is no finite number.
        """
        raw = self._learner.inputs.read(x)
        key = key_of(raw)
        row = self._waiting.again(key)
        if row is None:
            row = self._learner.prepare(x, raw)
            self._waiting.add(key, row)
        return row.output

    def interval_one(self, x: Row) -> tuple[float, float]:
        """Bounds around ``predict_one``; endless until enough errors are known. See ``AdaptiveIntervals``."""
        raw = self._learner.inputs.read(x)
        row = self._waiting.again(key_of(raw)) or self._learner.prepare(x, raw)
        return self._learner.intervals.around(row.output)

    def score_one(self, x: Row, y: float) -> float:
        """How unusual a row's number is, before it is learned: the share of the last errors below its own.

        Raises:
            DataError: as ``learn_one``.
        """
        value, raw = _number(y), self._learner.inputs.read(x)
        row = self._waiting.look(key_of(raw)) or self._learner.prepare(x, raw)
        return self._learner.intervals.score(row.output, value)

    @property
    def threshold(self) -> float:
        """A score above it is unusual; it moves so that about one value in a hundred is."""
        return self._learner.intervals.threshold

    def learn_one(self, x: Row, y: float) -> None:
        """Learn the number of a row, NaN where missing; it may come up to ``max_delay`` predictions later.

        Raises:
            DataError: an input or a number that is infinite or no number.
        """
        value = _number(y)
        raw = self._learner.inputs.read(x)
        self._learner.learn(x, self._waiting.take(key_of(raw)) or self._learner.prepare(x, raw), value)

    @property
    @override
    def bound_bytes(self) -> int:
        return self._learner.bound_bytes + self._waiting.most * self._learner.row_bytes

    @override
    def _settings(self) -> dict[str, Any]:
        return self._made_with

    @override
    def _state(self) -> dict[str, Any]:
        return {"learner": self._learner.state(), "waiting": self._waiting.state(ValueRow.state)}

    @override
    def _take(self, state: Mapping[str, Any]) -> None:
        self._learner.take(state["learner"])
        self._waiting.take_state(state["waiting"], ValueRow.of)


class OnlineForecaster(OnlineLearner):
    """Learns a series one value at a time, and forecasts the next ones.

    Args:
        depth, hidden_size, season, drift, own, level, seed: as for ``OnlineRegressor``.

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
        own: Mapping[str, OwnValueExpert] | None = None,
        level: float = 0.9,
        seed: int = 0,
    ) -> None:
        self._made_with = checked(
            {
                "depth": depth,
                "hidden_size": hidden_size,
                "season": season,
                "drift": drift,
                "own": list(own or {}),
                "level": level,
                "seed": seed,
            }
        )
        self._learner = ValueLearner.of(self._made_with, own or {})
        self.watch = self._learner.watch
        self._next: tuple[bytes, ValueRow] | None = None

    @property
    @override
    def weights(self) -> dict[str, float]:
        """The share of each expert in the next forecast."""
        return shares_of(self._learner.names, self._learner.mixture, self._learner.floor)

    def learn_one(self, y: float, x: Row | None = None) -> None:
        """Learn the next value, NaN where missing, with what was known of its row before it.

        Raises:
            DataError: an input or a value that is infinite or no number.
        """
        value = _number(y)
        self._learner.learn(x or {}, self._row(x or {}), value)
        self._next = None

    def interval_one(self, x: Row | None = None) -> tuple[float, float]:
        """Bounds around the next value; endless until enough errors are known. See ``AdaptiveIntervals``."""
        return self._learner.intervals.around(self._row(x or {}).output)

    def score_one(self, y: float, x: Row | None = None) -> float:
        """How unusual the next value is, before it is learned: the share of the last errors below its own.

        Raises:
            DataError: as ``learn_one``.
        """
        value = _number(y)
        return self._learner.intervals.score(self._row(x or {}).output, value)

    @property
    def threshold(self) -> float:
        """A score above it is unusual; it moves so that about one value in a hundred is."""
        return self._learner.intervals.threshold

    def forecast(self, horizon: int, xs: Sequence[Row] | None = None) -> list[float]:
        """The next ``horizon`` values.

        Args:
            horizon: at least 1.
            xs: what is known of each of their rows.

        Raises:
            ConfigError: a horizon below 1, or not one of ``xs`` for each step.
        """
        if (whole_number(horizon) or 0) < 1:
            raise ConfigError(f"horizon must be a whole number of at least 1 row but is {shown(horizon)}")
        rows: Sequence[Row] = [{}] * horizon if xs is None else xs
        if len(rows) != horizon:
            raise ConfigError(f"xs has {len(rows)} rows for a horizon of {horizon}; give one for each step")
        if horizon == 1:
            return [self._row(rows[0]).output]
        return self._learner.forecast(horizon, rows)

    @property
    @override
    def bound_bytes(self) -> int:
        return self._learner.bound_bytes

    @override
    def _settings(self) -> dict[str, Any]:
        return self._made_with

    @override
    def _state(self) -> dict[str, Any]:
        return self._learner.state()

    @override
    def _take(self, state: Mapping[str, Any]) -> None:
        self._learner.take(state)
        self._next = None

    def _row(self, x: Row) -> ValueRow:
        """The forecast of the next value, made once for each row."""
        raw = self._learner.inputs.read(x)
        key = key_of(raw)
        if self._next is None or self._next[0] != key:
            self._next = (key, self._learner.prepare(x, raw))
        return self._next[1]


def _number(value: Any) -> float:
    if not is_number(value):
        raise DataError(
            f"a value must be a finite number of at most {LARGEST:g} in size, or NaN where missing, but is "
            f"{shown(value)}; convert it, or leave that row out"
        )
    return float(value)
