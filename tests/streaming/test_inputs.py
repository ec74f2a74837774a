"""Features of inputs: running statistics, missing values, what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lamina.errors import DataError
from lamina.streaming.inputs import InputContext


def test_first_feature_is_the_standard_score() -> None:
    values = np.random.default_rng(0).normal(5.0, 2.0, size=400)
    context = InputContext()
    for value in values:
        context.learn(context.read({"a": value}))
    score = context.features(context.read({"a": 6.0}))[0]
    assert score == pytest.approx((6.0 - values.mean()) / values.std(), rel=1e-9)


def test_missing_values_give_zero_and_change_nothing() -> None:
    context = InputContext()
    for value in (1.0, 2.0, 4.0):
        context.learn(context.read({"a": value, "b": value}))
    before = context.features(context.read({"a": 3.0, "b": 3.0}))
    context.learn(context.read({"a": math.nan}))
    np.testing.assert_array_equal(context.features(context.read({"a": 3.0, "b": 3.0})), before)
    assert not context.features(context.read({"a": math.nan, "b": 3.0}))[:5].any()


def test_new_inputs_are_appended() -> None:
    context = InputContext()
    context.learn(context.read({"a": 1.0}))
    context.learn(context.read({"b": 1.0, "a": 3.0}))
    assert list(context.names) == ["a", "b"]
    assert context.size == 10


@pytest.mark.parametrize("wrong", ["3", math.inf, None, [1.0]])
def test_what_is_no_finite_number_is_refused_by_name(wrong: object) -> None:
    with pytest.raises(DataError, match="pressure="):
        InputContext().read({"pressure": wrong})


def test_an_outlier_is_cut() -> None:
    context = InputContext()
    for value in (0.0, 1.0, 0.0, 1.0):
        context.learn(context.read({"a": value}))
    assert context.features(context.read({"a": 1e12})).max() == 5.0
