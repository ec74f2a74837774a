from __future__ import annotations

import numpy as np

from lamina.data.missing import elapsed_since_observed


def test_age_equals_a_loop_over_time() -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(5, 63))
    values[generator.random(values.shape) < 0.6] = np.nan
    values[0] = np.nan
    elapsed, observed = elapsed_since_observed(values)
    for row in range(5):
        age = 0
        for step in range(63):
            age = age + 1 if np.isnan(values[row, step]) else 0
            assert elapsed[row, step] == age
            assert observed[row, step] == (age == 0)


def test_the_age_does_not_depend_on_what_comes_later() -> None:
    values = np.array([1.0, np.nan, np.nan, 2.0])
    np.testing.assert_array_equal(
        elapsed_since_observed(values[:3])[0], elapsed_since_observed(values)[0][:3]
    )


def test_a_sequence_without_steps() -> None:
    elapsed, observed = elapsed_since_observed(np.empty((2, 0)))
    assert elapsed.shape == observed.shape == (2, 0)
