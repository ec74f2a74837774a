"""The layers alone, in a training loop of your own: sum what was marked in a long sequence of numbers.

python examples/own_stack_in_pytorch.py [STEPS]
"""

from __future__ import annotations

import sys

import torch
from torch import nn

from lamina import Stack, StackConfig

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 300
torch.manual_seed(0)


class Adder(nn.Module):
    """Two layers read both numbers and marks; a linear map of the last state gives the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = Stack(StackConfig(cell="gru", input_size=2, hidden_sizes=(32, 32), residual="add"))
        self.head = nn.Linear(self.stack.config.output_size, 1)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """x (batch, time, 2) -> (batch,)"""
        _, state = self.stack(x, lengths=lengths)
        (h,) = state[-1][0]  # the top layer's only direction; a GRU has one state, (batch, hidden)
        return self.head(h).squeeze(-1)


def batch(rows: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sequences of 10 to 30 steps with two marks each, (rows, 30, 2); lengths; sums."""
    lengths = torch.randint(10, 31, (rows,))
    numbers, marks = torch.rand(rows, 30), torch.zeros(rows, 30)
    marks.scatter_(1, torch.rand(rows, 10).argsort(1)[:, :2], 1.0)  # among the first ten
    return torch.stack([numbers, marks], -1), lengths, (numbers * marks).sum(1)


model = Adder()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for _ in range(steps):
    x, lengths, wanted = batch(64)
    loss = nn.functional.mse_loss(model(x, lengths), wanted)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

x, lengths, wanted = batch(1000)
with torch.no_grad():
    error = nn.functional.mse_loss(model(x, lengths), wanted).item()
print(f"mean squared error {error:.4f} after {steps} steps; always saying 1 gives {wanted.var():.4f}")
