"""Rows wait for their labels, in order and within a bound."""

from __future__ import annotations

import pytest

from lamina.errors import ConfigError
from lamina.streaming.waiting import Waiting


def test_label_finds_its_row_and_frees_the_ones_before() -> None:
    waiting: Waiting[str] = Waiting(10)
    for number in range(4):
        waiting.add({"n": number}, f"row {number}")
    assert waiting.take({"n": 2}) == "row 2"
    assert len(waiting) == 1
    assert waiting.take({"n": 0}) is None


def test_the_oldest_is_forgotten_first() -> None:
    waiting: Waiting[int] = Waiting(2)
    for number in range(3):
        waiting.add({"n": number}, number)
    assert waiting.take({"n": 0}) is None
    assert waiting.take({"n": 1}) == 1


def test_prediction_is_made_again_once_something_was_learned() -> None:
    waiting: Waiting[int] = Waiting(2)
    waiting.add({"n": 1}, 1)
    assert waiting.again({"n": 1}) == 1
    waiting.take({"n": 0})
    assert waiting.again({"n": 1}) is None


def test_bound_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_delay"):
        Waiting(0)
