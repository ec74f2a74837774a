"""What all figures of the report share: colours, sizes, the look, and the data that travel inside a chart.

Charts fill the width of the page, draw text in the page's own colour (so they read in light and dark),
name the unit on every axis, and show exact values in tooltips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt

    Drawing = alt.Chart | alt.LayerChart | alt.FacetChart  # what alt.layer() may give

# Mid tones with at least 3:1 contrast on white and on #191c20.
BLUE, ORANGE, GREY = "#3b82d0", "#d9792b", "#84909c"
CATEGORIES = (BLUE, ORANGE, "#2f9e77", "#c2569c", "#8d7fd1", "#a88a2e", "#3f9fb5", "#cc5a4a")


def values(rows: Sequence[Mapping[str, Any]]) -> alt.InlineData:
    """Rows as the data of a chart."""
    import altair as alt

    return alt.InlineData(values=[dict(row) for row in rows])


def sized(chart: Drawing, *, height: int, says: str) -> Drawing:
    """The chart as wide as its place on the page; `says` is what a screen reader hears."""
    sized: Drawing = chart.properties(width="container", height=height, description=says)
    return sized


def dropdown(name: str, label: str, choices: Mapping[str, str]) -> alt.Parameter:
    """A list to choose one entry from; the first is shown at the start."""
    import altair as alt

    bind = alt.binding_select(options=list(choices), labels=list(choices.values()), name=f"{label} ")
    return alt.param(name=name, value=next(iter(choices)), bind=bind)


def specification(chart: Drawing) -> dict[str, Any]:
    """The chart as a Vega-Lite object in the report's look."""
    quiet = {
        "domainColor": "currentColor",
        "domainOpacity": 0.3,
        "ticks": False,
        "labelPadding": 6,
        "labelFlush": False,
    }
    text = {"labelColor": "currentColor", "titleColor": "currentColor", "labelFontSize": 12}
    themed = chart.configure(
        background="transparent",
        font="system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
        view={"stroke": None},
        axis={
            **quiet,
            **text,
            "gridColor": "currentColor",
            "gridOpacity": 0.1,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "titleOpacity": 0.75,
            "titlePadding": 10,
        },
        axisQuantitative={"tickCount": 6},
        legend={
            **text,
            "symbolOpacity": 1,
            "orient": "top",
            "direction": "horizontal",
            "symbolStrokeWidth": 2.5,
        },
    )
    spec: dict[str, Any] = themed.to_dict()
    return spec
