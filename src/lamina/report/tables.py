"""The tables of the report: what the charts show, as text that can be sorted, copied and read aloud."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lamina.report.formats import NAMING, UNKNOWN, count, percent, significant
from lamina.report.standings import Estimate, Standing, display_names, standings
from lamina.study.verdict import Forecast, StudyRecord, Verdict


@dataclass(frozen=True)
class Cell:
    """What a cell says, and the figure it sorts by; without a figure it sorts by its text.

    ``note`` stands small below it.
    """

    text: str
    figure: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Row:
    """One line; `marked` lines are set off, as the winner is."""

    cells: tuple[Cell, ...]
    marked: bool = False


@dataclass(frozen=True)
class Table:
    """A caption, column titles with their units, and lines; the first column names the line."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def is_text(self, column: int) -> bool:
        """Whether a column holds words rather than figures."""
        return all(row.cells[column].figure is None for row in self.rows)


def leaderboard(record: StudyRecord) -> Table | None:
    """Every network and baseline with its accuracy and its costs, best first."""
    lines = standings(record)
    if not lines:
        return None
    metric = record.metric
    columns = (
        "model",
        f"{metric.name} test",
        f"{metric.name} validation",
        "train (s)",
        "predict (ms)",
        "predict 256 (ms)",
        "step (µs)",
        "parameters",
        "memory (MB)",
        "energy (J)",
    )
    rows = tuple(Row(_leaderboard_cells(line), marked=line.is_best) for line in lines)
    caption = (
        f"{metric.name} ({metric.unit}, {metric.direction} is better): mean ± half its 95 % "
        "interval over seeds"
    )
    return _without_empty_columns(Table(caption, columns, rows))


def arms(record: StudyRecord, verdict: Verdict) -> Table | None:
    """What one question compared."""
    lines = {line.id: line for line in standings(record)}
    shown = [lines[arm] for arm in verdict.arms]
    if not shown:
        return None
    metric = record.metric
    rows = tuple(
        Row(
            (
                Cell(line.name, note=line.note or ""),
                _estimate(line.validation),
                _figure(seeds := line.validation.seeds if line.validation else 0, count(seeds)),
                _figure(line.train_s),
                _figure(line.parameters, count(line.parameters)),
            ),
            marked=line.id == verdict.chosen,
        )
        for line in shown
    )
    columns = ("model", f"{metric.name} validation", "seeds", "train (s)", "parameters")
    return _without_empty_columns(Table("What was compared", columns, rows))


def collapses(record: StudyRecord, verdict: Verdict) -> Table | None:
    """Arms that failed to train, apart from how well they do where they train."""
    if not verdict.collapses:
        return None
    names = display_names(record)
    rows = tuple(
        Row(
            (
                Cell(names.get(one.design, one.arm)),
                _figure(one.failed, f"{one.failed} of {one.seeds}"),
                Cell(names.get(one.repaired, one.repaired) if one.repaired else "not repaired"),
                _figure(one.repaired_failed, f"{one.repaired_failed} of {one.repaired_seeds}")
                if one.repaired
                else Cell(UNKNOWN),
            )
        )
        for one in verdict.collapses
    )
    columns = ("model", "seeds that failed", "repaired as", "of these failed")
    return Table("Failed to train: apart from the score where they train", columns, rows)


def fit_quality(record: StudyRecord) -> Table | None:
    """Losses where each model's weights were kept, the gap between them, how often gradients were clipped.

    The gap is a share of the validation loss, as in the question after overfitting.
    """
    names = display_names(record)
    rows = []
    for candidate in record.candidates:
        if not candidate.curves:
            continue
        losses = [at_best for curve in candidate.curves if (at_best := curve.at_best) is not None]
        gap = _mean((validation - train) / validation for train, validation in losses if validation > 0)
        steps = max((curve.steps[-1] for curve in candidate.curves if curve.steps), default=None)
        rows.append(
            Row(
                (
                    Cell(names[candidate.id]),
                    _figure(steps, count(steps)),
                    _figure(_mean(train for train, _ in losses)),
                    _figure(_mean(validation for _, validation in losses)),
                    _figure(gap, percent(gap)),
                    _figure(candidate.clip_rate, percent(candidate.clip_rate)),
                )
            )
        )
    if not rows:
        return None
    columns = ("model", "steps", "training loss", "validation loss", "gap", "updates clipped")
    return _without_empty_columns(
        Table("Loss where the best weights were kept, mean over seeds", columns, tuple(rows))
    )


def coverage(record: StudyRecord) -> Table | None:
    """How far each shown forecast was off, and how much of the truth its 80 % interval held."""
    if not record.figures.forecasts:
        return None
    rows = tuple(
        Row(
            (
                Cell(forecast.series),
                _figure(len(forecast.median)),
                _figure(_mean(_misses(forecast))),
                _figure(share := _share_inside(forecast), percent(share)),
            )
        )
        for forecast in record.figures.forecasts
    )
    columns = ("series", "steps ahead", "mean absolute error", "truth inside the 80 % interval")
    return Table("The forecasts shown", columns, rows)


def recall(record: StudyRecord) -> Table | None:
    """How many cases of each class were found, and how many so named were right."""
    found = record.figures.confusion
    if found is None:
        return None
    rows = []
    for i, name in enumerate(found.classes):
        right, total = found.matrix[i][i], sum(found.matrix[i])
        named = sum(row[i] for row in found.matrix)
        rows.append(
            Row(
                (
                    Cell(name),
                    _figure(total, count(total)),
                    _figure(share := right / total if total else None, percent(share)),
                    _figure(precise := right / named if named else None, percent(precise)),
                )
            )
        )
    columns = ("class", NAMING[record.task].cases, "found (recall)", "right when named (precision)")
    return Table(f"Classes on the test {NAMING[record.task].cases}", columns, tuple(rows))


def _leaderboard_cells(line: Standing) -> tuple[Cell, ...]:
    return (
        Cell(line.name, note=line.note or ""),
        _estimate(line.test),
        _estimate(line.validation),
        _figure(line.train_s),
        _figure(line.predict_ms),
        _figure(line.predict_256_ms),
        _figure(line.step_us),
        _figure(line.parameters, count(line.parameters)),
        _figure(line.peak_mb),
        _figure(line.train_j),
    )


def _estimate(estimate: Estimate | None) -> Cell:
    return Cell(UNKNOWN) if estimate is None else Cell(str(estimate), estimate.mean)


def _figure(value: float | None, text: str | None = None) -> Cell:
    return Cell(significant(value) if text is None else text, value)


def _without_empty_columns(table: Table) -> Table:
    """The table without columns that say nothing in any line."""
    kept = [
        i
        for i in range(len(table.columns))
        if any(row.cells[i].text not in {"", UNKNOWN} for row in table.rows)
    ]
    rows = tuple(Row(tuple(row.cells[i] for i in kept), row.marked) for row in table.rows)
    return Table(table.caption, tuple(table.columns[i] for i in kept), rows)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _misses(forecast: Forecast) -> list[float]:
    pairs = zip(forecast.truth, forecast.median, strict=True)
    return [abs(truth - median) for truth, median in pairs if truth is not None and median is not None]


def _share_inside(forecast: Forecast) -> float | None:
    bounds: Sequence[tuple[float | None, ...]] = list(
        zip(forecast.truth, forecast.lo_80, forecast.hi_80, strict=True)
    )
    return _mean(
        float(low <= truth <= high)
        for truth, low, high in bounds
        if truth is not None and low is not None and high is not None
    )
