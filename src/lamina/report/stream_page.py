"""One self-contained HTML file about a stream that was learned: the score beside no change, over time."""

from __future__ import annotations

import os
from collections.abc import Mapping

from lamina.report import stream_charts
from lamina.report.formats import UNKNOWN, count, percent, significant
from lamina.report.page_parts import Highlight, Section, figure, fill, section, write_whole
from lamina.report.points import thinned
from lamina.report.tables import Cell, Row, Table
from lamina.streaming.progressive import Evaluation
from lamina.streaming.stream_file import FileEvaluation
from lamina.study.record import environment

TASKS = {
    "classify": "its class, from the other columns of its row",
    "regress": "its number, from the other columns of its row",
    "forecast": "the next value, from the rows before",
}
DETECTORS = {None: "none", "adwin": "ADWIN, on the loss", "page-hinkley": "Page-Hinkley, on the loss"}


def render_file(run: FileEvaluation, path: str | os.PathLike[str]) -> None:
    """Write the page about a file that was learned; an existing file is replaced."""
    render(run.found, path, title=f"{run.file.path.name}: {run.file.target}", facts=facts_of(run))


def render(
    found: Evaluation, path: str | os.PathLike[str], *, title: str, facts: Mapping[str, str] | None = None
) -> None:
    """Write the page about any learner's evaluation as one HTML file; an existing file is replaced.

    Args:
        found: what ``progressive.evaluate`` gave.
        path: of the file.
        title: what was learned.
        facts: what else a reader should know of the data and the learner, by name.
    """
    write_whole(page(found, title=title, facts=facts or {}), path)


def page(found: Evaluation, *, title: str, facts: Mapping[str, str]) -> str:
    """The page as text."""
    lead, rest = sentences(found)
    return fill(
        "stream.html.j2",
        {
            "title": title,
            "facts": {**facts, **_measured(found)},
            "found": found,
            "lead": lead,
            "rest": rest,
            "behind": found.score != found.no_change if found.kappa is None else found.kappa < 0,
            "beside": _highlights(found),
            "sections": _sections(found),
            "level": stream_charts.LEVEL_TEXT,
        },
    )


def facts_of(run: FileEvaluation) -> dict[str, str]:
    """What stands under "Data and settings" of a file."""
    file = run.file
    facts = {
        "data": str(file.path),
        "size": f"{count(len(file.rows))} rows",
        "predicted": f"{file.target}: {TASKS[file.task]}",
        "drift detector": DETECTORS[run.drift],
        "recurrent depth": f"up to {run.depth} layers" if run.depth else "no recurrent experts",
    }
    if file.left_out:
        facts["left out"] = f"{', '.join(file.left_out)} (no numbers)"
    machine = environment()
    facts["machine"] = machine.cpu
    facts["versions"] = " · ".join(f"{name} {number}" for name, number in machine.versions.items())
    return facts


def sentences(found: Evaluation) -> tuple[str, str]:
    """The verdict, and what stands behind it."""
    score, no_change = (_score(found, value) for value in (found.score, found.no_change))
    if found.metric == "accuracy":
        lead = f"Right in {score} of the rows. No change: {no_change}."
    else:
        lead = f"Mean error {score}. No change: {no_change}."
    worse = round(found.windows_below * len(found.curve)) or "none"
    windows = f"It was worse in {worse} of {len(found.curve):,} windows of {found.window:,} rows."
    if found.kappa is None:
        return lead, f"No change is never wrong here, so there is nothing to avoid. {windows}"
    if found.kappa < 0:
        return lead, f"The trivial rule would have done better (kappa {found.kappa:.3f}). {windows}"
    avoided = f"{percent(found.kappa)} of the error of no change is avoided (kappa {found.kappa:.3f})."
    return lead, f"{avoided} {windows}"


def _kappa(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3f}"


def _highlights(found: Evaluation) -> list[Highlight]:
    shown = [
        Highlight("Kappa against no change", _kappa(found.kappa), "1 is perfect, 0 no better than it"),
        Highlight("Speed", f"{found.rows_per_s:,.0f} rows a second", "to predict and to learn"),
    ]
    if found.nbytes:
        shown.append(Highlight("Memory", _bytes(found.nbytes), f"at most {_bytes(found.bound_bytes)}"))
    if found.coverage is not None:
        inside = f"of the values in {stream_charts.LEVEL_TEXT} intervals"
        shown.insert(1, Highlight("Coverage", percent(found.coverage), inside))
    return shown


def _sections(found: Evaluation) -> list[Section]:
    drifts = " Dotted rules are rows at which a change was noticed." if found.drifts else ""
    better = "Higher" if found.metric == "accuracy" else "Lower"
    over_time = section(
        "time",
        "Over time",
        None,
        figure(
            "score",
            f"{better} is better. Each point is the mean over {found.window:,} rows.{drifts}",
            stream_charts.score_by_window(found),
        ),
        figure(
            "coverage",
            f"The dashed line is what the {stream_charts.LEVEL_TEXT} intervals are to hold.{drifts}",
            stream_charts.coverage_by_window(found),
        ),
    )
    experts = section(
        "experts",
        "What it trusted",
        _experts(found),
        figure(
            "weights",
            f"The share of each expert in what is said, its mean over each window.{drifts}",
            stream_charts.weights_by_window(found),
        ),
    )
    windows = section("windows", "Window by window", _windows(found))
    return [part for part in (over_time, experts, windows) if part is not None]


def _windows(found: Evaluation) -> Table:
    """A line a window; of very many, evenly spread ones."""
    shown = thinned(list(found.curve))
    columns = ["up to row", "accuracy" if found.metric == "accuracy" else "mean error", "no change", "kappa"]
    columns += [f"inside {stream_charts.LEVEL_TEXT}"] if found.coverage is not None else []
    columns += ["changes noticed"] if found.drifts else []
    rows = []
    before = 0
    for point in shown:
        noticed = sum(before < row <= point.row for row in found.drifts)
        cells = [
            Cell(count(point.row), point.row),
            Cell(_score(found, point.score), point.score),
            Cell(_score(found, point.no_change), point.no_change),
            Cell(_kappa(point.kappa), point.kappa),
        ]
        cells += [Cell(percent(point.coverage), point.coverage)] if found.coverage is not None else []
        cells += [Cell(count(noticed), noticed)] if found.drifts else []
        rows.append(Row(tuple(cells)))
        before = point.row
    windows = f"{len(found.curve):,} windows of {found.window:,} rows"
    of_all = "" if len(shown) == len(found.curve) else f"{len(shown)} of "
    return Table(f"{of_all}{windows}", tuple(columns), tuple(rows))


def _score(found: Evaluation, value: float) -> str:
    return percent(value) if found.metric == "accuracy" else significant(value, 4)


def _experts(found: Evaluation) -> Table | None:
    """Every expert with its weight over the stream and at the end, the largest first."""
    if not found.weights:
        return None
    mean = {
        name: sum(point.weights.get(name, 0.0) for point in found.curve) / len(found.curve)
        for name in found.weights
    }
    rows = tuple(
        Row((Cell(name), Cell(percent(mean[name]), mean[name]), Cell(percent(share), share)))
        for name, share in sorted(found.weights.items(), key=lambda item: -mean[item[0]])
    )
    return Table("weight of each expert", ("expert", "on average (%)", "at the end (%)"), rows)


def _measured(found: Evaluation) -> dict[str, str]:
    return {
        "labels came": f"{count(found.delay)} rows late" if found.delay else "at once",
        "changes noticed": count(len(found.drifts)) if found.drifts else "none",
        "rollbacks": f"{found.rollbacks} (learning ran away)" if found.rollbacks else "none",
    }


def _bytes(number: int) -> str:
    """Bytes to read.

    >>> _bytes(900), _bytes(52_100), _bytes(3_400_000)
    ('900 B', '52 kB', '3.4 MB')
    """
    if number < 1000:
        return f"{number} B"
    return f"{number / 1000:.0f} kB" if number < 1_000_000 else f"{number / 1e6:.1f} MB"
