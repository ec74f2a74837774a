"""From windows of a table to what the forecasting network reads.

Everything fitted here is fitted on the training part. The target is scaled by each window's own past, so
nothing about it is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lamina.data.calendar import calendar_cycles, calendar_features, calendar_names
from lamina.data.frequency import Frequency
from lamina.data.missing import elapsed_since_observed
from lamina.data.scaling import Standardizer
from lamina.data.series import SeriesTable
from lamina.data.splits import Cuts
from lamina.data.windows import WindowBatch
from lamina.errors import DataError

Array = NDArray[np.float64]


class ForecastBatch(NamedTuple):
    """One batch; scaled values are ``(value - offset) / scale`` of their own window.

    Attributes:
        past: scaled target, 0 where missing, (batch, input_size).
        anchor: scaled forecast that the network corrects, (batch, horizon).
        steps: features that go with each past step, (batch, input_size, step_features).
        future: known features of each step to forecast, (batch, horizon, future_features).
        static: features of the series, (batch, static_features).
        target: scaled, 0 where missing, (batch, horizon).
        weight: 1 where the target was observed, else 0, (batch, horizon).
        offset: (batch, 1), float64.
        scale: (batch, 1), float64.
    """

    past: Tensor
    anchor: Tensor
    steps: Tensor
    future: Tensor
    static: Tensor
    target: Tensor
    weight: Tensor
    offset: Tensor
    scale: Tensor


@dataclass(frozen=True)
class ForecastInputs:
    """Scalers and layout of the covariates, fitted on the training part of a table.

    Attributes:
        frequency: of the table; calendar features follow it.
        gaps: whether the table has missing targets or windows that begin before their series; then
            each past step also says whether it was observed and how long ago the last observation was.
        past, future, static: scalers of the covariate columns.
        past_gaps, future_gaps: columns with missing values in the table, each with a mask of its own.
        calendar: cycles of the calendar shown for the steps ahead, those that training saw at least twice.
    """

    frequency: Frequency
    gaps: bool
    past: Standardizer
    future: Standardizer
    static: Standardizer
    past_gaps: tuple[int, ...]
    future_gaps: tuple[int, ...]
    calendar: tuple[str, ...]

    @classmethod
    def fit(cls, table: SeriesTable, cuts: Cuts, *, padded: bool) -> ForecastInputs:
        """Fit scalers on the training rows; ``padded``: some windows begin before their series.

        Of the rows after training only one thing is read: whether values are missing, since then the network
        needs the inputs that say so.
        """
        training = cuts.train_mask(table)
        return cls(
            frequency=table.frequency,
            gaps=padded or bool(np.isnan(table.y).any()),
            past=Standardizer.fit(table.past[training]),
            future=Standardizer.fit(table.future[training]),
            static=Standardizer.fit(table.static),
            past_gaps=_columns_with_gaps(table.past),
            future_gaps=_columns_with_gaps(table.future),
            calendar=calendar_cycles(table.frequency, int(cuts.train_end.max())),
        )

    @property
    def step_features(self) -> int:
        """Features of a past step, the scaled target itself not counted."""
        columns = len(self.past.mean) + len(self.past_gaps) + len(self.future.mean) + len(self.future_gaps)
        return 2 * self.gaps + columns

    @property
    def future_features(self) -> int:
        """Features of a step to forecast."""
        calendar = calendar_names(self.frequency, self.calendar)
        return len(self.future.mean) + len(self.future_gaps) + len(calendar)

    @property
    def static_features(self) -> int:
        return len(self.static.mean)

    def collate(self, batch: WindowBatch, calendar: NDArray[np.float32] | None = None) -> ForecastBatch:
        """Scale and join; NaN becomes 0 beside a mask, never a made-up value.

        Args:
            calendar: calendar features of every row of the table, where all steps to forecast lie inside it;
                None computes those of the batch.
        """
        observed = ~np.isnan(batch.past_y)
        self._refuse_new_gaps(batch, observed)
        offset, scale = window_scale(batch.past_y, season=self.frequency.season)
        past = np.where(observed, (batch.past_y - offset) / scale, 0.0)
        horizon = batch.target.shape[1]
        length = past.shape[1]
        steps: list[Array] = []
        if self.gaps:
            elapsed, _ = elapsed_since_observed(batch.past_y)
            steps += [observed[..., None], np.log1p(np.minimum(elapsed, length))[..., None]]
        steps += _masked(self.past, batch.past_cov, self.past_gaps)
        future = _masked(self.future, batch.future_cov, self.future_gaps)
        steps += [part[:, :length] for part in future]
        ahead = [part[:, length:] for part in future]
        if self.calendar and calendar is not None:
            ahead.append(calendar[batch.origin[:, None] + np.arange(horizon)])
        elif self.calendar:
            ahead.append(calendar_features(batch.time[:, length:], self.frequency, self.calendar))
        known = ~np.isnan(batch.target)
        target = np.where(known, (batch.target - offset) / scale, 0.0)
        rows = len(past)
        return ForecastBatch(
            past=_tensor(past),
            anchor=_tensor(
                seasonal_anchor(
                    batch.past_y, season=self.frequency.season, horizon=horizon, offset=offset, scale=scale
                )
            ),
            steps=_join(steps, (rows, length)),
            future=_join(ahead, (rows, horizon)),
            static=_tensor(np.nan_to_num(self.static.transform(batch.static))),
            target=_tensor(target),
            weight=_tensor(known),
            offset=torch.from_numpy(offset),
            scale=torch.from_numpy(scale),
        )

    def _refuse_new_gaps(self, batch: WindowBatch, observed: NDArray[np.bool_]) -> None:
        """Raise DataError where a value is missing that was never missing in the table that was fitted."""
        if not self.gaps and not observed.all():
            row = int(np.argmin(observed.all(axis=1)))
            raise DataError(
                "this model was fitted on a target without missing values, and a window of series number "
                f"{int(batch.series[row])} has some. Fill them, or fit on data that has gaps too."
            )
        length = observed.shape[1]
        for kind, values, gaps in (
            ("past-only", batch.past_cov, self.past_gaps),
            ("known-ahead", batch.future_cov[:, :length], self.future_gaps),
        ):
            missing = (np.isnan(values) & batch.past_valid[..., None]).any(axis=(0, 1))
            missing[list(gaps)] = False
            if missing.any():
                raise DataError(
                    f"{kind} covariate number {int(np.argmax(missing))} had no missing values when the model "
                    "was fitted, and has some now. Fill them, or fit on data that has gaps too."
                )

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; exact."""
        return {
            "frequency": self.frequency.to_dict(),
            "gaps": self.gaps,
            "past": self.past.to_dict(),
            "future": self.future.to_dict(),
            "static": self.static.to_dict(),
            "past_gaps": list(self.past_gaps),
            "future_gaps": list(self.future_gaps),
            "calendar": list(self.calendar),
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> ForecastInputs:
        """The inverse of ``to_dict``."""
        return cls(
            frequency=Frequency.from_dict(saved["frequency"]),
            gaps=saved["gaps"],
            past=Standardizer.from_dict(saved["past"]),
            future=Standardizer.from_dict(saved["future"]),
            static=Standardizer.from_dict(saved["static"]),
            past_gaps=tuple(saved["past_gaps"]),
            future_gaps=tuple(saved["future_gaps"]),
            calendar=tuple(saved["calendar"]),
        )


def window_scale(past: Array, *, season: int) -> tuple[Array, Array]:
    """Offset and scale of each window from its own past.

    The offset is the mean of the last season's observed values (of the last value where there is no season),
    the scale the standard deviation of the window, at least a thousandth of its mean magnitude so that a flat
    window stays finite.

    Args:
        past: (batch, time), NaN where missing.
        season: steps.

    Returns:
        offset and scale, both (batch, 1).
    """
    observed = ~np.isnan(past)
    filled = np.where(observed, past, 0.0)
    count = np.maximum(observed.sum(axis=1, keepdims=True), 1)
    mean = filled.sum(axis=1, keepdims=True) / count
    deviation = np.where(observed, filled - mean, 0.0)
    spread = np.sqrt((deviation**2).sum(axis=1, keepdims=True) / count)
    magnitude = np.abs(filled).sum(axis=1, keepdims=True) / count
    # The newest ``season`` observed values, wherever missing ones lie between them.
    recent = observed & (observed[:, ::-1].cumsum(axis=1)[:, ::-1] <= season)
    offset = np.where(recent, filled, 0.0).sum(axis=1, keepdims=True) / np.maximum(
        recent.sum(axis=1, keepdims=True), 1
    )
    return offset, np.maximum(spread, 1e-3 * magnitude + 1e-8)


def seasonal_anchor(past: Array, *, season: int, horizon: int, offset: Array, scale: Array) -> Array:
    """The seasonal naive forecast, scaled: for each step the newest observed value of the same phase.

    Args:
        past: (batch, time), NaN where missing.
        season: steps; 1 repeats the last observed value.
        horizon: steps ahead.
        offset, scale: of each window, (batch, 1).

    Returns:
        (batch, horizon); 0, the offset itself, where no value of the phase was observed.
    """
    time = past.shape[1]
    steps = np.arange(horizon)
    column = time + steps - season * (steps // season + 1)  # the newest row of the same phase
    found = np.full((len(past), horizon), np.nan)
    while (column >= 0).any() and np.isnan(found).any():
        inside = column >= 0
        candidate = np.where(inside, past[:, np.maximum(column, 0)], np.nan)
        found = np.where(np.isnan(found), candidate, found)
        column = column - season
    return np.where(np.isnan(found), 0.0, (found - offset) / scale)


def _columns_with_gaps(columns: NDArray[np.float32]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.flatnonzero(np.isnan(columns).any(axis=0)))


def _masked(scaler: Standardizer, values: NDArray[np.float32], gaps: tuple[int, ...]) -> list[Array]:
    """Scaled columns with 0 for missing, then one mask for each column that may be missing."""
    if not values.shape[-1]:
        return []
    scaled = np.nan_to_num(scaler.transform(values))
    return [scaled, *(~np.isnan(values[..., [column]]) for column in gaps)]


def _tensor(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _join(parts: list[Array], shape: tuple[int, int]) -> Tensor:
    if not parts:
        return torch.zeros(*shape, 0)
    return _tensor(np.concatenate([np.asarray(part, dtype=np.float32) for part in parts], axis=-1))
