"""Forecasting: direct multi-horizon quantiles from the state at the end of a window."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from lamina._config import Config
from lamina.data.calendar import calendar_features
from lamina.data.windows import Windows
from lamina.errors import ConfigError, did_you_mean
from lamina.tasks.base import BodyConfig, Reader
from lamina.tasks.forecast_inputs import ForecastBatch, ForecastInputs

Array = NDArray[np.float64]
PointMetric = Literal["mase", "mae", "mse", "rmse", "smape"]
QUANTILES = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)


class ForecastConfig(Config):
    """The form of a forecasting network.

    Attributes:
        horizon: steps ahead, all forecast at once.
        input_size: steps of the past that a forecast sees; a multiple of ``segment``.
        segment: steps of the past read as one step of the recurrence.
        width: features a segment is mapped to; there is no such map where ``segment`` is 1.
        highway: a path around the recurrence: ``linear`` maps the scaled window to the horizon.
        attention: join an attention over all outputs to the last state.
        quantiles: levels forecast, ascending, with 0.5 among them.
    """

    horizon: int = Field(ge=1)
    input_size: int = Field(ge=1)
    segment: int = Field(default=1, ge=1)
    width: int = Field(default=128, ge=1)
    highway: Literal["linear", "none"] = "linear"
    attention: bool = False
    quantiles: tuple[float, ...] = QUANTILES

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.input_size % self.segment:
            raise ValueError(f"input_size {self.input_size} must be a multiple of segment {self.segment}")
        inside = all(0 < q < 1 for q in self.quantiles)
        if not inside or list(self.quantiles) != sorted(set(self.quantiles)) or 0.5 not in self.quantiles:
            raise ValueError(f"quantiles must ascend between 0 and 1 and hold 0.5, but are {self.quantiles}")
        return self


class ForecastNetwork(nn.Module):
    """Scaled quantiles of the horizon from a scaled window.

    The window's segments are mapped linearly, read by the body, and the state at the end gives all steps
    at once; what is known of each future step joins there. The network corrects the seasonal naive forecast:
    its last linear maps start at zero.
    """

    KNOWN = 64  # features a step where the state meets what is known of the future

    def __init__(self, config: ForecastConfig, inputs: ForecastInputs, body: BodyConfig) -> None:
        super().__init__()
        self.config = config
        features = config.segment * (1 + inputs.step_features)
        self.reader = Reader(
            features, body, width=config.width if config.segment > 1 else None, attention=config.attention
        )
        size = self.reader.output_size + inputs.static_features
        levels = len(config.quantiles)
        self.head = _zeros(nn.Linear(size, config.horizon * levels))
        self.highway = (
            _zeros(nn.Linear(config.input_size, config.horizon)) if config.highway == "linear" else None
        )
        self.known: nn.ModuleDict | None = None
        if inputs.future_features:
            self.known = nn.ModuleDict(
                {
                    "state": nn.Linear(size, self.KNOWN),
                    "future": nn.Linear(inputs.future_features, self.KNOWN),
                    "out": _zeros(nn.Linear(self.KNOWN, levels)),
                }
            )

    def read(self, batch: ForecastBatch) -> Tensor:
        """One batch -> the state at the end of each window, (batch, size)."""
        steps = torch.cat([batch.past[..., None], batch.steps], dim=-1)  # (batch, input_size, features)
        rows, length, features = steps.shape
        segment = self.config.segment
        vector: Tensor = self.reader(steps.reshape(rows, length // segment, segment * features))
        return vector

    def forward(self, batch: ForecastBatch) -> Tensor:
        """One batch -> (batch, horizon, quantiles), scaled."""
        state = torch.cat([self.read(batch), batch.static], dim=-1)
        out: Tensor = self.head(state).view(len(state), self.config.horizon, -1) + batch.anchor[..., None]
        if self.highway is not None:
            out = out + self.highway(batch.past)[..., None]
        if self.known is not None:
            joint = self.known["state"](state)[:, None] + self.known["future"](batch.future)
            out = out + self.known["out"](nn.functional.gelu(joint))
        return out


def _zeros(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def pinball(prediction: Tensor, batch: ForecastBatch, quantiles: Tensor) -> Tensor:
    """Mean pinball loss over quantiles, steps and windows; missing targets do not count.

    Args:
        prediction: (batch, horizon, quantiles).
        batch: its target and weight.
        quantiles: (quantiles,).
    """
    gap = batch.target[..., None] - prediction
    loss = torch.maximum(quantiles * gap, (quantiles - 1) * gap).mean(-1)
    return (loss * batch.weight).sum() / batch.weight.sum().clamp(min=1)


def window_errors(metric: PointMetric, target: Array, forecast: Array, scale: Array) -> Array:
    """Error of each window: the metric's mean over its observed steps, NaN where none is.

    Args:
        metric: ``rmse`` gives each window's mean squared error, whose mean's root is the metric.
        target, forecast: (windows, horizon).
        scale: each window's MASE denominator, (windows,); used by ``mase`` only.
    """
    gap = np.abs(target - forecast)
    if metric in ("mse", "rmse"):
        error = gap**2
    elif metric == "smape":
        error = 200 * gap / np.maximum(np.abs(target) + np.abs(forecast), 1e-12)
    elif metric == "mase":
        error = gap / scale[:, None]
    else:
        error = gap
    known = ~np.isnan(error)
    total = np.where(known, error, 0.0).sum(axis=1)
    return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)


def mean_error(metric: PointMetric, errors: Array) -> float:
    """The metric over all windows that have a target."""
    mean = float(np.nanmean(errors)) if np.isfinite(errors).any() else float("nan")
    return float(mean ** mean_power(metric))


def mean_power(metric: PointMetric) -> float:
    """The power of the mean of ``window_errors`` that is the metric."""
    return 0.5 if metric == "rmse" else 1.0


class ForecastBatches:
    """Training windows in an order that depends on the seed and the epoch's number alone."""

    def __init__(self, windows: Windows, inputs: ForecastInputs, *, batch_size: int, seed: int) -> None:
        self._windows, self._inputs = windows, inputs
        self._size, self._seed = min(batch_size, len(windows)), seed
        self._calendar = calendar_features(windows.table.time, inputs.frequency, inputs.calendar)

    def __len__(self) -> int:
        return len(self._windows) // self._size

    def epoch(self, number: int, *, start: int = 0) -> Iterator[ForecastBatch]:
        """Full batches only, so that every step weighs as much."""
        order = np.random.default_rng((self._seed, number)).permutation(len(self._windows))
        for batch in range(start, len(self)):
            chosen = np.sort(order[batch * self._size : (batch + 1) * self._size])
            yield self._inputs.collate(self._windows.batch(chosen), self._calendar)


class ForecastObjective:
    """Pinball loss to descend; the point metric of the median on validation windows to select by."""

    higher_is_better = False

    def __init__(
        self,
        config: ForecastConfig,
        inputs: ForecastInputs,
        validation: Windows,
        *,
        metric: PointMetric,
        scale: Array,
        most_windows: int = 1024,
    ) -> None:
        """``scale``: each series' MASE denominator; validation is thinned evenly to ``most_windows``."""
        known = get_args(PointMetric)
        if metric not in known:
            raise ConfigError(
                f"metric is one of {', '.join(known)}, but is {metric!r}{did_you_mean(metric, known)}"
            )
        self._config, self._inputs, self._metric, self._scale = config, inputs, metric, scale
        chosen = np.unique(
            np.linspace(0, len(validation) - 1, min(most_windows, len(validation))).astype(int)
        )
        self._batches, self._targets, self._series = [], [], []
        for part in np.array_split(chosen, max(1, len(chosen) // 512)):
            batch = validation.batch(part)
            self._batches.append(inputs.collate(batch))
            self._targets.append(batch.target)
            self._series.append(batch.series)
        self._quantiles = torch.tensor(config.quantiles)

    def loss(self, network: nn.Module, batch: ForecastBatch) -> Tensor:
        return pinball(network(batch), batch, self._quantiles.to(batch.target.device))

    @torch.no_grad()
    def validate(self, network: nn.Module) -> tuple[float, float]:
        """The metric of the median, and the pinball loss over all quantiles."""
        errors, losses, weights = [], [], []
        median = self._config.quantiles.index(0.5)
        for batch, target, series in zip(self._batches, self._targets, self._series, strict=True):
            on_device = _on_device(batch, network)
            quantiles = network(on_device)
            forecast = descale(quantiles[..., median], on_device)
            errors.append(window_errors(self._metric, target, forecast, self._scale[series]))
            levels = self._quantiles.to(on_device.target.device)
            losses.append(float(pinball(quantiles, on_device, levels)))
            weights.append(float(batch.weight.sum()) + 1e-12)
        return mean_error(self._metric, np.concatenate(errors)), float(np.average(losses, weights=weights))

    @torch.no_grad()
    def constant_output(self, network: nn.Module) -> str | None:
        """A recurrence that died: its vector is the same for every window."""
        batch = _on_device(self._batches[0], network)
        if len(batch.past) < 2 or not isinstance(network, ForecastNetwork):
            return None
        spread = float(network.read(batch).std(dim=0).max())
        if spread < 1e-5:
            return f"the last layer's output is the same for every window (standard deviation {spread:.1e})"
        return None


def _on_device(batch: ForecastBatch, network: nn.Module) -> ForecastBatch:
    device = next(network.parameters()).device
    return ForecastBatch(*(part.to(device) for part in batch))


def descale(values: Tensor, batch: ForecastBatch) -> Array:
    """Scaled (batch, horizon) or (batch, horizon, quantiles) back to the target's unit, float64."""
    offset, scale = batch.offset, batch.scale
    if values.ndim == 3:
        offset, scale = offset[..., None], scale[..., None]
    result: Array = (values.double() * scale + offset).cpu().numpy()
    return result


@torch.no_grad()
def predict_windows(
    network: ForecastNetwork, inputs: ForecastInputs, windows: Windows, *, batch_size: int = 512
) -> Array:
    """Quantiles of every window in the target's unit, (windows, horizon, quantiles), ascending."""
    parts = [np.zeros((0, network.config.horizon, len(network.config.quantiles)))]
    for begin in range(0, len(windows), batch_size):
        chosen = np.arange(begin, min(begin + batch_size, len(windows)))
        batch = _on_device(inputs.collate(windows.batch(chosen)), network)
        parts.append(descale(network(batch), batch))
    return np.sort(np.concatenate(parts), axis=-1)
