from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from lamina.tasks.smoothing import smoothed_cross_entropy


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
@pytest.mark.parametrize(("rows", "classes"), [(1, 2), (7, 63)])
def test_loss_and_gradient_are_those_of_torch(rows: int, classes: int, smoothing: float) -> None:
    torch.manual_seed(0)
    logits = (5 * torch.randn(rows, classes, dtype=torch.float64)).requires_grad_()
    targets = torch.randint(classes, (rows,))
    before = logits.detach().clone()
    expected = F.cross_entropy(logits, targets, label_smoothing=smoothing)
    (slope,) = torch.autograd.grad(3 * expected, logits)
    found = smoothed_cross_entropy(logits, targets, smoothing=smoothing)
    (own,) = torch.autograd.grad(3 * found, logits)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(own, slope)
    assert torch.equal(logits.detach(), before)


def test_nothing_is_kept_where_no_gradient_is_needed() -> None:
    loss = smoothed_cross_entropy(torch.zeros(2, 3), torch.tensor([0, 1]), smoothing=0.1)
    assert not loss.requires_grad
