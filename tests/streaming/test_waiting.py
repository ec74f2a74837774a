"""Rows wait for their labels, in order and within a bound."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lamina.errors import ConfigError
from lamina.streaming.waiting import Waiting, key_of


def key(*numbers: float) -> bytes:
    return key_of(np.array(numbers, dtype=np.float64))


def test_label_finds_its_row_and_frees_the_ones_before() -> None:
    waiting: Waiting[str] = Waiting(10)
    for number in range(4):
        waiting.add(key(number), f"row {number}")
    assert waiting.take(key(2)) == "row 2"
    assert len(waiting) == 1
    assert waiting.take(key(0)) is None


def test_the_oldest_is_forgotten_first() -> None:
    waiting: Waiting[int] = Waiting(2)
    for number in range(3):
        waiting.add(key(number), number)
    assert waiting.take(key(0)) is None
    assert waiting.take(key(1)) == 1


def test_prediction_is_made_again_once_something_was_learned() -> None:
    waiting: Waiting[int] = Waiting(2)
    waiting.add(key(1), 1)
    assert waiting.again(key(1)) == 1
    waiting.take(key(0))
    assert waiting.again(key(1)) is None


def test_bound_below_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_delay"):
        Waiting(-1)


def test_missing_values_are_alike_and_inputs_that_come_later_are_missing_before() -> None:
    assert key(1.0, math.nan) == key(1.0, -math.nan) == key(1.0) == key(1.0, math.nan, math.nan)
    assert key(math.nan, 1.0) != key(1.0)
    assert key(0.0) == key(-0.0) != key()


def test_where_labels_come_at_once_only_the_last_row_waits() -> None:
    waiting: Waiting[int] = Waiting(0)
    for number in range(50):
        waiting.add(key(number), number)
        assert waiting.take(key(number + 0.5)) is None
        assert len(waiting) == 0
    waiting.add(key(50), 50)
    assert waiting.take(key(50)) == 50
