"""Time series as one long table: a target, covariates and time, checked when they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl

from lamina.data.encoding import Column, Encoding, encode, fit_column, output_names
from lamina.data.frequency import Frequency, as_frequency, infer_frequency, with_month_end
from lamina.data.regular import Duplicates, Gaps, Rows, fill_gaps, in_time_order, merge_duplicates
from lamina.data.roles import Roles, assign_roles
from lamina.data.sheet import Sheet, column_names, has_dated_index, read_sheet, require_columns
from lamina.errors import ConfigError, DataError, did_you_mean

__all__ = ["Column", "Encoding", "Frequency", "SeriesTable", "read_future", "read_series"]


@dataclass(frozen=True, eq=False)
class SeriesTable:
    """One or many regular series, one below the other; missing values are NaN everywhere.

    Args:
        ids: names of the n series.
        starts: (n+1,) int64; series i is rows starts[i]:starts[i+1].
        time: (rows,) datetime64[us] or int64, one ``frequency`` step apart within a series.
        y: (rows,) float64, the target.
        future: (rows, F) float32, covariates known ahead of time.
        past: (rows, P) float32, covariates known up to now only.
        static: (n, S) float32, covariates of a whole series.
        future_names, past_names, static_names: of their columns.
        frequency: the step and its seasons.
        target: name of the target, several joined by commas.
        encoding: how the covariate columns became numbers.
        notes: every choice made for the user, one sentence each.
    """

    ids: tuple[str, ...]
    starts: np.ndarray
    time: np.ndarray
    y: np.ndarray
    future: np.ndarray
    past: np.ndarray
    static: np.ndarray
    future_names: tuple[str, ...]
    past_names: tuple[str, ...]
    static_names: tuple[str, ...]
    frequency: Frequency
    target: str
    encoding: Encoding = field(default_factory=Encoding)
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Rows of all series."""
        return len(self.y)

    @property
    def n_series(self) -> int:
        """How many series."""
        return len(self.ids)

    @property
    def lengths(self) -> np.ndarray:
        """(n,) int64, rows of each series."""
        return np.diff(self.starts)

    @property
    def series_of_row(self) -> np.ndarray:
        """(rows,) int64, the series each row belongs to."""
        return np.repeat(np.arange(self.n_series), self.lengths)

    def keep(self, first: np.ndarray, stop: np.ndarray) -> SeriesTable:
        """Rows first[i]:stop[i] of every series i, counted from its start, as a table."""
        lengths = stop - first
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.repeat(self.starts[:-1] + first - starts[:-1], lengths) + np.arange(starts[-1])
        return replace(
            self,
            starts=starts,
            time=self.time[rows],
            y=self.y[rows],
            future=self.future[rows],
            past=self.past[rows],
        )

    def slice_last(self, n: int) -> SeriesTable:
        """The last ``n`` rows of every series, or all of a shorter one."""
        return self.keep(np.maximum(self.lengths - n, 0), self.lengths)

    def future_times(self, n: int) -> np.ndarray:
        """(n_series, n) time stamps that follow each series."""
        lasts = self.time[self.starts[1:] - 1]
        return self.frequency.shift(
            np.broadcast_to(lasts[:, None], (self.n_series, n)), np.arange(1, n + 1)[None, :]
        )

    def describe(self) -> dict[str, Any]:
        """Size, span and the range of every column, as JSON can hold them."""
        columns = {self.target: _column_facts(self.y)}
        for role, names, values in (
            ("known ahead", self.future_names, self.future),
            ("past only", self.past_names, self.past),
            ("static", self.static_names, self.static),
        ):
            for position, name in enumerate(names):
                columns[name] = {"role": role, **_column_facts(values[:, position])}
        return {
            "rows": self.rows,
            "series": self.n_series,
            "missing": int(np.isnan(self.y).sum()),
            "frequency": self.frequency.step,
            "seasons": list(self.frequency.seasons),
            "span": [str(self.time.min()), str(self.time.max())],
            "shortest": int(self.lengths.min()),
            "longest": int(self.lengths.max()),
            "columns": columns,
            "notes": list(self.notes),
        }


def read_series(
    source: Any,
    *,
    target: str | Sequence[str] | None = None,
    time: str | None = None,
    id: str | None = None,
    future: Sequence[str] = (),
    past: Sequence[str] | None = None,
    static: Sequence[str] = (),
    duplicates: Duplicates = "error",
    gaps: Gaps = "error",
    frequency: Frequency | str | None = None,
    encoding: Encoding | None = None,
) -> SeriesTable:
    """Series from a CSV (also .csv.gz) or Parquet file, or a frame of pandas, Polars or Arrow.

    Args:
        source: a path or a frame.
        target: what to forecast; several names give a series each, called "target" or "id/target".
            Default: column "y".
        time: the column of ISO dates, times or integers. Default: column "ds" where there is one, else
            rows are taken in order.
        id: the column that tells series apart. Default: column "unique_id" where there is one.
        future: covariates whose values are known ahead of time.
        past: covariates known up to now only. Default: every other column; () for none.
        static: covariates that are constant within a series.
        duplicates: what to do with a repeated time: "error", "first", "last" or "mean".
        gaps: what to do with left-out steps: "error", or "missing" to insert rows that are NaN.
        frequency: the step. Default: the most common gap.
        encoding: of an earlier table, so that covariates become the same columns; names the covariates.

    Raises:
        DataError: whatever in the data breaks a rule, with the column, the rows, and what mends it.
        ConfigError: an option has no such value, or the step cannot be read.

    >>> frame = pl.DataFrame({"ds": ["2024-01-02", "2024-01-01"], "y": [2.0, 1.0]})
    >>> table = read_series(frame, target="y")
    >>> table.y.tolist(), table.frequency.step
    ([1.0, 2.0], '1d')
    >>> table.notes[0]
    'rows were not in time order and have been sorted'
    """
    _check_choice("duplicates", duplicates, get_args(Duplicates))
    _check_choice("gaps", gaps, get_args(Gaps))
    given = None if frequency is None else as_frequency(frequency)
    columns = column_names(source)
    roles, notes = assign_roles(
        columns,
        target=target,
        time=time,
        id=id,
        future=future,
        past=past,
        static=static,
        encoding=encoding,
        source=_source_name(source),
    )
    if roles.time is None and has_dated_index(source):
        raise DataError(
            "time is a column but this frame has it in its index; pass frame.reset_index() and name it "
            "with time="
        )
    sheet = read_sheet(source, columns=roles.all, text=() if roles.id is None else (roles.id,))

    codes, ids = _series_codes(sheet, roles.id)
    stamps, time_note = _time_or_order(sheet, roles.time, codes)
    notes += [time_note] if time_note else []
    covariates = {name: sheet.numbers_or_text(name) for name in roles.covariates}
    encoding = encoding or _fit_encoding(roles, covariates, stamps)
    _check_kinds(encoding, covariates, sheet)
    static_values = _static_of_series(encoding.static, covariates, codes, ids, sheet)

    rows, ids = _melt(
        sheet, roles=roles, codes=codes, ids=ids, stamps=stamps, covariates=covariates, encoding=encoding
    )
    ordered = in_time_order(rows)
    if ordered is not rows and _out_of_order(rows):
        notes.append("rows were not in time order and have been sorted")
    single = merge_duplicates(ordered, duplicates, ids=ids, sheet=sheet)
    if len(single) < len(ordered):
        notes.append(f"{len(ordered) - len(single)} rows of repeated time were merged ({duplicates})")
    step, step_notes = _resolve_frequency(single, given, sheet)
    notes += step_notes if roles.time is not None else []
    regular = fill_gaps(single, step, gaps, ids=ids, sheet=sheet)
    if len(regular) > len(single):
        notes.append(f"{len(regular) - len(single)} left-out rows were inserted as missing")

    starts = np.searchsorted(regular.series, np.arange(len(ids) + 1)).astype(np.int64)
    notes += _check_target(regular.y, starts, ids, roles, sheet)
    return SeriesTable(
        ids=ids,
        starts=starts,
        time=regular.time,
        y=regular.y,
        future=regular.future,
        past=regular.past,
        static=np.tile(static_values, (len(roles.targets), 1)),
        future_names=output_names(encoding.future),
        past_names=output_names(encoding.past),
        static_names=output_names(encoding.static),
        frequency=step,
        target=",".join(roles.targets),
        encoding=encoding,
        notes=tuple(notes),
    )


def read_future(
    source: Any, table: SeriesTable, *, horizon: int, time: str | None = None, id: str | None = None
) -> np.ndarray:
    """Known-future covariates for the ``horizon`` steps that follow a table.

    Args:
        source: a path or frame with the time, the id where there are several series, and the covariates.
        table: the series they continue; its encoding is used.
        horizon: steps.
        time: the time column. Default: "ds".
        id: the column that tells series apart. Default: "unique_id" where there is one.

    Returns:
        (n_series, horizon, F) float32.

    Raises:
        DataError: a step of a series is not there, or is there twice.
    """
    columns = column_names(source)
    name = _source_name(source)
    time = time or "ds"
    id = id or ("unique_id" if "unique_id" in columns else None)
    covariates = [column.name for column in table.encoding.future]
    wanted = [time, *([id] if id else []), *covariates]
    require_columns(wanted, columns, name)
    sheet = read_sheet(source, columns=wanted, text=(id,) if id else ())
    values = {covariate: sheet.numbers_or_text(covariate) for covariate in covariates}
    _check_kinds(Encoding(future=table.encoding.future), values, sheet)
    encoded = encode(table.encoding.future, values, sheet.frame.height)
    stamps, _ = sheet.times(time)
    names = sheet.texts(id).to_list() if id else [""] * sheet.frame.height
    place = {key: row for row, key in enumerate(zip(names, stamps.tolist(), strict=True))}
    if len(place) < sheet.frame.height:
        raise DataError(
            f"{sheet.name}: each time stands once in a series but some repeat; remove the repeats"
        )
    found = np.empty((table.n_series, horizon, encoded.shape[1]), dtype=np.float32)
    for series, times in enumerate(table.future_times(horizon).tolist()):
        # A melted series is called "id/target" and shares the rows of its id.
        own = table.ids[series] if id else ""
        own = own if (own, times[0]) in place else own.rpartition("/")[0]
        for step, stamp in enumerate(times):
            if (own, stamp) not in place:
                raise DataError(
                    f"{sheet.name} must hold the {horizon} steps after the last row of series "
                    f"'{table.ids[series]}' but has no row for {stamp}; add it or forecast {step} steps"
                )
            found[series, step] = encoded[place[own, stamp]]
    return found


def _series_codes(sheet: Sheet, id: str | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """(rows,) int64 number of the series in order of appearance, and the names; "" for the only one."""
    if id is None:
        return np.zeros(sheet.frame.height, dtype=np.int64), ("",)
    names = sheet.texts(id)
    found = names.unique(maintain_order=True)
    codes = names.replace_strict(found, pl.Series(range(len(found)), dtype=pl.Int64)).to_numpy()
    return codes, tuple(found.to_list())


def _time_or_order(sheet: Sheet, time: str | None, codes: np.ndarray) -> tuple[np.ndarray, str | None]:
    if time is not None:
        return sheet.times(time)
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes)
    place = np.empty(len(codes), dtype=np.int64)
    place[order] = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    return place, "no time column was named (time=, --time): rows are taken in order, one step apart"


def _fit_encoding(roles: Roles, covariates: dict[str, pl.Series], stamps: np.ndarray) -> Encoding:
    order = np.argsort(stamps, kind="stable")
    future, past, static = (
        tuple(fit_column(name, covariates[name], order) for name in names)
        for names in (roles.future, roles.past, roles.static)
    )
    return Encoding(future, past, static)


def _check_kinds(encoding: Encoding, covariates: dict[str, pl.Series], sheet: Sheet) -> None:
    """Numbers where the encoding met numbers; numbers met as categories are read as text."""
    for column in encoding.columns:
        values = covariates[column.name]
        if column.categories is not None and values.dtype != pl.String:
            covariates[column.name] = sheet.frame[column.name].cast(pl.String)
        elif column.categories is None and values.dtype == pl.String:
            covariates[column.name] = sheet.numbers(column.name)


def _static_of_series(
    columns: tuple[Column, ...],
    covariates: dict[str, pl.Series],
    codes: np.ndarray,
    ids: tuple[str, ...],
    sheet: Sheet,
) -> np.ndarray:
    """(series, S) float32, from columns that must not change within a series."""
    _, first = np.unique(codes, return_index=True)
    for column in columns:
        values = covariates[column.name]
        expected = values.gather(first).gather(codes)
        changed = values.ne_missing(expected).arg_true().to_numpy()
        if len(changed):
            raise DataError(
                f"{sheet.name}: static column '{column.name}' must not change within a series but does in "
                f"'{ids[codes[changed[0]]]}' at {sheet.rows(changed)}; name it with future= or past= instead"
            )
    return encode(columns, {c.name: covariates[c.name].gather(first) for c in columns}, len(ids))


def _melt(
    sheet: Sheet,
    *,
    roles: Roles,
    codes: np.ndarray,
    ids: tuple[str, ...],
    stamps: np.ndarray,
    covariates: dict[str, pl.Series],
    encoding: Encoding,
) -> tuple[Rows, tuple[str, ...]]:
    """One series for each id and target: all of the first target, then all of the second."""
    rows = Rows(
        series=codes,
        time=stamps,
        position=np.arange(sheet.frame.height),
        y=sheet.numbers(roles.targets[0]).to_numpy(),
        future=encode(encoding.future, covariates, sheet.frame.height),
        past=encode(encoding.past, covariates, sheet.frame.height),
    )
    if len(roles.targets) == 1:
        return rows, ids if roles.id is not None else roles.targets
    copies = len(roles.targets)
    return Rows(
        series=np.concatenate([codes + len(ids) * copy for copy in range(copies)]),
        time=np.tile(rows.time, copies),
        position=np.tile(rows.position, copies),
        y=np.concatenate([rows.y, *(sheet.numbers(target).to_numpy() for target in roles.targets[1:])]),
        future=np.tile(rows.future, (copies, 1)),
        past=np.tile(rows.past, (copies, 1)),
    ), tuple(f"{name}/{target}" if name else target for target in roles.targets for name in ids)


def _out_of_order(rows: Rows) -> bool:
    """Whether time runs backwards within a series, rather than series being interleaved."""
    order = np.argsort(rows.series, kind="stable")
    series, time = rows.series[order], rows.time[order]
    return bool(((series[1:] == series[:-1]) & (time[1:] < time[:-1])).any())


def _resolve_frequency(rows: Rows, given: Frequency | None, sheet: Sheet) -> tuple[Frequency, list[str]]:
    dated = rows.time.dtype.kind == "M"
    if given is not None:
        if given.is_integer == dated:
            raise DataError(
                f"{sheet.name}: the step is {given.step} but time is {'dated' if dated else 'counted'}; "
                f"use a step such as {'1h' if dated else '1'}, or choose another time column"
            )
        return with_month_end(given, rows.time) if dated else given, []
    starts = np.append(np.flatnonzero(~rows.follows), len(rows))
    found = infer_frequency(rows.time, starts)
    if found is None:
        if dated:
            raise DataError(
                f"{sheet.name}: the step cannot be told from one row a series; name it with frequency= "
                f"(--frequency), such as 1h"
            )
        return Frequency("1"), []
    seasons = " and ".join(map(str, found.seasons))
    told = f", with seasons of {seasons} steps" if seasons else ", with no season assumed"
    return found, [f"the step is {found.step}, the most common gap{told} (frequency=, --frequency)"]


def _check_target(
    y: np.ndarray, starts: np.ndarray, ids: tuple[str, ...], roles: Roles, sheet: Sheet
) -> list[str]:
    low = np.fmin.reduceat(y, starts[:-1])
    if (empty := np.flatnonzero(np.isnan(low))).size:
        named = ", ".join(repr(ids[i]) for i in empty[:3]) + (" and others" if len(empty) > 3 else "")
        raise DataError(
            f"{sheet.name}: target '{','.join(roles.targets)}' must have a value somewhere but is missing "
            f"in all "
            f"of series {named}; choose another target or remove the series"
        )
    constant = np.flatnonzero(low == np.fmax.reduceat(y, starts[:-1]))
    notes = []
    if constant.size:
        named = ", ".join(repr(ids[i]) for i in constant[:3]) + (" and others" if len(constant) > 3 else "")
        notes.append(f"{len(constant)} of {len(ids)} series never change: {named}")
    if missing := int(np.isnan(y).sum()):
        notes.append(f"{missing:,} missing values of the target are kept as missing")
    return notes


def _column_facts(values: np.ndarray) -> dict[str, Any]:
    seen = values[~np.isnan(values)]
    if not seen.size:
        return {"missing": len(values), "min": None, "mean": None, "max": None}
    return {
        "missing": int(len(values) - seen.size),
        "min": float(seen.min()),
        "mean": float(seen.mean(dtype=np.float64)),
        "max": float(seen.max()),
    }


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(
            f"{option} is one of {', '.join(choices)} but is '{value}'{did_you_mean(value, choices)}"
        )


def _source_name(source: Any) -> str:
    return Path(source).name if isinstance(source, str | Path) else "the table"
