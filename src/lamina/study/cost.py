"""What training and predicting cost, measured: seconds, bytes, joules, parameters, microseconds of a step."""

from __future__ import annotations

import ctypes
import gc
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
import psutil
from numpy.typing import NDArray

from lamina.errors import ConfigError, DataError
from lamina.streaming.forecast_session import ForecastSession
from lamina.streaming.session import Session

if TYPE_CHECKING:
    import torch

Result = TypeVar("Result")

# A prediction takes a few milliseconds and a sample some 20 us, so this sees its peak and costs below 1 %.
SAMPLE_S = 0.005
MANY = 256
SLOW = 0.9  # share of the answers that come within a limit on latency
MOST_STEPS = 401
PARTS = 5  # of a measurement of microseconds, which other work on the machine doubles for a while
# Counters of the energy that a processor has used, in microjoules; they begin anew at their range.
COUNTERS = Path("/sys/class/powercap")


@dataclass(frozen=True)
class PredictCost:
    """What one answer costs: medians, and what a limit is held to.

    Attributes:
        single_ms: one window or sequence, through ``predict`` on torch.
        many_ms: ``MANY`` of them at once.
        step_us: from a row to its answer by a streaming session; None for what cannot stream.
        slow_step_us: nine in ten of these answers take no longer; None as ``step_us``.
    """

    single_ms: float
    many_ms: float
    step_us: float | None = None
    slow_step_us: float | None = None

    @property
    def latency_us(self) -> float:
        """Microseconds within which nine in ten streamed answers come; else the median of ``predict``."""
        return 1_000 * self.single_ms if self.slow_step_us is None else self.slow_step_us


@dataclass(frozen=True)
class Measured(Generic[Result]):
    """What a call returned, how long it took, and how much memory it held at most.

    ``peak_bytes`` is of the whole process; ``growth_bytes`` is above what it held before the call.
    ``energy_j`` is of the whole processor meanwhile, None where its counters cannot be read.
    """

    result: Result
    seconds: float
    peak_bytes: int
    growth_bytes: int
    energy_j: float | None = None


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


def predict_cost(
    predict: Callable[[int], object],
    folder: Path | None = None,
    row: NDArray[np.float32] | None = None,
    *,
    budget_s: float = 0.5,
) -> PredictCost:
    """Median time to predict one example and ``MANY`` examples, and of a step of the saved model.

    Args:
        predict: called with the number of examples to predict at once.
        folder: of the saved model, for its streaming step; None leaves that out.
        row: one row of a sequence, for a model that reads such.
        budget_s: seconds for all measurements together.
    """
    step = None if folder is None else step_us(folder, row, budget_s=budget_s / 3)
    return PredictCost(
        single_ms=median_ms(lambda: predict(1), budget_s=budget_s / 3),
        many_ms=median_ms(lambda: predict(MANY), budget_s=budget_s / 3),
        step_us=None if step is None else step[0],
        slow_step_us=None if step is None else step[1],
    )


def step_us(
    folder: Path, row: NDArray[np.float32] | None = None, *, budget_s: float = 0.2
) -> tuple[float, float] | None:
    """Microseconds of one answer of the saved model, streamed: median and 90 % quantile.

    Both are of the quietest of five parts. A row comes in each time; out goes the chance of each class, or
    the forecast of the whole horizon. None for a model that cannot stream, and for one that needs columns
    known ahead, which a session cannot make up.
    """
    try:
        session = Session.open(folder)
    except ConfigError:
        return None
    if isinstance(session, ForecastSession):
        key = session.keys()[0]
        steps: Iterator[Callable[[], object]] = (
            partial(session.step, ahead, key=key) for ahead in session.rows_ahead(key)
        )
    else:
        assert row is not None
        steps = repeat(partial(session.step, row))
    try:
        parts = [_quantiles_us(steps, budget_s / PARTS) for _ in range(PARTS)]
    except DataError:
        return None
    return min(parts)


def _quantiles_us(calls: Iterator[Callable[[], object]], budget_s: float) -> tuple[float, float]:
    """Median and 90 % quantile of the duration of calls, each made once, after one warm-up."""
    begin = time.perf_counter()
    next(calls)()
    durations: list[float] = []
    while not durations or (len(durations) < MOST_STEPS and time.perf_counter() - begin < budget_s):
        call = next(calls)
        started = time.perf_counter()
        call()
        durations.append(time.perf_counter() - started)
    median, slow = np.quantile(durations, (0.5, SLOW))
    return 1e6 * float(median), 1e6 * float(slow)


def energy_uj() -> dict[Path, int] | None:
    """Energy counters of the processor packages by their file, or None where none can be read."""
    found = {}
    for counter in sorted(COUNTERS.glob("intel-rapl:[0-9]*/energy_uj")):
        if counter.parent.name.count(":") == 1:  # a package; its parts have two
            try:
                found[counter] = int(counter.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                return None
    return found or None


def _joules(before: dict[Path, int] | None, after: dict[Path, int] | None) -> float | None:
    if before is None or after is None or before.keys() != after.keys():
        return None
    used = 0
    for counter, first in before.items():
        gone = after[counter] - first
        if gone < 0:
            gone += int((counter.parent / "max_energy_range_uj").read_text(encoding="utf-8"))
        used += gone
    return used / 1e6


def measure(call: Callable[[], Result]) -> Measured[Result]:
    """Run a call once with its time and its peak of resident memory.

    Memory is sampled every 5 ms from a thread, so a shorter peak may be missed. What earlier calls have left
    free goes back to the system before, so that it counts when it is used again; where the C library cannot
    do that (it is not glibc), only what is new counts.

    >>> measure(lambda: 3).result
    3
    """
    _give_back()
    process = psutil.Process(os.getpid())
    before = peak = int(process.memory_info().rss)
    done = threading.Event()

    def sample() -> None:
        nonlocal peak
        while not done.wait(SAMPLE_S):
            peak = max(peak, int(process.memory_info().rss))

    sampler = threading.Thread(target=sample, name="lamina-memory", daemon=True)
    sampler.start()
    energy = energy_uj()
    started = time.perf_counter()
    try:
        result = call()
    finally:
        seconds = time.perf_counter() - started
        done.set()
        sampler.join()
    peak = max(peak, int(process.memory_info().rss))
    return Measured(result, seconds, peak, peak - before, _joules(energy, energy_uj()))


def _give_back() -> None:
    """Return unused memory to the system: without this a second run alike grew by 0.004 MB."""
    from lamina.ops.reuse import drop_free

    gc.collect()
    drop_free()
    if os.name == "posix" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def count_parameters(module: torch.nn.Module) -> int:
    """Trainable numbers of a module; shared ones count once.

    >>> import torch
    >>> count_parameters(torch.nn.Linear(3, 2))
    8
    """
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
