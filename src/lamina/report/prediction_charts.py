"""The figures of the best model: its forecasts and their errors, or which class it takes for which.

Each takes a study's record and gives a chart, or None without its data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lamina.report.drawing import BLUE, dropdown, sized, values
from lamina.report.formats import NAMING, significant
from lamina.report.points import forecast_rows
from lamina.study.verdict import StudyRecord

if TYPE_CHECKING:
    import altair as alt

    from lamina.report.drawing import Drawing

HISTOGRAM_BINS = 40


def forecasts(record: StudyRecord) -> Drawing | None:
    """Forecasts of the best model with their intervals, over what then happened."""
    import altair as alt

    shown = record.figures.forecasts
    if not shown:
        return None
    rows = [row for number, forecast in enumerate(shown) for row in forecast_rows(number, forecast)]
    chosen = dropdown("forecast_shown", "Series", {str(i): shown[i].series for i in range(len(shown))})
    target = record.data.target or "target"
    if all(isinstance(row["at"], int) and row["dated"] for row in rows):
        time = alt.X("at:T", title="time (UTC where no zone is given)", scale=alt.Scale(type="utc"))
    else:
        time = alt.X("at:Q", title="time (steps)", scale=alt.Scale(zero=False))
    value = f"{target} (units of the data)"
    scale = alt.Scale(zero=False)
    drawn = alt.Chart(values(rows)).transform_filter("datum.id === forecast_shown")
    layers: list[alt.Chart] = [
        drawn.mark_area(color=BLUE, opacity=shade).encode(
            x=time, y=alt.Y(f"lo_{level}:Q", title=value, scale=scale), y2=f"hi_{level}:Q"
        )
        for level, shade in ((95, 0.13), (80, 0.24))
        if any(f"lo_{level}" in row for row in rows)
    ]
    line = alt.Color(
        "line:N",
        title=None,
        scale=alt.Scale(domain=["truth", "forecast (median)"], range=["currentColor", BLUE]),
    )
    layers.append(
        drawn.transform_fold(["truth", "forecast (median)"], as_=["line", "value"])
        .transform_filter("isValid(datum.value)")
        .mark_line(strokeWidth=2)
        .encode(x=time, y=alt.Y("value:Q", title=value, scale=scale), color=line)
    )
    layers.append(
        drawn.mark_rule(opacity=0, strokeWidth=8).encode(
            x=time,
            tooltip=[
                alt.Tooltip("when:N", title="time"),
                alt.Tooltip("truth:Q", format=".4~g"),
                alt.Tooltip("forecast (median):Q", format=".4~g"),
                alt.Tooltip("range_80:N", title="80 % interval"),
            ],
        )
    )
    says = f"History and truth of {target} with the best model's median forecast and its intervals."
    return sized(alt.layer(*layers).add_params(chosen), height=320, says=says)


def errors_by_step(record: StudyRecord) -> Drawing | None:
    """Mean absolute error of the best model at each step of the horizon."""
    import altair as alt

    residuals = record.figures.residuals
    rows = [
        {"step": step, "mae": mae}
        for step, mae in enumerate(residuals.mae_by_step if residuals else (), start=1)
        if mae is not None
    ]
    if not rows:
        return None
    lines = (
        alt.Chart(values(rows))
        .mark_line(color=BLUE, strokeWidth=2, point=alt.OverlayMarkDef(size=28, color=BLUE))
        .encode(
            x=alt.X("step:Q", title="steps ahead", axis=alt.Axis(tickMinStep=1, grid=False)),
            y=alt.Y("mae:Q", title="mean absolute error (units of the data)"),
            tooltip=[
                alt.Tooltip("step:Q", title="steps ahead"),
                alt.Tooltip("mae:Q", title="mean absolute error", format=".4~g"),
            ],
        )
    )
    said = (
        f"from {significant(rows[0]['mae'])} at step {rows[0]['step']} to {significant(rows[-1]['mae'])} "
        f"at step {rows[-1]['step']}"
    )
    return sized(lines, height=240, says=f"Mean absolute error by horizon step: {said}.")


def error_histogram(record: StudyRecord) -> Drawing | None:
    """How the best model's errors spread around zero."""
    import altair as alt
    import numpy as np

    residuals = record.figures.residuals
    errors = [error for error in (residuals.sample if residuals else ()) if error is not None]
    if not errors:
        return None
    counts, edges = np.histogram(errors, bins=min(HISTOGRAM_BINS, max(5, round(len(errors) ** 0.5))))
    rows = [
        {"low": low, "high": high, "count": held, "range": f"{significant(low)} to {significant(high)}"}
        for low, high, held in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
    ]
    bars = (
        alt.Chart(values(rows))
        .mark_bar(color=BLUE, opacity=0.85)
        .encode(
            x=alt.X("low:Q", title="truth − forecast (units of the data)", bin="binned"),
            x2="high:Q",
            y=alt.Y("count:Q", title="forecast steps (count)"),
            tooltip=[alt.Tooltip("range:N", title="error"), "count:Q"],
        )
    )
    zero = (
        alt.Chart(values([{"zero": 0}])).mark_rule(color="currentColor", strokeDash=[4, 4]).encode(x="zero:Q")
    )
    return sized(
        alt.layer(bars, zero), height=240, says=f"Histogram of {len(errors):,} errors, truth minus forecast."
    )


def confusion(record: StudyRecord) -> Drawing | None:
    """Which class was taken for which: the share of each true class, with counts in the cells."""
    import altair as alt

    found = record.figures.confusion
    if found is None:
        return None
    rows = [
        {"truth": truth, "predicted": predicted, "count": cell, "share": cell / max(1, sum(counts))}
        for truth, counts in zip(found.classes, found.matrix, strict=True)
        for predicted, cell in zip(found.classes, counts, strict=True)
    ]
    classes = list(found.classes)
    base = alt.Chart(values(rows)).encode(
        x=alt.X(
            "predicted:N",
            title="predicted class",
            sort=classes,
            axis=alt.Axis(orient="top", labelAngle=0, grid=False),
        ),
        y=alt.Y("truth:N", title="true class", sort=classes, axis=alt.Axis(grid=False)),
        tooltip=[
            alt.Tooltip("truth:N", title="true class"),
            alt.Tooltip("predicted:N", title="predicted"),
            "count:Q",
            alt.Tooltip("share:Q", title="share of the true class", format=".1%"),
        ],
    )
    # Opacity on the page's own background reads in light and dark, where a colour ramp would not.
    cells = base.mark_rect(color=BLUE, cornerRadius=2).encode(
        opacity=alt.Opacity("share:Q", scale=alt.Scale(domain=[0, 1], range=[0.04, 0.75]), legend=None)
    )
    counts = base.mark_text(color="currentColor", fontSize=12).encode(text="count:Q")
    right = sum(found.matrix[i][i] for i in range(len(classes)))
    total = sum(map(sum, found.matrix))
    cases = NAMING[record.task].cases
    says = f"Confusion matrix of {len(classes)} classes: {right:,} of {total:,} {cases} on the diagonal."
    return sized(alt.layer(cells, counts), height=60 + 34 * len(classes), says=says)
