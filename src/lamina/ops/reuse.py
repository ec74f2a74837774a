"""Large tensors in memory that was used before.

A large block of memory comes from the system anew whenever it is allocated, and its pages are cleared one by
one as they are touched. That took 67 of 407 ms in a training step that keeps 84 MB for backward
(``benchmarks/language.py --only language_speed``, 2 cores of an AMD EPYC).
"""

from __future__ import annotations

import math
import mmap
import weakref
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor

_LARGE = 1 << 20
"""Bytes from which a tensor is made here; a smaller one malloc hands out again itself."""

_NUMPY_HAS: dict[torch.dtype, type[np.floating[Any]]] = {torch.float32: np.float32, torch.float64: np.float64}

_ADVISED = hasattr(mmap, "MADV_FREE") and hasattr(mmap, "MADV_HUGEPAGE")
"""Whether this is Linux; elsewhere every tensor is an ordinary one."""

_MOST_FREE = 1 << 30
"""Bytes of all blocks without a tensor, at most; those that have waited longest are dropped."""

_free: list[mmap.mmap] = []
"""Blocks without a tensor, in the order in which they became free. The list is changed in single steps, so
that any thread may do so."""


def reusable(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Return a tensor on the CPU, not set to anything.

    It cannot be resized, and may hold up to twice its bytes.

    Its memory goes to the next tensor of about this size once it is no longer used. Until then the system may
    take it back where it runs short (MADV_FREE); at most 1 GiB waits so. ``drop_free`` gives it back at once.

    >>> reusable((2, 3), torch.bfloat16).shape
    torch.Size([2, 3])
    """
    numbers = math.prod(shape)
    size = numbers * dtype.itemsize
    if size < _LARGE or not _ADVISED:
        return torch.empty(shape, dtype=dtype, device="cpu")
    block = _taken(size) or _made(_rounded(size))
    if block is None:
        return torch.empty(shape, dtype=dtype, device="cpu")  # raises what torch raises, or finds the room
    stored = _NUMPY_HAS.get(dtype)
    # Autograd adds in place to what is no view of torch's and has its storage alone. So numpy gives the
    # shape; a dtype that numpy lacks gets the storage, no view either, and is added to in a new tensor.
    held = (
        np.frombuffer(block, np.uint8, size)
        if stored is None
        else np.frombuffer(block, stored, numbers).reshape(shape)
    )
    # the tensor holds the array, and nothing else does
    weakref.finalize(held, _give_back, block).atexit = False
    tensor = torch.from_numpy(held)
    return (
        tensor
        if stored is not None
        else torch.empty(0, dtype=dtype, device="cpu").set_(tensor.untyped_storage()).resize_(shape)
    )


def reusable_like(tensor: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Return a contiguous tensor of another's shape, device and, unless given, dtype, not set to anything."""
    dtype = tensor.dtype if dtype is None else dtype
    if tensor.device.type != "cpu":
        return torch.empty(tensor.shape, dtype=dtype, device=tensor.device)
    return reusable(tuple(tensor.shape), dtype)


def _rounded(size: int) -> int:
    """The next of four sizes between powers of two, so that tensors of nearly one size can share a block."""
    step = 1 << (size.bit_length() - 3)
    return -(-size // step) * step


def drop_free() -> None:
    """Give all memory that waits for a tensor back to the system."""
    _free.clear()


def _made(size: int) -> mmap.mmap | None:
    """A new block; None where the system has none left, even of what waits."""
    try:
        block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError:
        drop_free()
        return None
    # a kernel built without huge pages refuses the advice, and the block is as good as any other
    with suppress(OSError):
        block.madvise(mmap.MADV_HUGEPAGE)
    return block


def _taken(size: int) -> mmap.mmap | None:
    """The smallest free block that is large enough, unless more than half of it would go unused.

    Where there is none, the largest of the smaller ones is given up for the block that has to be made.
    """
    free = sorted(_free, key=len)
    fitting = [block for block in free if size <= len(block) <= 2 * size]
    smaller = [block for block in free if len(block) < size]
    for block in (*fitting, *smaller[-1:]):
        try:
            _free.remove(block)
        except ValueError:  # another thread was faster
            continue
        if len(block) >= size:
            return block
    return None


def _give_back(block: mmap.mmap) -> None:
    if len(block) > _MOST_FREE:
        return
    with suppress(OSError):  # before Linux 4.5 there is no such advice
        block.madvise(mmap.MADV_FREE)
    _free.append(block)
    while sum(map(len, tuple(_free))) > _MOST_FREE:
        with suppress(IndexError):  # another thread was faster
            _free.pop(0)
