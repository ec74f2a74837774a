from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lamina.errors import DataError
from lamina.ops import softmax
from lamina.ops.native_team import fastest_unit, native_kernels
from lamina.ops.softmax import softmax_errors_

SHAPES = [(1, 1), (3, 1), (5, 16), (5, 17), (7, 31), (40, 67), (9, 1003)]
PRECISION = {torch.float64: 1e-13, torch.float32: 3e-6, torch.bfloat16: 1e-2}

pytestmark = pytest.mark.skipif(native_kernels() is None, reason="the kernels are not built")


def scores_of(shape: tuple[int, int], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    scores = 4 * torch.randn(shape, dtype=torch.float64, generator=generator) - 50
    return scores.to(dtype), torch.randint(shape[1], (shape[0],), generator=generator)


def expected(scores: Tensor, targets: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Errors and the sum of cross-entropies, by torch in float64."""
    read = scores.double().requires_grad_()
    nats = torch.nn.functional.cross_entropy(read, targets, reduction="sum")
    return torch.autograd.grad(scale * nats, read)[0], nats


@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize("shape", SHAPES)
def test_errors_are_the_gradient_of_cross_entropy(shape: tuple[int, int], dtype: torch.dtype) -> None:
    scores, targets = scores_of(shape, dtype)
    errors, nats = expected(scores, targets, 0.25)
    found, over_rows = softmax_errors_(scores, targets, 0.25)
    close = PRECISION[dtype]
    torch.testing.assert_close(scores.double(), errors, rtol=close, atol=close / 10)
    torch.testing.assert_close(
        found.double(), nats, rtol=max(1e-13, 1e-6 * (dtype != torch.float64)), atol=1e-6
    )
    before_rounding = min(1e-5, close)
    torch.testing.assert_close(over_rows.double(), errors.sum(0), rtol=before_rounding, atol=before_rounding)


@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize("threads", [1, 3])
def test_every_unit_gives_the_same_on_any_number_of_threads(
    dtype: torch.dtype, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = native_kernels()
    assert kernels is not None
    monkeypatch.setattr(softmax, "_WORTH_A_TEAM", 0)
    monkeypatch.setattr(softmax, "native_threads", lambda: threads)
    for unit in (*kernels.runnable_units(), fastest_unit(dtype)):
        monkeypatch.setattr(softmax, "fastest_unit", lambda _, unit=unit: unit)
        for rows in (1, 13):
            scores, targets = scores_of((rows, 300), dtype)
            errors, nats = expected(scores, targets, 1.0)
            found, _ = softmax_errors_(scores, targets, 1.0)
            torch.testing.assert_close(
                scores.double(), errors, rtol=PRECISION[dtype], atol=PRECISION[dtype] / 10
            )
            torch.testing.assert_close(found.double(), nats, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", PRECISION)
def test_the_way_of_other_devices_gives_the_same(dtype: torch.dtype) -> None:
    (scores, targets), (again, _) = scores_of((6, 40), dtype), scores_of((6, 40), dtype)
    nats, over_rows = softmax_errors_(scores, targets, 0.5)
    others = softmax._by_torch(again, targets, 0.5)
    torch.testing.assert_close(scores, again)
    torch.testing.assert_close((nats, over_rows), others)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("extreme", [1e4, -1e4, 1e11, -1e11, 1e30, -1e30])
def test_extreme_scores_give_chances_of_zero_and_one(dtype: torch.dtype, extreme: float) -> None:
    scores = torch.zeros(1, 20, dtype=dtype)
    scores[0, 3] = extreme
    softmax_errors_(scores, torch.tensor([0]), 1.0)
    others = torch.full((20,), 0.0 if extreme > 0 else 1 / 19)
    others[3] = 1.0 if extreme > 0 else 0.0
    others[0] -= 1
    torch.testing.assert_close(scores[0].float(), others, rtol=0.01, atol=1e-6)


@pytest.mark.parametrize("place", [0, 5, 18])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_not_hidden(place: int, value: float) -> None:
    scores = torch.zeros(2, 19)
    scores[1, place] = value
    nats, _ = softmax_errors_(scores, torch.tensor([0, 1]), 1.0)
    assert nats.isnan()
    assert scores[1].isnan().any()
    assert not scores[0].isnan().any()


@pytest.mark.parametrize("target", [-1, 4, 1 << 40])
def test_a_target_that_is_no_entry_is_refused_and_nothing_is_written(target: int) -> None:
    scores = torch.zeros(2, 4)
    with pytest.raises(IndexError, match=rf"target {target} is none of 4 entries"):
        softmax_errors_(scores, torch.tensor([0, target]), 1.0)
    assert torch.equal(scores, torch.zeros(2, 4))


def test_targets_that_do_not_lie_side_by_side_are_read() -> None:
    scores, targets = scores_of((9, 30), torch.float32)
    errors, nats = expected(scores, targets, 1.0)
    apart = targets.int().repeat_interleave(3)[::3]
    found, _ = softmax_errors_(scores, apart, 1.0)
    torch.testing.assert_close(found.double(), nats, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(scores.double(), errors, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("count", [1, 3])
def test_each_row_needs_its_target(count: int) -> None:
    scores = torch.zeros(2, 4)
    with pytest.raises(DataError, match=rf"one target.*scores are \(2, 4\).*targets \({count},\)"):
        softmax_errors_(scores, torch.zeros(count, dtype=torch.int64), 1.0)
    assert torch.equal(scores, torch.zeros(2, 4))


def test_what_is_impossible_gets_a_gradient_of_zero() -> None:
    scores = torch.zeros(1, 21)
    scores[0, 4:] = -float("inf")
    softmax_errors_(scores, torch.tensor([1]), 1e-4)
    assert torch.equal(scores[0, 4:], torch.zeros(17))


def test_without_kernels_torch_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(softmax, "native_kernel", lambda *_: None)
    scores, targets = scores_of((6, 40), torch.float32)
    errors, nats = expected(scores, targets, 0.5)
    found, _ = softmax_errors_(scores, targets.int(), 0.5)
    torch.testing.assert_close(found.double(), nats, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(scores.double(), errors, rtol=1e-5, atol=1e-6)
