"""A mixture of experts on the next value of a series: what the online regressor and the forecaster share."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from lamina.errors import DataError
from lamina.streaming.adaptive import AdaptiveIntervals
from lamina.streaming.aggregate import Floor
from lamina.streaming.drift import Detector, Watch
from lamina.streaming.experts import Layout, Models, Said, mixture_of
from lamina.streaming.feedback import ValueFeedback
from lamina.streaming.inputs import InputContext, Row, is_missing, is_number, shown
from lamina.streaming.own import OwnValueExpert, ValueExpert, value_expert
from lamina.streaming.state import Stateful, bytes_of

Array = NDArray[np.float64]

FLOOR_LIMIT = 3.0
"""The largest difference of absolute errors in a row that the floor counts, in mean absolute changes."""

LARGEST_LOSS = 10.0
"""Absolute errors are cut here when experts are weighed, in mean absolute changes."""


@dataclass(frozen=True, eq=False)
class ValueRow:
    """A row as it was predicted; forecasts are in units of the mean absolute change, from the last value."""

    raw: Array
    said: Said
    last: float
    unit: float
    experts: Array  # (experts,), no change first, so that is 0
    mixed: float  # before the floor
    output: float  # in the target's own unit

    def state(self) -> dict[str, Any]:
        """Everything by name."""
        return {**vars(self), "said": self.said.state()}

    @staticmethod
    def of(state: Mapping[str, Any]) -> ValueRow:
        """The inverse of ``state``."""
        return ValueRow(**{**state, "said": Said(**state["said"])})


class ValueLearner(Stateful):
    """Learns the next value from inputs and from the values before it.

    Args:
        depth, hidden_size, season, drift, own, level, seed: as for ``OnlineRegressor``.
    """

    kept = (
        "floor",
        "feedback",
        "inputs",
        "models",
        "mixture",
        "layout",
        "intervals",
        "_error",
        "_lowest",
        "_highest",
    )

    def __init__(
        self,
        *,
        depth: int,
        hidden_size: int,
        season: int | None,
        drift: Detector | None,
        own: Mapping[str, OwnValueExpert],
        level: float,
        seed: int,
    ) -> None:
        self.watch = Watch(drift)
        self.floor = Floor(limit=FLOOR_LIMIT)
        self.intervals = AdaptiveIntervals(level)
        self.feedback = ValueFeedback(season)
        self.inputs = InputContext()
        self.own = {name: value_expert(each) for name, each in own.items()}
        self.models = Models("identity", 1, depth=depth, hidden_size=hidden_size, seed=seed)
        self.names = (*ValueFeedback.names, *self.own, *self.models.names)
        self.mixture = mixture_of(len(self.names))
        self.layout = Layout()
        self._error = 1.0
        self._lowest, self._highest = math.inf, -math.inf

    @classmethod
    def of(cls, settings: Mapping[str, Any], own: Mapping[str, OwnValueExpert]) -> Self:
        """One with the settings of a public learner, of which it needs some."""
        names = ("depth", "hidden_size", "season", "drift", "level", "seed")
        return cls(own=own, **{name: settings[name] for name in names})

    def prepare(self, x: Row, raw: Array, feedback: ValueFeedback | None = None) -> ValueRow:
        """A forecast of the next value; with other feedback than the stream's, of the one after that.

        Args:
            x: what is known of its row.
            raw: the same as ``inputs.read`` gives it.
        """
        feedback = self.feedback if feedback is None else feedback
        z = self.layout.vector(feedback.features(), self.inputs.features(raw))
        self.models.fit_sizes(self.layout.size, 1)
        said = self.models.say(z)
        last, unit = feedback.last, feedback.unit
        rules = (feedback.trivial() - last) / unit
        models = np.concatenate([said.linear[:, 0], said.recurrent[:, 0]])
        if self.own:
            ahead = feedback.rows - self.feedback.rows
            own = [_forecast_of(each, name, x, feedback, ahead) for name, each in self.own.items()]
            models = np.concatenate([(np.array(own) - last) / unit, models])
        experts = np.concatenate([rules, np.clip(models, -LARGEST_LOSS, LARGEST_LOSS)])
        mixed = float(self.mixture.weights @ experts)
        if not math.isfinite(mixed):  # an expert has run away; the watch sees to it, and meanwhile it is mute
            experts = np.nan_to_num(experts)
            mixed = float(self.mixture.weights @ experts)
        return ValueRow(raw, said, last, unit, experts, mixed, last + (1 - self.floor.weight) * mixed * unit)

    def learn(self, x: Row, row: ValueRow, value: float) -> None:
        """Learn a row's value; of a missing one, NaN, the inputs are learned, and that a row went by."""
        if math.isnan(value):
            self.feedback.skip(self._within(row.output))
        else:
            if self.feedback.rows:
                target = (value - row.last) / row.unit
                self.intervals.learn(row.output, value)
                self._weigh(row, target)
                self.models.fit_sizes(self.layout.size, 1)
                self.models.learn(row.said, np.array([min(max(target, -LARGEST_LOSS), LARGEST_LOSS)]))
            self._lowest, self._highest = min(self._lowest, value), max(self._highest, value)
            self.feedback.learn(value)
        self.inputs.learn(row.raw)
        for expert in self.own.values():
            expert.learn(x, value)

    def forecast(self, horizon: int, xs: Sequence[Row]) -> list[float]:
        """Each next value in turn, the forecasts taken for the values that have not come.

        Forecasts stay within the range of the series widened by half of it on both sides, so that feeding
        them back cannot run away.
        """
        raws = [self.inputs.read(x) for x in islice(xs, horizon)]
        feedback = copy.deepcopy(self.feedback)
        found = []
        with self.models.recurrent.ahead() as advance:
            for x, raw in zip(xs, raws, strict=True):
                row = self.prepare(x, _widened(raw, len(self.inputs.names)), feedback)
                value = self._within(row.output)
                feedback.learn(value)
                advance(row.said.z)
                found.append(value)
        return found

    def _within(self, value: float) -> float:
        """A forecast, kept within the range of the series widened by half of it on both sides."""
        if not self.feedback.rows:
            return value
        room = (self._highest - self._lowest) / 2
        return min(max(value, self._lowest - room), self._highest + room)

    def _weigh(self, row: ValueRow, target: float) -> None:
        losses = np.minimum(np.abs(row.experts - target), LARGEST_LOSS)
        loss = min(abs(row.mixed - target), LARGEST_LOSS)
        self.floor.learn(loss, float(losses[0]))
        self.mixture.learn(losses / self._error)
        weight = max(1 / (self.feedback.rows + 1), 1 / 500)
        self._error = max(self._error + weight * (loss - self._error), 0.05)
        self.models = self.watch.follow(
            self.models, self.mixture, self.floor, loss=loss, trivial_loss=float(losses[0])
        )

    @property
    def bound_bytes(self) -> int:
        """The most that is kept, rows that wait not counted: the models and their copy, and statistics."""
        rest = bytes_of({**self.state(), "models": None, "watch": None})
        return 2 * self.models.bound_bytes + rest

    @property
    def row_bytes(self) -> int:
        """The most that one row takes while it waits."""
        models = len(self.models.names)
        return 8 * (2 * len(self.inputs.names) + self.layout.size + models + len(self.names))

    @override
    def state(self) -> dict[str, Any]:
        own = [expert.state() for expert in self.own.values()]
        return {**super().state(), "watch": self.watch.state(), "own": own}

    @override
    def take(self, state: Mapping[str, Any]) -> None:
        super().take(state)
        self.watch.take_with(state["watch"], self.models)
        for expert, then in zip(self.own.values(), state["own"], strict=True):
            expert.take(then)


def _forecast_of(expert: ValueExpert, name: str, x: Row, feedback: ValueFeedback, ahead: int) -> float:
    """What an expert of one's own forecasts; no change where that is not finite."""
    said: Any = expert.forecast(x, feedback.history, ahead)
    if not isinstance(said, Real | np.bool_):
        raise DataError(f"an expert forecasts a number, but {name!r} gave {shown(said)}; return a float")
    return feedback.last if is_missing(said) or not is_number(said) else float(said)


def _widened(raw: Array, inputs: int) -> Array:
    """A row of inputs, those that first appear after it missing."""
    return np.append(raw, np.full(inputs - len(raw), math.nan))
