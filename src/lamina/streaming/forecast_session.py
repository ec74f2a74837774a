"""A forecaster that reads one row at a time: keeps the last rows of each key, and forecasts from them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from lamina.data.calendar import WEEK_US, calendar_features, calendar_names
from lamina.data.frequency import Frequency
from lamina.data.scaling import Standardizer
from lamina.errors import ConfigError, DataError, SavedModelError
from lamina.streaming.adaptive_quantiles import AdaptiveKeys
from lamina.streaming.forecast_rows import LATEST, SeriesRow, SeriesRowForm
from lamina.streaming.packed import Weights, optional, plain, require_native
from lamina.streaming.session import Session
from lamina.streaming.snapshot import pack_snapshot, unpack_snapshot
from lamina.streaming.state import pack_state, unpack_state
from lamina.tasks.intervals import interval

Array = NDArray[np.float64]
# Calendar features are made for so many steps at once and kept for so many stretches of them: made for each
# row, they take ten times as long as a small network.
STRETCH = 128
MOST_STRETCHES = 64
_DATES = np.dtype("M8[us]")  # made from its name with every forecast, it would cost a microsecond


@dataclass(frozen=True)
class Forecast:
    """The next steps of one key.

    Attributes:
        time: of the steps, (horizon,) datetime64[us] or int64; None where rows came without time.
        levels: of the quantiles, ascending.
        quantiles: in the target's unit, (horizon, levels).
    """

    time: NDArray[Any] | None
    levels: tuple[float, ...]
    quantiles: Array

    @property
    def median(self) -> Array:
        """(horizon,), what ``Forecaster.predict`` calls the forecast."""
        median: Array = self.quantiles[:, self.levels.index(0.5)]
        return median

    def interval(self, level: float) -> tuple[Array, Array]:
        """Lower and upper bound of the central ``level`` percent, each (horizon,)."""
        return interval(self.levels, self.quantiles, level)


class ForecastSession(Session):
    """A session of a Forecaster, which is a model of windows.

    Each key keeps its last ``input_size`` rows, and not the state of the recurrence: a window is scaled by
    its own past, so every new row changes what the network read before it. From the window a forecast of the
    next ``horizon`` rows is made in native code, equal to that of ``Forecaster.predict`` on the same rows.
    With adaptive intervals the bounds of each key follow its values; see ``AdaptiveQuantiles``.
    The session begins with the stored end of each training series, under the name of the series ("" where
    there is one without a name).
    """

    def __init__(
        self,
        native: Any,
        rows: SeriesRowForm,
        form: Mapping[str, Any],
        inputs: Mapping[str, Any],
        digest: str,
    ) -> None:
        super().__init__(native, digest=digest)
        self._rows = rows
        self._frequency = Frequency.from_dict(inputs["frequency"])
        self._cycles = tuple(inputs["calendar"])
        self._weekly = set(self._cycles) <= {"hour_of_day", "day_of_week"}
        self._stretches: dict[object, NDArray[np.float32]] = {}
        self.horizon = int(form["horizon"])
        self.input_size = int(form["input_size"])
        self.levels = self._given_levels = tuple(form["quantiles"])
        self._ticks = self._frequency.ticks  # 0 where a step is months
        self._ahead = self._ticks * np.arange(1, self.horizon + 1)
        self._far_ahead = self._ticks * np.arange(1, self.horizon + STRETCH)
        self._adaptive: AdaptiveKeys | None = None
        self._nothing_known = np.zeros((self.horizon, 0), np.float32)
        self._no_calendar = np.zeros((self.horizon, 0), np.float32)

    @classmethod
    def over(
        cls,
        model: Any,
        config: Mapping[str, Any],
        weights: Weights,
        preprocessing: Mapping[str, Any],
        history: Mapping[str, NDArray[Any]],
        *,
        max_keys: int,
        digest: str,
        adaptive: Sequence[float] = (),
    ) -> ForecastSession:
        """A session over a finished native reader, its keys the stored series."""
        form, inputs, table = config["form"], preprocessing["inputs"], preprocessing["table"]
        if max_keys < len(table["ids"]):
            raise ConfigError(
                f"max_keys is at least the number of training series, {len(table['ids'])}, but is {max_keys}."
            )
        native = _native_session(
            model, form, inputs, weights, calibration=preprocessing["calibration"], max_keys=max_keys
        )
        rows = SeriesRowForm.of(table, config["columns"], inputs)
        session = cls(native, rows, form, inputs, digest)
        if adaptive:
            session._adapt(adaptive)
        # a table of one series without a name calls it as its target
        unnamed = list(table["ids"]) == [table["target"]]
        session._continue([""] if unnamed else table["ids"], history)
        return session

    def _adapt(self, percent: Sequence[float]) -> None:
        """Let the intervals of each key follow its values from here on."""
        self._adaptive = AdaptiveKeys(percent, self.levels, self.horizon)
        self._given_levels, self.levels = self.levels, self._adaptive.levels

    def _continue(self, ids: Sequence[str], history: Mapping[str, NDArray[Any]]) -> None:
        """Begin with the stored rows of each series."""
        covariates = np.concatenate([history["past"], history["future"]], axis=1, dtype=np.float32)
        for number, key in enumerate(ids):
            fixed = history["static"][number].astype(np.float32).tolist()
            for row in range(history["starts"][number], history["starts"][number + 1]):
                numbers = (float(history["y"][row]), *covariates[row].tolist(), *fixed)
                self._native.push(key, numbers, 0, int(history["time"][row]))

    @override
    def step(
        self,
        x: Mapping[str, object] | float,
        *,
        key: str = "",
        future: Sequence[Mapping[str, object]] = (),
    ) -> Forecast | None:
        """Read one row of a key, and forecast what follows it.

        Args:
            x: the values of the row by name, with the time where rows have one; None or NaN where missing,
                which must have been so in training. A bare number is the target. Rows of a key come in order
                of time; left-out steps count as missing rows. Where rows are counted and not dated, one
                without its number is the next.
            key: the series.
            future: what is known of the next ``horizon`` rows, where the model was fitted on such columns.

        Returns:
            None while the window is not full, or holds no observed value.

        Raises:
            DataError: a value, a name, the time or the key breaks a rule. The session stays as it was.
        """
        row = self._read(x)
        known = self._known(future)
        skipped, time = self._place(key, row, self._native.head(key))
        return self._take(key, row, known, skipped, time)

    def step_many(
        self,
        x: Sequence[Mapping[str, object] | float],
        keys: Sequence[str],
        *,
        future: Sequence[Sequence[Mapping[str, object]]] = (),
    ) -> list[Forecast | None]:
        """Read one row of each of many keys, and answer each as ``step`` does.

        A key that stands twice is stepped twice, in the order of the rows. Where a row breaks a rule, none is
        read. It is a loop in Python, no faster than single steps; where keys are forgotten to make room, a
        call also takes time in proportion to the number of keys held.

        Args:
            x: a row of each key.
            keys: the series.
            future: of each row, what is known ahead, where the model was fitted on such columns.
        """
        ahead = future or [()] * len(keys)
        if isinstance(keys, str) or not len(x) == len(keys) == len(ahead):
            raise DataError(
                "rows, keys and future are lists of one length, but these have "
                f"{len(x)}, {len(keys)} and {len(ahead)}. Give one key for each row."
            )
        heads = {key: self._native.head(key) for key in keys}
        used: OrderedDict[str, None] | None = None
        if len(self) + sum(head is None for head in heads.values()) > self.max_keys:
            used = OrderedDict.fromkeys(self.keys())
        taken = []
        for each, key, known in zip(x, keys, ahead, strict=True):
            row, columns = self._read(each), self._known(known)
            skipped, time = self._place(key, row, heads[key])
            taken.append((key, row, columns, skipped, time))
            heads[key] = (0, time)
            if used is not None:
                used[key] = None
                used.move_to_end(key)
                if len(used) > self.max_keys:
                    forgotten, _ = used.popitem(last=False)
                    if forgotten in heads:
                        heads[forgotten] = None
        return [self._take(*each) for each in taken]

    def _read(self, x: Mapping[str, object] | float) -> SeriesRow:
        row = self._rows.read(x)
        fault = self._native.first_fault(row.numbers)
        if fault >= 0:
            raise DataError(_too_large(self._rows.name_of(fault), row.numbers[fault]))
        return row

    def _take(
        self, key: str, row: SeriesRow, known: NDArray[np.float32], skipped: int, time: int | None
    ) -> Forecast | None:
        """Keep a row that breaks no rule, and forecast."""
        forgotten = self._native.push(key, row.numbers, skipped, time)
        if self._adaptive is not None:
            if forgotten is not None:
                self._adaptive.forget(forgotten)
            self._adaptive.of(key).learn(row.y, skipped)
        return self._forecast(key, known, time) if self._native.ready(key) else None

    def step_next(self, value: float, x: Mapping[str, object], *, key: str = "") -> Forecast | None:
        """Read the row one step after the last of a key: its value, and its covariates from ``x`` by name."""
        head = self._native.head(key)
        row: dict[str, object] = {name: x[name] for name in self._rows.covariates if name in x}
        row[self._rows.target] = value
        if head is not None and head[1] is not None:
            row[self._rows.time] = self._times(head[1])[0]
        return self.step(row, key=key)

    def require_levels(self, percent: Sequence[float]) -> None:
        """Check that forecasts have these central intervals.

        Raises:
            ConfigError: one is none, or wider than the quantiles of the forecasts.
        """
        nothing = np.zeros((0, len(self.levels)))
        for level in percent:
            interval(self.levels, nothing, level)

    @property
    def categories(self) -> frozenset[str]:
        """Names of the columns that hold categories."""
        return self._rows.categories

    @property
    def needs_future(self) -> bool:
        """Whether a forecast needs columns that are known ahead."""
        return bool(self._rows.future)

    def forecast(self, *, key: str = "", future: Sequence[Mapping[str, object]] = ()) -> Forecast | None:
        """What follows the rows of a key so far; see ``step``."""
        known = self._known(future)
        head = self._native.head(key)
        if head is None or not self._native.ready(key):
            return None
        return self._forecast(key, known, head[1])

    def rows_ahead(self, key: str = "") -> Iterator[dict[str, object]]:
        """Rows that may follow those of a key, a step apart; their values are made up.

        With them one can measure what a step costs, which does not depend on the values.

        Raises:
            DataError: the key has no rows yet, or its rows have no time.
        """
        head = self._native.head(key)
        if head is None or head[1] is None:
            raise DataError(f"{key!r} has no row with a time that others could follow. Step one first.")
        last = head[1]
        while True:
            last = int(self._times(last)[:1].astype(np.int64)[0])
            yield self._rows.made_up(last)

    def _known(self, future: Sequence[Mapping[str, object]]) -> NDArray[np.float32]:
        if not self._rows.future:
            if future:
                raise DataError("this model was fitted without columns known ahead. Leave out future.")
            return self._nothing_known
        known = self._rows.read_ahead(future, self.horizon)
        fault = self._native.first_fault_ahead(known)
        if fault >= 0:
            width = known.shape[1]
            names = [column.name for column in self._rows.future for _ in range(column.size)]
            raise DataError(_too_large(names[fault % width], float(known.flat[fault])))
        return known

    def _place(self, key: str, row: SeriesRow, head: tuple[int, int | None] | None) -> tuple[int, int | None]:
        """Steps of a key that were left out before this row, and the row's time; ``head``: its last row's."""
        if head is None:
            if row.time is None and self._cycles:
                raise DataError(
                    f"this model reads the calendar, so a row needs its time as '{self._rows.time}'."
                )
            return 0, row.time
        last = head[1]
        if row.time is None and last is not None and not self._rows.dated:
            if last + self._ticks > LATEST:
                raise DataError(f"the row after {last} has no number up to 2**61. Reset the key.")
            return 0, last + self._ticks
        if (last is None) != (row.time is None):
            raise DataError(
                f"rows of a key have a time ('{self._rows.time}') each or none, and earlier ones of {key!r} "
                f"{'had none' if last is None else 'had one'}. Give the same, or reset the key."
            )
        if last is None or row.time is None:
            return 0, None
        steps, on_grid = self._steps(last, row.time)
        if steps < 1 or not on_grid:
            raise DataError(
                f"rows of a key are whole steps of {self._frequency.step} apart, each after the last, but "
                f"{self._shown(row.time)} follows {self._shown(last)}. Sort them, or reset the key."
            )
        if steps > 1 and not all(self._rows.may_miss):
            raise DataError(
                f"{steps - 1} rows are left out between {self._shown(last)} and {self._shown(row.time)}, "
                "and not every column had missing values when the model was fitted. Fill them, or fit on "
                "data with gaps."
            )
        return steps - 1, row.time

    def _steps(self, last: int, time: int) -> tuple[int, bool]:
        if self._ticks:
            return (time - last) // self._ticks, (time - last) % self._ticks == 0
        dates = np.array([time], "M8[us]"), np.array([last], "M8[us]")
        steps, on_grid = self._frequency.position(*dates)
        return int(steps[0]), bool(on_grid[0])

    def _shown(self, time: int) -> str:
        return str(np.datetime64(time, "us").astype("M8[s]")) if self._rows.dated else str(time)

    def _times(self, last: int) -> NDArray[Any]:
        if not self._ticks:
            return self._frequency.future_times(np.datetime64(last, "us"), self.horizon)
        return self._dates(last + self._ahead)

    def _dates(self, counts: NDArray[np.int64]) -> NDArray[Any]:
        return counts.view(_DATES) if self._rows.dated else counts

    def _calendar(self, last: int | None) -> NDArray[np.float32]:
        """Calendar features of the steps after ``last``, (horizon, features)."""
        if not self._cycles or last is None:
            return self._no_calendar
        if not self._ticks:
            return self._features(last, self._times(last))
        # hours and weekdays come again each week
        row, phase = divmod(last % WEEK_US if self._weekly else last, self._ticks)
        stretch, place = divmod(row, STRETCH)
        known = self._stretches.get((stretch, phase))
        if known is None:
            first = stretch * STRETCH * self._ticks + phase
            known = self._features((stretch, phase), self._dates(first + self._far_ahead))
        return known[place : place + self.horizon]

    def _features(self, kept_as: object, times: NDArray[Any]) -> NDArray[np.float32]:
        """Calendar features of the times, kept."""
        if kept_as not in self._stretches:
            if len(self._stretches) == MOST_STRETCHES:
                self._stretches.clear()
            found = calendar_features(times, self._frequency, self._cycles)
            self._stretches[kept_as] = np.ascontiguousarray(found, np.float32)
        return self._stretches[kept_as]

    def _forecast(self, key: str, known: NDArray[np.float32], last: int | None) -> Forecast:
        quantiles = np.empty((self.horizon, len(self._given_levels)))
        self._native.forecast(key, known, self._calendar(last), quantiles)
        if self._adaptive is not None:
            quantiles = self._adaptive.of(key).around(quantiles)
        return Forecast(None if last is None else self._times(last), self.levels, quantiles)

    @override
    def reset(self, key: str) -> bool:
        known = super().reset(key)
        if self._adaptive is not None:
            self._adaptive.forget(key)
        return known

    @override
    def clear(self) -> None:
        super().clear()
        if self._adaptive is not None:
            self._adaptive.keep([])

    @property
    @override
    def state_bytes(self) -> int:
        return super().state_bytes + (0 if self._adaptive is None else self._adaptive.key_bytes)

    @property
    @override
    def used_bytes(self) -> int:
        adaptive = 0 if self._adaptive is None else len(self._adaptive) * self._adaptive.key_bytes
        return super().used_bytes + adaptive

    @property
    @override
    def bound_bytes(self) -> int:
        adaptive = 0 if self._adaptive is None else self.max_keys * self._adaptive.key_bytes
        return super().bound_bytes + adaptive

    @override
    def _header(self) -> dict[str, Any]:
        return {
            **super()._header(),
            "adaptive": [] if self._adaptive is None else list(self._adaptive.percent),
        }

    @override
    def _require_own(self, header: Mapping[str, Any]) -> None:
        ours, theirs = self._header()["adaptive"], header.get("adaptive", [])
        if header.get("model") == self._digest and theirs != ours:
            raise SavedModelError(
                f"this snapshot was made with {_named(theirs)}, and this session has {_named(ours)}. Open it "
                "with the same adaptive= (on the command line --adaptive and --level)."
            )
        super()._require_own(header)

    @override
    def _dump(self) -> bytes:
        states = super()._dump()
        if self._adaptive is None:
            return states
        form, payload = pack_state({"states": states, "adaptive": self._adaptive.state()})
        return pack_snapshot(form, payload)

    @override
    def _load(self, states: bytes) -> None:
        if self._adaptive is None:
            return super()._load(states)
        state = unpack_state(*unpack_snapshot(states))
        super()._load(state["states"])
        self._adaptive.take(state["adaptive"])


def _too_large(name: str, value: float) -> str:
    return (
        f"'{name}' is {value:.3g}, which is too large: a network reads numbers up to 1e18, after they are "
        "standardised. Leave this row out or mend it."
    )


def _named(percent: Sequence[float]) -> str:
    """Adaptive intervals in words."""
    if not percent:
        return "no adaptive intervals"
    return f"adaptive intervals of {', '.join(f'{each:g}' for each in percent)} %"


def _native_session(
    model: Any,
    form: Mapping[str, Any],
    inputs: Mapping[str, Any],
    weights: Weights,
    *,
    calibration: Sequence[Sequence[float]],
    max_keys: int,
) -> Any:
    native = require_native()
    frequency = Frequency.from_dict(inputs["frequency"])
    given = native.ForecastForm()
    given.horizon, given.input_size, given.segment = form["horizon"], form["input_size"], form["segment"]
    given.levels, given.season = len(form["quantiles"]), frequency.season
    given.calendar = len(calendar_names(frequency, tuple(inputs["calendar"])))
    given.gaps = inputs["gaps"]
    for name, gaps in (("past", inputs["past_gaps"]), ("future", inputs["future_gaps"]), ("fixed", [])):
        scaler = Standardizer.from_dict(inputs["static" if name == "fixed" else name])
        setattr(given, name, native.Columns(scaler.mean.tolist(), np.asarray(scaler.scale).tolist(), gaps))
    given.calibration = np.asarray(calibration, np.float64).reshape(-1).tolist()
    session = native.ForecastSession(model, max_keys, given)
    session.set_head(plain(weights, "head.weight"), plain(weights, "head.bias"))
    if form["highway"] == "linear":
        session.set_highway(plain(weights, "highway.weight"), plain(weights, "highway.bias"))
    if optional(weights, "known.out.weight") is not None:
        maps = (f"known.{part}.{kind}" for part in ("state", "future", "out") for kind in ("weight", "bias"))
        session.set_known(*(plain(weights, name) for name in maps))
    return session
