"""The figures of a question: the scores of its arms, what they cost, and the curve over the rows.

Each takes a study's record and the question's verdict, and gives a chart, or None without its data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lamina.report.drawing import BLUE, CATEGORIES, GREY, sized, values
from lamina.report.formats import NAMING, duration, significant
from lamina.report.points import cropped, frame_of, mean_row, role, short
from lamina.report.standings import Standing, standings
from lamina.study.verdict import StudyRecord, Verdict

if TYPE_CHECKING:
    import altair as alt

    from lamina.report.drawing import Drawing


def question_scores(record: StudyRecord, verdict: Verdict) -> Drawing | None:
    """Validation scores of a question's arms: a dot a seed, the mean, its 95 % interval."""
    import altair as alt

    lines = [line for line in _arms(record, verdict) if line.validation is not None]
    if not lines:
        return None
    seeds_of = {candidate.id: candidate.scores for candidate in record.candidates}
    scores = {
        line.name: {
            one.seed: one.validation for one in seeds_of.get(line.id, ()) if one.validation is not None
        }
        for line in lines
    }
    dots = [
        {"arm": arm, "score": score, "seed": seed}
        for arm, found in scores.items()
        for seed, score in found.items()
    ]
    measured = [score for found in scores.values() for score in found.values()]
    low, high = frame_of(
        [*measured, *(line.validation.mean for line in lines if line.validation)], record.metric
    )
    means = [cropped(mean_row(line, verdict, record.metric), low, high) for line in lines]
    title = [f"{record.metric.name} ({record.metric.unit})", f"validation {NAMING[record.task].cases}"]
    arm = alt.Y("arm:N", title=None, sort=[line.name for line in lines], axis=_arm_axis())
    shade = _role_colour()
    drawn = alt.Chart(values(means))
    interval = drawn.mark_rule(strokeWidth=3, opacity=0.55).encode(
        y=arm,
        x=alt.X("low:Q", title=title, scale=alt.Scale(domain=[low, high], nice=False)),
        x2="high:Q",
        color=shade,
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
        alt.Chart(values(dots))
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
    band = _rope_band(record, lines, verdict, low, high)
    means_said = ", ".join(f"{row['arm']} {row['mean_text']}" for row in means)
    return sized(
        alt.layer(*band, interval, seeds, mean),
        height=_rows_height(lines),
        says=f"{', '.join(title)}: {means_said}.",
    )


def _rope_band(
    record: StudyRecord, lines: Sequence[Standing], verdict: Verdict, low: float, high: float
) -> list[alt.Chart]:
    """The range of scores that do not differ from the answer's by an amount that matters."""
    import altair as alt

    chosen = next((line.validation for line in lines if line.id == verdict.chosen), None)
    if chosen is None or not record.settings.rope:
        return []
    reach = record.settings.rope * abs(chosen.mean)
    ends = [{"from": max(low, chosen.mean - reach), "to": min(high, chosen.mean + reach)}]
    shape = alt.Chart(values(ends)).mark_rect(color=BLUE, opacity=0.12)
    return [shape.encode(x="from:Q", x2="to:Q")]


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
        alt.Chart(values(rows))
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
    return sized(bars, height=_rows_height(lines), says=f"Mean training time of a seed: {said}.")


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
    cases = NAMING[record.task].cases
    title = f"{record.metric.name} ({record.metric.unit}), validation {cases}"
    share = alt.X(
        "share:Q",
        title=f"share of the training {cases} (log scale)",
        scale=alt.Scale(type="log", base=2),
        axis=alt.Axis(values=[0.125, 0.25, 0.5, 1, 2], format="~g", grid=False),
    )
    model = alt.Color("model:N", title=None, scale=alt.Scale(range=CATEGORIES))
    layers = [
        alt.Chart(values(fans))
        .mark_area(opacity=0.2)
        .encode(x=share, y=alt.Y("low:Q", title=title), y2="high:Q", color=model),
        alt.Chart(values(lines))
        .mark_line(strokeDash=[5, 4])
        .encode(x=share, y=alt.Y("law:Q", title=title, scale=alt.Scale(zero=False)), color=model),
        alt.Chart(values(points))
        .mark_point(filled=True, size=70, opacity=1)
        .encode(
            x=share,
            y=alt.Y("score:Q", title=title),
            color=model,
            tooltip=[
                alt.Tooltip("model:N"),
                alt.Tooltip("share:Q", title=f"share of the {cases}", format=".3~g"),
                alt.Tooltip("score:Q", title=record.metric.name, format=".4~g"),
            ],
        ),
    ]
    says = f"{title}, by share of the training {cases}, with the fitted law up to twice as many."
    return sized(alt.layer(*(layers if fans else layers[1:])), height=280, says=says)


def gaps_by_arm(verdict: Verdict) -> Drawing | None:
    """How far training loss lies below validation loss in each arm, with the 95 % interval of the mean."""
    import altair as alt
    from scipy.special import stdtrit

    rows = []
    for gap in verdict.gaps:
        if gap.gap is None or gap.spread is None:
            continue
        reach = float(stdtrit(gap.seeds - 1, 0.975)) * gap.spread / math.sqrt(gap.seeds)
        low, high = 100 * (gap.gap - reach), 100 * (gap.gap + reach)
        rows.append(
            {
                "arm": gap.arm,
                "gap": short(100 * gap.gap),
                "low": short(low),
                "high": short(high),
                "text": f"{100 * gap.gap:z.1f} % ({low:z.1f} to {high:z.1f} %)",
                "seeds": gap.seeds,
            }
        )
    if not rows:
        return None
    title = ["gap (% of the validation loss)", "where the best weights were kept"]
    drawn = alt.Chart(values(rows))
    arm = alt.X("arm:N", title="layers (count)", sort=None, axis=alt.Axis(grid=False, labelAngle=0))
    zero = alt.Chart(values([{"zero": 0}])).mark_rule(strokeDash=[4, 4], color=GREY).encode(y="zero:Q")
    interval = drawn.mark_rule(strokeWidth=3, opacity=0.55, color=BLUE).encode(
        x=arm, y=alt.Y("low:Q", title=title), y2="high:Q"
    )
    mean = drawn.mark_point(filled=True, shape="diamond", size=150, opacity=1, color=BLUE).encode(
        x=arm,
        y=alt.Y("gap:Q", title=title),
        tooltip=[alt.Tooltip("arm:N", title="layers"), alt.Tooltip("text:N", title="gap"), "seeds:Q"],
    )
    said = "; ".join(f"{row['arm']}: {row['text']}" for row in rows)
    return sized(
        alt.layer(zero, interval, mean),
        height=240,
        says=f"Gap of training loss below validation loss by layers, with 95 % intervals: {said}.",
    )


def _arms(record: StudyRecord, verdict: Verdict) -> list[Standing]:
    lines = {line.id: line for line in standings(record)}
    return [lines[arm] for arm in verdict.arms]


def _arm_axis() -> alt.Axis:
    import altair as alt

    return alt.Axis(grid=False, domain=False, labelFontSize=12, labelLimit=175)


def _rows_height(lines: Sequence[object]) -> int:
    return 16 + 38 * len(lines)


def _role_colour() -> alt.Color:
    import altair as alt

    return alt.Color("role:N", legend=None, scale=alt.Scale(domain=["answer", "other"], range=[BLUE, GREY]))
