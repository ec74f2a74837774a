from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from lamina.ops import dropout
from lamina.ops.dropout import drop
from lamina.ops.native_team import fastest_unit, native_kernel, native_kernels

MANY = dropout._WORTH_OWN_DRAWS

pytestmark = pytest.mark.skipif(native_kernels() is None, reason="the kernels are not built")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_share_of_zeros_is_the_rate_and_the_others_are_scaled(dtype: torch.dtype, rate: float) -> None:
    torch.manual_seed(3)
    x = torch.full((MANY + 5,), 2.0, dtype=dtype)
    y = drop(x, rate)
    assert y.dtype == dtype
    kept = y[y != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 2 / (1 - rate)))
    deviation = math.sqrt(rate * (1 - rate) / len(x))
    assert abs((y == 0).double().mean().item() - rate) < 5 * deviation


def test_draws_of_neighbours_columns_and_calls_are_independent() -> None:
    torch.manual_seed(0)
    x = torch.ones(1024, 1024)
    kept, again = drop(x, 0.5) != 0, drop(x, 0.5) != 0
    pairs = {
        "beside": (kept[:, 1:], kept[:, :-1]),
        "below": (kept[1:], kept[:-1]),
        "two on": (kept[:, 2:], kept[:, :-2]),
        "call after call": (kept, again),
    }
    for name, (one, other) in pairs.items():
        agree = (one == other).double().mean().item()
        assert abs(agree - 0.5) < 5 * 0.5 / math.sqrt(one.numel()), name
    columns = kept.double().mean(0)  # each of 1,024 draws
    assert float((columns - 0.5).abs().max()) < 6 * 0.5 / 32


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_seed_gives_the_same_draws_on_any_number_of_threads(threads: int) -> None:
    before = torch.get_num_threads()
    x = torch.randn(MANY + 700)
    torch.manual_seed(11)
    expected = drop(x, 0.3)
    try:
        torch.set_num_threads(threads)
        torch.manual_seed(11)
        assert torch.equal(drop(x, 0.3), expected)
    finally:
        torch.set_num_threads(before)
    assert not torch.equal(drop(x, 0.3), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_every_unit_draws_the_same(dtype: torch.dtype) -> None:
    kernels, run = native_kernels(), native_kernel("drop", dtype)
    assert kernels is not None
    assert run is not None
    x, found = torch.randn(10_007, dtype=torch.float64).to(dtype), []
    for unit in (*kernels.runnable_units(), fastest_unit(dtype)):
        y = torch.empty_like(x)
        run(x.data_ptr(), y.data_ptr(), x.numel(), 1 << 61, 0.3, unit, 1)
        found.append(y)
    for y in found[1:]:
        assert torch.equal(y, found[0])


@pytest.mark.parametrize("count", [4, MANY])
def test_everything_is_dropped_at_rate_one_and_a_rate_beyond_is_refused(count: int) -> None:
    x = torch.ones(count)
    assert torch.equal(drop(x, 1.0), torch.zeros(count))
    for rate in (-0.1, 1.5):
        with pytest.raises(ValueError, match="between 0 and 1"):
            drop(x, rate)


def test_the_gradient_passes_where_the_number_passed() -> None:
    x = torch.randn(700, 800, dtype=torch.float64, requires_grad=True)
    transposed = x.T
    y = drop(transposed, 0.4)
    (dx,) = torch.autograd.grad(y, x, torch.ones_like(y))
    torch.testing.assert_close(dx.T * transposed, y)
    # what it gives is linear, so that a gradient of the gradient exists
    (dx,) = torch.autograd.grad((drop(x, 0.4) ** 2).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(dx.sum(), x)
    torch.testing.assert_close(second, 2 / 0.6**2 * (dx != 0).double())


def test_few_numbers_get_the_masks_of_torch() -> None:
    x = torch.randn(MANY - 1)
    torch.manual_seed(5)
    expected = F.dropout(x, 0.3)
    torch.manual_seed(5)
    assert torch.equal(drop(x, 0.3), expected)


def test_nothing_is_drawn_at_rate_zero() -> None:
    x = torch.randn(MANY)
    assert drop(x, 0.0) is x


def test_a_compiled_graph_draws_as_torch_does() -> None:
    compiled, x = torch.compile(drop, backend="eager", fullgraph=True), torch.ones(MANY)
    torch.manual_seed(1)
    found = compiled(x, 0.25)
    torch.manual_seed(1)
    assert torch.equal(found, F.dropout(x, 0.25))


def test_without_kernels_torch_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropout, "native_kernel", lambda *_: None)
    x = torch.ones(MANY)
    torch.manual_seed(1)
    found = drop(x, 0.25)
    torch.manual_seed(1)
    assert torch.equal(found, F.dropout(x, 0.25))
