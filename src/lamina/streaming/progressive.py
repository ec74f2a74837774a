"""Progressive evaluation: each row is predicted, scored, and only then learned.

Every row is test data once, so nothing is held out, and the score shows what would have happened in use.
Beside it always stands the score of "no change", the last known label or value, since on streams with memory
a high accuracy alone says little.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from lamina.errors import ConfigError, DataError, did_you_mean
from lamina.streaming.adaptive import AdaptiveIntervals
from lamina.streaming.inputs import Row
from lamina.streaming.online import OnlineClassifier, OnlineForecaster, OnlineRegressor

Task = Literal["classify", "regress", "forecast"]
TASKS: tuple[Task, ...] = ("classify", "regress", "forecast")

WINDOW_ROWS = 2000
"""Rows of each point of the curve."""

_MOST_CLASSES = 10
"""A target of whole numbers with at most so many distinct ones is read as classes."""


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
        row: the last row of the window, counted from 1.
        score, no_change: accuracy, or mean absolute error, over the window.
    """

    row: int
    score: float
    no_change: float


@dataclass(frozen=True)
class Evaluation:
    """What a progressive evaluation found.

    Attributes:
        metric: "accuracy" or "mae".
        rows: rows that were scored.
        score, no_change: of the learner and of the last known label or value.
        kappa: the part of what no change gets wrong that the learner gets right: 1 is perfect, 0 is no better
            than no change. For classes this is kappa-temporal, (p - p_e) / (1 - p_e) with the accuracy of no
            change as p_e (Bifet et al. 2013, doi:10.1007/978-3-642-40988-2_30); for numbers 1 - mae / mae_e.
        windows_below: share of the windows of the curve in which the learner is worse than no change.
        curve: a point for each full window, and one for a last, shorter one.
        drifts: rows at which the learner noticed a change.
        coverage: share of values inside 90 % intervals; None for classes.
        rows_per_s: rows predicted and learned in a second, reading not counted.
        nbytes: of what was learned, at the end.
        weights: share of each expert, at the end.
    """

    metric: Literal["accuracy", "mae"]
    rows: int
    score: float
    no_change: float
    kappa: float
    windows_below: float
    curve: tuple[Point, ...]
    drifts: tuple[int, ...]
    coverage: float | None
    rows_per_s: float
    nbytes: int
    weights: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Everything, as strict JSON can hold it."""
        return {name: _json(value) for name, value in asdict(self).items()}


def evaluate(
    learner: Learner,
    rows: Iterable[tuple[Row, Any]],
    *,
    metric: Literal["accuracy", "mae"] = "accuracy",
    delay: int = 0,
    window: int = WINDOW_ROWS,
) -> Evaluation:
    """Predict, score, then learn each row.

    Args:
        learner: is changed by it.
        rows: inputs and label, in order. A label that is NaN is neither scored nor learned.
        metric: "accuracy" for classes, "mae" for numbers.
        delay: rows that come between a row and its label.
        window: rows of each point of the curve.

    Raises:
        ConfigError: a negative delay, or a window without rows.
        DataError: no row could be scored.

    >>> rows = [({"load": row % 7}, row % 7 > 3) for row in range(400)]
    >>> found = evaluate(OnlineClassifier(depth=0), rows)
    >>> found.score > 0.95 > found.no_change
    True
    """
    if delay < 0 or window < 1:
        raise ConfigError(f"delay must be 0 or more and window 1 or more, but they are {delay} and {window}")
    tally = _Tally(metric, window)
    intervals = AdaptiveIntervals() if metric == "mae" else None
    waiting: deque[tuple[Row, Any, Any]] = deque()
    last: Any = None
    seconds = 0.0
    for x, y in rows:
        start = time.perf_counter()
        waiting.append((x, y, learner.predict_one(x)))
        seconds += time.perf_counter() - start
        tally.expect(y, waiting[-1][2], last)
        if len(waiting) <= delay:
            continue
        known_x, known_y, said = waiting.popleft()
        if intervals is not None and said is not None:
            tally.cover(known_y, intervals.around(said))
            intervals.learn(said, known_y)
        start = time.perf_counter()
        if not _missing(known_y):
            learner.learn_one(known_x, known_y)
            last = known_y
        seconds += time.perf_counter() - start
    return tally.result(learner, seconds)


class SeriesLearner:
    """A forecaster as a learner of rows: the next value is what a row predicts.

    Args:
        forecaster: has ``forecast(horizon, xs)`` and ``learn_one(y, x)``.
    """

    def __init__(self, forecaster: Any) -> None:
        self.forecaster = forecaster

    def predict_one(self, x: Row) -> float | None:
        """The forecast of the next value."""
        found: list[float] = self.forecaster.forecast(1, [x])
        return found[0]

    def learn_one(self, x: Row, y: float) -> None:
        """Learn the next value."""
        self.forecaster.learn_one(y, x)


def evaluate_file(
    path: str | Path,
    target: str,
    *,
    task: Task | None = None,
    depth: int = 2,
    delay: int = 0,
    window: int = WINDOW_ROWS,
    most_rows: int | None = None,
) -> tuple[Task, list[str], Evaluation]:
    """Evaluate a learner of Lamina on the rows of a CSV or Parquet file, in their order.

    Args:
        target: the column to predict.
        task: "classify" or "regress", from the other columns of the same row; or "forecast", from the other
            columns of the row before. None takes "classify" for text and few whole numbers, or "forecast".
        depth: recurrent stacks of 1 to so many layers take part.
        most_rows: rows to read at most.

    Returns:
        the task; the columns that are no numbers and were left out; and what was found.

    Raises:
        DataError: the file cannot be read, or has no such column.
        ConfigError: there is no such task.
    """
    if task is not None and task not in TASKS:
        raise ConfigError(f"task is one of {', '.join(TASKS)} but is {task!r}{did_you_mean(task, TASKS)}")
    columns, targets, left_out, classes = _read(Path(path), target, most_rows)
    chosen: Task = task or ("classify" if classes else "forecast")
    rows: list[Row] = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    rows = rows or [{}] * len(targets)
    learner: Learner
    if chosen == "classify":
        learner = OnlineClassifier(depth=depth)
    elif chosen == "regress":
        learner = OnlineRegressor(depth=depth)
    else:
        learner = SeriesLearner(OnlineForecaster(depth=depth))
        rows = [{}, *rows[:-1]]
    if chosen != "classify" and any(isinstance(value, str) for value in targets):
        raise DataError(f"column '{target}' is text, which has no number to {chosen}; use task='classify'")
    found = evaluate(
        learner,
        zip(rows, targets, strict=True),
        metric="accuracy" if chosen == "classify" else "mae",
        delay=delay,
        window=window,
    )
    return chosen, left_out, found


def _read(
    path: Path, target: str, most_rows: int | None
) -> tuple[dict[str, list[float]], list[Any], list[str], bool]:
    """Numeric columns, the target, columns that are no numbers, and whether the target looks like classes."""
    import polars as pl

    try:
        if path.suffix == ".parquet":
            table = pl.read_parquet(path, n_rows=most_rows)
        else:
            table = pl.read_csv(
                path, n_rows=most_rows, null_values=["", "NA", "NaN"], infer_schema_length=None
            )
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path} cannot be read as a CSV or Parquet file: {error}") from error
    if target not in table.columns:
        raise DataError(f"{path} has no column '{target}'{did_you_mean(target, table.columns)}")
    wanted = table[target]
    numeric = wanted.dtype.is_numeric()
    if not (numeric or wanted.dtype in (pl.String, pl.Boolean)):
        raise DataError(f"column '{target}' holds {wanted.dtype}, not numbers, text or true and false")
    classes = not numeric or (wanted.dtype.is_integer() and wanted.n_unique() <= _MOST_CLASSES)
    others = [name for name in table.columns if name != target]
    numbers = [name for name in others if table[name].dtype.is_numeric()]
    columns = {name: table[name].cast(pl.Float64).fill_null(math.nan).to_list() for name in numbers}
    values = [math.nan if value is None else value for value in wanted.to_list()]
    return columns, values, [name for name in others if name not in columns], classes


class _Tally:
    """Sums of scores, over all rows and over the window."""

    def __init__(self, metric: Literal["accuracy", "mae"], window: int) -> None:
        self.metric = metric
        self.window = window
        self.rows = 0
        self.total = [0.0, 0.0]
        self.here = [0.0, 0.0]
        self.in_window = 0
        self.covered = self.intervals = 0
        self.curve: list[Point] = []

    def expect(self, truth: Any, said: Any, last: Any) -> None:
        """Score one prediction and that of no change; the first row is scored by neither."""
        if _missing(truth) or last is None or said is None:
            return
        if self.metric == "accuracy":
            scores = (float(said == truth), float(last == truth))
        else:
            scores = (abs(said - truth), abs(last - truth))
        self.rows += 1
        self.in_window += 1
        for number, score in enumerate(scores):
            self.total[number] += score
            self.here[number] += score
        if self.in_window == self.window:
            self._close()

    def cover(self, truth: Any, bounds: tuple[float, float]) -> None:
        """Count whether an interval held its value."""
        if not _missing(truth):
            self.intervals += 1
            self.covered += bounds[0] <= truth <= bounds[1]

    def result(self, learner: Any, seconds: float) -> Evaluation:
        """Everything that was found."""
        if not self.rows:
            raise DataError("no row could be scored: at least two labels must be known; give more rows")
        if self.in_window:
            self._close()
        score, trivial = (total / self.rows for total in self.total)
        perfect = 1.0 if self.metric == "accuracy" else 0.0
        worse = [
            point.score < point.no_change if self.metric == "accuracy" else point.score > point.no_change
            for point in self.curve
        ]
        model = learner.forecaster if isinstance(learner, SeriesLearner) else learner
        ours = isinstance(model, OnlineClassifier | OnlineRegressor | OnlineForecaster)
        return Evaluation(
            metric=self.metric,
            rows=self.rows,
            score=score,
            no_change=trivial,
            kappa=(score - trivial) / (perfect - trivial) if trivial != perfect else 0.0,
            windows_below=sum(worse) / len(worse),
            curve=tuple(self.curve),
            drifts=tuple(model.watch.drifts) if ours else (),
            coverage=self.covered / self.intervals if self.intervals else None,
            rows_per_s=self.rows / seconds if seconds > 0 else math.inf,
            nbytes=model.nbytes if ours else 0,
            weights=model.weights if ours else {},
        )

    def _close(self) -> None:
        score, trivial = (total / self.in_window for total in self.here)
        self.curve.append(Point(self.rows, score, trivial))
        self.here = [0.0, 0.0]
        self.in_window = 0


def _missing(value: Hashable) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _json(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
