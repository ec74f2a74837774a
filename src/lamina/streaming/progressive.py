"""Progressive evaluation: each row is predicted, scored, and only then learned.

Every row is test data once, so nothing is held out, and the score shows what would have happened in use.
Beside it always stands the score of "no change", the last known label or value, since on streams with memory
a high accuracy alone says little.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, get_args

from lamina.errors import ConfigError, DataError, did_you_mean
from lamina.streaming.adaptive import AdaptiveIntervals
from lamina.streaming.inputs import Row, is_missing
from lamina.streaming.learner import OnlineLearner

Metric = Literal["accuracy", "mae"]

LEVEL = 0.9
"""The share of values that the intervals around forecasts are to hold."""

WINDOW_ROWS = 2000
"""Rows of each point of the curve."""

_LOOK_ROWS = 10
"""Rows between two looks at the experts' weights, which cost a twentieth of a row."""


class Learner(Protocol):
    """What is evaluated: one of Lamina's learners or river's."""

    def predict_one(self, x: Any) -> Any:
        """The label or number expected of a row; None while there is none."""

    def learn_one(self, x: Any, y: Any) -> Any:
        """Learn a row."""


@dataclass(frozen=True)
class Point:
    """One window of rows.

    Attributes:
        row: the last row of the window, counted from 1 in the order in which rows came.
        score, no_change: accuracy, or mean absolute error, over the window.
        kappa: as of the whole evaluation; None where no change makes no error.
        coverage: share of its values inside 90 % intervals, each known when its row was predicted; None for
            classes, and where there were none yet.
        weights: mean share of each expert over the window; empty for learners without experts.
    """

    row: int
    score: float
    no_change: float
    kappa: float | None
    coverage: float | None
    weights: dict[str, float]


@dataclass(frozen=True)
class Evaluation:
    """What a progressive evaluation found.

    Attributes:
        metric: "accuracy" or "mae".
        rows: rows that were scored.
        delay: rows that came between a row and its label.
        window: rows of each point of the curve.
        score, no_change: of the learner and of the last known label or value.
        kappa: the part of what no change gets wrong that the learner gets right: 1 is perfect, 0 is no better
            than no change. For classes this is kappa-temporal, (p - p_e) / (1 - p_e) with the accuracy of no
            change as p_e (Bifet et al. 2013, doi:10.1007/978-3-642-40988-2_30); for numbers 1 - mae / mae_e.
            None where no change makes no error.
        windows_below: share of the windows of the curve in which the learner is worse than no change, or its
            score is NaN since it said NaN.
        curve: a point for each full window, and one for a last, shorter one.
        drifts: rows at which the learner noticed a change, counted as in the curve.
        rollbacks: how often it went back to a copy of itself, its learning having run away.
        coverage: share of values inside 90 % intervals, as in the curve; rows before there were any are left
            out.
        rows_per_s: rows predicted and learned in a second, reading not counted.
        nbytes, bound_bytes: of what was learned, at the end, and what that can come to at most; 0 where the
            learner does not say.
        weights: share of each expert, at the end.
    """

    metric: Metric
    rows: int
    delay: int
    window: int
    score: float
    no_change: float
    kappa: float | None
    windows_below: float
    curve: tuple[Point, ...]
    drifts: tuple[int, ...]
    rollbacks: int
    coverage: float | None
    rows_per_s: float
    nbytes: int
    bound_bytes: int
    weights: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Everything, as strict JSON can hold it."""
        found: dict[str, Any] = _json(asdict(self))
        return found


def evaluate(
    learner: Learner,
    rows: Iterable[tuple[Row, Any]],
    *,
    metric: Metric = "accuracy",
    delay: int = 0,
    window: int = WINDOW_ROWS,
    seen: Callable[[Any, Any], None] | None = None,
) -> Evaluation:
    """Predict, score, then learn each row.

    Args:
        learner: is changed by it.
        rows: inputs and label, in order. A label that is None or NaN is neither scored nor learned; for
            numbers, our learners are told that a row went by.
        metric: "accuracy" for classes, "mae" for numbers.
        delay: rows that come between a row and its label.
        window: rows of each point of the curve.
        seen: called with the label of each row and what was said of it, in order.

    Raises:
        ConfigError: a negative delay, a window without rows, or no such metric.
        DataError: no row could be scored.

    >>> from lamina.streaming.online import OnlineClassifier
    >>> rows = [({"load": row % 7}, row % 7 > 3) for row in range(400)]
    >>> found = evaluate(OnlineClassifier(depth=0), rows)
    >>> found.score > 0.95 > found.no_change
    True
    """
    if delay < 0 or window < 1:
        raise ConfigError(f"delay must be 0 or more and window 1 or more, but they are {delay} and {window}")
    if metric not in get_args(Metric):
        raise ConfigError(
            f"metric is one of {', '.join(get_args(Metric))} but is {metric!r}"
            f"{did_you_mean(str(metric), get_args(Metric))}"
        )
    model = _of_ours(learner)
    tally = _Tally(metric, window, model)
    intervals = AdaptiveIntervals(LEVEL) if metric == "mae" else None
    waiting: deque[tuple[Row, Any, Any, tuple[float, float] | None]] = deque()
    last: Any = None
    seconds = 0.0
    for x, y in rows:
        start = time.perf_counter()
        said = learner.predict_one(x)
        seconds += time.perf_counter() - start
        waiting.append((x, y, said, _bounds(intervals, said)))
        tally.expect(y, said, last)
        if seen is not None:
            seen(y, said)
        if len(waiting) <= delay:
            continue
        known_x, known_y, said, bounds = waiting.popleft()
        if bounds is not None:
            tally.cover(known_y, bounds)
        if intervals is not None and said is not None and not is_missing(known_y):
            intervals.learn(said, known_y)
        start = time.perf_counter()
        if not is_missing(known_y):
            learner.learn_one(known_x, known_y)
            last = known_y
        elif model is not None and metric == "mae":
            learner.learn_one(known_x, math.nan)  # a series goes on
        seconds += time.perf_counter() - start
        tally.notice()
    return tally.result(seconds, delay=delay)


class SeriesLearner:
    """A forecaster as a learner of rows: a row predicts the value that it will have.

    Args:
        forecaster: has ``forecast(horizon, xs)`` and ``learn_one(y, x)``.
        horizon: how many rows after the last one learned a row comes: one more than its value is late.
    """

    def __init__(self, forecaster: Any, *, horizon: int = 1) -> None:
        self.forecaster = forecaster
        self._xs: deque[Row] = deque(maxlen=horizon)

    def predict_one(self, x: Row) -> float | None:
        """The forecast of the value of a row, from those of the rows that have been learned."""
        self._xs.append(x)
        found: list[float] = self.forecaster.forecast(len(self._xs), list(self._xs))
        return found[-1]

    def learn_one(self, x: Row, y: float) -> None:
        """Learn the next value."""
        self.forecaster.learn_one(y, x)


class _Tally:
    """Sums of scores over all rows and over the window, and what the learner tells of itself."""

    def __init__(self, metric: Metric, window: int, model: OnlineLearner | None) -> None:
        self._metric: Metric = metric
        self._window = window
        self._model = model
        self._came = 0
        self._rows = 0
        self._total = [0.0, 0.0]
        self._here = [0.0, 0.0]
        self._in_window = 0
        self._covered, self._covered_here = _Share(), _Share()
        self._looks = 0
        self._weights: dict[str, float] = {}
        self._curve: list[Point] = []
        self._drifts: list[int] = []
        self._last_drift = self._newest_drift

    def expect(self, truth: Any, said: Any, last: Any) -> None:
        """Score one prediction and that of no change; the first row is scored by neither."""
        self._came += 1
        if is_missing(truth) or last is None or said is None:
            return
        if self._metric == "accuracy":
            scores = (float(said == truth), float(last == truth))
        else:
            scores = (abs(said - truth), abs(last - truth))
        self._rows += 1
        self._in_window += 1
        for number, score in enumerate(scores):
            self._total[number] += score
            self._here[number] += score

    def cover(self, truth: Any, bounds: tuple[float, float]) -> None:
        """Count whether an interval held its value."""
        if not is_missing(truth):
            inside = bounds[0] <= truth <= bounds[1]
            self._covered.add(inside)
            self._covered_here.add(inside)

    def notice(self) -> None:
        """A row is over: note whether the learner has noticed a change, and close a full window."""
        if self._newest_drift != self._last_drift:
            self._last_drift = self._newest_drift
            self._drifts.append(self._came)
        if self._came % _LOOK_ROWS == 0:
            self._look()
        if self._in_window == self._window:
            self._close()

    def _look(self) -> None:
        """Add the experts' weights of now to those of the window."""
        if self._model is not None:
            self._looks += 1
            for name, share in self._model.weights.items():
                self._weights[name] = self._weights.get(name, 0.0) + share

    @property
    def _newest_drift(self) -> list[int]:
        return [] if self._model is None else self._model.watch.drifts[-1:]

    def result(self, seconds: float, *, delay: int) -> Evaluation:
        """Everything that was found."""
        if not self._rows:
            raise DataError("no row could be scored: at least two labels must be known; give more rows")
        if self._in_window:
            self._close()
        score, trivial = (total / self._rows for total in self._total)
        worse = [
            not (
                point.score >= point.no_change
                if self._metric == "accuracy"
                else point.score <= point.no_change
            )
            for point in self._curve
        ]
        model = self._model
        return Evaluation(
            metric=self._metric,
            rows=self._rows,
            delay=delay,
            window=self._window,
            score=score,
            no_change=trivial,
            kappa=self._kappa(score, trivial),
            windows_below=sum(worse) / len(worse),
            curve=tuple(self._curve),
            drifts=tuple(self._drifts),
            rollbacks=0 if model is None else model.watch.rollbacks,
            coverage=self._covered.value,
            rows_per_s=self._rows / seconds if seconds > 0 else math.inf,
            nbytes=0 if model is None else model.nbytes,
            bound_bytes=0 if model is None else model.bound_bytes,
            weights={} if model is None else model.weights,
        )

    def _close(self) -> None:
        if not self._looks:
            self._look()
        score, trivial = (total / self._in_window for total in self._here)
        self._curve.append(
            Point(
                row=self._came,
                score=score,
                no_change=trivial,
                kappa=self._kappa(score, trivial),
                coverage=self._covered_here.value,
                weights={name: total / self._looks for name, total in self._weights.items()},
            )
        )
        self._looks, self._weights = 0, {}
        self._here = [0.0, 0.0]
        self._in_window = 0
        self._covered_here = _Share()

    def _kappa(self, score: float, trivial: float) -> float | None:
        perfect = 1.0 if self._metric == "accuracy" else 0.0
        return None if trivial == perfect else (score - trivial) / (perfect - trivial)


class _Share:
    """How many of some cases hold."""

    def __init__(self) -> None:
        self._true = self._all = 0

    def add(self, holds: bool) -> None:
        self._true += holds
        self._all += 1

    @property
    def value(self) -> float | None:
        """The share; None of no cases."""
        return self._true / self._all if self._all else None


def _bounds(intervals: AdaptiveIntervals | None, said: Any) -> tuple[float, float] | None:
    """The interval of a forecast as it is made; None of none, and while too few errors are known.

    The interval around NaN holds no value.
    """
    if intervals is None or said is None:
        return None
    if math.isnan(said):
        return math.nan, math.nan
    return intervals.around(said) if intervals.ready else None


def _of_ours(learner: Learner) -> OnlineLearner | None:
    """The learner of Lamina that is evaluated; None where it is another's."""
    inner: object = learner.forecaster if isinstance(learner, SeriesLearner) else learner
    return inner if isinstance(inner, OnlineLearner) else None


def _json(value: Any) -> Any:
    """The same without numbers that strict JSON lacks."""
    if isinstance(value, dict):
        return {name: _json(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_json(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
