"""Scores: each with its unit and the direction that is better.

Forecast scores take arrays of one shape and skip what is not known: where the truth is NaN, nothing
is scored. A forecast that is NaN where the truth is known makes the score NaN, since a method must
not gain by giving no answer. The tests hold them against utilsforecast; class scores are scikit-learn's
and torchmetrics'.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np


@dataclass(frozen=True)
class Metric:
    """A score and how to read it.

    Args:
        name: its key in METRICS.
        unit: of its value, such as "target" for the unit of the target.
        direction: which values are better; coverage aims at its level and has a "target".
        score: the function.
    """

    name: str
    unit: str
    direction: Literal["lower", "higher", "target"]
    score: Callable[..., float]

    def better(self, first: float, second: float) -> bool:
        """Whether the first value beats the second; never where the score aims at a level."""
        if self.direction == "target":
            return False
        return first < second if self.direction == "lower" else first > second


class Regular(Protocol):
    """What ``mase_scale`` reads of a series table."""

    @property
    def y(self) -> np.ndarray:
        """(rows,) float64, NaN where missing."""

    @property
    def starts(self) -> np.ndarray:
        """(n+1,) int64, series i is rows starts[i]:starts[i+1]."""


class TrainingPart(Protocol):
    """What ``mase_scale`` reads of the cuts."""

    @property
    def train_end(self) -> np.ndarray:
        """(n,) int64, training rows of each series."""


def mae(truth: np.ndarray, forecast: np.ndarray) -> float:
    """Mean absolute error.

    >>> mae(np.array([1.0, np.nan, 3.0]), np.array([2.0, 5.0, 5.0]))
    1.5
    """
    return _mean(np.abs(forecast - truth), truth)


def mse(truth: np.ndarray, forecast: np.ndarray) -> float:
    """Mean squared error."""
    return _mean((forecast - truth) ** 2, truth)


def rmse(truth: np.ndarray, forecast: np.ndarray) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(mse(truth, forecast)))


def smape(truth: np.ndarray, forecast: np.ndarray) -> float:
    """Symmetric mean absolute percentage error on the scale of the M competitions, 0 to 200.

        200 * mean(|y - f| / (|y| + |f|)),   0 where y = f = 0

    Source: Makridakis et al. 2020, doi:10.1016/j.ijforecast.2019.04.014, equation 1.
    """
    size = np.abs(truth) + np.abs(forecast)
    # A zero truth met by a zero forecast is no error; dividing by 1 there keeps the 0 and any NaN.
    return 200.0 * _mean(np.abs(truth - forecast) / np.where(size == 0, 1.0, size), truth)


def mase(truth: np.ndarray, forecast: np.ndarray, scale: np.ndarray | float) -> float:
    """Mean absolute scaled error: 1 is as good as the (seasonal) naive rule on the training part.

    Args:
        truth: any shape.
        forecast: the same shape.
        scale: ``mase_scale`` of the series of each value, broadcast to that shape.

    Source: Hyndman & Koehler 2006, doi:10.1016/j.ijforecast.2006.03.001.
    """
    return _mean(np.abs(forecast - truth) / scale, truth)


def mase_scale(table: Regular, cuts: TrainingPart, season: int) -> np.ndarray:
    """Mean absolute seasonal difference of the training part of each series, (n,) float64.

        scale = mean |y[t] - y[t - season]|  over t in training, both observed

    Where that is 0 or no such pair exists, the season falls to 1; where that fails too, the scale is 1.0
    and the score is the plain absolute error.
    """
    scales = np.ones(len(cuts.train_end))
    for series, (start, rows) in enumerate(zip(table.starts[:-1], cuts.train_end, strict=True)):
        y = table.y[start : start + rows]
        for lag in (season, 1):
            steps = np.abs(y[lag:] - y[:-lag])
            seen = steps[~np.isnan(steps)]
            if seen.size and seen.mean() > 0:
                scales[series] = seen.mean()
                break
    return scales


def quantile_loss(truth: np.ndarray, forecast: np.ndarray, quantiles: Sequence[float]) -> float:
    """Mean pinball loss over the quantiles.

        max(q * (y - f), (q - 1) * (y - f))

    Args:
        truth: (...).
        forecast: (..., quantiles).
        quantiles: between 0 and 1.
    """
    levels = np.asarray(quantiles)
    error = truth[..., None] - forecast
    return _mean(np.maximum(levels * error, (levels - 1) * error).mean(axis=-1), truth)


def coverage(truth: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> float:
    """Share of known values inside [lower, upper]; good is near the level of the interval.

    >>> coverage(np.array([1.0, 2.0, np.nan]), np.array([0.0, 3.0, 0.0]), np.array([1.0, 4.0, 1.0]))
    0.5
    """
    inside = ((truth >= lower) & (truth <= upper)).astype(np.float64)
    inside[np.isnan(lower) | np.isnan(upper)] = np.nan
    return _mean(inside, truth)


def accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Share of sequences whose class is right; both (n,) class codes."""
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(truth, predicted))


def macro_f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    """F1 of each class that occurs in either, averaged with equal weight; 0 for a class never predicted."""
    from sklearn.metrics import f1_score

    return float(f1_score(truth, predicted, average="macro", zero_division=0))


def log_loss(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean negative log-probability of the true class, in nats.

    Args:
        truth: (n,) class codes.
        probabilities: (n, classes), each row sums to 1.
    """
    from sklearn.metrics import log_loss as sklearn_log_loss

    return float(sklearn_log_loss(truth, probabilities, labels=np.arange(probabilities.shape[1])))


def brier(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean squared distance of the probabilities from the true class, summed over classes: 0 to 2.

    Source: Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2, his form for several classes.
    """
    right = np.eye(probabilities.shape[1])[truth]  # (n, classes)
    return float(((probabilities - right) ** 2).sum(axis=-1).mean())


def calibration_error(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Expected calibration error over 15 equal bins of the top probability: 0 to 1.

    Source: Guo et al. 2017, arXiv:1706.04599.
    """
    import torch
    from torchmetrics.functional.classification import multiclass_calibration_error

    error = multiclass_calibration_error(
        torch.from_numpy(np.asarray(probabilities, dtype=np.float64)),
        torch.from_numpy(np.asarray(truth, dtype=np.int64)),
        num_classes=probabilities.shape[1],
        n_bins=15,
    )
    return float(error)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("mae", "target", "lower", mae),
        Metric("mse", "target squared", "lower", mse),
        Metric("rmse", "target", "lower", rmse),
        Metric("smape", "percent, 0 to 200", "lower", smape),
        Metric("mase", "errors of the naive rule", "lower", mase),
        Metric("quantile_loss", "target", "lower", quantile_loss),
        Metric("coverage", "share", "target", coverage),
        Metric("accuracy", "share", "higher", accuracy),
        Metric("macro_f1", "share", "higher", macro_f1),
        Metric("log_loss", "nats", "lower", log_loss),
        Metric("brier", "squared probability, 0 to 2", "lower", brier),
        Metric("calibration_error", "probability", "lower", calibration_error),
    )
}


def _mean(errors: np.ndarray, truth: np.ndarray) -> float:
    """Mean over what is known; NaN where nothing is."""
    known = errors[~np.isnan(truth)]
    return float(known.mean()) if known.size else float("nan")
