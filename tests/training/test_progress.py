from __future__ import annotations

import io

from rich.console import Console

from lamina.training.history import History
from lamina.training.loop import Run
from lamina.training.progress import ProgressBar


def test_the_bar_shows_steps_throughput_score_and_time_left() -> None:
    out = io.StringIO()
    bar = ProgressBar(max_steps=40, batch_size=16, console=Console(file=out, width=120, force_terminal=True))
    with bar:
        run = Run(step=10, seconds_before=2.0, history=History(steps=[10], validation=[0.12345]))
        bar.on_step(run)
        bar.on_validation(run)
        bar.on_step(run)
    shown = out.getvalue()
    assert "10/40 steps" in shown
    assert "validation 0.1234" in shown or "validation 0.1235" in shown
    assert "examples/s" in shown
    rate = float(shown.rpartition(" examples/s")[0].split()[-1].replace(",", ""))
    assert 70 <= rate <= 80  # 10 steps of 16 in 2 s
