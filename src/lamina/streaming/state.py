"""What a learner has come to, as names, numbers, text and arrays, and as bytes; no pickle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from lamina.errors import DataError

_ARRAY, _BYTES = "\0array", "\0bytes"


class Stateful:
    """A part of a learner whose state is the attributes named in ``kept``.

    >>> class Counter(Stateful):
    ...     kept = ("rows",)
    ...     rows = 0
    >>> counter = Counter()
    >>> counter.take({"rows": 3})
    >>> counter.state()
    {'rows': 3}
    """

    kept: ClassVar[tuple[str, ...]] = ()

    def state(self) -> dict[str, Any]:
        """Name -> value; arrays are the living ones, so write them down before the next row."""
        values = {name: getattr(self, name) for name in self.kept}
        return {name: v.state() if isinstance(v, Stateful) else v for name, v in values.items()}

    def take(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that a part like this one was in."""
        for name in self.kept:
            now, then = getattr(self, name), state[name]
            if isinstance(now, Stateful):
                now.take(then)
            else:
                setattr(self, name, tuple(then) if isinstance(now, tuple) else then)


def pack_state(state: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """A state as what JSON can hold, and the bytes of its arrays.

    >>> unpack_state(*pack_state({"weights": np.arange(3.0), "rows": [1, None]}))
    {'weights': array([0., 1., 2.]), 'rows': [1, None]}
    """
    parts: list[bytes] = []
    place = 0

    def put(data: bytes) -> int:
        nonlocal place
        parts.append(data)
        place += len(data)
        return place - len(data)

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: plain(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [plain(each) for each in value]
        if isinstance(value, np.ndarray):
            return {_ARRAY: [put(value.tobytes()), value.dtype.str, list(value.shape)]}
        if isinstance(value, bytes):
            return {_BYTES: [put(value), len(value)]}
        return value

    return plain(state), b"".join(parts)


def unpack_state(form: Mapping[str, Any], data: bytes) -> dict[str, Any]:
    """The state that ``pack_state`` gave; its arrays may be written to."""

    def whole(value: Any) -> Any:
        if isinstance(value, list):
            return [whole(each) for each in value]
        if not isinstance(value, dict):
            return value
        if _ARRAY in value:
            at, dtype, shape = value[_ARRAY]
            count = int(np.prod(shape, dtype=np.int64))
            return np.frombuffer(data, dtype, count, at).reshape(shape).copy()
        if _BYTES in value:
            at, size = value[_BYTES]
            return data[at : at + size]
        return {name: whole(each) for name, each in value.items()}

    found: dict[str, Any] = whole(form)
    return found


def bytes_of(state: Any) -> int:
    """Bytes of all arrays and bytes in a state."""
    if isinstance(state, Mapping):
        return sum(bytes_of(each) for each in state.values())
    if isinstance(state, list | tuple):
        return sum(bytes_of(each) for each in state)
    if isinstance(state, np.ndarray):
        return state.nbytes
    return len(state) if isinstance(state, bytes) else 0


def plain_names(names: Iterable[Any]) -> list[Any]:
    """Names of inputs or classes as they can be written down: text, numbers, true and false.

    Raises:
        DataError: one of them is something else, which could only be pickled.
    """
    found = [name.item() if isinstance(name, np.generic) else name for name in names]
    for name in found:
        if not isinstance(name, str | int | float | bool):
            raise DataError(
                "a learner is written down where its classes and the names of its inputs are text, numbers, "
                f"or true and false, but one is {name!r}. Name it by text."
            )
    return found
