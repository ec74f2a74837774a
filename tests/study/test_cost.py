from __future__ import annotations

import platform
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch

from lamina.ops.reuse import reusable
from lamina.study.cost import MANY, count_parameters, measure, median_ms, predict_cost


def test_median_ignores_one_slow_call() -> None:
    pauses = iter([0.0, 0.002, 0.2, 0.002])
    assert median_ms(lambda: time.sleep(next(pauses)), max_repeats=3) == pytest.approx(2.0, abs=8.0)


def test_a_slow_call_is_timed_once_after_its_warm_up() -> None:
    calls: list[int] = []

    def call() -> None:
        calls.append(1)
        time.sleep(0.02)

    median_ms(call, budget_s=0.01)
    assert len(calls) == 2


def test_predict_is_called_for_one_and_for_many() -> None:
    sizes: set[int] = set()

    def predict(n: int) -> None:
        sizes.add(n)
        time.sleep(0.001 if n == 1 else 0.01)

    cost = predict_cost(predict, budget_s=0.1)
    assert sizes == {1, MANY}
    assert cost.single_ms < cost.many_ms


def test_peak_memory_sees_what_was_freed_again() -> None:
    size = 64 * 1024 * 1024

    def allocate() -> int:
        block = np.ones(size, np.uint8)
        time.sleep(0.05)
        return int(block[-1])

    measured = measure(allocate)
    assert measured.result == 1
    assert measured.growth_bytes >= 0.9 * size
    assert measured.peak_bytes >= measured.growth_bytes
    assert measured.seconds >= 0.05


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries cannot return free memory")
@pytest.mark.parametrize(
    ("count", "piece"),
    [(2_000, lambda: torch.ones(4096)), (16, lambda: reusable((1 << 19,), torch.float32).fill_(1))],
    ids=["small", "large"],
)
def test_memory_that_an_earlier_call_left_free_counts_again(
    count: int, piece: Callable[[], torch.Tensor]
) -> None:
    """Small pieces are kept for later by the C library when they are freed, large ones by Lamina."""

    def allocate() -> float:
        pieces = [piece() for _ in range(count)]  # 33 MB
        time.sleep(0.05)
        return float(sum(float(piece[0]) for piece in pieces))

    growths = [measure(allocate).growth_bytes for _ in range(2)]
    assert min(growths) >= 25e6


def test_an_error_of_the_call_is_passed_on_and_the_sampler_ends() -> None:
    def fail() -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        measure(fail)


def test_parameters_of_an_lstm_by_hand() -> None:
    module = torch.nn.LSTM(3, 5)
    assert count_parameters(module) == 4 * 5 * (3 + 5 + 2)


def test_frozen_and_shared_parameters_count_as_they_train() -> None:
    first, second = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)
    second.weight = first.weight
    second.bias.requires_grad_(False)
    assert count_parameters(torch.nn.Sequential(first, second)) == 16 + 4
