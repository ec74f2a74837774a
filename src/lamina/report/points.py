"""What the charts draw, as rows: one dictionary a mark, only plain numbers and text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from lamina.report.formats import count, duration, significant
from lamina.report.standings import Estimate, Standing
from lamina.study.verdict import Candidate, Forecast, Metric, Numbers, Verdict

Point = TypeVar("Point")

# Baselines such as naive take no time to train, which a log axis cannot show.
SHORTEST_TRAINING_S = 0.01
LEAST_COST = {
    "train_s": SHORTEST_TRAINING_S,
    "predict_ms": 1e-3,
    "step_us": 0.1,
    "latency_us": 0.1,
    "parameters": 1.0,
    "peak_mb": 0.1,
}

# Curves are thinned to this many points, so that the file stays small.
LONGEST_CURVE = 80

# Room for a name beside a point, as shares of the axes on a phone.
LABEL_WIDTH, LABEL_HEIGHT = 0.65, 0.09


def role(line: Standing, verdict: Verdict) -> str:
    """Whether an arm is the answer; colour follows it."""
    return "answer" if line.id == verdict.chosen else "other"


def ends(score: Estimate, metric: Metric) -> dict[str, float]:
    """The interval of a mean, both ends the mean where it has none; a share stays between 0 and 1."""
    half_width = score.half_width or 0.0
    least, most = _bounds(metric)
    return {"low": max(least, score.mean - half_width), "high": min(most, score.mean + half_width)}


def mean_row(line: Standing, verdict: Verdict, metric: Metric) -> dict[str, Any]:
    """An arm's mean validation score with the ends of its interval."""
    assert line.validation is not None
    return {
        "arm": line.name,
        "mean": line.validation.mean,
        **ends(line.validation, metric),
        "seeds": line.validation.seeds,
        "mean_text": str(line.validation),
        "role": role(line, verdict),
    }


def frame_of(scores: Sequence[float], metric: Metric) -> tuple[float, float]:
    """Ends of an axis that shows these scores, with half of their range on each side.

    Intervals of few seeds are so wide that an axis for all of them would leave the scores a few pixels.

    >>> frame_of([0.5, 0.7], Metric(name="accuracy", unit="share of sequences", direction="higher"))
    (0.4, 0.8)
    """
    low, high = min(scores), max(scores)
    room = 0.5 * (high - low) or 0.05 * abs(high) or 1.0
    least, most = _bounds(metric)
    return max(least, round(low - room, 12)), min(most, round(high + room, 12))


def _bounds(metric: Metric) -> tuple[float, float]:
    """What a score can be; a share is between 0 and 1."""
    return (0.0, 1.0) if metric.unit.startswith("share") else (-math.inf, math.inf)


def cropped(row: dict[str, Any], low: float, high: float) -> dict[str, Any]:
    """A row whose interval ends with the axis; ``at`` is where its mean is drawn."""
    at, *ends = (min(max(row[name], low), high) for name in ("mean", "low", "high"))
    return {**row, "at": at, "low": ends[0], "high": ends[1]}


def cost_row(line: Standing, part: str, metric: Metric, cost: str = "train_s") -> dict[str, Any] | None:
    """A method's score on one part against one of its costs; None when either is unknown."""
    score = line.test if part == "test" else line.validation
    value: float | None = getattr(line, cost)
    if score is None or value is None:
        return None
    return {
        "name": line.name,
        "kind": "network" if line.is_network else "baseline",
        "cost": cost,
        "time": max(value, LEAST_COST[cost]),
        "cost_text": significant(value),
        "train": duration(line.train_s),
        "mean": score.mean,
        **ends(score, metric),
        "mean_text": str(score),
        "parameters": line.parameters or 0,
        "parameters_text": count(line.parameters),
        "best": line.is_best,
    }


def mark_frontier(rows: list[dict[str, Any]], *, lower_is_better: bool) -> None:
    """Set `frontier` on every row that is better than all that train at least as fast."""
    sign = 1 if lower_is_better else -1
    best = float("inf")
    for row in sorted(rows, key=lambda row: (row["time"], sign * row["mean"])):
        row["frontier"] = sign * row["mean"] < best
        best = min(best, sign * row["mean"])


def place_labels(rows: list[dict[str, Any]], low: float, high: float) -> None:
    """Set `label` on the best network and on frontier points that stand clear of those already named.

    Args:
        low, high: ends of the axis of scores.
    """
    if not rows:
        return
    times = [math.log10(row["time"]) for row in rows]
    width = max(times) - min(times) or 1.0
    named: list[tuple[float, float]] = []
    for row in sorted(rows, key=lambda row: (not row["best"], row["time"])):
        x = (math.log10(row["time"]) - min(times)) / width
        y = (min(max(row["mean"], low), high) - low) / (high - low)
        clear = all(
            abs(x - other_x) > LABEL_WIDTH or abs(y - other_y) > LABEL_HEIGHT for other_x, other_y in named
        )
        if row["best"] or (row["frontier"] and clear):
            row["label"] = "above" if x > 0.5 else "right"
            named.append((x, y))


def curve_rows(candidate: Candidate) -> Iterable[dict[str, Any]]:
    """A row a seed, step and part; losses that are not known have none."""
    for curve in candidate.curves:
        for step, train, validation in thinned(
            list(zip(curve.steps, curve.train, curve.validation, strict=True))
        ):
            for part, loss in (("training", train), ("validation", validation)):
                if loss is not None:
                    yield {
                        "id": candidate.id,
                        "seed": curve.seed,
                        "step": step,
                        "part": part,
                        "loss": short(loss),
                    }


def forecast_rows(number: int, forecast: Forecast) -> Iterable[dict[str, Any]]:
    """A row a time stamp; absent values have no key, so that lines break there."""
    places = _places(forecast.time)
    past: Numbers = (None,) * len(forecast.history)
    columns: dict[str, Numbers] = {
        "truth": forecast.history + forecast.truth,
        "forecast (median)": past + forecast.median,
        "lo_80": past + forecast.lo_80,
        "hi_80": past + forecast.hi_80,
        "lo_95": past + (forecast.lo_95 or (None,) * len(forecast.median)),
        "hi_95": past + (forecast.hi_95 or (None,) * len(forecast.median)),
    }
    for i, when in enumerate(forecast.time):
        values = {name: short(column[i]) for name, column in columns.items() if column[i] is not None}
        row: dict[str, Any] = {
            "id": str(number),
            "when": str(when),
            "at": places[i][0],
            "dated": places[i][1],
        }
        if "lo_80" in values and "hi_80" in values:
            row["range_80"] = f"{significant(values['lo_80'], 4)} to {significant(values['hi_80'], 4)}"
        yield row | values


def _places(time: Sequence[str | int]) -> list[tuple[int, bool]]:
    """Where each time stamp stands: milliseconds since 1970 when all are ISO dates, else the step itself."""
    try:
        dates = [datetime.fromisoformat(str(when)) for when in time if isinstance(when, str)]
    except ValueError:
        dates = []
    if dates and len(dates) == len(time):
        zoned = [date if date.tzinfo else date.replace(tzinfo=UTC) for date in dates]
        return [(round(1000 * date.timestamp()), True) for date in zoned]
    return [(when if isinstance(when, int) else i, False) for i, when in enumerate(time)]


def thinned(points: list[Point]) -> list[Point]:
    """At most LONGEST_CURVE points, evenly spread, the last one kept."""
    stride = -(-len(points) // LONGEST_CURVE)
    return points[::-1][:: max(1, stride)][::-1]


def short(value: float | None) -> float | None:
    """Five significant digits: more than a screen shows, in half the bytes."""
    return None if value is None else float(f"{value:.5g}")
