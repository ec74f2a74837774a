"""What the online learners share: they can be written down, read, and asked what they take."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Self

from lamina.errors import ConfigError, SavedModelError
from lamina.streaming.drift import Watch
from lamina.streaming.inputs import shown, whole_number
from lamina.streaming.snapshot import pack_snapshot, read_snapshot, unpack_snapshot, write_durably
from lamina.streaming.state import bytes_of, pack_state, unpack_state

FORMAT = 2
"""Of the bytes of a learner; a reader takes this one and no other."""


_LEAST = {"depth": 0, "hidden_size": 1, "season": 2, "max_delay": 0, "seed": 0}


def checked(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a learner, whole numbers as Python's own.

    Raises:
        ConfigError: one that must be a whole number is none, or too small; all of them at once.
    """
    wrong = []
    for name, least in _LEAST.items():
        value = settings.get(name)
        if value is None and (name == "season" or name not in settings):
            continue
        whole = whole_number(value)
        if whole is None or whole < least:
            wrong.append(f"{name} must be a whole number of at least {least} but is {shown(value)}")
        else:
            settings[name] = whole
    if wrong:
        raise ConfigError("; ".join(wrong) + ". Write for example depth=2.")
    return settings


class OnlineLearner(ABC):
    """A learner of one row at a time."""

    watch: Watch

    @property
    @abstractmethod
    def weights(self) -> dict[str, float]:
        """The share of each expert in the next prediction."""

    @property
    @abstractmethod
    def bound_bytes(self) -> int:
        """The most that ``nbytes`` can come to, with the inputs and classes known so far."""

    @abstractmethod
    def _settings(self) -> dict[str, Any]:
        """What it was made with, by argument; ``own`` by names alone."""

    @abstractmethod
    def _state(self) -> dict[str, Any]:
        """What it has come to."""

    @abstractmethod
    def _take(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""

    @property
    def nbytes(self) -> int:
        """Bytes of all numbers that are kept: models, copies, windows, statistics, rows that wait."""
        return bytes_of(self._state())

    def to_bytes(self) -> bytes:
        """Everything it has come to, for ``from_bytes``; with a SHA-256, and without pickle.

        A detector of drift is river's and cannot be written down: it starts anew where the learner goes on.

        Raises:
            DataError: a class or an input has a name that is neither text nor a number.
        """
        form, payload = pack_state(self._state())
        header = {
            "learner": type(self).__name__,
            "format": FORMAT,
            "lamina": version("lamina"),
            "settings": self._settings(),
            "state": form,
        }
        return pack_snapshot(header, payload)

    @classmethod
    def from_bytes(cls, data: bytes, *, own: Mapping[str, Any] | None = None) -> Self:
        """A learner that goes on exactly where the one that was written down stood.

        Args:
            data: of ``to_bytes``.
            own: the learner's experts of one's own, under the same names; a session has to be of the same
                model, and goes on from the states that were written down.

        Raises:
            SavedModelError: the bytes are damaged, of another kind of learner, or of another format.
            ConfigError: ``own`` has other names.
        """
        header, payload = unpack_snapshot(data)
        kind = header.get("learner")
        if kind != cls.__name__:
            other = f"of an {kind}" if kind else "of a session"
            raise SavedModelError(
                f"this snapshot is {other}, not of an {cls.__name__}. Read it with that class."
            )
        if header["format"] != FORMAT:
            newer = header["format"] > FORMAT
            raise SavedModelError(
                f"this learner was written by lamina {header['lamina']}, in format {header['format']}, and "
                f"this version reads format {FORMAT}. "
                + ("Upgrade: pip install --upgrade lamina" if newer else "Let a new one learn the stream.")
            )
        settings = dict(header["settings"])
        names = settings.pop("own", [])
        if list(own or {}) != names:
            raise ConfigError(
                f"this learner has experts of one's own named {', '.join(names) or 'nothing'}, but own has "
                f"{', '.join(own or {}) or 'none'}. Give the same, in that order."
            )
        learner = cls(**settings, **({"own": own} if names else {}))
        learner._take(unpack_state(header["state"], payload))
        return learner

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write ``to_bytes`` to a file, whole or not at all."""
        write_durably(path, self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, own: Mapping[str, Any] | None = None) -> Self:
        """The learner that ``save`` wrote; see ``from_bytes``."""
        return cls.from_bytes(read_snapshot(path), own=own)
