"""Our native kernels, if they were built: which are fastest here, and the threads that they run on."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch


@cache
def _loaded() -> ModuleType | ImportError:
    try:
        return import_module("lamina.ops._native")
    except ImportError as error:
        return error


def native_kernels() -> ModuleType | None:
    """The private extension, or None in an installation without it."""
    found = _loaded()
    return None if isinstance(found, ImportError) else found


def why_no_kernels() -> ImportError | None:
    """What keeps the private extension from being loaded, or None."""
    found = _loaded()
    return found if isinstance(found, ImportError) else None


def native_kernel(name: str, dtype: torch.dtype) -> Callable[..., Any] | None:
    """The extension's function of a name for numbers stored so, or None where there is none."""
    return getattr(native_kernels(), f"{name}_{str(dtype).removeprefix('torch.')}", None)


def fastest_unit(dtype: torch.dtype) -> str:
    """The kernels that are fastest here for numbers stored so. The extension must have been built."""
    kernels = native_kernels()
    assert kernels is not None
    if dtype == torch.bfloat16 and kernels.multiplies_bfloat16():
        return "avx512bf16"
    fastest: str = kernels.runnable_units()[0]
    return fastest


def computed(dtype: torch.dtype) -> torch.dtype:
    """What numbers stored so are computed and added up in: float32 at least."""
    return torch.promote_types(dtype, torch.float32)


def native_threads() -> int:
    """How many threads a kernel may ask for: torch's, or 1 where they cannot be shared."""
    return torch.get_num_threads() if _joined() else 1


@cache
def _joined() -> bool:
    """Whether the kernels run on torch's own threads; without them they run on the caller's alone."""
    kernels = native_kernels()
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    return kernels is not None and bool(kernels.join_team(str(library)))
