"""What a study looks like in a terminal."""

from __future__ import annotations

import statistics
import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from lamina.study.verdict import Candidate, StudyRecord

QUESTION_WORDS = {
    "depth": "Depth",
    "direction": "Direction",
    "cell": "Cell",
    "attention": "Attention",
    "transformer": "Transformer",
    "trivial": "Worth it?",
}


class Screen:
    """Draws a study while it runs: a line a stage, with a bar; answers appear as they are found.

    A listener for ``lamina.study``; use as a context manager. Where the output is no terminal, a line is
    printed as each stage begins.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn(" [green]●[/green] {task.description:<13}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._live = (
            Live(self._progress, console=console, refresh_per_second=5) if console.is_terminal else None
        )
        self._task: TaskID | None = None
        self._began = time.monotonic()

    def __enter__(self) -> Screen:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finish()
        if self._live:
            self._live.stop()

    def stage(self, name: str, detail: str, seconds: float) -> None:
        self._finish()
        detail = f"{escape(detail)} · about {seconds:.0f} s" if detail else f"about {seconds:.0f} s"
        if self._live is None:
            self._console.print(f" ● {name:<13} {detail}", highlight=False)
        self._task = self._progress.add_task(name, total=None, detail=f"[dim]{detail}[/dim]")

    def advance(self, done: int, total: int) -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=done, total=max(done, total))

    def answer(self, question: str, sentence: str) -> None:
        self._finish()
        self._console.print(answer_line(question, sentence), highlight=False)

    def _finish(self) -> None:
        if self._task is not None:
            total = self._progress.tasks[self._task].total or 1
            self._progress.update(self._task, completed=total, total=total)
            self._progress.stop_task(self._task)
            self._task = None


def answer_line(question: str, sentence: str) -> str:
    """A verdict as one paragraph, its question in front."""
    return f" [bold]{QUESTION_WORDS.get(question, question):<12}[/bold] {escape(sentence)}"


def show_record(console: Console, record: StudyRecord, folder: str) -> None:
    """Choices, answers, warnings and the leaderboard of a finished study."""
    console.print()
    for verdict in record.questions:
        console.print(answer_line(verdict.id, verdict.sentence), highlight=False)
    for check in record.checks:
        if check.outcome != "pass":
            colour = "red" if check.outcome == "fail" else "yellow"
            console.print(
                f" [{colour}]{check.code}[/{colour}]         {escape(check.sentence)}", highlight=False
            )
    console.print()
    console.print(leaderboard(record, folder))


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


def spread(values: list[float]) -> str:
    """Mean and standard deviation over seeds.

    >>> spread([0.5, 0.7]), spread([])
    ('0.600 ± 0.141', '–')
    """
    if not values:
        return "–"
    mean = f"{statistics.fmean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean


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
