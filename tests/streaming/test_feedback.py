"""Past labels and values as features."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lamina.errors import DataError
from lamina.streaming.feedback import MOST_CLASSES, VALUE_LAGS, VALUE_SPANS, LabelFeedback, ValueFeedback


def test_label_lags_stand_in_order() -> None:
    feedback = LabelFeedback()
    for label in "abba":
        feedback.learn(feedback.code(label))
    assert feedback.features()[:4].tolist() == [0, 1, 1, 0]


def test_no_change_is_the_last_label_until_the_stream_says_otherwise() -> None:
    feedback = LabelFeedback()
    for label in "ab":
        feedback.learn(feedback.code(label))
    assert feedback.trivial()[0].argmax() == 1
    for label in "ab" * 20:
        feedback.learn(feedback.code(label))
    assert feedback.trivial()[0].argmax() == 0  # after b always comes a
    np.testing.assert_allclose(feedback.trivial().sum(axis=1), 1.0)


@pytest.mark.parametrize("missing", [None, math.nan])
def test_missing_label_is_refused(missing: object) -> None:
    with pytest.raises(DataError, match="must be known"):
        LabelFeedback().code(missing)


def test_too_many_classes_are_refused() -> None:
    feedback = LabelFeedback()
    for label in range(MOST_CLASSES):
        feedback.code(label)
    with pytest.raises(DataError, match="OnlineRegressor"):
        feedback.code("one more")


def test_values_are_distances_from_the_last_in_mean_changes() -> None:
    feedback = ValueFeedback()
    for value in (10.0, 12.0, 16.0):  # mean absolute change 3
        feedback.learn(value)
    found = feedback.features()
    assert found[:2].tolist() == pytest.approx([(12 - 16) / 3, (10 - 16) / 3])
    assert not found[2 : VALUE_LAGS - 1].any()


def test_features_do_not_depend_on_level_and_unit() -> None:
    one, other = ValueFeedback(), ValueFeedback()
    for value in np.random.default_rng(0).normal(size=500):
        one.learn(value)
        other.learn(1000 * value + 7e4)
    np.testing.assert_allclose(one.features(), other.features(), rtol=1e-6, atol=1e-8)


def test_season_is_found_and_its_features_are_the_values_a_season_ago() -> None:
    feedback = ValueFeedback()
    series = np.tile(np.array([0.0, 1.0, 4.0, 2.0, 7.0, 3.0, 5.0]), 40)
    for value in series:
        feedback.learn(value)
    assert feedback.seasons[0] % 7 == 0
    place = VALUE_LAGS - 1 + len(VALUE_SPANS)
    assert feedback.features()[place] * feedback.unit == pytest.approx(series[0] - series[-1])


def test_history_is_bounded_and_the_newest_stay() -> None:
    feedback = ValueFeedback(season=7)
    for value in range(10_000):
        feedback.learn(float(value))
    assert feedback.history.tolist() == list(range(10_000 - 4096, 10_000))
