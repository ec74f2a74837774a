from __future__ import annotations

import pytest
import torch

from lamina.nn.pooling import AttentionPool, LastPool, MaxPool, MeanPool

Y = torch.tensor([[[1.0], [4.0], [2.0]], [[-5.0], [torch.nan], [torch.nan]], [[torch.nan]] * 3])
LENGTHS = torch.tensor([3, 1, 0])


@pytest.mark.parametrize(
    ("pool", "expected"), [(LastPool(), [2, -5, 0]), (MeanPool(), [7 / 3, -5, 0]), (MaxPool(), [4, -5, 0])]
)
def test_pools_read_valid_steps_only(pool: torch.nn.Module, expected: list[float]) -> None:
    assert pool(Y, LENGTHS).flatten().tolist() == pytest.approx(expected)
    assert pool(Y[:1]).flatten().tolist() == pytest.approx(expected[:1])


def test_attention_pool_is_a_mean_over_valid_steps() -> None:
    torch.manual_seed(0)
    pool = AttentionPool(1)
    weights = pool.weights(Y, LENGTHS)
    torch.testing.assert_close(weights.sum(1), torch.tensor([1.0, 1.0, 0.0]))
    pooled = pool(Y, LENGTHS)
    torch.testing.assert_close(pooled[0], (weights[0, :, None] * Y[0]).sum(0))
    assert pooled[1:].flatten().tolist() == [-5, 0]
    torch.testing.assert_close(pool(Y[:1]), pooled[:1])


def test_attention_pool_has_finite_gradients_on_empty_rows() -> None:
    pool, y = AttentionPool(1), Y.clone().requires_grad_()
    pool(y, LENGTHS).sum().backward()
    assert y.grad is not None
    assert y.grad.isfinite().all()
