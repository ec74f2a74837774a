from __future__ import annotations

import gc
import threading
from typing import Any

import pytest
import torch
from torch import Tensor

from lamina.ops import reuse
from lamina.ops.reuse import drop_free, reusable

LARGE = (3, 1 << 20)

needs_advice = pytest.mark.skipif(not reuse._ADVISED, reason="the system has no such advice")


@pytest.fixture(autouse=True)
def nothing_free(monkeypatch: pytest.MonkeyPatch) -> None:
    gc.collect()  # what other tests left in cycles
    monkeypatch.setattr(reuse, "_free", [])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64])
@pytest.mark.parametrize("shape", [(0,), (5,), (2, 3), LARGE, (1 << 22, 3, 1)])
def test_a_tensor_of_any_size_can_be_written_and_read(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    tensor = reusable(shape, dtype)
    assert (tuple(tensor.shape), tensor.dtype, tensor.is_contiguous()) == (shape, dtype, True)
    tensor.fill_(3)
    assert bool((tensor == 3).all())


@needs_advice
def test_memory_is_used_again_and_never_twice_at_once() -> None:
    first, second = reusable(LARGE, torch.float32), reusable(LARGE, torch.float32)
    places = {first.data_ptr(), second.data_ptr()}
    assert len(places) == 2
    view = first[1]
    del first
    gc.collect()
    assert reuse._free == []  # the view still needs it
    del view, second
    third, fourth = reusable(LARGE, torch.float32), reusable((2, 1 << 20), torch.float64)
    assert third.data_ptr() in places
    assert fourth.data_ptr() not in places  # 16 MB do not fit 12
    assert third.data_ptr() != fourth.data_ptr()


@needs_advice
def test_what_is_free_does_not_grow_with_sizes_that_vary() -> None:
    for numbers in range(3 << 20, 12 << 20, 100_000):
        reusable((numbers,), torch.float32)
    assert len(reuse._free) <= 2


@needs_advice
def test_what_is_free_has_a_bound_and_can_be_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reuse, "_MOST_FREE", 40 << 20)
    alive = [reusable((round(20e6 / 1.3**number),), torch.float32) for number in range(9)]
    alive.clear()
    assert 20 << 20 < sum(map(len, reuse._free)) <= 40 << 20  # and not the two that are larger
    drop_free()
    assert reuse._free == []


@needs_advice
def test_a_system_without_room_is_told_of_as_torch_does() -> None:
    reusable(LARGE, torch.float32)
    with pytest.raises(RuntimeError, match="allocate"):
        reusable((1 << 50,), torch.float32)
    assert reuse._free == []  # what waited was given up for it


@needs_advice
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_gradient_in_such_memory_is_added_to_in_place(dtype: torch.dtype) -> None:
    places = []

    class Given(torch.autograd.Function):
        @staticmethod
        def forward(_: Any, x: Tensor) -> Tensor:
            return x.sum()

        @staticmethod
        def backward(*_: Any) -> Tensor:
            gradient = reusable(LARGE, dtype).fill_(2)
            places.append(gradient.data_ptr())
            return gradient

    x = torch.zeros(LARGE, dtype=dtype, requires_grad=True)
    (x.sum() + Given.apply(x)).backward()  # type: ignore[no-untyped-call]  # torch's own
    assert x.grad is not None
    assert bool((x.grad == 3).all())
    assert x.grad.data_ptr() in places


@needs_advice
def test_an_array_of_the_tensor_keeps_its_memory() -> None:
    array = reusable(LARGE, torch.float32).fill_(7).numpy()
    gc.collect()
    reusable(LARGE, torch.float32).fill_(1)
    assert bool((array == 7).all())


@needs_advice
def test_threads_get_blocks_of_their_own() -> None:
    faults: list[str] = []

    def work(number: int) -> None:
        for _ in range(30):
            tensor = reusable(LARGE, torch.float32).fill_(number)
            if not bool((tensor == number).all()):
                faults.append(f"{number} was overwritten")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(reuse._free) <= 8  # each thread held one while it made the next


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(2, 3), LARGE])
def test_tensors_are_on_the_cpu_whatever_the_default(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    with torch.device("meta"):
        assert reusable(shape, dtype).device.type == "cpu"
