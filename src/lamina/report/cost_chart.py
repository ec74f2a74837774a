"""The figure of accuracy against cost, with what nothing cheaper beats and the limits that were set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lamina.report.drawing import BLUE, GREY, ORANGE, dropdown, sized, values
from lamina.report.formats import NAMING
from lamina.report.points import cost_row, cropped, frame_of, mark_frontier, place_labels
from lamina.report.standings import standings
from lamina.study.verdict import Metric, StudyRecord

if TYPE_CHECKING:
    import altair as alt

    from lamina.report.drawing import Drawing

# What a method may cost, by the attribute of its standing.
COSTS = {
    "train_s": "training time of a seed (s)",
    "predict_ms": "one prediction (ms)",
    "step_us": "one streamed answer (µs)",
    "latency_us": "answers, as a limit holds them (µs)",
    "parameters": "parameters (count)",
    "peak_mb": "memory in training (MB)",
}
COST_OF_LIMIT = {
    "latency_us": "latency_us",
    "params": "parameters",
    "train_s": "train_s",
    "memory_mb": "peak_mb",
}


def accuracy_against_cost(record: StudyRecord, *, first: str | None = None) -> Drawing | None:
    """Score against a cost to choose; a step line joins what nothing cheaper beats, rules mark the limits.

    Args:
        first: the cost shown at the start, an attribute of a standing; None for training time.
    """
    import altair as alt

    lines = standings(record)
    networks = [line for line in lines if line.is_network]
    part = "test" if any(line.test for line in networks or lines) else "validation"
    of_costs = [
        [row for line in lines if (row := cost_row(line, part, record.metric, cost)) is not None]
        for cost in COSTS
    ]
    everything = [row for of_cost in of_costs for row in of_cost]
    known = {row["cost"] for row in everything}
    order = sorted(COSTS, key=lambda cost: cost != first)
    choices = {cost: COSTS[cost] for cost in order if cost in known}
    if not everything:
        return None
    low, high = _score_frame(everything, record.metric)
    for of_cost in of_costs:
        mark_frontier(of_cost, lower_is_better=record.metric.direction == "lower")
        place_labels(of_cost, low, high)
    rows = [cropped(row, low, high) for row in everything]
    chosen = dropdown("cost_shown", "Cost", choices)
    title = f"{_score_title(record)}, {part} {NAMING[record.task].cases}"
    time = alt.X(
        "time:Q",
        title="the cost chosen below (log scale)",
        scale=alt.Scale(type="log"),
        axis=alt.Axis(grid=False, format="~g"),
    )
    frame = alt.Scale(domain=[low, high], nice=False)
    score = alt.Y("at:Q", title=title, scale=frame)
    kind = alt.Color(
        "kind:N", title=None, scale=alt.Scale(domain=["network", "baseline"], range=[BLUE, ORANGE])
    )
    shape = alt.Shape(
        "kind:N", title=None, scale=alt.Scale(domain=["network", "baseline"], range=["circle", "square"])
    )
    most = max(row["parameters"] for row in rows) or 1
    size = alt.Size("parameters:Q", scale=alt.Scale(domain=[0, most], range=[60, 420]), legend=None)
    drawn = alt.Chart(values(rows)).transform_filter("datum.cost === cost_shown")
    # The point nearest to the pointer answers, so that small ones need not be hit.
    near = alt.selection_point(
        nearest=True, on="pointerover", empty=False, clear="pointerout", fields=["name"]
    )
    interval = drawn.mark_rule(opacity=0.4, strokeWidth=1.5).encode(
        x=time, y=alt.Y("low:Q", title=title, scale=frame), y2="high:Q", color=kind
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
        alt.Chart(values(bounds))
        .transform_filter("datum.cost === cost_shown")
        .mark_rule(color=ORANGE, strokeDash=[2, 3], strokeWidth=2)
        .encode(
            x=alt.X("limit:Q"),
            opacity=alt.condition("datum.seen", alt.value(1), alt.value(0)),
            tooltip=[alt.Tooltip("limit:Q", title="limit")],
        )
    )
    # Names to the right of early points and above late ones stay inside the frame. One layer for both, as a
    # layer without a row would have no extent; every cost has a row with a name.
    late = "datum.label === 'above'"
    named = (
        drawn.transform_filter("isValid(datum.label)")
        .mark_text(
            align=alt.expr(f"{late} ? 'center' : 'left'"),
            dx=alt.expr(f"{late} ? 0 : 11"),
            dy=alt.expr(f"{late} ? -18 : -9"),
            color="currentColor",
            fontSize=12,
        )
        .encode(x=time, y=score, text="name:N")
    )
    shown = next(iter(choices))
    said = ", ".join(
        f"{row['name']} {row['mean_text']} at {row['cost_text']}" for row in rows if row["cost"] == shown
    )
    return sized(
        alt.layer(limit, interval, frontier, point, named).add_params(chosen),
        height=340,
        says=f"{title}, against {choices[shown]}: {said}.",
    )


def _score_frame(rows: Sequence[dict[str, Any]], metric: Metric) -> tuple[float, float]:
    """Ends of the axis of scores: of the networks, and of the simple methods that come near to them."""
    networks = [row["mean"] for row in rows if row["kind"] == "network"]
    low, high = frame_of(networks or [row["mean"] for row in rows], metric)
    near = [row["mean"] for row in rows if low - (high - low) <= row["mean"] <= high + (high - low)]
    room = 0.1 * (high - low)  # so that what stands at the edge lies apart from all others
    return min(low, min(near) - room), max(high, max(near) + room)


def _score_title(record: StudyRecord) -> str:
    metric = record.metric
    return f"{metric.name} ({metric.unit}, {metric.direction} is better)"


def _cost_tooltip(record: StudyRecord) -> list[alt.Tooltip]:
    import altair as alt

    return [
        alt.Tooltip("name:N", title="model"),
        alt.Tooltip("mean_text:N", title=record.metric.name),
        alt.Tooltip("cost_text:N", title="cost"),
        alt.Tooltip("train:N", title="training time"),
        alt.Tooltip("parameters_text:N", title="parameters"),
    ]
