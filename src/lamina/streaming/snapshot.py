"""Snapshots: bytes that say what they are, whose they are and whether they are whole."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lamina.errors import SavedModelError

MAGIC = b"LAMINA-SNAPSHOT-1\n"
DIGEST_BYTES = hashlib.sha256().digest_size


def pack_snapshot(header: Mapping[str, Any], payload: bytes) -> bytes:
    """A snapshot: a magic line, the header's length in 8 bytes, the header as JSON, the payload, a SHA-256.

    >>> unpack_snapshot(pack_snapshot({"rows": 3}, b"states"))
    ({'rows': 3}, b'states')
    """
    text = json.dumps(header, sort_keys=True).encode()
    body = b"".join((MAGIC, len(text).to_bytes(8, "little"), text, payload))
    return body + hashlib.sha256(body).digest()


def unpack_snapshot(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and payload of what ``pack_snapshot`` made.

    Raises:
        SavedModelError: it is something else, was cut off, or was changed.
    """
    if not data.startswith(MAGIC):
        raise SavedModelError("this is no snapshot of a session. Give what snapshot() or save() wrote.")
    body, digest = data[:-DIGEST_BYTES], data[-DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise SavedModelError(
            "this snapshot is cut off or damaged: its SHA-256 is not that of its content. Use an older one."
        )
    start = len(MAGIC) + 8
    end = start + int.from_bytes(body[len(MAGIC) : start], "little")
    header: dict[str, Any] = json.loads(body[start:end])
    return header, body[end:]


def read_snapshot(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a snapshot's file.

    Raises:
        SavedModelError: there is no such file.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise SavedModelError(f"the snapshot {path} cannot be read: {error}.") from error


def write_durably(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file whole or not at all: after a crash there is the old one or the new one.

    The data are on disk (fsync) before the name points to them, and the name before this returns.

    Raises:
        SavedModelError: it cannot be written.
    """
    target = Path(path).absolute()
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise SavedModelError(f"{path} cannot be written: {error}.") from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a crash of the machine, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
