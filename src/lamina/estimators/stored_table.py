"""A table's last rows as tensors and JSON, so that a saved model can go on from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lamina.data.encoding import Encoding
from lamina.data.frequency import Frequency
from lamina.data.series import SeriesTable

ARRAYS = ("starts", "y", "future", "past", "static")
NAMES = ("ids", "future_names", "past_names", "static_names")


def table_tensors(table: SeriesTable) -> dict[str, Tensor]:
    """The arrays of a table; time as int64 (microseconds since 1970 for dates)."""
    tensors = {name: torch.tensor(getattr(table, name)) for name in ARRAYS}
    tensors["time"] = torch.tensor(table.time.astype(np.int64))
    return tensors


def table_fields(table: SeriesTable) -> dict[str, Any]:
    """The rest of a table, as JSON types."""
    return {
        **{name: list(getattr(table, name)) for name in NAMES},
        "frequency": table.frequency.to_dict(),
        "dated": table.time.dtype.kind == "M",
        "target": table.target,
        "encoding": table.encoding.to_dict(),
        "notes": list(table.notes),
    }


def stored_table(tensors: dict[str, Tensor], fields: dict[str, Any]) -> SeriesTable:
    """The table that ``table_tensors`` and ``table_fields`` took apart."""
    time = tensors["time"].numpy()
    arrays: dict[str, Any] = {name: tensors[name].numpy() for name in ARRAYS}
    names: dict[str, Any] = {name: tuple(fields[name]) for name in NAMES}
    return SeriesTable(
        **arrays,
        **names,
        time=time.astype("M8[us]") if fields["dated"] else time,
        frequency=Frequency.from_dict(fields["frequency"]),
        target=fields["target"],
        encoding=Encoding.from_dict(fields["encoding"]),
        notes=tuple(fields["notes"]),
    )
