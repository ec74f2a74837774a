"""The group of models: sizes grow, copies are new."""

from __future__ import annotations

import numpy as np

from lamina.streaming.aggregate import Floor
from lamina.streaming.experts import Layout, Models, mixture_of, shares_of


def test_features_keep_their_place_as_blocks_grow() -> None:
    layout = Layout()
    layout.vector(np.array([1.0]), np.array([10.0, 20.0]))
    grown = layout.vector(np.array([1.0, 2.0]), np.array([10.0, 20.0, 30.0]))
    assert grown.tolist() == [1.0, 1.0, 10.0, 20.0, 2.0, 30.0]


def test_new_models_of_the_same_sizes_have_learned_nothing() -> None:
    models = Models("softmax", 3, depth=1, hidden_size=4, seed=0)
    models.fit_sizes(2, 3)
    z = np.array([1.0, 2.0])
    models.learn(models.say(z), np.array([1.0, 0.0, 0.0]))
    fresh = models.like_new().say(z)
    np.testing.assert_allclose(fresh.linear, 1 / 3)
    np.testing.assert_allclose(fresh.recurrent, 1 / 3)


def test_trivial_rule_has_half_of_the_mixture_and_what_the_floor_gives_it() -> None:
    shares = shares_of(("no change", "a", "b"), mixture_of(3), Floor(start=0.8))
    assert shares["no change"] == 0.8 + 0.2 * 0.5
    assert shares["a"] == shares["b"]
