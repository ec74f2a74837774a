"""What a study looks like in a terminal."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column, Table

if TYPE_CHECKING:
    from lamina.streaming.progressive import Evaluation
    from lamina.streaming.stream_file import FileEvaluation
    from lamina.study.compare import Change
    from lamina.study.replay import Replay
    from lamina.study.run import Opening
    from lamina.study.verdict import Candidate, StudyRecord, Verdict

QUESTION_WORDS = {
    "depth": "Depth",
    "direction": "Direction",
    "cell": "Cell",
    "attention": "Attention",
    "transformer": "Transformer",
    "bert": "BERT",
    "trivial": "Worth it?",
}
# Their names for --ask are longer than a label may be.
FURTHER_WORDS = {
    "depth-parameters": "Equal size",
    "depth-time": "Equal time",
    "residual": "Residuals",
    "transformer-time": "Like time",
    "clipping": "Clipping",
    "overfitting": "Overfitting",
    "data": "More data",
}
WORDS = {**QUESTION_WORDS, **FURTHER_WORDS, "limits": "Limits"}

LABEL_WIDTH = 13


class Screen:
    """Draws a study while it runs: what it is about, then a line a stage with a bar.

    A listener for ``lamina.study``; use as a context manager. Where the output is no terminal, a line is
    printed as each stage begins.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("[green]●[/green] {task.description}", table_column=Column(width=LABEL_WIDTH + 1)),
            TextColumn("{task.fields[detail]}", table_column=Column(ratio=1, no_wrap=True)),
            BarColumn(bar_width=10, table_column=Column(width=10)),
            TimeElapsedColumn(table_column=Column(width=7, no_wrap=True)),
            console=console,
            expand=True,
        )
        self._live = (
            Live(self._progress, console=console, refresh_per_second=5) if console.is_terminal else None
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Screen:
        if self._live:
            self._live.start()
        self._task = self._progress.add_task("reading", total=None, detail="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finish()
        if self._live:
            self._live.stop()

    def opening(self, opening: Opening) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
        self._console.print(_head(opening))

    def stage(self, name: str, detail: str, seconds: float) -> None:
        self._finish()
        name = FURTHER_WORDS.get(name, name).lower()
        share = f"about {seconds:.0f} s" if seconds >= 1 else ""
        detail = " · ".join(part for part in (escape(detail), share) if part)
        if self._live is None:
            self._console.print(paragraphs([(f"● {name}", detail)]))
        self._task = self._progress.add_task(name, total=None, detail=f"[dim]{detail}[/dim]")

    def advance(self, done: int, total: int) -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=done, total=max(done, total))

    def answer(self, question: str, sentence: str) -> None:
        """End the stage's line; ``show_record`` tells the answers together."""
        del question, sentence
        self._finish()

    def _finish(self) -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=1, total=1)
            self._progress.stop_task(self._task)
            self._task = None


def paragraphs(rows: Iterable[tuple[str, str]]) -> Table:
    """Texts in markup with a label before each, their lines aligned below one another."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=LABEL_WIDTH + 1, no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in rows:
        grid.add_row(f" {label}", text)
    return grid


def _head(opening: Opening) -> Table:
    data, machine = opening.data, opening.environment
    parts = " · ".join(f"{part} {rows:,}" for part, rows in data.splits.items())
    season = f" · season {', '.join(map(str, data.season))}" if data.season else ""
    cores = f"{machine.threads} core{'s' if machine.threads > 1 else ''}"
    facts = " · ".join(opening.facts)
    name = f"[bold]{escape(data.path)}[/bold]"
    first = (name, facts) if len(data.path) <= LABEL_WIDTH else ("data", f"{name} · {facts}")
    lines = [
        first,
        ("split", f"{parts} (read once, at the end){season}"),
        ("budget", f"{span(opening.budget_s)} · {cores} · backend {machine.backend}"),
    ]
    return paragraphs([*lines, *(("", f"[dim]{escape(note)}[/dim]") for note in data.notes), ("", "")])


def show_record(console: Console, record: StudyRecord, folder: str) -> None:
    """Answers, warnings and the leaderboard of a study."""
    console.print()
    colours = {"fail": "red", "warn": "yellow"}
    skipped = [verdict.id for verdict in record.questions if _skipped(verdict)]
    answers = [
        (WORDS.get(verdict.id, verdict.id), verdict.sentence)
        for verdict in record.questions
        if verdict.id not in skipped
    ]
    if skipped:
        told = f"{', '.join(skipped)}; the report says why. --ask NAME or a larger --budget gives them time."
        answers.append(("Not answered", told))
    warnings = [
        (f"[{colours[check.outcome]}]{check.code}[/]", escape(check.sentence))
        for check in record.checks
        if check.outcome != "pass" and not check.allowed
    ]
    bold = [(f"[bold]{label}[/bold]", escape(sentence)) for label, sentence in answers]
    console.print(paragraphs([*bold, *warnings]))
    console.print()
    console.print(leaderboard(record, folder))


def _skipped(verdict: Verdict) -> bool:
    """A further question that was left open; a main one has a line of its own, as it was asked for."""
    return verdict.unanswered and verdict.id in FURTHER_WORDS


def leaderboard(record: StudyRecord, folder: str) -> Table:
    """Candidates, the best validation score first, then the trivial methods."""
    metric = record.metric
    read = any(score.test is not None for entry in record.candidates for score in entry.scores)
    part = "test" if read else "validation"
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    for name in (f"{metric.name} ({part})", "train", "predict", "parameters"):
        table.add_column(name, justify="right")
    table.add_column("")
    sign = -1.0 if metric.direction == "higher" else 1.0
    best = record.best.candidate if record.best else None

    def rank(entry: Candidate) -> float:
        known = [score.validation for score in entry.scores if score.validation is not None]
        return sign * statistics.fmean(known) if known else float("inf")

    for entry in sorted(record.candidates, key=rank):
        values = [s.test if read else s.validation for s in entry.scores]
        known = [value for value in values if value is not None]
        mark = "[green]▶[/green] " if entry.id == best else "  "
        where = escape(f"{folder}/{record.best.path}") if record.best and entry.id == best else ""
        note = where or ("" if entry.outcome == "complete" else entry.outcome)
        table.add_row(
            f"{mark}{escape(entry.label)}",
            spread(known),
            seconds(entry.train_s),
            milliseconds(entry.predict_ms),
            count(entry.parameters),
            note,
        )
    for method in sorted(
        record.baselines, key=lambda b: sign * b.validation if b.validation is not None else 1e300
    ):
        value = method.test if read else method.validation
        table.add_row(
            f"  [dim]{escape(method.label)}[/dim]",
            "–" if value is None else f"{value:.3f}",
            seconds(method.train_s),
            milliseconds(method.predict_ms),
            "",
            "",
        )
    return table


def show_changes(console: Console, changes: Sequence[Change]) -> None:
    """What changed between two studies, a line each."""
    if not changes:
        console.print("nothing changed")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("")
    for name in ("before", "after", "ratio"):
        table.add_column(name, justify="right")
    part = ""
    for change in changes:
        shown = [_shown(change.before), _shown(change.after)]
        ratio = "" if change.ratio is None else f"× {change.ratio:.3g}"
        table.add_row(change.part if change.part != part else "", escape(change.name), *shown, ratio)
        part = change.part
    console.print(table)


def _shown(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else escape(str(value))


def spread(values: list[float]) -> str:
    """Mean and standard deviation over seeds.

    >>> spread([0.5, 0.7]), spread([])
    ('0.600 ± 0.141', '–')
    """
    if not values:
        return "–"
    mean = f"{statistics.fmean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean


def span(value: float) -> str:
    """A budget to read.

    >>> span(20.0), span(300.0), span(5400.0)
    ('20 s', '5 min', '1.5 h')
    """
    if value < 60:
        return f"{value:g} s"
    return f"{value / 60:.3g} min" if value < 3600 else f"{value / 3600:.3g} h"


def seconds(value: float | None) -> str:
    """A duration to read.

    >>> seconds(0.004), seconds(14.2), seconds(None)
    ('0.0 s', '14 s', '–')
    """
    if value is None:
        return "–"
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"


def milliseconds(value: float | None) -> str:
    """A latency to read.

    >>> milliseconds(0.0042), milliseconds(12.3)
    ('4 us', '12 ms')
    """
    if value is None:
        return "–"
    if value < 0.1:
        return f"{1000 * value:.0f} us"
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"


def count(value: int | None) -> str:
    """A number of parameters to read.

    >>> count(52_100), count(900)
    ('52 k', '900')
    """
    if value is None:
        return "–"
    return f"{value / 1000:.0f} k" if value >= 1000 else str(value)


_POINTS = 12
_ROWS_SHOWN = 100  # a bar that moves with every row would cost as much as learning it


@contextmanager
def rows_bar(console: Console, rows: int) -> Iterator[Callable[[object, object], None]]:
    """A bar over the rows of a stream, in a terminal alone; what it gives is called once a row."""
    progress = Progress(
        TextColumn("learning"),
        BarColumn(),
        TextColumn("{task.completed:,} of {task.total:,} rows"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    task = progress.add_task("", total=rows, rate="")
    done, start = 0, time.perf_counter()

    def advance(*_: object) -> None:
        nonlocal done
        done += 1
        if done % _ROWS_SHOWN == 0:
            rate = f"{done / (time.perf_counter() - start):,.0f} rows/s"
            progress.update(task, completed=done, rate=rate)

    with progress:
        yield advance


def show_evaluation(console: Console, run: FileEvaluation, report: Path | None) -> None:
    """Print what a progressive evaluation found: the score beside no change, the curve, the experts."""
    found = run.found
    unit = "accuracy" if found.metric == "accuracy" else "mean absolute error"
    kappa = "–" if found.kappa is None else f"{found.kappa:.3f}"
    if run.file.left_out:
        console.print(f"[dim]left out, being no numbers: {escape(', '.join(run.file.left_out))}[/dim]")
    console.print(
        f"{run.file.task} · {found.rows:,} rows scored · {unit} [bold]{found.score:.4g}[/bold], no change "
        f"{found.no_change:.4g} · kappa against no change {kappa}",
        highlight=False,
    )
    if found.coverage is not None:
        console.print(f"90 % intervals held {found.coverage:.1%} of the values", highlight=False)
    console.print(_curve(found, unit))
    if run.drift is not None:
        rows = ", ".join(f"{row:,}" for row in found.drifts[-_POINTS:]) or "none"
        more = f" (the last of {len(found.drifts):,})" if len(found.drifts) > _POINTS else ""
        console.print(f"changes noticed by {run.drift} at row {rows}{more}", highlight=False)
    largest = sorted(found.weights.items(), key=lambda item: -item[1])[:4]
    experts = ", ".join(f"{escape(name)} {share:.0%}" for name, share in largest)
    console.print(f"experts at the end: {experts}", highlight=False)
    console.print(
        f"{found.rows_per_s:,.0f} rows a second · {found.nbytes:,} bytes learned, at most "
        f"{found.bound_bytes:,} · worse than no change in {found.windows_below:.0%} of the windows",
        highlight=False,
    )
    page = "--report FILE.html writes a page" if report is None else f"page {escape(str(report))}"
    console.print(page, highlight=False)


def _curve(found: Evaluation, unit: str) -> Table:
    """At most a dozen windows of the curve, the last among them."""
    every = -(-len(found.curve) // _POINTS)
    table = Table("up to row", unit, "no change", "kappa", box=None)
    for point in found.curve[::-1][::every][::-1]:
        kappa = "–" if point.kappa is None else f"{point.kappa:.3f}"
        table.add_row(f"{point.row:,}", f"{point.score:.4g}", f"{point.no_change:.4g}", kappa)
    return table


def show_replay(console: Console, found: Replay) -> None:
    """How many sentences follow from the scores, and what does not."""
    console.print(
        f"{found.following} of {len(found.sentences)} sentences follow from the recorded scores",
        highlight=False,
    )
    for one in found.differences:
        console.print(f"  {one.question}, {one.field}", style="bold red", highlight=False)
        console.print(f"    recorded: {one.recorded}", markup=False, highlight=False)
        console.print(f"    replayed: {one.replayed}", markup=False, highlight=False)
    if found.open:
        console.print(f"left open, so that no score tells: {', '.join(found.open)}", highlight=False)
