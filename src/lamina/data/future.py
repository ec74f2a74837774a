"""Covariates that are known ahead, for the steps after the end of a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from lamina.data.encoding import Encoding, encode
from lamina.data.series import SeriesTable, check_kinds, source_name
from lamina.data.sheet import column_names, read_sheet, require_columns
from lamina.errors import DataError


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
    name = source_name(source)
    time = time or "ds"
    id = id or ("unique_id" if "unique_id" in columns else None)
    covariates = [column.name for column in table.encoding.future]
    wanted = [time, *([id] if id else []), *covariates]
    require_columns(wanted, columns, name)
    sheet = read_sheet(source, columns=wanted, text=(id,) if id else ())
    values = {covariate: sheet.numbers_or_text(covariate) for covariate in covariates}
    check_kinds(Encoding(future=table.encoding.future), values, sheet)
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
