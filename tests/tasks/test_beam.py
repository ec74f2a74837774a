from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from lamina.errors import ConfigError
from lamina.nn.cross_attention import Nested
from lamina.tasks.beam import Hypothesis, Step, beam_search

TOKENS, END = 4, 3


def tables(rows: int) -> Tensor:
    """log p of the next token by the last two, of each row: (rows, TOKENS, TOKENS, TOKENS)."""
    made = torch.randn(rows, TOKENS, TOKENS, TOKENS, generator=torch.Generator().manual_seed(0))
    return made.mul(1.5).log_softmax(-1)


def model(log_p: Tensor) -> Step:
    """Reads row and token before last from the state, so that both must follow a hypothesis."""

    def step(tokens: Tensor, state: Nested) -> tuple[Tensor, Nested]:
        (row, before) = state
        assert isinstance(row, Tensor)
        assert isinstance(before, Tensor)
        return log_p[row[:, 0], before[:, 0], tokens].clone(), (row, tokens[:, None])

    return step


def start(rows: int) -> Nested:
    return torch.arange(rows)[:, None], torch.full((rows, 1), END)


def every(log_p: Tensor, longest: int, power: float) -> list[Hypothesis]:
    """All sequences of one row, by brute force, best first."""
    found = []
    inner = range(TOKENS - 1)
    for size in range(1, longest + 1):
        for written in itertools.product(inner, repeat=size):
            ends = [(*written, END)] if size < longest else []
            for tokens in [*ends, *([written] if size == longest else [])]:
                path = [END, END, *tokens]
                total = sum(float(log_p[a, b, c]) for a, b, c in zip(path, path[1:], path[2:], strict=False))
                found.append(Hypothesis(written, total / len(tokens) ** power, tokens[-1] == END))
    return sorted(found, key=lambda one: -one.score)


@pytest.mark.parametrize("power", [0.0, 0.7, 1.0])
def test_a_beam_that_holds_everything_finds_what_brute_force_finds(power: float) -> None:
    log_p, longest = tables(5), [4, 1, 3, 4, 2]
    found = beam_search(
        model(log_p),
        start(5),
        begin=END,
        end=END,
        longest=torch.tensor(longest),
        beam=200,
        length_power=power,
    )
    for row, most in enumerate(longest):
        expected = every(log_p[row], most, power)
        assert len(found[row]) == len(expected)
        assert [one.tokens for one in found[row]] == [one.tokens for one in expected]
        assert [one.ended for one in found[row]] == [one.ended for one in expected]
        for ours, theirs in zip(found[row], expected, strict=True):
            assert math.isclose(ours.score, theirs.score, rel_tol=1e-4)


def test_a_beam_of_one_is_greedy() -> None:
    log_p = tables(6)
    found = beam_search(model(log_p), start(6), begin=END, end=END, longest=torch.full((6,), 9), beam=1)
    for row in range(6):
        path = [END, END]
        while len(path) < 11 and (len(path) == 2 or path[-1] != END):
            scores = log_p[row, path[-2], path[-1]].clone()
            if len(path) == 2:
                scores[END] = -torch.inf
            path.append(int(scores.argmax()))
        (best,) = found[row]
        assert list(best.tokens) == [token for token in path[2:] if token != END]
        assert best.ended == (path[-1] == END)


def test_rows_do_not_reach_one_another() -> None:
    log_p = tables(4)
    options = {"begin": END, "end": END, "beam": 3}
    together = beam_search(model(log_p), start(4), longest=torch.full((4,), 8), **options)
    for row in range(4):
        alone = beam_search(
            model(log_p[row : row + 1]),
            start(1),
            longest=torch.tensor([8]),
            **options,
        )
        assert [one.tokens for one in alone[0]] == [one.tokens for one in together[row]]


def test_a_wider_beam_finds_nothing_worse_here_and_lengths_count() -> None:
    log_p, longest = tables(6), torch.full((6,), 6)
    best = [
        [
            row[0].score
            for row in beam_search(model(log_p), start(6), begin=END, end=END, longest=longest, beam=k)
        ]
        for k in (1, 2000)
    ]
    assert all(wide >= narrow - 1e-6 for narrow, wide in zip(*best, strict=True))
    sizes = [
        sum(
            len(row[0].tokens)
            for row in beam_search(
                model(log_p), start(6), begin=END, end=END, longest=longest, beam=2000, length_power=power
            )
        )
        for power in (0.0, 1.0)
    ]
    assert sizes[0] < sizes[1]


def test_a_beam_holds_at_least_one() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        beam_search(model(tables(1)), start(1), begin=END, end=END, longest=torch.tensor([3]), beam=0)
