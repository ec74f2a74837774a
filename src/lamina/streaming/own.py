"""Experts of one's own in an online learner: functions, and sessions of trained models."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from lamina.errors import ConfigError, DataError
from lamina.streaming.forecast_session import ForecastSession
from lamina.streaming.inputs import Row
from lamina.streaming.session import RowSession

Array = NDArray[np.float64]

ValueFunction = Callable[[Row, Array], float]
"""A forecast from a row's inputs and the last values, oldest first."""

ClassFunction = Callable[[Row], Mapping[Any, float]]
"""The probability of each class from a row's inputs; classes left out have none."""

OwnValueExpert = ValueFunction | ForecastSession
OwnClassExpert = ClassFunction | RowSession


class ValueExpert(ABC):
    """Forecasts the next value of a series."""

    @abstractmethod
    def forecast(self, x: Row, history: Array, ahead: int) -> float:
        """The next value.

        Args:
            x: what is known of its row.
            history: the values before it, oldest first.
            ahead: how many of the last ones are forecasts themselves.
        """

    def learn(self, x: Row, value: float) -> None:  # noqa: B027  # a function learns nothing
        """Let a value, NaN where missing, become the past."""

    def state(self) -> bytes:
        """What it has come to."""
        return b""

    def take(self, state: bytes) -> None:  # noqa: B027  # nor keeps anything
        """Go on from a state."""


class FunctionForecasts(ValueExpert):
    """What a function forecasts."""

    def __init__(self, function: ValueFunction) -> None:
        self._function = function

    @override
    def forecast(self, x: Row, history: Array, ahead: int) -> float:
        return self._function(x, history)


class SessionForecasts(ValueExpert):
    """What a session of a fitted Forecaster forecasts, under its key "".

    The session reads each value that is learned as the row one step after its last, so a model of one series
    goes on from the end of its training rows; ``session.reset("")`` before makes it start with nothing. A
    missing value is read as what the model expected. Until its window is full, it says "no change".
    """

    def __init__(self, session: ForecastSession) -> None:
        if session.needs_future:
            raise ConfigError(
                "this model was fitted on columns known ahead for its whole horizon, which online learners "
                "do not have. Fit it without future=, or write a function of your own."
            )
        self._session = session
        self._said: Array | None = None
        self._look()

    def _look(self) -> None:
        found = self._session.forecast()
        self._said = None if found is None else found.median

    @override
    def forecast(self, x: Row, history: Array, ahead: int) -> float:
        if self._said is None:
            return float(history[-1]) if len(history) else 0.0
        return float(self._said[min(ahead, len(self._said) - 1)])

    @override
    def learn(self, x: Row, value: float) -> None:
        if np.isnan(value):
            if self._said is None:
                return
            value = float(self._said[0])
        self._session.step_next(value, x)
        self._look()

    @override
    def state(self) -> bytes:
        return self._session.snapshot()

    @override
    def take(self, state: bytes) -> None:
        self._session.restore(state)
        self._look()


class ClassExpert(ABC):
    """Tells classes."""

    @abstractmethod
    def chances(self, x: Row) -> Mapping[Any, float]:
        """The probability of each class of a row."""

    def learn(self, x: Row) -> None:  # noqa: B027  # a function learns nothing
        """Let a row become the past."""

    def state(self) -> dict[str, Any]:
        """What it has come to."""
        return {}

    def take(self, state: Mapping[str, Any]) -> None:  # noqa: B027  # nor keeps anything
        """Go on from a state."""


class FunctionChances(ClassExpert):
    """What a function says."""

    def __init__(self, function: ClassFunction) -> None:
        self._function = function

    @override
    def chances(self, x: Row) -> Mapping[Any, float]:
        return self._function(x)


class SessionChances(ClassExpert):
    """What a session of a fitted SequenceClassifier says, under its key "", after all rows so far.

    The first row gives the order of the inputs. Classes are told apart by their text, as the session's are.
    """

    def __init__(self, session: RowSession) -> None:
        if not session.classes:
            raise ConfigError(
                "an expert tells classes, and this session gives numbers. Use the session of a classifier."
            )
        self._session = session
        self._names: list[Any] = []

    @override
    def chances(self, x: Row) -> Mapping[Any, float]:
        said = self._session.peek(self._row(x))
        return dict(zip(self._session.classes, said.tolist(), strict=True))

    @override
    def learn(self, x: Row) -> None:
        self._session.step(self._row(x))

    def _row(self, x: Row) -> list[float]:
        self._names = self._names or list(x)
        missing = [name for name in self._names if name not in x]
        if missing:
            raise DataError(
                f"a trained expert reads the same inputs in each row; {missing[0]!r} is left out. Add it."
            )
        return [float(x[name]) for name in self._names]

    @override
    def state(self) -> dict[str, Any]:
        return {"names": list(self._names), "session": self._session.snapshot()}

    @override
    def take(self, state: Mapping[str, Any]) -> None:
        self._names = list(state["names"])
        self._session.restore(state["session"])


def value_expert(own: OwnValueExpert) -> ValueExpert:
    """The expert that a function or a session is."""
    if isinstance(own, ForecastSession):
        return SessionForecasts(own)
    if callable(own):
        return FunctionForecasts(own)
    raise ConfigError(
        f"an expert of one's own is a function or the session of a Forecaster, but is {own!r}. "
        "Give model.stream()."
    )


def class_expert(own: OwnClassExpert) -> ClassExpert:
    """The expert that a function or a session is."""
    if isinstance(own, RowSession):
        return SessionChances(own)
    if callable(own):
        return FunctionChances(own)
    raise ConfigError(
        f"an expert of one's own is a function or the session of a SequenceClassifier, but is {own!r}. "
        "Give model.stream()."
    )


def chances_of(expert: ClassExpert, x: Row, classes: Sequence[Hashable]) -> Array:
    """What an expert says of a learner's classes, (classes,); even where it knows none of them."""
    said: Mapping[Any, Any] = expert.chances(x)
    if not all(isinstance(chance, Real) and 0 <= float(chance) < math.inf for chance in said.values()):
        raise DataError(f"an expert's probabilities are numbers from 0 to 1, but these are {dict(said)!r}.")
    found = np.array([said.get(label, said.get(str(label), 0.0)) for label in classes], dtype=np.float64)
    total = found.sum()
    return found / total if total > 0 else np.full(len(classes), 1.0 / max(len(classes), 1))
