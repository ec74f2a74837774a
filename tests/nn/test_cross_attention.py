from __future__ import annotations

import math

import pytest
import torch

from lamina.nn.cross_attention import CrossAttention, Score, pick_rows
from lamina.nn.decoder import DecoderState


@pytest.mark.parametrize("score", ["additive", "multiplicative"])
@torch.no_grad()
def test_it_is_the_papers_equation(score: Score) -> None:
    torch.manual_seed(0)
    attend = CrossAttention(3, 5, score=score).double()
    query, memory = torch.randn(2, 4, 3).double(), torch.randn(2, 6, 5).double()
    lengths = torch.tensor([6, 2])
    context, weights = attend(query, attend.keys(memory), memory, lengths)
    for row, length in enumerate(lengths.tolist()):
        for t in range(4):
            scores = []
            for s in range(length):
                key = attend.key.weight @ memory[row, s]
                if attend.sum is None:
                    scores.append(float(query[row, t] @ key))
                else:
                    scores.append(float(attend.sum.weight[0] @ (attend.query(query[row, t]) + key).tanh()))
            total = sum(math.exp(one) for one in scores)
            expected = [math.exp(one) / total for one in scores] + [0.0] * (6 - length)
            torch.testing.assert_close(weights[row, t], torch.tensor(expected).double())
            mean = sum(a * memory[row, s] for s, a in enumerate(expected))
            torch.testing.assert_close(context[row, t], mean)


def test_what_stands_in_padding_reaches_nothing() -> None:
    attend = CrossAttention(3, 5, score="additive")
    memory = torch.randn(2, 6, 5)
    other = memory.clone()
    other[1, 2:] = 7.0
    query, lengths = torch.randn(2, 1, 3), torch.tensor([6, 2])
    found = [attend(query, attend.keys(m), m, lengths)[0] for m in (memory, other)]
    assert torch.equal(*found)


def test_rows_are_picked_in_every_tensor_and_names_stay() -> None:
    h = torch.arange(3)[:, None]
    picked = pick_rows(DecoderState((((h,),),), (), 10 * h), torch.tensor([2, 0, 0]))
    assert isinstance(picked, DecoderState)
    assert picked.asking[0][0][0].flatten().tolist() == [2, 0, 0]
    assert isinstance(picked.fed, torch.Tensor)
    assert picked.fed.flatten().tolist() == [20, 0, 0]
    assert picked.above == ()
