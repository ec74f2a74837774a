"""What the benchmark refuses to time, and what it counts as missed."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch


def test_steps_that_compute_something_else_are_not_timed(
    streaming: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = streaming.stack_of((8, 32, 1))
    for storage in streaming.packed.STORAGES:
        assert len(streaming.checked(stack, storage)) == 0
    of = streaming.Session.of

    def other(_: object, **options: str) -> object:
        torch.manual_seed(1)
        return of(streaming.Stack(stack.config).eval(), **options)

    monkeypatch.setattr(streaming.Session, "of", other)
    for storage in streaming.packed.STORAGES:
        with pytest.raises(SystemExit, match="differ from the stack's by"):
            streaming.checked(stack, storage)


def test_bars_that_were_not_measured_are_not_met(streaming: ModuleType) -> None:
    row = {"p50_us": 1.0, "p99_us": 1.0, "of_onnxruntime": None, "of_torch": 0.01}
    found = {
        "one_key": [
            {"size": size, "what": what, **row}
            for size in streaming.SIZES
            for what in ("float32", "bfloat16")
        ],
        "many_keys": [{"size": streaming.SIZES[1], "what": "float32", "steps_per_s": 1e6}],
        "parity": {"largest_difference": 0.0, "steps": 1},
        "memory": {"growth_bytes": 0, "steps": 1},
        "int8": {"int8": 1.0, "float32": 1.0},
    }
    missed = [text for text, met in streaming.bars(found) if not met]
    assert len(missed) == 4  # float32 at three sizes, and bfloat16 at the largest
    assert all("not measured" in text for text in missed)
