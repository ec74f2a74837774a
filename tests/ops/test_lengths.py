from __future__ import annotations

import torch

from lamina.ops.lengths import last_valid, reverse_rows, valid_steps, zero_padding

X = torch.arange(1.0, 7.0).view(2, 3, 1)
LENGTHS = torch.tensor([2, 0])


def test_valid_steps_end_with_their_row() -> None:
    assert valid_steps(torch.tensor([3, 1, 0]), 3).sum(1).tolist() == [3, 1, 0]


def test_zero_padding_stops_nan_and_its_gradient() -> None:
    x = X.clone()
    x[~valid_steps(LENGTHS, 3)] = torch.nan
    x.requires_grad_()
    zeroed = zero_padding(x, LENGTHS)
    assert zeroed.flatten().tolist() == [1, 2, 0, 0, 0, 0]
    (gradient,) = torch.autograd.grad((zeroed**2).sum(), x)
    assert gradient.flatten().tolist() == [2, 4, 0, 0, 0, 0]


def test_reverse_rows_turns_each_within_its_length() -> None:
    assert reverse_rows(X, LENGTHS).flatten().tolist() == [2, 1, 3, 4, 5, 6]
    assert reverse_rows(X, None).flatten().tolist() == [3, 2, 1, 6, 5, 4]


def test_last_valid_reads_the_end_of_each_row() -> None:
    assert last_valid(X, torch.tensor([2, 3])).flatten().tolist() == [2, 6]
