"""Our native kernels, if they were built: which are fastest here, and the threads that they run on."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

import torch


@cache
def native_kernels() -> ModuleType | None:
    """The private extension, or None in an installation without it."""
    try:
        return import_module("lamina.ops._native")
    except ImportError:
        return None


def fastest_unit(dtype: torch.dtype) -> str:
    """The kernels that are fastest here for numbers stored so. The extension must have been built."""
    kernels = native_kernels()
    assert kernels is not None
    if dtype == torch.bfloat16 and kernels.multiplies_bfloat16():
        return "avx512bf16"
    fastest: str = kernels.runnable_units()[0]
    return fastest


def native_threads() -> int:
    """How many threads a kernel may ask for: torch's, or 1 where they cannot be shared."""
    return torch.get_num_threads() if _joined() else 1


@cache
def _joined() -> bool:
    """Whether the kernels run on torch's own threads; without them they run on the caller's alone."""
    kernels = native_kernels()
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    return kernels is not None and bool(kernels.join_team(str(library)))
