"""Tables out: in the kind of frame that came in."""

from __future__ import annotations

from typing import Any, Literal

import polars as pl

Kind = Literal["polars", "pandas", "arrow"]


def kind_of(source: object) -> Kind:
    """The kind of frame to answer with: that of ``source``, and polars for files."""
    module = type(source).__module__.partition(".")[0]
    if module == "pandas":
        return "pandas"
    return "arrow" if module == "pyarrow" else "polars"


def as_kind(frame: pl.DataFrame, kind: Kind) -> Any:
    """The frame as the named kind.

    >>> type(as_kind(pl.DataFrame({"y": [1.0]}), "arrow")).__name__
    'Table'
    """
    if kind == "polars":
        return frame
    table = frame.to_arrow()
    if kind == "arrow":
        return table
    return table.to_pandas()
