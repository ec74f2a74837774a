"""The bounds hold, on losses made to break them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lamina.streaming.aggregate import FixedShare, Floor


def test_mixture_is_within_its_bound_of_the_best_sequence_of_experts() -> None:
    random = np.random.default_rng(0)
    share, experts, rows = 0.01, 6, 3000
    mixture = FixedShare(np.full(experts, 1 / experts), share)
    total, best = 0.0, 0.0
    for row in range(rows):
        losses = random.uniform(1.0, 3.0, size=experts)
        losses[row // 1000] = 0.1  # another expert is the best in each third
        total += -math.log(mixture.weights @ np.exp(-losses))
        best += 0.1
        mixture.learn(losses)
    bound = math.log(experts) + 2 * math.log(experts / share) - (rows - 3) * math.log1p(-share)
    assert 0 < total - best <= bound


@pytest.mark.parametrize("rows", [1, 50, 5000])
def test_floor_keeps_a_hopeless_learner_within_a_constant_of_the_trivial_rule(rows: int) -> None:
    floor, lost = Floor(share=0.0), 0.0
    for _ in range(rows):
        lost += (1 - floor.weight) * 1.0  # the learner always loses 1, the trivial rule 0
        floor.learn(1.0, 0.0)
    assert 0 < lost <= floor.regret_bound(rows) == pytest.approx(math.log(1.25) / 0.5)


def test_floor_comes_back_after_a_long_time_of_trust() -> None:
    floor, lost = Floor(), 0.0
    for _ in range(5000):
        floor.learn(0.0, 1.0)
    assert floor.weight < 0.01
    for _ in range(2000):
        lost += 1 - floor.weight
        floor.learn(1.0, 0.0)
    assert lost <= floor.regret_bound(2000, from_start=False) < 20


def test_floor_gives_way_to_a_better_learner() -> None:
    floor = Floor()
    for _ in range(100):
        floor.learn(0.2, 0.4)
    assert floor.weight < 0.05
