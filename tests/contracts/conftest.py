"""The one table of tolerances, and the comparison that reads it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

# Largest |a - b| / (1 + |b|). float64 is the project's bar for parity; float32 allows the sums of 63 steps.
TOLERANCES = {torch.float64: 1e-10, torch.float32: 2e-5}


def assert_same(actual: Tensor, expected: Tensor, what: str = "tensor") -> None:
    limit = TOLERANCES[expected.dtype]
    torch.testing.assert_close(
        actual, expected, rtol=limit, atol=limit, msg=lambda message: f"{what}: {message}"
    )


@pytest.fixture(scope="session")
def same() -> Callable[..., None]:
    """``same(actual, expected, "what it is")`` fails when the two differ by more than the table allows."""
    return assert_same
