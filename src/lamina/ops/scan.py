"""Run a recurrence over whole sequences on the first backend that can."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

import torch
from torch import Tensor
from typing_extensions import override

from lamina.errors import BackendError, ConfigError, did_you_mean
from lamina.ops.backends.aten import Aten
from lamina.ops.backends.reference import Reference
from lamina.ops.call import Backend, Call, Weights, ZoneoutMasks, ZoneoutRates
from lamina.ops.cells import Cell, State, find_cell
from lamina.ops.native_team import why_no_kernels

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Absent(Backend):
    """A backend that this installation lacks: it refuses every call with the same reason."""

    name: str
    reason: str

    @override
    def why_not(self, call: Call) -> str | None:
        return self.reason

    @override
    def run(self, call: Call) -> tuple[Tensor, State]:
        raise AssertionError(f"{self.name} was run although it refused")


def _native() -> Backend:
    error = why_no_kernels()
    if error is not None:
        return Absent("native", f"not built: {error}; install a C++17 compiler, then reinstall lamina")
    native: Backend = import_module("lamina.ops.backends.native").Native()
    return native


BACKENDS: tuple[Backend, ...] = (_native(), Aten(), Reference())
"""In the order in which they are asked."""


@dataclass(frozen=True)
class Choice:
    """Which backend runs a call, and why those before it do not."""

    backend: Backend
    refused: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "\n".join(
            [f"{self.backend.name} runs it", *(f"  {name}: {why}" for name, why in self.refused)]
        )


def choose(call: Call, *, backend: str | None = None, backends: Sequence[Backend] = BACKENDS) -> Choice:
    """Return the first backend that accepts the call, or the one named.

    Raises:
        BackendError: the backend named refuses the call.
        ConfigError: no backend has that name.
    """
    if backend is not None:
        return Choice(_named(call, backend, backends), ())
    refused: list[tuple[str, str]] = []
    for candidate in backends:
        why = candidate.why_not(call)
        if why is None:
            return Choice(candidate, tuple(refused))
        refused.append((candidate.name, why))
    raise BackendError("no backend can run the call: " + "; ".join(f"{n}: {w}" for n, w in refused))


def _named(call: Call, name: str, backends: Sequence[Backend]) -> Backend:
    names = [candidate.name for candidate in backends]
    if name not in names:
        raise ConfigError(
            f"no backend is called '{name}'{did_you_mean(name, names)}; the backends are {', '.join(names)}"
        )
    found = backends[names.index(name)]
    why = found.why_not(call)
    if why is not None:
        raise BackendError(
            f"backend '{name}' cannot run this call: {why}. Use backend='reference', which runs everything, "
            "or leave it out and Lamina chooses."
        )
    return found


def explain(call: Call | None = None) -> Choice:
    """Say which backend would run a call and why those before it would not; print it to read it.

    Args:
        call: the call in question; None asks about a plain float32 LSTM.

    >>> explain().backend.name in ("native", "aten")
    True
    """
    if call is None:
        zero = torch.zeros(1, 1)
        call = Call(
            find_cell("lstm"), zero[None], (zero, zero), Weights(zero.expand(4, 1), zero.expand(4, 1))
        )
    return choose(call)


def scan(
    cell: str | type[Cell],
    x: Tensor,
    state: State,
    weights: Weights,
    *,
    lengths: Tensor | None = None,
    reverse: bool = False,
    recurrent_mask: Tensor | None = None,
    zoneout: ZoneoutMasks | ZoneoutRates | None = None,
    backend: str | None = None,
) -> tuple[Tensor, State]:
    """Run one direction of one layer over a batch of sequences.

    Args:
        backend: the name of the backend that must run it; by default the first that can, and the reasons
            of those that cannot go to the log at level DEBUG and to ``explain``.
        The rest is described with ``Call``.

    Returns:
        y, (batch, time, outputs): h after each step, zero at padding; and the state after the last valid
        step of each row. A row of length 0 keeps the state it came with.

    Raises:
        DataError: shapes, dtypes or lengths do not fit one another.
        BackendError: the backend named cannot run the call.
        ConfigError: no cell or backend has the name given.

    >>> h = torch.zeros(1, 1)
    >>> ones = Weights(w=torch.ones(1, 1), r=torch.ones(1, 1))
    >>> y, (h,) = scan("relu", torch.ones(1, 3, 1), (h,), ones)     # h' = x + h: it counts
    >>> y.flatten().tolist(), h.item()
    ([1.0, 2.0, 3.0], 3.0)
    """
    call = Call(find_cell(cell), x, state, weights, lengths, reverse, recurrent_mask, zoneout)
    choice = choose(call, backend=backend)
    if not torch.compiler.is_compiling():  # a graph has no place for the log
        _log.debug("%s", choice)
    return choice.backend.run(call)
