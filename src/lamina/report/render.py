"""One self-contained HTML file from a study's record: verdict first, nothing fetched, readable offline."""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lamina.report import cost_chart, prediction_charts, question_charts, tables, training_charts
from lamina.report.drawing import specification
from lamina.report.formats import NAMING, count, duration, percent, percent_range, significant, unbroken
from lamina.report.standings import Standing, costs_of_arms, standings
from lamina.report.tables import Table
from lamina.study.verdict import StudyRecord, Verdict

if TYPE_CHECKING:
    from lamina.report.drawing import Drawing

QUESTIONS = {
    "depth": "How many layers?",
    "depth-parameters": "How many layers, at equal parameters?",
    "depth-time": "How many layers, in equal time?",
    "direction": "One direction or two?",
    "cell": "Which cell?",
    "attention": "Does attention help?",
    "transformer": "Would a Transformer be better?",
    "bert": "Would BERT be better, and at what cost?",
    "transformer-time": "Would a Transformer be better in equal time?",
    "residual": "Do residuals and norm help?",
    "clipping": "Is clipping the gradient needed?",
    "overfitting": "Do deeper ones overfit?",
    "limits": "What keeps the limits?",
    "trivial": "Is it better than something trivial?",
    "data": "Would more data help?",
}

STATUS = {
    "decided": "decided",
    "tie": "no difference that matters",
    "undecided": "not enough evidence yet",
}


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
class Question:
    """A verdict with what stands behind it; ``costs`` is "" where the question is not about them."""

    title: str
    verdict: Verdict
    costs: str
    status: str
    table: Table | None
    collapses: Table | None
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Section:
    """A part of the page below the questions: a table, then its figures."""

    id: str
    title: str
    table: Table | None
    figures: tuple[Figure, ...]


def render(record: StudyRecord, path: str | os.PathLike[str]) -> None:
    """Write the report of a study, complete or interrupted, as one HTML file; an existing file is replaced.

    Text from the data (column names, series, labels) is escaped, and the page's content security policy
    runs no script but its own.
    """
    target = Path(path)
    partial = target.with_name(target.name + ".partial")
    partial.write_text(page(record), encoding="utf-8")
    partial.replace(target)


def page(record: StudyRecord) -> str:
    """The report as text."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "significant": significant,
        "percent": percent,
        "percent_range": percent_range,
        "unbroken": unbroken,
        "duration": duration,
        "count": count,
    }
    script = _own_file("script.js")
    return environment.from_string(_own_file("template.html.j2")).render(
        record=record,
        naming=NAMING[record.task],
        title=_title(record),
        style=Markup(_own_file("style.css")),
        scripts=[Markup(_chart_library()), Markup(script)],
        script_hashes=[_policy_hash(_chart_library()), _policy_hash(script)],
        questions=[_question(record, verdict) for verdict in record.questions],
        highlights=_highlights(record),
        leaderboard=_leaderboard(record),
        sections=_sections(record),
    )


def _title(record: StudyRecord) -> str:
    name = Path(record.data.path).name
    about = [record.data.target] if record.data.target else []
    if record.data.horizon is not None:
        about.append(f"{record.data.horizon} steps ahead")
    return f"{name}: {', '.join(about)}" if about else name


def _arm_figures(record: StudyRecord, verdict: Verdict) -> tuple[Figure | None, ...]:
    answer = (
        " Blue is the answer. The pale band holds scores that differ from it by nothing that matters."
        if verdict.chosen
        else ""
    )
    return (
        _figure(
            f"scores-{verdict.id}",
            f"{record.metric.direction.capitalize()} is better. Small dots are seeds, diamonds their means, "
            f"bars the 95 % interval of the mean.{answer} The verdict rests on paired differences, which "
            "can be surer than these bars look.",
            question_charts.question_scores(record, verdict),
        ),
        _figure(
            f"costs-{verdict.id}",
            "What one seed of each costs to train.",
            question_charts.question_costs(record, verdict),
        ),
    )


def _curve_figures(record: StudyRecord, verdict: Verdict) -> tuple[Figure | None, ...]:
    return (
        _figure(
            f"curve-{verdict.id}",
            "Dots are measured, dashed lines the fitted law c + a s^-b; the fan ends at the 95 % interval of "
            f"what twice the {NAMING[record.task].cases} would bring.",
            question_charts.learning_curve(record, verdict),
        ),
    )


def _question(record: StudyRecord, verdict: Verdict) -> Question:
    figures = _curve_figures(record, verdict) if verdict.curves else _arm_figures(record, verdict)
    return Question(
        title=QUESTIONS.get(verdict.id, verdict.id.replace("_", " ").capitalize()),
        verdict=verdict,
        costs=costs_of_arms(record, verdict) if verdict.id == "bert" else "",
        status=STATUS[verdict.status],
        table=tables.arms(record, verdict),
        collapses=tables.collapses(record, verdict),
        figures=tuple(figure for figure in figures if figure is not None),
    )


def _leaderboard(record: StudyRecord) -> Section | None:
    cost = _figure(
        "cost",
        "The dashed line joins what nothing cheaper beats; a dotted rule is a limit that was set. "
        "Larger dots have more parameters. Times under 0.01 s stand at 0.01 s.",
        cost_chart.accuracy_against_cost(record),
    )
    return _section("leaderboard", "Leaderboard", tables.leaderboard(record), cost)


def _sections(record: StudyRecord) -> list[Section]:
    """The parts below the questions that have something to show."""
    training = _section(
        "training",
        "Training",
        tables.fit_quality(record),
        _figure(
            "curves",
            "Thick lines are means over seeds, thin ones single seeds. A gap that widens is overfitting.",
            training_charts.training_curves(record),
        ),
        _figure(
            "norms",
            "Yellow is large, violet small. A layer whose norm falls towards zero stops learning; one that "
            "jumps was close to diverging.",
            training_charts.gradient_norms(record),
        ),
    )
    forecasts = _section(
        "forecasts",
        "Forecasts of the best model",
        tables.coverage(record),
        _figure(
            "forecasts",
            "The dark band is the 80 % interval, the light band, where there is one, the 95 % interval.",
            prediction_charts.forecasts(record),
        ),
    )
    errors = _section(
        "errors",
        "Errors of the best model",
        None,
        _figure(
            "steps",
            "How the error grows with the distance forecast.",
            prediction_charts.errors_by_step(record),
        ),
        _figure(
            "histogram",
            "Left of the dashed zero the forecast was too high, right of it too low.",
            prediction_charts.error_histogram(record),
        ),
    )
    classes = _section(
        "classes",
        "Classes",
        tables.recall(record),
        _figure(
            "confusion",
            f"Counts of test {NAMING[record.task].cases}; the stronger the colour, the larger the share of "
            "the true class.",
            prediction_charts.confusion(record),
        ),
    )
    return [section for section in (training, forecasts, errors, classes) if section is not None]


def _section(id: str, title: str, table: Table | None, *figures: Figure | None) -> Section | None:
    drawn = tuple(figure for figure in figures if figure is not None)
    return Section(id, title, table, drawn) if table is not None or drawn else None


def _figure(id: str, caption: str, chart: Drawing | None) -> Figure | None:
    return None if chart is None else Figure(f"figure-{id}", caption, specification(chart))


def _highlights(record: StudyRecord) -> list[Highlight]:
    """The few figures that stand beside the verdict."""
    lines = standings(record)
    best = next((line for line in lines if line.is_best), None)
    baseline = next((line for line in lines if not line.is_network), None)
    used, asked = duration(record.budget.used_s), duration(record.budget.asked_s)
    shown = [
        _scored("Best network", best, record),
        _scored("Best simple method", baseline, record),
        Highlight("Time used", used, f"of {asked}" if record.budget.asked_s is not None else "no limit"),
    ]
    return [highlight for highlight in shown if highlight is not None]


def _scored(title: str, line: Standing | None, record: StudyRecord) -> Highlight | None:
    if line is None:
        return None
    part, score = ("test", line.test) if line.test else ("validation", line.validation)
    return Highlight(
        title,
        line.name,
        f"{record.metric.name} {score} on {part} {NAMING[record.task].cases}" if score else "no score",
    )


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
