"""Modules that own parameters: a state goes in and comes out.

``lamina.nn.LSTM``, ``GRU``, ``RNN`` and ``Stack`` are loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lamina.nn.stack import Stack
    from lamina.nn.torch_compat import GRU, LSTM, RNN

_HOME = {
    "LSTM": "lamina.nn.torch_compat",
    "GRU": "lamina.nn.torch_compat",
    "RNN": "lamina.nn.torch_compat",
    "Stack": "lamina.nn.stack",
}

__all__ = ["GRU", "LSTM", "RNN", "Stack"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'lamina.nn' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
