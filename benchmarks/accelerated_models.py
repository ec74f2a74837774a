"""What lamina.accelerate does for models nobody here wrote: `python benchmarks/accelerated_models.py`.

neuralforecast's LSTM and GRU, and a tagger of torch's layers as Flair builds it, train twice from one seed on
the same synthetic data: on torch's layers and accelerated. A line tells the seconds of both, how far their
outputs part with the same parameters, and how far the curves of their losses part over the steps. The command
fails where outputs or curves part.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from neuralforecast import NeuralForecast
from neuralforecast.models import GRU, LSTM
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lamina.nn.accelerate import accelerate, report

OUTPUT_TOLERANCE = 1e-5
"""Of outputs with the same parameters, relative to the largest."""

CURVE_TOLERANCE = 1e-2
"""Of losses, relative to the largest of the curve: rounding grows along the steps of the optimiser."""

WORDS, TAGS, SENTENCES, LONGEST = 2000, 12, 32, 40


@dataclass(frozen=True)
class Training:
    """What came of one training."""

    losses: np.ndarray
    seconds: float
    outputs: np.ndarray
    """Of the trained network."""
    accelerated: np.ndarray
    """Of an accelerated copy of it."""


@dataclass(frozen=True)
class Line:
    model: str
    torch_s: float
    lamina_s: float
    outputs_apart: float
    losses_apart: float

    @property
    def agrees(self) -> bool:
        return self.outputs_apart <= OUTPUT_TOLERANCE and self.losses_apart <= CURVE_TOLERANCE


def apart(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def quicker(model: nn.Module) -> nn.Module:
    if not report(accelerate(model)).replaced:
        raise SystemExit(f"nothing was replaced in {type(model).__name__}")
    return model


def series() -> pd.DataFrame:
    """Four noisy waves of 500 hours."""
    generator, hours = np.random.default_rng(0), np.arange(500)
    waves = [np.sin(2 * np.pi * hours / 24 + k) + 0.1 * generator.standard_normal(500) for k in range(4)]
    frame = {"unique_id": np.repeat(list("abcd"), 500), "ds": np.tile(hours, 4), "y": np.concatenate(waves)}
    return pd.DataFrame(frame)


def forecaster(kind: Any, *, steps: int, faster: bool) -> Training:
    model = kind(
        h=24, input_size=72, encoder_hidden_size=64, max_steps=steps, random_seed=1,
        enable_checkpointing=False, logger=False, enable_progress_bar=False, enable_model_summary=False,
        accelerator="cpu",
    )  # fmt: skip
    trainer, start = NeuralForecast(models=[quicker(model) if faster else model], freq=1), time.perf_counter()
    trainer.fit(series())
    seconds = time.perf_counter() - start
    (fitted,) = trainer.models
    outputs = trainer.predict()[kind.__name__].to_numpy()
    trainer.models = [quicker(copy.deepcopy(fitted))]
    accelerated = trainer.predict()[kind.__name__].to_numpy()
    losses = np.array([loss for _, loss in fitted.train_trajectories])
    return Training(losses, seconds, outputs, accelerated)


class Tagger(nn.Module):
    """Embeddings, packed; two stacked layers in both directions; a linear map of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 100)
        self.rnn = nn.LSTM(100, 128, num_layers=2, dropout=0.3, bidirectional=True, batch_first=True)
        self.linear = nn.Linear(256, TAGS)

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.embedding(words), lengths, batch_first=True, enforce_sorted=False)
        y, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=words.shape[1])
        tags: Tensor = self.linear(y)
        return tags


def sentences(number: int) -> tuple[Tensor, Tensor, Tensor]:
    """Words, lengths, and tags, which hang on a word and on the one before it; -100 at padding."""
    generator = torch.Generator().manual_seed(number)
    words = torch.randint(0, WORDS, (SENTENCES, LONGEST), generator=generator)
    lengths = torch.randint(LONGEST // 4, LONGEST + 1, (SENTENCES,), generator=generator)
    tags = (words + words.roll(1, 1)) % TAGS
    return words, lengths, tags.masked_fill(torch.arange(LONGEST) >= lengths[:, None], -100)


def tagger(*, steps: int, faster: bool) -> Training:
    torch.manual_seed(1)
    model = quicker(Tagger()) if faster else Tagger()
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=2e-3), []
    torch.manual_seed(2)  # of the dropout, whose masks are torch's
    start = time.perf_counter()
    for step in range(steps):
        words, lengths, tags = sentences(step)
        loss = nn.functional.cross_entropy(model(words, lengths).flatten(0, 1), tags.flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        optimizer.step()
        losses.append(loss.item())
    seconds = time.perf_counter() - start
    model.eval()
    words, lengths, _ = sentences(-1)
    with torch.no_grad():
        outputs, accelerated = (m(words, lengths).numpy() for m in (model, quicker(copy.deepcopy(model))))
    return Training(np.array(losses), seconds, outputs, accelerated)


MODELS: dict[str, Callable[..., Training]] = {
    "neuralforecast LSTM": partial(forecaster, LSTM),
    "neuralforecast GRU": partial(forecaster, GRU),
    "BiLSTM tagger": tagger,
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", type=int, default=200, help="of the optimiser (default 200)")
    parser.add_argument("--threads", type=int, default=2, help="of torch, for both (default 2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")  # Lightning's advice
    for noisy in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    table = Table("model", "torch s", "accelerated s", "ratio", "outputs apart", "losses apart", "agree")
    lines = []
    for name, train in MODELS.items():
        theirs, ours = (train(steps=options.steps, faster=faster) for faster in (False, True))
        line = Line(
            name, theirs.seconds, ours.seconds, apart(theirs.accelerated, theirs.outputs),
            apart(ours.losses, theirs.losses),
        )  # fmt: skip
        lines.append(line)
        ratio = f"{line.torch_s / line.lamina_s:.2f}" if line.agrees else ""
        table.add_row(
            name, f"{line.torch_s:.1f}", f"{line.lamina_s:.1f}", ratio, f"{line.outputs_apart:.1e}",
            f"{line.losses_apart:.1e}", "yes" if line.agrees else "no",
        )  # fmt: skip
    Console(width=100).print(table)
    if options.json is not None:
        written = {"steps": options.steps, "threads": options.threads, "lines": [asdict(x) for x in lines]}
        options.json.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    return 0 if all(line.agrees for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
