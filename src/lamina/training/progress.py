"""A progress bar with throughput and time left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import get_console
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from lamina.training.callbacks import Callback

if TYPE_CHECKING:
    from lamina.training.loop import Run


class ProgressBar(Callback):
    """Shows steps done, the latest validation score, the time left, and examples a second.

    Of texts it shows tokens a second; padding is not counted. Where runs follow one another, such as a
    pre-training and a training, each begins the bar anew under its name.

    Use as a context manager around ``fit``; ``console`` is where it appears, standard output unless given.
    """

    def __init__(self, *, console: Console | None = None) -> None:
        self._stage = ""
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[done]}"),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[score]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not (console or get_console()).is_terminal,
        )
        self._bar = self._progress.add_task("reading", total=None, done="", rate="", score="")

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def on_reading(self, texts: int) -> None:
        self._begin("teacher", None)
        self._progress.update(self._bar, done=f"{texts:,} texts read")

    def on_step(self, run: Run) -> None:
        self._begin(run.stage, run.config.max_steps)
        if run.tokens:
            rate = f"{run.tokens / max(run.seconds - run.seconds_before, 1e-6):,.0f} tokens/s"
        else:
            rate = f"{run.step * run.config.batch_size / max(run.seconds, 1e-6):,.0f} examples/s"
        done = f"{run.step}/{run.config.max_steps} steps"
        self._progress.update(self._bar, completed=run.step, done=done, rate=rate)

    def on_validation(self, run: Run) -> None:
        if run.history.validation:
            self._progress.update(self._bar, score=f"validation {run.history.validation[-1]:.4g}")

    def _begin(self, stage: str, total: int | None) -> None:
        """Start anew where another stage begins; nothing is known of how long a teacher reads."""
        if stage != self._stage:
            self._stage = stage
            self._progress.reset(self._bar, total=total, description=stage, done="", rate="", score="")
