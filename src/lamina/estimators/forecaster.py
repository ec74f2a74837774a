"""Forecasting series with a recurrent network."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone

from lamina.data.series import SeriesTable, read_future, read_series
from lamina.data.splits import Cuts, split_in_time
from lamina.data.windows import Windows, evaluation_windows, last_windows
from lamina.errors import ConfigError, DataError
from lamina.estimators.configs import (
    dump_body,
    dump_parameters,
    load_parameters,
)
from lamina.estimators.defaults import hold_out, training_examples, window_form
from lamina.estimators.fitted import dump_origin, load_origin, require_fitted
from lamina.estimators.frames import Kind, as_kind, kind_of
from lamina.estimators.saving import SavedModel, load_weights
from lamina.estimators.stored_table import stored_table, table_fields, table_tensors
from lamina.metrics import mase_scale
from lamina.nn.stack import StackConfig
from lamina.nn.transformer import TransformerConfig
from lamina.streaming.forecast_session import ForecastSession
from lamina.streaming.opening import open_forecaster
from lamina.streaming.packed import Storage
from lamina.streaming.session import MAX_KEYS
from lamina.tasks.base import BodyConfig
from lamina.tasks.forecast import (
    QUANTILES,
    ForecastBatches,
    ForecastConfig,
    ForecastNetwork,
    ForecastObjective,
    PointMetric,
    mean_error,
    predict_windows,
    window_errors,
)
from lamina.tasks.forecast_inputs import ForecastInputs, window_scale
from lamina.tasks.intervals import calibrate, interval
from lamina.training.callbacks import Callback
from lamina.training.history import History
from lamina.training.optim import TrainingConfig

Array = NDArray[np.float64]
NAME = "Forecaster"
# Found on the validation parts of M4 hourly, ETTh1 and tourism; benchmarks/accuracy.py shows the test.
DEFAULT_STACK = StackConfig(cell="gru", hidden_sizes=(128,), dropout=0.1)
DEFAULT_TRAINING = TrainingConfig(max_steps=1000, batch_size=128, learning_rate=4e-3)


class Forecaster(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no annotations
    """Forecasts one or many series, all steps of the horizon at once, with calibrated intervals.

    One network is trained on all series together. Each window is scaled by its own past, so a series that
    was not in the training data can be forecast too.

    Args:
        horizon: steps ahead.
        input_size: steps of the past that a forecast sees; None chooses from season, horizon and lengths.
        segment: steps of the past read as one step of the recurrence; None chooses.
        stack: the recurrent stack, or a TransformerConfig; its ``input_size`` is set by the data. None is one
            layer of 128 GRU units.
        attention: join an attention over all outputs to the last state.
        highway: ``linear`` adds a linear map of the window, ``none`` leaves all to the recurrence.
        metric: of the median, selects the best weights: mase, mae, mse, rmse or smape.
        quantiles: levels forecast; the outermost bound the widest interval.
        refit: after the number of steps and the calibration were found on a held-out end, train anew on all
            rows; the newest rows are often worth twice the time.
        training: settings of the training run; None is 1,000 steps of 128 windows.
        seed: of initialisation, order of data and dropout; the same seed gives the same numbers.

    Attributes:
        config_: the network's form, with every automatic choice.
        history_: what happened in training.
        notes_: choices made while reading the data, a sentence each.

    >>> import numpy as np, polars as pl
    >>> frame = pl.DataFrame({"y": np.sin(np.arange(200) / 4)})
    >>> small = StackConfig(hidden_sizes=(4,))
    >>> model = Forecaster(horizon=3, stack=small, training=TrainingConfig(max_steps=20)).fit(frame)
    >>> model.predict(level=[80]).columns
    ['unique_id', 'ds', 'Forecaster', 'Forecaster-lo-80', 'Forecaster-hi-80']
    """

    def __init__(
        self,
        horizon: int = 24,
        *,
        input_size: int | None = None,
        segment: int | None = None,
        stack: BodyConfig | None = None,
        attention: bool = False,
        highway: str = "linear",
        metric: PointMetric = "mase",
        quantiles: tuple[float, ...] = QUANTILES,
        refit: bool = True,
        training: TrainingConfig | None = None,
        seed: int = 0,
    ) -> None:
        self.horizon = horizon
        self.input_size = input_size
        self.segment = segment
        self.stack = stack
        self.attention = attention
        self.highway = highway
        self.metric = metric
        self.quantiles = quantiles
        self.refit = refit
        self.training = training
        self.seed = seed

    def fit(
        self,
        df: Any,
        *,
        target: str | Sequence[str] | None = None,
        time: str | None = None,
        id: str | None = None,
        future: Sequence[str] = (),
        past: Sequence[str] | None = None,
        static: Sequence[str] = (),
        duplicates: str = "error",
        gaps: str = "error",
        frequency: str | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> Self:
        """Read a table, hold out the end of each series for early stopping and calibration, and train.

        Args:
            df: a path, or a frame of pandas, Polars or Arrow; see ``lamina.data.series.read_series`` for
                this and the next arguments.
            callbacks: observers of the training run.

        Raises:
            DataError: the table breaks a rule; the message names column and row.
        """
        table = read_series(
            df,
            target=target,
            time=time,
            id=id,
            future=future,
            past=past,
            static=static,
            duplicates=duplicates,  # type: ignore[arg-type]  # checked there, with a message
            gaps=gaps,  # type: ignore[arg-type]
            frequency=frequency,
        )
        self.fit_known(table, callbacks=callbacks)
        self._remember(
            {"target": target, "time": time, "id": id, "duplicates": duplicates, "gaps": gaps}, kind_of(df)
        )
        return self

    def _remember(self, columns: dict[str, Any], kind: Kind) -> None:
        """How the table was read, so that later ones are read alike and answered in the same kind."""
        self.columns_, self.frame_kind_ = columns, kind

    def fit_known(self, table: SeriesTable, *, callbacks: Sequence[Callback] = ()) -> Self:
        """Hold out the end of each series, train, and, with ``refit``, train anew on every row."""
        self.fit_table(table, hold_out(table, horizon=self.horizon), callbacks=callbacks)
        if self.refit and self.history_.outcome != "collapsed":
            self.refit_table(table, steps=max(1, self.history_.best_step), callbacks=callbacks)
        return self

    def fit_table(
        self,
        table: SeriesTable,
        cuts: Cuts,
        *,
        draw: Callable[[Windows], Windows] | None = None,
        callbacks: Sequence[Callback] = (),
        checkpoint: Path | None = None,
    ) -> Self:
        """Train on a table whose parts are already cut.

        Of rows after ``cuts.validation_end`` only one thing is read: whether values are missing.

        Args:
            draw: chooses among the training windows, for a bootstrap or a share of them; None takes all.
        """
        self.config_ = self._resolve(table, cuts)
        self._remember({}, "polars")
        self.notes_ = table.notes
        _refuse_constant(table, cuts)
        windows, padded = training_examples(
            table, cuts, input_size=self.config_.input_size, horizon=self.horizon
        )
        self.inputs_ = ForecastInputs.fit(table, cuts, padded=padded)
        validation = self._validation(table, cuts, windows)
        self.scales_ = mase_scale(table, cuts, table.frequency.season)
        training = self.training or DEFAULT_TRAINING
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.network_ = ForecastNetwork(self.config_, self.inputs_, self._body())
            drawn = windows if draw is None else draw(windows)
            self.history_ = self._train(drawn, validation, training, callbacks, checkpoint)
        self.calibration_ = self._calibrate(validation)
        self._keep(table, cuts)
        return self

    def refit_table(
        self,
        table: SeriesTable,
        *,
        steps: int,
        max_seconds: float | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> Self:
        """Train anew on every row for a number of steps that an earlier fit has shown to be right.

        Nothing is held out, so the last weights are kept; form, scalers, calibration and history stay those
        of the earlier fit.
        """
        self._check_fitted()
        ends = table.lengths.copy()
        whole = Cuts(ends, ends.copy(), ends.copy(), self.horizon)
        windows, _ = training_examples(table, whole, input_size=self.config_.input_size, horizon=self.horizon)
        training = (self.training or DEFAULT_TRAINING).replace(
            max_steps=steps, max_seconds=max_seconds, validations=1
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.network_ = ForecastNetwork(self.config_, self.inputs_, self._body())
            history = self._train(windows, windows, training, callbacks, None)
        if history.outcome == "collapsed":
            self.history_ = history
        self._keep(table, whole)
        return self

    def _resolve(self, table: SeriesTable, cuts: Cuts) -> ForecastConfig:
        input_size, segment = window_form(table, cuts.train_end, horizon=self.horizon)
        if self.input_size is not None:
            input_size = self.input_size
            segment = next(s for s in (segment, 1) if input_size % s == 0)
        if self.segment is not None:
            segment = self.segment
            if self.input_size is None:
                input_size = -(-input_size // segment) * segment
        body = self._body()
        return ForecastConfig(
            horizon=self.horizon,
            input_size=input_size,
            segment=segment,
            width=_width(body),
            highway=self.highway,  # type: ignore[arg-type]  # checked by the configuration
            attention=self.attention,
            quantiles=tuple(self.quantiles),
        )

    def _body(self) -> BodyConfig:
        return self.stack if self.stack is not None else DEFAULT_STACK

    def _validation(self, table: SeriesTable, cuts: Cuts, training: Windows) -> Windows:
        """Validation windows; where no series is long enough to hold one out, the training windows."""
        if (cuts.validation_end - cuts.train_end).max() < self.horizon:
            self.notes_ += ("no series is long enough to hold out a horizon; intervals are not calibrated",)
            return training
        sizes = {"input_size": training.input_size, "horizon": training.horizon}
        return evaluation_windows(table, cuts, part="validation", **sizes)

    def _train(
        self,
        windows: Windows,
        validation: Windows,
        training: TrainingConfig,
        callbacks: Sequence[Callback],
        checkpoint: Path | None,
    ) -> History:
        from lamina.training.loop import fit  # the trainer is not needed to predict

        objective = ForecastObjective(
            self.config_, self.inputs_, validation, metric=self.metric, scale=self.scales_
        )
        batches = ForecastBatches(windows, self.inputs_, batch_size=training.batch_size, seed=self.seed)
        return fit(
            self.network_,
            objective,
            batches,
            training,
            seed=self.seed,
            callbacks=callbacks,
            checkpoint=checkpoint,
        )

    def _calibrate(self, validation: Windows) -> Array:
        chosen = np.unique(np.linspace(0, len(validation) - 1, min(2000, len(validation))).astype(int))
        thinned = Windows(
            validation.table,
            validation.input_size,
            validation.horizon,
            validation.origins[chosen],
            validation.series[chosen],
        )
        forecast = predict_windows(self.network_, self.inputs_, thinned)
        batch = thinned.batch(slice(None))
        _, scale = window_scale(batch.past_y, season=self.inputs_.frequency.season)
        return calibrate(self.config_.quantiles, forecast, batch.target, scale)

    def _keep(self, table: SeriesTable, cuts: Cuts) -> None:
        """Keep what a forecast of the next rows needs: the end of each series and where it comes from."""
        known = table.keep(np.zeros_like(cuts.validation_end), cuts.validation_end)
        self.table_ = known.slice_last(self.config_.input_size)
        self.data_hash_ = hashlib.sha256(
            np.ascontiguousarray(known.y).tobytes() + np.ascontiguousarray(known.starts).tobytes()
        ).hexdigest()

    def predict_windows(self, windows: Windows) -> Array:
        """Calibrated quantiles of any windows, (windows, horizon, quantiles)."""
        self._check_fitted()
        forecast = predict_windows(self.network_, self.inputs_, windows)
        scales = []
        for begin in range(0, len(windows), 4096):
            past = windows.batch(slice(begin, begin + 4096)).past_y
            scales.append(window_scale(past, season=self.inputs_.frequency.season)[1])
        scale = np.concatenate(scales) if scales else np.ones((0, 1))
        return np.sort(forecast + self.calibration_ * scale[..., None], axis=-1)

    def errors(
        self, windows: Windows, *, scales: Array | None = None, metric: PointMetric | None = None
    ) -> Array:
        """Error of the median in each window, (windows,); ``scales``: MASE denominators of its series."""
        own = self.scales_ if scales is None else scales
        return window_errors(
            metric or self.metric,
            _targets(windows),
            self._median(self.predict_windows(windows)),
            own[windows.series],
        )

    def _median(self, quantiles: Array) -> Array:
        return quantiles[..., self.config_.quantiles.index(0.5)]

    def predict(
        self,
        h: int | None = None,
        *,
        df: Any = None,
        future: Any = None,
        level: Sequence[float] = (),
    ) -> Any:
        """Forecast the rows after each series.

        Args:
            h: steps, at most ``horizon``; None gives all.
            df: series to continue; None continues the training series.
            future: a table of the covariates known ahead (``future=`` in fit), for the next ``horizon`` rows.
            level: central intervals in percent, such as [80, 95].

        Returns:
            A frame of the kind that came in: unique_id, ds, Forecaster, and Forecaster-lo-80, ... as asked.
        """
        self._check_fitted()
        steps = self.horizon if h is None else h
        if not 1 <= steps <= self.horizon:
            raise ConfigError(
                f"h must lie from 1 to the horizon {self.horizon} that was trained, but is {h}. "
                f"Fit with horizon={h} for more steps."
            )
        table = self.table_ if df is None else self._read(df)
        known = None
        if table.future_names:
            if future is None:
                raise DataError(
                    f"the covariates known ahead ({', '.join(table.future_names)}) are needed for the next "
                    f"{self.horizon} rows. Pass a table that holds them as future= (--future-values)."
                )
            known = read_future(
                future,
                table,
                horizon=self.horizon,
                time=self.columns_.get("time"),
                id=self.columns_.get("id"),
            )
        windows = last_windows(table, input_size=self.config_.input_size, horizon=self.horizon, future=known)
        quantiles = self.predict_windows(windows)[:, :steps]
        frame = self._frame(table, windows.series, table.future_times(steps), quantiles, level)
        return as_kind(frame, self.frame_kind_ if df is None else kind_of(df))

    def _frame(
        self,
        table: SeriesTable,
        series: NDArray[np.int64],
        time: NDArray[Any],
        quantiles: Array,
        level: Sequence[float],
    ) -> pl.DataFrame:
        steps = quantiles.shape[1]
        names = np.array([name or table.target for name in table.ids], dtype=object)
        columns: dict[str, Any] = {
            "unique_id": np.repeat(names[series], steps).tolist(),
            "ds": time.reshape(-1),
            NAME: self._median(quantiles).reshape(-1),
        }
        for percent in level:
            low, high = interval(self.config_.quantiles, quantiles, percent)
            columns[f"{NAME}-lo-{percent:g}"] = low.reshape(-1)
            columns[f"{NAME}-hi-{percent:g}"] = high.reshape(-1)
        return pl.DataFrame(columns)

    def _read(self, df: Any) -> SeriesTable:
        """A later table, read as the training table was."""
        return read_series(
            df,
            target=self.columns_.get("target"),
            time=self.columns_.get("time"),
            id=self.columns_.get("id"),
            duplicates=self.columns_.get("duplicates") or "error",
            gaps=self.columns_.get("gaps") or "error",
            frequency=self.inputs_.frequency,
            encoding=self.table_.encoding,
        )

    def cross_validation(
        self,
        df: Any,
        *,
        n_windows: int = 5,
        step_size: int | None = None,
        refit: bool = False,
        level: Sequence[float] = (),
    ) -> Any:
        """Forecast the last part of a table from several origins, each time without seeing what follows.

        Columns are named as in the last ``fit``, or unique_id, ds, y. This estimator itself is not changed.

        Args:
            df: a path or a frame.
            n_windows: origins a series.
            step_size: rows between origins; None is the horizon.
            refit: train anew before each origin rather than once before the first.
            level: central intervals in percent.

        Returns:
            unique_id, ds, cutoff (the last row seen), y, Forecaster, and the bounds asked for.
        """
        step = self.horizon if step_size is None else step_size
        for name, value in (("n_windows", n_windows), ("step_size", step)):
            if value < 1:
                raise ConfigError(f"{name} is at least 1, but is {value}. Use for example {name}=5.")
        table = self._read(df) if hasattr(self, "network_") else read_series(df)
        parts = []
        for first in range(n_windows) if refit else [0]:
            last = n_windows - 1 - first  # windows that follow this one
            ahead = self.horizon + last * step
            cuts = split_in_time(table, horizon=self.horizon, test=ahead)
            known = table.keep(np.zeros_like(cuts.validation_end), cuts.validation_end)
            model = clone(self).fit_known(known)
            rolling = evaluation_windows(
                table,
                cuts,
                part="test",
                input_size=model.config_.input_size,
                horizon=self.horizon,
                stride=ahead if refit else step,
            )
            parts.append(model._scored(rolling, level))
        return as_kind(pl.concat(parts).sort("unique_id", "cutoff", "ds"), kind_of(df))

    def _scored(self, windows: Windows, level: Sequence[float]) -> pl.DataFrame:
        """Forecasts of windows beside their truth."""
        batch = windows.batch(slice(None))
        ahead = batch.time[:, windows.input_size :]
        frame = self._frame(windows.table, windows.series, ahead, self.predict_windows(windows), level)
        cutoff = np.repeat(batch.time[:, windows.input_size - 1], windows.horizon)
        extra = [pl.Series("cutoff", cutoff), pl.Series("y", batch.target.reshape(-1))]
        return frame.insert_column(2, extra[0]).insert_column(3, extra[1])

    def score(self, df: Any, y: None = None) -> float:
        """Minus the metric over rolling origins in the last 15 % of ``df`` (higher is better)."""
        del y  # scikit-learn passes it by position
        self._check_fitted()
        table = self._read(df)
        cuts = hold_out(table, horizon=self.horizon)
        windows = evaluation_windows(
            table, cuts, part="validation", input_size=self.config_.input_size, horizon=self.horizon
        )
        scales = mase_scale(table, cuts, table.frequency.season)
        return -mean_error(self.metric, self.errors(windows, scales=scales))

    def _check_fitted(self) -> None:
        require_fitted(self, does="predicts", call="fit(df)")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a directory that ``lamina.load`` reads; no pickle. Predictions stay equal bit for bit."""
        self._saved().write(path)

    def _saved(self) -> SavedModel:
        self._check_fitted()
        parameters = dump_parameters({**self.get_params(deep=False), "quantiles": list(self.quantiles)})
        return SavedModel(
            kind=NAME,
            config={
                "parameters": parameters,
                "form": self.config_.model_dump(mode="json"),
                "body": dump_body(self._body()),
                "columns": self.columns_,
                "frame_kind": self.frame_kind_,
            },
            weights=self.network_.state_dict(),
            preprocessing={
                "inputs": self.inputs_.to_dict(),
                "calibration": self.calibration_.tolist(),
                "scales": self.scales_.tolist(),
                "table": table_fields(self.table_),
            },
            history=table_tensors(self.table_),
            manifest=dump_origin(self, self.metric)
            | {"validation": None if np.isnan(self.history_.best) else self.history_.best},
        )

    def stream(
        self, *, storage: Storage = "float32", max_keys: int = MAX_KEYS, adaptive: Sequence[float] = ()
    ) -> ForecastSession:
        """A session that reads one row of a series at a time, and forecasts what follows it.

        Args:
            storage: of the recurrent weights: float32, bfloat16 or int8.
            max_keys: states kept at most; the key used least recently is forgotten first.
            adaptive: central intervals in percent, such as [80, 90], whose bounds follow the values of each
                key (adaptive conformal inference), so that they keep their coverage while a series changes.
                Forecasts then have these levels alone. Takes 4 kB a key for each step of the horizon.

        Raises:
            ConfigError: the model cannot stream; the message says why.
        """
        saved = self._saved()
        weights, history = (
            {name: value.detach().cpu().numpy() for name, value in tensors.items()}
            for tensors in (saved.weights, saved.history)
        )
        return open_forecaster(
            saved.config,
            weights,
            saved.preprocessing,
            history,
            storage=storage,
            max_keys=max_keys,
            adaptive=adaptive,
        )

    @classmethod
    def from_saved(cls, saved: SavedModel, where: str) -> Self:
        """The estimator that ``save`` wrote; ``where`` names it in errors."""
        parameters = load_parameters(saved.config["parameters"])
        model = cls(**(parameters | {"quantiles": tuple(parameters["quantiles"])}))
        model.config_ = ForecastConfig(**saved.config["form"])
        model._remember(saved.config["columns"], saved.config["frame_kind"])
        model.inputs_ = ForecastInputs.from_dict(saved.preprocessing["inputs"])
        model.calibration_ = np.array(saved.preprocessing["calibration"])
        model.scales_ = np.array(saved.preprocessing["scales"])
        model.table_ = stored_table(saved.history, saved.preprocessing["table"])
        model.notes_ = model.table_.notes
        load_origin(model, saved.manifest)
        model.network_ = ForecastNetwork(model.config_, model.inputs_, model._body())
        load_weights(model.network_, saved.weights, where)
        return model


def _refuse_constant(table: SeriesTable, cuts: Cuts) -> None:
    training = np.where(cuts.train_mask(table), table.y, np.nan)
    for start, end in pairwise(table.starts):
        seen = training[start:end][~np.isnan(training[start:end])]
        if len(seen) and seen.min() < seen.max():
            return
    raise DataError(
        f"{table.target} is constant in training: there is nothing to learn. Choose another target."
    )


def _width(body: BodyConfig) -> int:
    """Features of a segment: as many as the body has units."""
    if isinstance(body, StackConfig):
        return body.hidden_sizes[0]
    if isinstance(body, TransformerConfig):
        return body.size
    raise ConfigError(f"stack is a StackConfig or a TransformerConfig, but is {body!r}")


def _targets(windows: Windows) -> Array:
    return np.concatenate(
        [windows.batch(slice(begin, begin + 4096)).target for begin in range(0, len(windows), 4096)]
    )
