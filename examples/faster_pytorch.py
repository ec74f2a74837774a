"""A PyTorch model with an LSTM, trained on torch's layers and then on Lamina's: same numbers, less time.

python examples/faster_pytorch.py [STEPS]
"""

from __future__ import annotations

import sys
import time

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import lamina
from lamina.nn.accelerate import report

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 50


class Tagger(nn.Module):
    """A tag for each word of sentences of unequal length."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(1000, 50)
        self.rnn = nn.LSTM(50, 64, bidirectional=True, batch_first=True)
        self.linear = nn.Linear(128, 9)

    def forward(self, words: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """words (batch, time) -> scores (batch, time, tags)"""
        packed = pack_padded_sequence(self.embedding(words), lengths, batch_first=True, enforce_sorted=False)
        return self.linear(pad_packed_sequence(self.rnn(packed)[0], batch_first=True)[0])


def train(model: nn.Module) -> tuple[float, float]:
    """Return the last loss and the seconds."""
    torch.manual_seed(0)
    optimizer, start, loss = torch.optim.Adam(model.parameters()), time.perf_counter(), torch.zeros(())
    for _ in range(steps):
        words, lengths = (
            torch.randint(1000, (32, 40)),
            torch.cat([torch.tensor([40]), torch.randint(5, 41, (31,))]),
        )
        loss = nn.functional.cross_entropy(model(words, lengths).flatten(0, 1), (words % 9).flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item(), time.perf_counter() - start


for change in (lamina.restore, lamina.accelerate):
    torch.manual_seed(0)
    model = change(Tagger())
    loss, seconds = train(model)
    print(f"{report(model)}\n  loss {loss:.5f} after {steps} steps in {seconds:.2f} s")
