"""What every page of a report is made of: sections of tables and figures, the template, style and scripts.

A page is one file that fetches nothing. Its content security policy names the scripts it may run by their
hashes, so that text from the data never becomes one.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lamina.report.drawing import specification
from lamina.report.formats import (
    capitalised,
    count,
    duration,
    headline,
    percent,
    percent_range,
    significant,
    unbroken,
)
from lamina.report.tables import Table

if TYPE_CHECKING:
    from lamina.report.drawing import Drawing


@dataclass(frozen=True)
class Figure:
    """A chart on the page: the id of its element, its caption, its Vega-Lite object."""

    id: str
    caption: str
    spec: dict[str, Any]


@dataclass(frozen=True)
class Highlight:
    """One figure beside the verdict."""

    title: str
    value: str
    detail: str


@dataclass(frozen=True)
class Section:
    """A part of the page below the verdict: a table, then its figures."""

    id: str
    title: str
    table: Table | None
    figures: tuple[Figure, ...]


def section(id: str, title: str, table: Table | None, *figures: Figure | None) -> Section | None:
    """A part of the page with what there is to show, or None."""
    drawn = tuple(figure for figure in figures if figure is not None)
    return Section(id, title, table, drawn) if table is not None or drawn else None


def figure(id: str, caption: str, chart: Drawing | None) -> Figure | None:
    """A chart with its caption; None without a chart."""
    return None if chart is None else Figure(f"figure-{id}", caption, specification(chart))


def fill(template: str, content: Mapping[str, Any]) -> str:
    """A page from one of the package's templates; all text is escaped.

    The template is also given ``style``, ``scripts`` and ``script_hashes``.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(_own_file),
    )
    environment.filters |= {
        "significant": significant,
        "percent": percent,
        "percent_range": percent_range,
        "capitalised": capitalised,
        "headline": headline,
        "unbroken": unbroken,
        "duration": duration,
        "count": count,
    }
    scripts = [_chart_library(), _own_file("script.js")]
    return environment.get_template(template).render(
        content,
        style=Markup(_own_file("style.css")),
        scripts=[Markup(script) for script in scripts],
        script_hashes=[_policy_hash(script) for script in scripts],
    )


def write_whole(text: str, path: str | os.PathLike[str]) -> None:
    """Write a file, whole or not at all; an existing one is replaced."""
    target = Path(path)
    partial = target.with_name(target.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(target)


@cache
def _chart_library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle


def _own_file(name: str) -> str:
    return files("lamina.report").joinpath(name).read_text(encoding="utf-8")


def _policy_hash(script: str) -> str:
    """What a content security policy calls a script by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
