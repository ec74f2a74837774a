from __future__ import annotations

import pytest
import torch

from lamina.errors import ConfigError
from lamina.nn.attention import Attention
from lamina.ops.lengths import valid_steps

LENGTHS = torch.tensor([6, 2, 0, 1])


def attention(causal: bool, heads: int = 2) -> Attention:
    torch.manual_seed(0)
    return Attention(8, heads=heads, causal=causal).double()


def padded_input() -> torch.Tensor:
    x = torch.randn(4, 6, 8, dtype=torch.float64)
    x[~valid_steps(LENGTHS, 6)] = torch.nan
    return x


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
def test_output_is_the_weighted_sum_that_the_weights_say(causal: bool, lengths: torch.Tensor | None) -> None:
    model = attention(causal)
    x = torch.randn(4, 6, 8, dtype=torch.float64)
    values = model.project_in(x).chunk(3, -1)[2].view(4, 6, 2, 4).transpose(1, 2)
    mixed = (model.weights(x, lengths) @ values).transpose(1, 2).reshape(4, 6, 8)
    expected = model.project_out(mixed)
    if lengths is not None:
        expected = expected * valid_steps(lengths, 6)[:, :, None]
    torch.testing.assert_close(model(x, lengths), expected, rtol=1e-12, atol=1e-12)


def test_weights_sum_to_one_over_what_may_be_seen() -> None:
    weights = attention(causal=True).weights(padded_input(), LENGTHS)
    assert weights.shape == (4, 2, 6, 6)
    torch.testing.assert_close(weights.sum(-1)[:, 0], valid_steps(LENGTHS, 6).double())
    assert not weights.triu(1).any()
    assert not weights[1, :, :, 2:].any()


@pytest.mark.parametrize("causal", [False, True])
def test_padding_changes_nothing_and_has_no_gradient(causal: bool) -> None:
    model, x = attention(causal), padded_input().requires_grad_()
    y = model(x, LENGTHS)
    y.square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    torch.testing.assert_close(y[1, :2], model(x.detach()[1:2, :2])[0], rtol=1e-12, atol=1e-12)


def test_causal_attention_does_not_see_the_future() -> None:
    model = attention(causal=True)
    x = torch.randn(1, 6, 8, dtype=torch.float64)
    changed = x.clone()
    changed[:, 3:] += 1
    torch.testing.assert_close(model(x)[:, :3], model(changed)[:, :3], rtol=1e-12, atol=1e-12)
    assert (model(x)[:, 3:] - model(changed)[:, 3:]).abs().max() > 1e-3


def test_heads_must_divide_the_size() -> None:
    with pytest.raises(ConfigError, match="3 does not divide 8"):
        Attention(8, heads=3)
