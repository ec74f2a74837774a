from __future__ import annotations

import torch

from lamina.nn.embedding import TokenEmbedding


def test_a_dropped_token_is_dropped_wherever_it_stands_and_the_mean_is_kept() -> None:
    torch.manual_seed(0)
    embed = TokenEmbedding(2000, 3, dropout=0.25)
    with torch.no_grad():
        embed.weight.fill_(1)
    ids = torch.arange(2000).repeat(2, 1)
    y = embed(ids)
    assert torch.equal(y[0], y[1])
    assert sorted(set(y.flatten().tolist())) == [0, torch.tensor(1 / 0.75).item()]
    assert abs(float(y.detach().mean()) - 1) < 0.05
    assert torch.equal(embed.eval()(ids), torch.ones(2, 2000, 3))


def test_the_gradient_reaches_the_vectors_that_were_read() -> None:
    embed = TokenEmbedding(5, 2)
    embed(torch.tensor([[1, 1, 3]])).sum().backward()
    assert embed.weight.grad is not None
    assert embed.weight.grad[:, 0].tolist() == [0, 2, 0, 1, 0]
