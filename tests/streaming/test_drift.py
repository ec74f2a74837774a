"""What is done when a stream changes, and when learning goes wrong."""

from __future__ import annotations

import numpy as np
import pytest

from lamina.streaming.aggregate import Floor
from lamina.streaming.drift import CHECK_ROWS, Detector, Watch
from lamina.streaming.experts import Models, mixture_of


def models() -> Models:
    found = Models("identity", 1, depth=0, hidden_size=1, seed=0)
    found.fit_sizes(2, 1)
    return found


@pytest.mark.parametrize("detector", ["adwin", "page-hinkley"])
def test_a_jump_of_the_loss_is_noticed_and_experts_are_shared_anew(detector: Detector) -> None:
    watch, mixture, floor, kept = Watch(detector), mixture_of(9), Floor(), models()
    mixture.weights = np.eye(9)[3]
    random = np.random.default_rng(0)
    for row in range(3000):
        loss = random.normal(1.0 if row < 2000 else 4.0, 0.2)
        watch.follow(kept, mixture, floor, loss=loss, trivial_loss=5.0)
    assert watch.drifts
    assert 2000 < watch.drifts[0] < 2200
    assert mixture.weights[0] > 0.2


def test_nothing_is_noticed_without_a_detector() -> None:
    watch, mixture = Watch(None), mixture_of(9)
    for row in range(3000):
        watch.follow(models(), mixture, Floor(), loss=float(row > 2000), trivial_loss=1.0)
    assert watch.drifts == []


def test_models_that_run_away_are_replaced_by_the_last_good_ones() -> None:
    watch, mixture, floor, now = Watch(None), mixture_of(9), Floor(), models()
    now.linear.weights[:] = 0.5
    for _ in range(CHECK_ROWS):
        now = watch.follow(now, mixture, floor, loss=0.5, trivial_loss=1.0)
    now.linear.weights[:] = 1e9
    floor.weight = 0.01
    for _ in range(CHECK_ROWS):
        now = watch.follow(now, mixture, floor, loss=9.0, trivial_loss=1.0)
    assert watch.rollbacks == 1
    assert floor.weight == floor.start
    np.testing.assert_array_equal(now.linear.weights, 0.5)


def test_weights_that_are_not_finite_are_replaced_by_new_ones_where_none_were_good() -> None:
    watch, now = Watch(None), models()
    now.linear.weights[:] = np.nan
    for _ in range(CHECK_ROWS):
        now = watch.follow(now, mixture_of(9), Floor(), loss=1.0, trivial_loss=1.0)
    np.testing.assert_array_equal(now.linear.weights, 0.0)
