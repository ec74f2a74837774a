from __future__ import annotations

import io

import pytest
import torch
from rich.console import Console

from lamina.tasks.language import LanguageBatch
from lamina.tasks.tag import TagBatch
from lamina.tasks.text import TextBatch
from lamina.tasks.translate import PairBatch
from lamina.training.history import History
from lamina.training.loop import OfTokens, Run
from lamina.training.optim import TrainingConfig
from lamina.training.progress import ProgressBar

CONFIG = TrainingConfig(max_steps=40, batch_size=16)


def test_the_bar_shows_steps_throughput_score_and_time_left() -> None:
    out = io.StringIO()
    bar = ProgressBar(console=Console(file=out, width=120, force_terminal=True))
    with bar:
        run = Run(CONFIG, step=10, seconds_before=2.0, history=History(steps=[10], validation=[0.12345]))
        bar.on_step(run)
        bar.on_validation(run)
        bar.on_step(run)
    shown = out.getvalue()
    assert "10/40 steps" in shown
    assert "validation 0.1234" in shown or "validation 0.1235" in shown
    assert "examples/s" in shown
    rate = float(shown.rpartition(" examples/s")[0].split()[-1].replace(",", ""))
    assert 70 <= rate <= 80  # 10 steps of 16 in 2 s


def test_of_texts_it_shows_the_tokens_of_this_sitting() -> None:
    out = io.StringIO()
    bar = ProgressBar(console=Console(file=out, width=120, force_terminal=True))
    with bar:
        run = Run(CONFIG, step=10, seconds_before=1000.0, tokens=6000)
        run.started -= 2.0
        bar.on_step(run)
    shown = out.getvalue()
    assert "examples/s" not in shown
    rate = float(shown.rpartition(" tokens/s")[0].split()[-1].replace(",", ""))
    assert 2800 <= rate <= 3000  # 6,000 in 2 s; a resumed run does not count its earlier seconds


def test_each_of_several_runs_begins_anew_under_its_name() -> None:
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=True)
    with ProgressBar(console=console) as bar:
        bar.on_reading(3200)
        bar._progress.refresh()
        shown = out.getvalue()
        assert "teacher" in shown
        assert "3,200 texts read" in shown
        before = Run(CONFIG.replace(max_steps=900), "pre-training", step=450, tokens=10)
        before.history = History(steps=[450], validation=[5.5])
        bar.on_step(before)
        bar.on_validation(before)
        bar._progress.refresh()
        assert "450/900 steps" in out.getvalue()
        assert "validation 5.5" in out.getvalue()
        begun = len(out.getvalue())
        bar.on_step(Run(CONFIG, step=1, tokens=10))
        bar._progress.refresh()
        shown = out.getvalue()[begun:]
        assert "training" in shown.replace("pre-training", "")
        assert "1/40 steps" in shown
        assert "validation" not in shown


def test_nothing_is_drawn_where_there_is_no_terminal() -> None:
    out = io.StringIO()
    with ProgressBar(console=Console(file=out, width=120)) as bar:
        bar.on_step(Run(CONFIG, step=10))
    assert out.getvalue() == ""


GRID, LENGTHS = torch.zeros(2, 5, dtype=torch.int64), torch.tensor([5, 2])
BATCHES = {
    "language": (LanguageBatch(GRID, GRID, first=True), 10),
    "text": (TextBatch(GRID, LENGTHS, torch.zeros(2), torch.zeros(2, 3)), 7),
    "tag": (TagBatch(GRID, GRID, GRID, LENGTHS, LENGTHS, GRID), 7),
    "pair": (PairBatch(GRID, LENGTHS, GRID, GRID, torch.tensor([3, 4])), 14),
}


@pytest.mark.parametrize("kind", BATCHES)
def test_batches_of_texts_know_their_tokens(kind: str) -> None:
    batch, tokens = BATCHES[kind]
    assert isinstance(batch, OfTokens)
    assert batch.tokens == tokens
