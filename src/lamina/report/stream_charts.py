"""The figures of a stream that was learned: scores, coverage and weights over time.

Each takes an evaluation and gives a chart, or None without its data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lamina.report.drawing import BLUE, CATEGORIES, GREY, ORANGE, sized, values
from lamina.report.formats import percent, significant
from lamina.report.points import short, thinned
from lamina.streaming.progressive import LEVEL, Evaluation

if TYPE_CHECKING:
    import altair as alt

    from lamina.report.drawing import Drawing

LEVEL_TEXT = f"{100 * LEVEL:.0f}\N{NO-BREAK SPACE}%"
OTHERS = "all others"
# As many experts as there are colours, less one for the others.
MOST_EXPERTS = len(CATEGORIES) - 1
LEARNER, NO_CHANGE = "learner", "no change"


def score_by_window(found: Evaluation) -> Drawing:
    """The score of the learner and of no change over each window, with a rule where a drift was noticed."""
    import altair as alt

    rows = [
        {"row": point.row, "who": who, "score": short(score), "kappa": short(point.kappa)}
        for point in thinned(list(found.curve))
        for who, score in ((NO_CHANGE, point.no_change), (LEARNER, point.score))
    ]
    title = "accuracy (share)" if found.metric == "accuracy" else "mean absolute error (units of the data)"
    both = [LEARNER, NO_CHANGE]
    lines = (
        alt.Chart(values(rows))
        .mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=26))
        .encode(
            x=_row_axis(found),
            y=alt.Y("score:Q", title=title, scale=alt.Scale(zero=False)),
            color=alt.Color(
                "who:N",
                title=None,
                scale=alt.Scale(domain=both, range=[BLUE, ORANGE]),
                legend=alt.Legend(symbolType="stroke", symbolSize=300),
            ),
            strokeDash=alt.StrokeDash(
                "who:N", title=None, scale=alt.Scale(domain=both, range=[[1, 0], [5, 4]])
            ),
            tooltip=[
                alt.Tooltip("row:Q", title="up to row", format=",d"),
                alt.Tooltip("who:N", title="who"),
                alt.Tooltip("score:Q", title=found.metric, format=".4~g"),
                alt.Tooltip("kappa:Q", title="kappa of the window", format=".3f"),
            ],
        )
    )
    said = ", ".join(
        f"{significant(point.score)} against {significant(point.no_change)} up to row {point.row:,}"
        for point in (found.curve[0], found.curve[-1])
    )
    drifts = f"; a change was noticed {len(found.drifts)} times" if found.drifts else ""
    says = f"{title} of the learner and of no change over windows of {found.window:,} rows: {said}{drifts}."
    return sized(_with_drifts(lines, found), height=280, says=says)


def coverage_by_window(found: Evaluation) -> Drawing | None:
    """The share of values inside the intervals over each window, beside what was asked."""
    import altair as alt

    points = [
        (point.row, point.coverage) for point in thinned(list(found.curve)) if point.coverage is not None
    ]
    if not points:
        return None
    rows = [{"row": row, "coverage": short(coverage)} for row, coverage in points]
    shares = [LEVEL, *(coverage for _, coverage in points)]
    room = 0.1 * (max(shares) - min(shares))
    domain = [max(0.0, min(shares) - room), min(1.0, max(shares) + room)]
    lines = (
        alt.Chart(values(rows))
        .mark_line(strokeWidth=2, color=BLUE, point=alt.OverlayMarkDef(size=26, color=BLUE))
        .encode(
            x=_row_axis(found),
            y=alt.Y(
                "coverage:Q",
                title="values inside the intervals (share)",
                scale=alt.Scale(domain=domain, nice=False),
                axis=alt.Axis(format=".0%"),
            ),
            tooltip=[
                alt.Tooltip("row:Q", title="up to row", format=",d"),
                alt.Tooltip("coverage:Q", title="inside", format=".1%"),
            ],
        )
    )
    asked = (
        alt.Chart(values([{"asked": LEVEL}]))
        .mark_rule(color=ORANGE, strokeDash=[5, 4], strokeWidth=2)
        .encode(y="asked:Q")
    )
    says = (
        f"Share of values inside {LEVEL_TEXT} intervals over windows of {found.window:,} rows: "
        f"{percent(found.coverage)} over all rows."
    )
    return sized(_with_drifts(alt.layer(asked, lines), found), height=280, says=says)


def weights_by_window(found: Evaluation) -> Drawing | None:
    """The mean share of each expert over each window, no change first; small ones together."""
    import altair as alt

    if not found.weights:
        return None
    names = shown_experts(found)
    rows = [
        {"row": point.row, "expert": name, "share": share, "order": order}
        for point in thinned(list(found.curve))
        for order, (name, share) in enumerate(_shares(point.weights, names))
    ]
    colours = [ORANGE, *(colour for colour in CATEGORIES if colour != ORANGE)][: len(names)]
    domain = [*names, OTHERS]
    areas = (
        alt.Chart(values(rows))
        .mark_area(opacity=0.85, point=alt.OverlayMarkDef(size=20))
        .encode(
            x=_row_axis(found),
            y=alt.Y(
                "share:Q",
                title="weight in what is said (share)",
                stack="zero",
                scale=alt.Scale(domain=[0, 1], nice=False),
                axis=alt.Axis(format=".0%"),
            ),
            color=alt.Color(
                "expert:N",
                title=None,
                sort=domain,
                scale=alt.Scale(domain=domain, range=[*colours, GREY]),
                legend=alt.Legend(columns=1, labelLimit=220, symbolType="square"),
            ),
            order=alt.Order("order:Q"),
            tooltip=[
                alt.Tooltip("row:Q", title="up to row", format=",d"),
                alt.Tooltip("expert:N"),
                alt.Tooltip("share:Q", title="weight", format=".1%"),
            ],
        )
    )
    said = ", ".join(f"{name} {percent(found.weights[name])}" for name in names)
    says = f"Mean weight of each expert over each window; at the end {said}."
    return sized(_with_drifts(areas, found), height=300, says=says)


def shown_experts(found: Evaluation) -> list[str]:
    """No change, and the experts with the largest weight over the whole curve, the largest first."""
    first, *others = found.weights
    total = {name: sum(point.weights.get(name, 0.0) for point in found.curve) for name in others}
    return [first, *sorted(others, key=lambda name: -total[name])[: MOST_EXPERTS - 1]]


def _shares(weights: dict[str, float], names: Sequence[str]) -> list[tuple[str, float | None]]:
    shares = [(name, weights.get(name, 0.0)) for name in names]
    rest = max(0.0, 1.0 - sum(share for _, share in shares))
    return [(name, short(share)) for name, share in [*shares, (OTHERS, rest)]]


def _row_axis(found: Evaluation) -> alt.X:
    import altair as alt

    last = found.curve[-1].row
    return alt.X(
        "row:Q",
        title="rows so far (count)",
        scale=alt.Scale(domain=[0, last], nice=False),
        axis=alt.Axis(format=",d", grid=False, tickCount=5),
    )


def _with_drifts(chart: Any, found: Evaluation) -> Drawing:
    """The chart under a rule for each row at which a change was noticed."""
    import altair as alt

    layers = [chart]
    if found.drifts:
        layers.append(
            alt.Chart(values([{"row": row} for row in found.drifts]))
            .mark_rule(color="currentColor", strokeDash=[2, 3], strokeWidth=1.5, opacity=0.7)
            .encode(x=_row_axis(found), tooltip=[alt.Tooltip("row:Q", title="change at row", format=",d")])
        )
    layered: Drawing = alt.layer(*layers)
    return layered
