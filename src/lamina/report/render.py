"""One self-contained HTML file from a study's record: verdict first, nothing fetched, readable offline."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lamina.report import cost_chart, prediction_charts, question_charts, tables, training_charts
from lamina.report.formats import NAMING, duration
from lamina.report.page_parts import Figure, Highlight, Section, figure, fill, section, write_whole
from lamina.report.sides import sides
from lamina.report.standings import Standing, standings
from lamina.report.tables import Table
from lamina.study.verdict import StudyRecord, Verdict

QUESTIONS = {
    "depth": "How many layers?",
    "depth-parameters": "How many layers, at equal parameters?",
    "depth-time": "How many layers, in equal time?",
    "direction": "One direction or two?",
    "cell": "Which cell?",
    "attention": "Does attention help?",
    "transformer": "Would a Transformer be better?",
    "bert": "Would BERT be better, where, and at what cost?",
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
class Question:
    """A verdict with what stands behind it; ``sides`` says where each of two kinds is ahead."""

    title: str
    verdict: Verdict
    sides: Table | None
    status: str
    table: Table | None
    collapses: Table | None
    figures: tuple[Figure, ...]


def render(record: StudyRecord, path: str | os.PathLike[str]) -> None:
    """Write the report of a study, complete or interrupted, as one HTML file; an existing file is replaced.

    Text from the data (column names, series, labels) is escaped, and the page's content security policy
    runs no script but its own.
    """
    write_whole(page(record), path)


def page(record: StudyRecord) -> str:
    """The report as text."""
    questions = [_question(record, verdict) for verdict in record.questions]
    return fill(
        "template.html.j2",
        {
            "record": record,
            "naming": NAMING[record.task],
            "title": _title(record),
            "questions": questions,
            "opening": _opening(questions),
            "beside": _highlights(record),
            "leaderboard": _leaderboard(record),
            "sections": _sections(record),
        },
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
        figure(
            f"scores-{verdict.id}",
            f"{record.metric.direction.capitalize()} is better. Small dots are seeds, diamonds their means, "
            f"bars the 95 % interval of the mean, cut where the frame ends.{answer} The verdict rests on "
            "paired differences, which can be surer than these bars look.",
            question_charts.question_scores(record, verdict),
        ),
        _limited_costs(record)
        if verdict.id == "limits"
        else figure(
            f"costs-{verdict.id}",
            "What one seed of each costs to train.",
            question_charts.question_costs(record, verdict),
        ),
    )


def _limited_costs(record: StudyRecord) -> Figure | None:
    limited = next((cost_chart.COST_OF_LIMIT[name] for name in record.settings.limits), None)
    return figure(
        "costs-limits",
        "The dotted rule is the limit: what lies right of it is not allowed. The dashed line joins what "
        "nothing cheaper beats, so it shows what a tighter or a wider limit would give.",
        cost_chart.accuracy_against_cost(record, first=limited),
    )


def _curve_figures(record: StudyRecord, verdict: Verdict) -> tuple[Figure | None, ...]:
    return (
        figure(
            f"curve-{verdict.id}",
            "Dots are measured, dashed lines the fitted law c + a s^-b; the fan ends at the 95 % interval of "
            f"what twice the {NAMING[record.task].cases} would bring.",
            question_charts.learning_curve(record, verdict),
        ),
    )


def _gap_figures(verdict: Verdict) -> tuple[Figure | None, ...]:
    return (
        figure(
            f"gaps-{verdict.id}",
            "How far training loss lies below validation loss, as a share of the latter; above zero the "
            "network knows the training part better. Bars are the 95 % interval of the mean over seeds.",
            question_charts.gaps_by_arm(verdict),
        ),
    )


def _question(record: StudyRecord, verdict: Verdict) -> Question:
    if verdict.curves:
        figures = _curve_figures(record, verdict)
    elif verdict.gaps:
        figures = _gap_figures(verdict)
    else:
        figures = _arm_figures(record, verdict)
    return Question(
        title=QUESTIONS.get(verdict.id, verdict.id.replace("_", " ").capitalize()),
        verdict=verdict,
        sides=sides(record, verdict) if verdict.id == "bert" else None,
        status=STATUS[verdict.status],
        table=tables.arms(record, verdict),
        collapses=tables.collapses(record, verdict),
        figures=tuple(figure for figure in figures if figure is not None),
    )


def _opening(questions: list[Question]) -> list[Question]:
    """What the page begins with, the most important first.

    That is the choice within limits, where there are any, since it names the saved model; then the first
    question, and whether the answer is better than something trivial.
    """
    limited = [question for question in questions if question.verdict.id == "limits"]
    worth = [question for question in questions if question.verdict.id == "trivial"]
    shown = [*limited, *questions[:1], *worth]
    return [question for place, question in enumerate(shown) if question not in shown[:place]]


def _leaderboard(record: StudyRecord) -> Section | None:
    cost = figure(
        "cost",
        "The dashed line joins what nothing cheaper beats; a dotted rule is a limit that was set. "
        "Larger dots have more parameters. Times under 0.01 s stand at 0.01 s, and scores far from the "
        "networks' at the edge.",
        cost_chart.accuracy_against_cost(record),
    )
    return section("leaderboard", "Leaderboard", tables.leaderboard(record), cost)


def _sections(record: StudyRecord) -> list[Section]:
    """The parts below the questions that have something to show."""
    training = section(
        "training",
        "Training",
        tables.fit_quality(record),
        figure(
            "curves",
            "Thick lines are means over seeds, thin ones single seeds. A gap that widens is overfitting.",
            training_charts.training_curves(record),
        ),
        figure(
            "norms",
            "Yellow is large, violet small. A layer whose norm falls towards zero stops learning; one that "
            "jumps was close to diverging.",
            training_charts.gradient_norms(record),
        ),
    )
    forecasts = section(
        "forecasts",
        "Forecasts of the best model",
        tables.coverage(record),
        figure(
            "forecasts",
            "The dark band is the 80 % interval, the light band, where there is one, the 95 % interval.",
            prediction_charts.forecasts(record),
        ),
    )
    errors = section(
        "errors",
        "Errors of the best model",
        None,
        figure(
            "steps",
            "How the error grows with the distance forecast.",
            prediction_charts.errors_by_step(record),
        ),
        figure(
            "histogram",
            "Left of the dashed zero the forecast was too high, right of it too low.",
            prediction_charts.error_histogram(record),
        ),
    )
    classes = section(
        "classes",
        "Classes",
        tables.recall(record),
        figure(
            "confusion",
            f"Counts of test {NAMING[record.task].cases}; the stronger the colour, the larger the share of "
            "the true class.",
            prediction_charts.confusion(record),
        ),
    )
    return [section for section in (training, forecasts, errors, classes) if section is not None]


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
