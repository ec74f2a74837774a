"""Training runs side by side: a process for each core, one thread in each.

Networks of this size gain little from a second thread, and a second run at the same time gains nearly a
second core.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Protocol, TypeVar

from lamina.errors import LaminaError
from lamina.study.bench import Bench, Job, Run

T = TypeVar("T")


class Workers(Protocol):
    """Where training runs happen."""

    def train(self, job: Job) -> Run:
        """``Bench.train``; may be called from several threads."""

    def each(self, calls: Sequence[Callable[[], T]]) -> Iterator[T]:
        """Make the calls, as many at once as there are workers; results in order."""

    @property
    def count(self) -> int:
        """Runs at the same time."""


class Here:
    """One run at a time, in this process.

    Args:
        bench: what is trained.
    """

    count = 1

    def __init__(self, bench: Bench) -> None:
        self.train = bench.train

    def __enter__(self) -> Here:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """There is nothing to end."""

    def each(self, calls: Sequence[Callable[[], T]]) -> Iterator[T]:
        return (call() for call in calls)


class Processes:
    """As many runs at a time as processes; use as a context manager, which ends them.

    Each process holds a copy of the bench, and ends itself when this one is gone.

    Args:
        bench: what is trained; it must be picklable.
        count: processes.
    """

    def __init__(self, bench: Bench, count: int) -> None:
        self.count = count
        self._processes = ProcessPoolExecutor(
            count,
            mp_context=multiprocessing.get_context("spawn"),  # a fork of a process with threads may hang
            initializer=_begin,
            initargs=(bench, os.getpid()),
        )
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="lamina-worker")

    def __enter__(self) -> Processes:
        for _ in range(self.count):  # start now: loading takes seconds, and other work can go on meanwhile
            self._processes.submit(_ready)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        running = list((self._processes._processes or {}).values())
        self._processes.shutdown(wait=False, cancel_futures=True)
        for process in running:
            process.terminate()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def train(self, job: Job) -> Run:
        """``Bench.train`` in one of the processes.

        Raises:
            LaminaError: the process died.
        """
        try:
            return self._processes.submit(_train, job).result()
        except BrokenProcessPool as error:
            raise LaminaError(
                f"a process that trained {job.design.label} died, perhaps for want of memory. "
                "Go on with --resume --threads 1, which trains one run at a time."
            ) from error

    def each(self, calls: Sequence[Callable[[], T]]) -> Iterator[T]:
        return self._threads.map(lambda call: call(), calls)


_bench: Bench | None = None  # of a worker process, set once when it begins


def _begin(bench: Bench, parent: int) -> None:
    import torch

    global _bench  # noqa: PLW0603  # a worker process has one bench for all its life
    _bench = bench
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends the workers
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when its parent was killed."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _ready() -> None:
    """Nothing; a process that runs it has started."""


def _train(job: Job) -> Run:
    assert _bench is not None
    return _bench.train(job)
