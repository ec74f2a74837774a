"""Our native kernels, if they were built, and the threads that they run on."""

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


def native_threads() -> int:
    """How many threads a kernel may ask for: torch's, or 1 where they cannot be shared."""
    return torch.get_num_threads() if _joined() else 1


@cache
def _joined() -> bool:
    """Whether the kernels run on torch's own threads; without them they run on the caller's alone."""
    kernels = native_kernels()
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    return kernels is not None and bool(kernels.join_team(str(library)))
