"""What a call costs: milliseconds, bytes, parameters. Takes callables, knows no estimator."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import psutil

if TYPE_CHECKING:
    import torch

Result = TypeVar("Result")

# A prediction takes a few milliseconds and a sample some 20 us, so this sees its peak and costs below 1 %.
SAMPLE_S = 0.005
MANY = 256


@dataclass(frozen=True)
class PredictCost:
    """Median milliseconds of one call: for a single example, and for ``MANY`` of them at once."""

    single_ms: float
    many_ms: float


@dataclass(frozen=True)
class Measured(Generic[Result]):
    """What a call returned, how long it took, and how much memory it held at most.

    ``peak_bytes`` is of the whole process; ``growth_bytes`` is above what it held before the call.
    """

    result: Result
    seconds: float
    peak_bytes: int
    growth_bytes: int


def median_ms(call: Callable[[], object], *, budget_s: float = 1.0, max_repeats: int = 101) -> float:
    """Median duration of a call in milliseconds, after one warm-up, from at least one repeat.

    Args:
        call: what to time.
        budget_s: seconds after which no further repeat starts; the warm-up counts.
        max_repeats: most repeats.

    >>> 9 < median_ms(lambda: time.sleep(0.01), max_repeats=3) < 100
    True
    """
    begin = time.perf_counter()
    call()
    durations: list[float] = []
    while not durations or (len(durations) < max_repeats and time.perf_counter() - begin < budget_s):
        started = time.perf_counter()
        call()
        durations.append(time.perf_counter() - started)
    return 1_000 * statistics.median(durations)


def predict_cost(predict: Callable[[int], object], *, budget_s: float = 2.0) -> PredictCost:
    """Median time to predict one example and ``MANY`` examples.

    Args:
        predict: called with the number of examples to predict at once.
        budget_s: seconds for both measurements together.
    """
    return PredictCost(
        single_ms=median_ms(lambda: predict(1), budget_s=budget_s / 2),
        many_ms=median_ms(lambda: predict(MANY), budget_s=budget_s / 2),
    )


def measure(call: Callable[[], Result]) -> Measured[Result]:
    """Run a call once with its time and its peak of resident memory.

    Memory is sampled every 5 ms from a thread, so a shorter peak may be missed. What the process has kept
    from earlier calls and uses again does not count as growth.

    >>> measure(lambda: 3).result
    3
    """
    process = psutil.Process(os.getpid())
    before = peak = int(process.memory_info().rss)
    done = threading.Event()

    def sample() -> None:
        nonlocal peak
        while not done.wait(SAMPLE_S):
            peak = max(peak, int(process.memory_info().rss))

    sampler = threading.Thread(target=sample, name="lamina-memory", daemon=True)
    sampler.start()
    started = time.perf_counter()
    try:
        result = call()
    finally:
        seconds = time.perf_counter() - started
        done.set()
        sampler.join()
    peak = max(peak, int(process.memory_info().rss))
    return Measured(result, seconds, peak, peak - before)


def count_parameters(module: torch.nn.Module) -> int:
    """Trainable numbers of a module; shared ones count once.

    >>> import torch
    >>> count_parameters(torch.nn.Linear(3, 2))
    8
    """
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
