"""Sessions: one observation at a time, with the state of every key carried on."""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lamina.errors import ConfigError, DataError, SavedModelError
from lamina.streaming.packed import Storage, Weights, new_model, pack_stack, require_native
from lamina.streaming.snapshot import pack_snapshot, read_snapshot, unpack_snapshot, write_durably

if TYPE_CHECKING:
    from torch import nn

    from lamina.nn.stack import Stack

MAX_KEYS = 1_000_000


class Session(ABC):
    """A model that reads one row at a time and keeps a state for each key.

    A key names what a row belongs to (a pump, a user); it is text of at most 256 bytes, and "" is a key like
    any other. The states of at most ``max_keys`` keys are kept, and the key used least recently is forgotten
    first: its next row starts anew. Memory stays below ``bound_bytes``. A session belongs to one thread at a
    time. A row that breaks a rule raises DataError and changes nothing.
    """

    def __init__(self, native: Any, *, digest: str) -> None:
        self._native = native
        self._digest = digest

    @staticmethod
    def of(
        stack: Stack,
        *,
        head: nn.Linear | None = None,
        storage: Storage = "float32",
        max_keys: int = MAX_KEYS,
    ) -> RowSession:
        """A session of any causal stack; ``head`` is a linear map of its outputs.

        Raises:
            ConfigError: the stack reads both directions, or ``max_keys`` is below 1.

        >>> from lamina.nn.stack import Stack, StackConfig
        >>> session = Session.of(Stack(StackConfig(input_size=3, hidden_sizes=(8, 5))))
        >>> session.step([0.1, 0.2, 0.3], key="pump-7").shape
        (5,)
        """
        config = stack.config.model_dump(mode="json")
        weights = {name: value.detach().cpu().float().numpy() for name, value in stack.state_dict().items()}
        model = new_model(storage)
        inputs = pack_stack(model, config, weights)
        if head is not None:
            maps = {f"head.{n}": v.detach().cpu().float().numpy() for n, v in head.state_dict().items()}
            weights |= maps
            model.head(maps["head.weight"], maps.get("head.bias"))
        model.finish(inputs)
        digest = digest_of({"kind": "Stack", "config": config, "storage": storage}, weights)
        return RowSession.over(model, max_keys=max_keys, digest=digest)

    @staticmethod
    def open(
        path: str | os.PathLike[str],
        *,
        storage: Storage = "float32",
        max_keys: int = MAX_KEYS,
        adaptive: Sequence[float] = (),
    ) -> Session:
        """A session of a saved model, from its directory; torch is not loaded.

        Args:
            path: of the directory.
            storage: of the recurrent weights: float32, bfloat16 or int8.
            max_keys: states kept at most.
            adaptive: of a Forecaster: intervals that follow each series; see ``Forecaster.stream``.

        Raises:
            SavedModelError: the directory is not a model that can be read.
            ConfigError: the model cannot stream; the message says why.
        """
        from lamina.streaming.opening import open_saved  # which imports the sessions

        return open_saved(path, storage=storage, max_keys=max_keys, adaptive=adaptive)

    @abstractmethod
    def step(self, x: Any, *, key: str = "") -> Any:
        """Read one row of a key, and answer."""

    def reset(self, key: str) -> bool:
        """Forget a key, so that its next row starts anew; says whether it was known."""
        return bool(self._native.reset(key))

    def clear(self) -> None:
        """Forget every key, and give its memory back."""
        self._native.clear()

    def __len__(self) -> int:
        """Keys that have a state."""
        return len(self._native)

    def __contains__(self, key: str) -> bool:
        return bool(self._native.knows(key))

    def keys(self) -> list[str]:
        """Every key that has a state, the one used least recently first."""
        return list(self._native.keys())

    @property
    def max_keys(self) -> int:
        """Keys kept at most."""
        return int(self._native.max_keys)

    @property
    def evicted(self) -> int:
        """Keys that were forgotten to make room since the session was opened."""
        return int(self._native.evicted)

    @property
    def state_bytes(self) -> int:
        """What the state of one key takes, its name not counted."""
        return int(self._native.state_bytes)

    @property
    def used_bytes(self) -> int:
        """Memory that keys and states take now."""
        return int(self._native.bytes)

    @property
    def bound_bytes(self) -> int:
        """Memory that keys and states can take at most, were every name 256 bytes long."""
        return int(self._native.bound_bytes)

    def snapshot(self) -> bytes:
        """The states of all keys, for ``restore`` in a session of the same model, with the same storage."""
        return pack_snapshot(self._header(), self._dump())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a snapshot to a file, whole or not at all."""
        write_durably(path, self.snapshot())

    def restore(self, snapshot: bytes | str | os.PathLike[str]) -> None:
        """Take the states of a snapshot, from its bytes or its file, in place of those held.

        Raises:
            SavedModelError: it is cut off, damaged, or of another model. The session stays as it was.
        """
        data = snapshot if isinstance(snapshot, bytes) else read_snapshot(snapshot)
        header, states = unpack_snapshot(data)
        self._require_own(header)
        self._load(states)

    def _header(self) -> dict[str, Any]:
        """What a snapshot says of the session that it was made by."""
        return {"model": self._digest, "state_bytes": self.state_bytes, "keys": len(self)}

    def _require_own(self, header: Mapping[str, Any]) -> None:
        """Refuse the header of a snapshot that is of no session like this one."""
        if header.get("model") != self._digest or header.get("state_bytes") != self.state_bytes:
            raise SavedModelError(
                "this snapshot is of another model, or of other storage of the weights. Open the session as "
                "the one that it was made with."
            )

    def _dump(self) -> bytes:
        """The states of all keys."""
        states: bytes = self._native.dump()
        return states

    def _load(self, states: bytes) -> None:
        """The inverse of ``_dump``."""
        self._native.load(states)


class RowSession(Session):
    """A session whose answer to a row is a row of numbers.

    Of a stack: its outputs, float32, or those of the linear ``head``. Of a classifier: the probability of
    each class after all rows of the key so far, float64.
    """

    def __init__(self, native: Any, *, digest: str, classes: tuple[str, ...] = ()) -> None:
        super().__init__(native, digest=digest)
        self.classes = classes
        self._step = native.step  # looked up once: the whole step of a small network takes less than 1 us

    @classmethod
    def over(
        cls,
        model: Any,
        *,
        max_keys: int,
        digest: str,
        mean: Sequence[float] = (),
        scale: Sequence[float] = (),
        gaps: Sequence[int] = (),
        classes: tuple[str, ...] = (),
    ) -> RowSession:
        """A session over a finished native model; mean, scale and gaps say how a row is standardised."""
        if max_keys < 1:
            raise ConfigError(f"max_keys is at least 1, but is {max_keys}. Use for example 1_000_000.")
        native = require_native().Session(
            model, max_keys, list(mean), list(scale), list(gaps), bool(classes), as_numbers
        )
        return cls(native, digest=digest, classes=classes)

    def step(self, x: ArrayLike, *, key: str = "") -> NDArray[Any]:
        """Read one row of a key.

        Args:
            x: (inputs,) numbers. float32 or float64 arrays in C order are read as they are. Missing
                values are NaN, where the model was fitted on such.
            key: what the row belongs to.

        Returns:
            (outputs,).

        Raises:
            DataError: wrong number of inputs, text, a number that is not finite, a key over 256 bytes.
        """
        answer: NDArray[Any] = self._step(x, key)
        return answer

    def peek(self, x: ArrayLike, *, key: str = "") -> NDArray[Any]:
        """What ``step`` would answer; the states, and the order in which keys were used, stay as they are."""
        answer: NDArray[Any] = self._native.peek(x, key)
        return answer

    def step_many(self, x: ArrayLike, keys: Sequence[str]) -> NDArray[Any]:
        """Read one row of each of many keys: (rows, inputs) -> (rows, outputs).

        A key that stands twice is stepped twice, in the order of the rows. Where a row breaks a rule, none is
        read.
        """
        answer: NDArray[Any] = self._native.step_many(x, keys)
        return answer


def as_numbers(x: object) -> NDArray[np.float64]:
    """Anything like an array as float64 in C order.

    Raises:
        DataError: it holds something other than numbers, or rows of unequal length.
    """
    try:
        found = np.asarray(x)
    except ValueError as error:
        raise DataError(f"a row holds numbers, but this one cannot be read: {error}. Mend it.") from error
    if found.dtype.kind not in "biuf":
        raise DataError(f"a row holds numbers, but this one is {_shown(x)}. A missing one is NaN.")
    return np.ascontiguousarray(found, dtype=np.float64)


def _shown(x: object, longest: int = 60) -> str:
    text = repr(x)
    return text if len(text) <= longest else f"{text[:longest]}..."


def digest_of(form: Mapping[str, Any], weights: Weights) -> str:
    """SHA-256 of what decides a model's answers, as hexadecimal digits."""
    found = hashlib.sha256(json.dumps(form, sort_keys=True).encode())
    for name in sorted(weights):
        found.update(name.encode())
        found.update(np.ascontiguousarray(weights[name]).tobytes())
    return found.hexdigest()
