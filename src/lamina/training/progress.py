"""A progress bar with throughput and time left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from lamina.training.callbacks import Callback

if TYPE_CHECKING:
    from lamina.training.loop import Run


class ProgressBar(Callback):
    """Shows steps done, the latest validation score, the time left, and examples a second.

    Of texts it shows tokens a second; padding is not counted.

    Use as a context manager around ``fit``; ``console`` is where it appears, standard output unless given.
    """

    def __init__(
        self, max_steps: int, batch_size: int, *, label: str = "training", console: Console | None = None
    ) -> None:
        self._batch_size = batch_size
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} steps"),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[score]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._bar = self._progress.add_task(label, total=max_steps, rate="", score="")

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def on_step(self, run: Run) -> None:
        if run.tokens:
            rate = f"{run.tokens / max(run.seconds - run.seconds_before, 1e-6):,.0f} tokens/s"
        else:
            rate = f"{run.step * self._batch_size / max(run.seconds, 1e-6):,.0f} examples/s"
        self._progress.update(self._bar, completed=run.step, rate=rate)

    def on_validation(self, run: Run) -> None:
        if run.history.validation:
            self._progress.update(self._bar, score=f"validation {run.history.validation[-1]:.4g}")
