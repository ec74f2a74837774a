"""The rows of a file as a stream, and what an online learner makes of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from lamina.errors import ConfigError, DataError, did_you_mean
from lamina.streaming.drift import Detector
from lamina.streaming.inputs import Row
from lamina.streaming.online import OnlineClassifier, OnlineForecaster, OnlineRegressor
from lamina.streaming.progressive import WINDOW_ROWS, Evaluation, Learner, Metric, SeriesLearner, evaluate

if TYPE_CHECKING:
    import polars as pl

Task = Literal["classify", "regress", "forecast"]

_MOST_CLASSES = 10
"""A target of whole numbers with at most so many distinct ones is read as classes."""

_POINTS, _LEAST_WINDOW = 20, 10
"""A stream too short for a curve of so many full windows has shorter ones, of at least so many rows."""


@dataclass(frozen=True)
class StreamFile:
    """A file as a stream.

    Attributes:
        path: of the file.
        target: the column to predict.
        task: "classify" or "regress", from the other columns of the same row; or "forecast", from the other
            columns of the row before.
        rows: inputs and label, in the order of the file.
        left_out: columns that are no numbers.
    """

    path: Path
    target: str
    task: Task
    rows: tuple[tuple[Row, Any], ...]
    left_out: tuple[str, ...]

    @classmethod
    def read(
        cls, path: str | Path, target: str, *, task: Task | None = None, most_rows: int | None = None
    ) -> StreamFile:
        """The rows of a CSV or Parquet file.

        Args:
            path: of the file.
            target: the column to predict.
            task: None takes "classify" for text and few whole numbers, or "forecast".
            most_rows: rows to read at most.

        Raises:
            DataError: the file cannot be read, has no such column, or one that does not suit the task.
            ConfigError: there is no such task.
        """
        if task is not None and task not in get_args(Task):
            raise ConfigError(
                f"task is one of {', '.join(get_args(Task))} but is {task!r}"
                f"{did_you_mean(task, get_args(Task))}"
            )
        table = _table(Path(path), most_rows)
        if target not in table.columns:
            raise DataError(f"{path} has no column '{target}'{did_you_mean(target, table.columns)}")
        labels, classes = _labels(table[target])
        chosen: Task = task or ("classify" if classes else "forecast")
        if chosen != "classify" and any(isinstance(label, str) for label in labels):
            raise DataError(
                f"column '{target}' is text, which has no number to {chosen}; use task='classify'"
            )
        others = [name for name in table.columns if name != target]
        numbers = [name for name in others if table[name].dtype.is_numeric()]
        columns = [table[name].cast(float).fill_null(math.nan).to_list() for name in numbers]
        inputs: list[Row] = [dict(zip(numbers, row, strict=True)) for row in zip(*columns, strict=True)]
        inputs = inputs or [{}] * len(labels)
        if chosen == "forecast":
            inputs = [{}, *inputs[:-1]]
        left_out = tuple(name for name in others if name not in numbers)
        return cls(Path(path), target, chosen, tuple(zip(inputs, labels, strict=True)), left_out)


@dataclass(frozen=True)
class FileEvaluation:
    """A file, the settings of the learner that met it, and what was found.

    Attributes:
        file: the stream.
        drift: river's detector that watched the loss, or None.
        depth: recurrent stacks of 1 to so many layers took part.
        found: scores, curve, weights.
    """

    file: StreamFile
    drift: Detector | None
    depth: int
    found: Evaluation

    def to_dict(self) -> dict[str, Any]:
        """Everything but the rows, as strict JSON can hold it."""
        file = self.file
        about = {"path": str(file.path), "target": file.target, "task": file.task, "left_out": file.left_out}
        return {**about, "drift": self.drift, "depth": self.depth, **self.found.to_dict()}


def evaluate_file(
    file: StreamFile,
    *,
    drift: Detector | None = None,
    depth: int = 2,
    delay: int = 0,
    window: int | None = None,
    seen: Callable[[Any, Any], None] | None = None,
) -> FileEvaluation:
    """Let an online learner with default settings predict, then learn each row of a file.

    Args:
        file: from ``StreamFile.read``.
        drift: river's detector that watches the loss, "adwin" or "page-hinkley"; None for none.
        depth: recurrent stacks of 1 to so many layers take part.
        delay: rows that come between a row and its label.
        window: rows of each point of the curve. None takes 2,000, or a twentieth of a shorter stream.
        seen: called with the label of each row and what was said of it, in order.

    Raises:
        ConfigError: a negative delay or depth, a window without rows, or no such detector.
        DataError: no row could be scored.
        MissingPackageError: ``drift`` is given and river is not installed.
    """
    if window is None:
        window = max(min(-(-len(file.rows) // _POINTS), WINDOW_ROWS), _LEAST_WINDOW)
    learner: Learner
    if file.task == "forecast":
        learner = SeriesLearner(OnlineForecaster(depth=depth, drift=drift), horizon=max(delay, 0) + 1)
    else:
        kind = OnlineClassifier if file.task == "classify" else OnlineRegressor
        learner = kind(depth=depth, drift=drift, max_delay=max(delay, 0) + 1)
    metric: Metric = "accuracy" if file.task == "classify" else "mae"
    found = evaluate(learner, file.rows, metric=metric, delay=delay, window=window, seen=seen)
    return FileEvaluation(file, drift, depth, found)


def _table(path: Path, most_rows: int | None) -> pl.DataFrame:
    import polars as pl

    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path, n_rows=most_rows)
        return pl.read_csv(path, n_rows=most_rows, null_values=["", "NA", "NaN"], infer_schema_length=None)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path} cannot be read as a CSV or Parquet file: {error}") from error


def _labels(column: pl.Series) -> tuple[list[Any], bool]:
    """Each row's label, NaN where missing, and whether they look like classes."""
    import polars as pl

    numeric = column.dtype.is_numeric()
    if not (numeric or column.dtype in (pl.String, pl.Boolean)):
        raise DataError(f"column '{column.name}' holds {column.dtype}, not numbers, text or true and false")
    classes = not numeric or (column.dtype.is_integer() and column.n_unique() <= _MOST_CLASSES)
    return [math.nan if label is None else label for label in column.to_list()], classes
