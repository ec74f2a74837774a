"""The figures of training: losses by step, and the gradient norm of each layer.

Each takes a study's record and gives a chart, or None without its data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lamina.report.drawing import BLUE, GREY, ORANGE, dropdown, sized, values
from lamina.report.formats import percent
from lamina.report.points import curve_rows, short, thinned
from lamina.report.standings import display_names
from lamina.study.verdict import Candidate, Numbers, StudyRecord

if TYPE_CHECKING:
    from lamina.report.drawing import Drawing


def training_curves(record: StudyRecord) -> Drawing | None:
    """Training and validation loss by step for one chosen model; the shaded gap is overfitting."""
    import altair as alt

    shown = _best_first(record, [candidate for candidate in record.candidates if candidate.curves])
    if not shown:
        return None
    names = display_names(record)
    rows = [row for candidate in shown for row in curve_rows(candidate)]
    chosen = dropdown("model_of_curves", "Model", {candidate.id: names[candidate.id] for candidate in shown})
    steps = alt.X("step:Q", title="step (optimiser updates)", axis=alt.Axis(tickMinStep=1, grid=False))
    part = alt.Color(
        "part:N",
        title=None,
        scale=alt.Scale(domain=["training", "validation"], range=[ORANGE, BLUE]),
    )
    drawn = alt.Chart(values(rows)).transform_filter("datum.id === model_of_curves")
    seeds = drawn.mark_line(opacity=0.35, strokeWidth=1).encode(
        x=steps,
        y=alt.Y("loss:Q", title="loss (as optimised, lower is better)", scale=alt.Scale(zero=False)),
        color=part,
        detail="seed:N",
    )
    gap = (
        drawn.transform_pivot("part", value="loss", groupby=["step"], op="mean")
        .mark_area(color=GREY, opacity=0.18)
        .encode(x=steps, y=alt.Y("training:Q"), y2="validation:Q")
    )
    means = (
        drawn.transform_aggregate(loss="mean(loss)", seeds="distinct(seed)", groupby=["step", "part"])
        .mark_line(strokeWidth=2.5, point=alt.OverlayMarkDef(size=22))
        .encode(
            x=steps,
            y="loss:Q",
            color=part,
            tooltip=[
                alt.Tooltip("part:N", title="rows"),
                "step:Q",
                alt.Tooltip("loss:Q", title="mean loss", format=".4g"),
                "seeds:Q",
            ],
        )
    )
    says = "Training and validation loss by step for the model chosen below the figure; the gap is shaded."
    return sized(alt.layer(gap, seeds, means).add_params(chosen), height=280, says=says)


def gradient_norms(record: StudyRecord) -> Drawing | None:
    """Mean gradient norm of each layer by step for one chosen model, as a heat map."""
    import altair as alt

    shown = _best_first(record, [candidate for candidate in record.candidates if candidate.gradient_norms])
    rows = [
        {
            "id": candidate.id,
            "layer": layer,
            "step": str(step),
            "norm": short(norm),
            "clipped": percent(candidate.clip_rate),
        }
        for candidate in shown
        for layer, norms in candidate.gradient_norms.items()
        for step, norm in thinned(list(zip(_steps(candidate, norms), norms, strict=True)))
        if norm is not None and norm > 0  # a log scale has no place for the rest
    ]
    if not rows:
        return None
    names = display_names(record)
    labels = {
        candidate.id: f"{names[candidate.id]} ({percent(candidate.clip_rate)} of the steps clipped)"
        if candidate.clip_rate is not None
        else names[candidate.id]
        for candidate in shown
    }
    chosen = dropdown("model_of_norms", "Model", labels)
    layers = list(dict.fromkeys(layer for candidate in shown for layer in candidate.gradient_norms))
    cells = (
        alt.Chart(values(rows))
        .transform_filter("datum.id === model_of_norms")
        .mark_rect(stroke=None)
        .encode(
            x=alt.X(
                "step:O",
                title="step (optimiser updates)",
                sort=None,
                axis=alt.Axis(labelOverlap=True, labelAngle=0, grid=False),
            ),
            y=alt.Y("layer:N", title="layer (from the input up)", sort=layers, axis=alt.Axis(grid=False)),
            color=alt.Color(
                "norm:Q",
                title="gradient norm (before clipping, log scale)",
                scale=alt.Scale(type="log", scheme="viridis"),
                legend=alt.Legend(
                    gradientLength=180, format=".1~g", titleLimit=400, titleFontWeight="normal", tickCount=4
                ),
            ),
            tooltip=[
                "layer:N",
                "step:O",
                alt.Tooltip("norm:Q", title="gradient norm", format=".3g"),
                alt.Tooltip("clipped:N", title="steps clipped"),
            ],
        )
        .add_params(chosen)
    )
    says = "Heat map of the mean gradient norm of each layer by step for the model chosen below the figure."
    return sized(cells, height=40 + 34 * len(layers), says=says)


def _steps(candidate: Candidate, norms: Numbers) -> Sequence[int]:
    """The step of each value: those of the first seed's curve, whose run the norms are of."""
    known = candidate.curves[0].steps if candidate.curves else ()
    return known if len(known) == len(norms) else range(1, len(norms) + 1)


def _best_first(record: StudyRecord, candidates: list[Candidate]) -> list[Candidate]:
    best = record.best.candidate if record.best else None
    return sorted(candidates, key=lambda candidate: candidate.id != best)
