"""The figures of the report: each takes a study's record and gives an Altair chart, or None without its data.

Charts fill the width of the page, draw text in the page's own colour (so they read in light and dark),
name the unit on every axis, and show exact values in tooltips. Data travel inside the chart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lamina.report.formats import duration, percent, significant
from lamina.report.points import (
    cost_row,
    curve_rows,
    forecast_rows,
    mark_frontier,
    mean_row,
    place_labels,
    role,
    short,
    thinned,
)
from lamina.report.standings import Standing, display_names, standings
from lamina.study.verdict import Candidate, Numbers, StudyRecord, Verdict

if TYPE_CHECKING:
    import altair as alt

    Drawing = alt.Chart | alt.LayerChart | alt.FacetChart  # what alt.layer() may give

# Mid tones with at least 3:1 contrast on white and on #191c20.
BLUE, ORANGE, GREY = "#3b82d0", "#d9792b", "#84909c"
CATEGORIES = (BLUE, ORANGE, "#2f9e77", "#c2569c", "#8d7fd1", "#a88a2e", "#3f9fb5", "#cc5a4a")

HISTOGRAM_BINS = 40

# What a method may cost, by the attribute of its standing.
COSTS = {
    "train_s": "training time of a seed (s)",
    "predict_ms": "one prediction (ms)",
    "step_us": "one streamed answer (µs)",
    "parameters": "parameters (count)",
    "peak_mb": "memory in training (MB)",
}
COST_OF_LIMIT = {
    "latency_us": "step_us",
    "params": "parameters",
    "train_s": "train_s",
    "memory_mb": "peak_mb",
}


def question_scores(record: StudyRecord, verdict: Verdict) -> Drawing | None:
    """Validation scores of a question's arms: a dot a seed, the mean, its 95 % interval."""
    import altair as alt

    lines = [line for line in _arms(record, verdict) if line.validation is not None]
    if not lines:
        return None
    scores = {candidate.id: candidate.scores for candidate in record.candidates}
    dots = [
        {"arm": line.name, "score": score.validation, "seed": score.seed}
        for line in lines
        for score in scores.get(line.id, ())
        if score.validation is not None
    ]
    means = [mean_row(line, verdict) for line in lines]
    title = f"{record.metric.name} ({record.metric.unit}), validation rows"
    arm = alt.Y("arm:N", title=None, sort=[line.name for line in lines], axis=_arm_axis())
    shade = _role_colour()
    drawn = alt.Chart(_values(means))
    interval = drawn.mark_rule(strokeWidth=3, opacity=0.55).encode(
        y=arm, x=alt.X("low:Q", title=title, scale=alt.Scale(zero=False)), x2="high:Q", color=shade
    )
    mean = drawn.mark_point(filled=True, shape="diamond", size=150, opacity=1).encode(
        y=arm,
        x=alt.X("mean:Q", title=title),
        color=shade,
        tooltip=[
            alt.Tooltip("arm:N", title="model"),
            alt.Tooltip("mean_text:N", title=f"mean {record.metric.name}"),
            alt.Tooltip("seeds:Q"),
        ],
    )
    seeds = (
        alt.Chart(_values(dots))
        .mark_circle(size=34, opacity=0.6, color="currentColor")
        .encode(
            y=arm,
            x=alt.X("score:Q", title=title),
            tooltip=[
                alt.Tooltip("arm:N", title="model"),
                "seed:Q",
                alt.Tooltip("score:Q", title=record.metric.name),
            ],
        )
    )
    band = _rope_band(record, lines, verdict)
    means_said = ", ".join(f"{row['arm']} {row['mean_text']}" for row in means)
    return _sized(
        alt.layer(*band, interval, seeds, mean), height=_rows_height(lines), says=f"{title}: {means_said}."
    )


def _rope_band(record: StudyRecord, lines: Sequence[Standing], verdict: Verdict) -> list[alt.Chart]:
    """The range of scores that do not differ from the answer's by an amount that matters."""
    import altair as alt

    chosen = next((line.validation for line in lines if line.id == verdict.chosen), None)
    if chosen is None or not record.settings.rope:
        return []
    reach = record.settings.rope * abs(chosen.mean)
    ends = [{"from": chosen.mean - reach, "to": chosen.mean + reach}]
    shape = alt.Chart(_values(ends)).mark_rect(color=BLUE, opacity=0.12)
    return [shape.encode(x=alt.X("from:Q", scale=alt.Scale(zero=False)), x2="to:Q")]


def question_costs(record: StudyRecord, verdict: Verdict) -> Drawing | None:
    """Mean training time of a question's arms, in the same order as their scores."""
    import altair as alt

    lines = [line for line in _arms(record, verdict) if line.train_s is not None]
    if not lines:
        return None
    rows = [
        {
            "arm": line.name,
            "train_s": line.train_s,
            "train": duration(line.train_s),
            "predict": f"{significant(line.predict_ms)} ms",
            "role": role(line, verdict),
        }
        for line in lines
    ]
    bars = (
        alt.Chart(_values(rows))
        .mark_bar(height=14, cornerRadiusEnd=3)
        .encode(
            y=alt.Y("arm:N", title=None, sort=[line.name for line in lines], axis=_arm_axis()),
            x=alt.X("train_s:Q", title="training time of a seed (s)"),
            color=_role_colour(),
            tooltip=[
                alt.Tooltip("arm:N", title="model"),
                alt.Tooltip("train:N", title="training time"),
                alt.Tooltip("predict:N", title="one prediction"),
            ],
        )
    )
    said = ", ".join(f"{row['arm']} {row['train']}" for row in rows)
    return _sized(bars, height=_rows_height(lines), says=f"Mean training time of a seed: {said}.")


def accuracy_against_cost(record: StudyRecord) -> Drawing | None:
    """Score against a cost to choose; a step line joins what nothing cheaper beats, rules mark the limits."""
    import altair as alt

    lines = standings(record)
    networks = [line for line in lines if line.is_network]
    part = "test" if any(line.test for line in networks or lines) else "validation"
    rows = []
    for cost in COSTS:
        of_cost = [row for line in lines if (row := cost_row(line, part, cost)) is not None]
        mark_frontier(of_cost, lower_is_better=record.metric.direction == "lower")
        place_labels(of_cost)
        rows += of_cost
    choices = {cost: title for cost, title in COSTS.items() if any(row["cost"] == cost for row in rows)}
    if not rows:
        return None
    chosen = _dropdown("cost_shown", "Cost", choices)
    title = f"{_score_title(record)}, {part} rows"
    time = alt.X(
        "time:Q",
        title="the cost chosen below (log scale)",
        scale=alt.Scale(type="log"),
        axis=alt.Axis(grid=False, format="~g"),
    )
    score = alt.Y("mean:Q", title=title, scale=alt.Scale(zero=False, padding=14))
    kind = alt.Color(
        "kind:N", title=None, scale=alt.Scale(domain=["network", "baseline"], range=[BLUE, ORANGE])
    )
    shape = alt.Shape(
        "kind:N", title=None, scale=alt.Scale(domain=["network", "baseline"], range=["circle", "square"])
    )
    most = max(row["parameters"] for row in rows) or 1
    size = alt.Size("parameters:Q", scale=alt.Scale(domain=[0, most], range=[60, 420]), legend=None)
    drawn = alt.Chart(_values(rows)).transform_filter("datum.cost === cost_shown")
    # The point nearest to the pointer answers, so that small ones need not be hit.
    near = alt.selection_point(
        nearest=True, on="pointerover", empty=False, clear="pointerout", fields=["name"]
    )
    interval = drawn.mark_rule(opacity=0.4, strokeWidth=1.5).encode(
        x=time, y=alt.Y("low:Q", title=title), y2="high:Q", color=kind
    )
    frontier = (
        drawn.transform_filter("datum.frontier")
        .mark_line(interpolate="step-after", color=GREY, strokeDash=[4, 4], opacity=0.7)
        .encode(x=time, y=score)
    )
    point = (
        drawn.mark_point(filled=True, opacity=0.9)
        .encode(
            x=time,
            y=score,
            color=kind,
            shape=shape,
            size=size,
            strokeWidth=alt.condition(near, alt.value(4), alt.value(0)),
            tooltip=_cost_tooltip(record),
        )
        .add_params(near)
    )
    # A cost without a limit has an unseen rule, as an empty layer would have no extent.
    given = {COST_OF_LIMIT[name]: limit for name, limit in record.settings.limits.items()}
    least = {cost: min(row["time"] for row in rows if row["cost"] == cost) for cost in choices}
    bounds = [
        {"cost": cost, "limit": given.get(cost, least[cost]), "seen": cost in given} for cost in choices
    ]
    limit = (
        alt.Chart(_values(bounds))
        .transform_filter("datum.cost === cost_shown")
        .mark_rule(color=ORANGE, strokeDash=[2, 3], strokeWidth=2)
        .encode(
            x=alt.X("limit:Q"),
            opacity=alt.condition("datum.seen", alt.value(1), alt.value(0)),
            tooltip=[alt.Tooltip("limit:Q", title="limit")],
        )
    )
    # Names to the right of early points and above late ones stay inside the frame.
    named = drawn.encode(x=time, y=score, text="name:N")
    early = named.transform_filter("datum.label === 'right'").mark_text(
        align="left", dx=11, dy=-9, color="currentColor", fontSize=12
    )
    late = named.transform_filter("datum.label === 'above'").mark_text(
        dy=-18, color="currentColor", fontSize=12
    )
    first = next(iter(choices))
    said = ", ".join(
        f"{row['name']} {row['mean_text']} at {row['cost_text']}" for row in rows if row["cost"] == first
    )
    return _sized(
        alt.layer(limit, interval, frontier, point, early, late).add_params(chosen),
        height=340,
        says=f"{title}, against {choices[first]}: {said}.",
    )


def training_curves(record: StudyRecord) -> Drawing | None:
    """Training and validation loss by step for one chosen model; the shaded gap is overfitting."""
    import altair as alt

    shown = _best_first(record, [candidate for candidate in record.candidates if candidate.curves])
    if not shown:
        return None
    names = display_names(record)
    rows = [row for candidate in shown for row in curve_rows(candidate)]
    chosen = _dropdown("model_of_curves", "Model", {candidate.id: names[candidate.id] for candidate in shown})
    steps = alt.X("step:Q", title="step (optimiser updates)", axis=alt.Axis(tickMinStep=1, grid=False))
    part = alt.Color(
        "part:N",
        title=None,
        scale=alt.Scale(domain=["training", "validation"], range=[ORANGE, BLUE]),
    )
    drawn = alt.Chart(_values(rows)).transform_filter("datum.id === model_of_curves")
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
    return _sized(alt.layer(gap, seeds, means).add_params(chosen), height=280, says=says)


def _steps(candidate: Candidate, norms: Numbers) -> Sequence[int]:
    """The step of each value: those of the first seed's curve, whose run the norms are of."""
    known = candidate.curves[0].steps if candidate.curves else ()
    return known if len(known) == len(norms) else range(1, len(norms) + 1)


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
    chosen = _dropdown("model_of_norms", "Model", labels)
    layers = list(dict.fromkeys(layer for candidate in shown for layer in candidate.gradient_norms))
    cells = (
        alt.Chart(_values(rows))
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
    return _sized(cells, height=40 + 34 * len(layers), says=says)


def learning_curve(record: StudyRecord, verdict: Verdict) -> Drawing | None:
    """The metric by share of the training rows; its law and interval go on to twice the rows."""
    import altair as alt

    if not verdict.curves:
        return None
    lower = record.metric.direction == "lower"
    points, lines, fans = [], [], []
    for curve in verdict.curves:
        a, b, c = curve.law
        points += [
            {"model": curve.label, "share": share, "score": short(score)}
            for share, score in zip(curve.shares, curve.scores, strict=True)
            if share is not None and score is not None
        ]

        def score_of(error: float) -> float:
            return error if lower else 1 - error

        first = min(share for share in curve.shares if share is not None)
        for place in range(25):
            share = first * (2 / first) ** (place / 24)
            lines.append(
                {"model": curve.label, "share": short(share), "law": short(score_of(c + a * share**-b))}
            )
        now = c + a
        if curve.interval is not None:
            fans += [
                {
                    "model": curve.label,
                    "share": 1.0,
                    "low": short(score_of(now)),
                    "high": short(score_of(now)),
                },
                {
                    "model": curve.label,
                    "share": 2.0,
                    "low": short(score_of(now * (1 - curve.interval[0]))),
                    "high": short(score_of(now * (1 - curve.interval[1]))),
                },
            ]
    title = f"{record.metric.name} ({record.metric.unit}), validation rows"
    share = alt.X(
        "share:Q",
        title="training rows (share of those there are, log scale)",
        scale=alt.Scale(type="log", base=2),
        axis=alt.Axis(values=[0.125, 0.25, 0.5, 1, 2], format="~g", grid=False),
    )
    model = alt.Color("model:N", title=None, scale=alt.Scale(range=CATEGORIES))
    layers = [
        alt.Chart(_values(fans))
        .mark_area(opacity=0.2)
        .encode(x=share, y=alt.Y("low:Q", title=title), y2="high:Q", color=model),
        alt.Chart(_values(lines))
        .mark_line(strokeDash=[5, 4])
        .encode(x=share, y=alt.Y("law:Q", title=title, scale=alt.Scale(zero=False)), color=model),
        alt.Chart(_values(points))
        .mark_point(filled=True, size=70, opacity=1)
        .encode(
            x=share,
            y=alt.Y("score:Q", title=title),
            color=model,
            tooltip=[
                alt.Tooltip("model:N"),
                alt.Tooltip("share:Q", title="share of the rows", format=".3~g"),
                alt.Tooltip("score:Q", title=record.metric.name, format=".4~g"),
            ],
        ),
    ]
    says = f"{title}, by share of the training rows, with the fitted law up to twice the rows."
    return _sized(alt.layer(*(layers if fans else layers[1:])), height=280, says=says)


def forecasts(record: StudyRecord) -> Drawing | None:
    """Forecasts of the best model with their intervals, over what then happened."""
    import altair as alt

    shown = record.figures.forecasts
    if not shown:
        return None
    rows = [row for number, forecast in enumerate(shown) for row in forecast_rows(number, forecast)]
    chosen = _dropdown("forecast_shown", "Series", {str(i): shown[i].series for i in range(len(shown))})
    target = record.data.target or "target"
    if all(isinstance(row["at"], int) and row["dated"] for row in rows):
        time = alt.X("at:T", title="time (UTC where no zone is given)", scale=alt.Scale(type="utc"))
    else:
        time = alt.X("at:Q", title="time (steps)", scale=alt.Scale(zero=False))
    value = f"{target} (units of the data)"
    scale = alt.Scale(zero=False)
    drawn = alt.Chart(_values(rows)).transform_filter("datum.id === forecast_shown")
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
    return _sized(alt.layer(*layers).add_params(chosen), height=320, says=says)


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
        alt.Chart(_values(rows))
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
    return _sized(lines, height=240, says=f"Mean absolute error by horizon step: {said}.")


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
        alt.Chart(_values(rows))
        .mark_bar(color=BLUE, opacity=0.85)
        .encode(
            x=alt.X("low:Q", title="truth − forecast (units of the data)", bin="binned"),
            x2="high:Q",
            y=alt.Y("count:Q", title="forecast steps (count)"),
            tooltip=[alt.Tooltip("range:N", title="error"), "count:Q"],
        )
    )
    zero = (
        alt.Chart(_values([{"zero": 0}]))
        .mark_rule(color="currentColor", strokeDash=[4, 4])
        .encode(x="zero:Q")
    )
    return _sized(
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
    base = alt.Chart(_values(rows)).encode(
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
    says = f"Confusion matrix of {len(classes)} classes: {right:,} of {total:,} sequences on the diagonal."
    return _sized(alt.layer(cells, counts), height=60 + 34 * len(classes), says=says)


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


def _values(rows: Sequence[Mapping[str, Any]]) -> alt.InlineData:
    import altair as alt

    return alt.InlineData(values=[dict(row) for row in rows])


def _sized(chart: Drawing, *, height: int, says: str) -> Drawing:
    """The chart as wide as its place on the page; `says` is what a screen reader hears."""
    sized: Drawing = chart.properties(width="container", height=height, description=says)
    return sized


def _arm_axis() -> alt.Axis:
    import altair as alt

    return alt.Axis(grid=False, domain=False, labelFontSize=13, labelLimit=150)


def _rows_height(lines: Sequence[object]) -> int:
    return 16 + 38 * len(lines)


def _score_title(record: StudyRecord) -> str:
    metric = record.metric
    return f"{metric.name} ({metric.unit}, {metric.direction} is better)"


def _arms(record: StudyRecord, verdict: Verdict) -> list[Standing]:
    lines = {line.id: line for line in standings(record)}
    return [lines[arm] for arm in verdict.arms]


def _role_colour() -> alt.Color:
    import altair as alt

    return alt.Color("role:N", legend=None, scale=alt.Scale(domain=["answer", "other"], range=[BLUE, GREY]))


def _cost_tooltip(record: StudyRecord) -> list[alt.Tooltip]:
    import altair as alt

    return [
        alt.Tooltip("name:N", title="model"),
        alt.Tooltip("mean_text:N", title=record.metric.name),
        alt.Tooltip("cost_text:N", title="cost"),
        alt.Tooltip("train:N", title="training time"),
        alt.Tooltip("parameters_text:N", title="parameters"),
    ]


def _best_first(record: StudyRecord, candidates: list[Candidate]) -> list[Candidate]:
    best = record.best.candidate if record.best else None
    return sorted(candidates, key=lambda candidate: candidate.id != best)


def _dropdown(name: str, label: str, choices: Mapping[str, str]) -> alt.Parameter:
    """A list to choose one entry from; the first is shown at the start."""
    import altair as alt

    bind = alt.binding_select(options=list(choices), labels=list(choices.values()), name=f"{label} ")
    return alt.param(name=name, value=next(iter(choices)), bind=bind)
