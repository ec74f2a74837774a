"""A journal: rows on disk before their answers go out, so that a kill loses none that was answered."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from lamina.errors import SavedModelError
from lamina.streaming.snapshot import (
    pack_snapshot,
    read_snapshot,
    sync_folder,
    unpack_snapshot,
    write_durably,
)

JOURNAL_BYTES = 8 << 20  # a journal of this size becomes part of the snapshot


class Journal:
    """The rows that were read since the last snapshot, beside it in ``<snapshot>.journal``.

    Every row has a number. ``append`` returns once the rows are on disk; ``checkpoint`` writes a snapshot of
    everything up to a row and empties the journal. After a crash, ``recovered`` is the last snapshot, of the
    rows up to ``position``, whose last ``unread`` could not be read, and ``rows`` are those after the last
    that could; a last row that was cut off was never answered and is dropped. One process at a time may hold
    a journal.

    Raises:
        SavedModelError: another process holds it, it cannot be written, or it or the snapshot is damaged.
    """

    def __init__(self, snapshot: Path) -> None:
        self._snapshot = snapshot
        if snapshot.exists() and not snapshot.is_file():
            raise SavedModelError(f"--snapshot names a file, but '{snapshot}' is none. Name one in a folder.")
        self._path = snapshot.with_name(f"{snapshot.name}.journal")
        try:
            self._file = self._path.open("a+b", buffering=0)
        except OSError as error:
            raise SavedModelError(
                f"the journal of {snapshot} cannot be written: {error}. Name a file in a folder that exists "
                "and may be written."
            ) from error
        self.position = self.unread = 0
        self.recovered: bytes | None = None
        try:
            _lock(self._file.fileno(), self._path)
            sync_folder(self._path.absolute().parent)
            if snapshot.exists():
                header, self.recovered = unpack_snapshot(read_snapshot(snapshot))
                self.position, self.unread = int(header["rows"]), int(header.get("unread", 0))
            self.rows = [entry for entry in self._read() if entry[0] > self.position - self.unread]
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def size(self) -> int:
        """Bytes of the journal."""
        return os.fstat(self._file.fileno()).st_size

    def append(self, rows: Iterable[tuple[int, bytes]]) -> None:
        """Put numbered lines on disk."""
        text = b"".join(_entry(number, line) for number, line in rows)
        written = 0
        try:
            while written < len(text):
                written += os.write(self._file.fileno(), text[written:])
            os.fsync(self._file.fileno())
        except OSError as error:
            raise SavedModelError(f"the journal {self._path} cannot be written: {error}.") from error

    def checkpoint(self, position: int, states: bytes, *, unread: int = 0) -> None:
        """Write a snapshot of all rows up to ``position``, and empty the journal.

        Args:
            position: the number of the last row.
            states: after it.
            unread: how many of the last rows could not be read.
        """
        write_durably(self._snapshot, pack_snapshot({"rows": position, "unread": unread}, states))
        self._file.truncate(0)
        os.fsync(self._file.fileno())

    def _read(self) -> Iterator[tuple[int, bytes]]:
        """Whole entries. One that was cut off can only be the last, and is cut away."""
        self._file.seek(0)
        whole = 0
        lines = self._file.read().split(b"\n")
        for number, text in enumerate(lines[:-1], start=1):
            entry = _parse(text)
            if entry is None:
                raise SavedModelError(
                    f"line {number} of the journal {self._path} is damaged or of another file. Restore it, "
                    "or move it away to go on without the rows that came after the last snapshot."
                )
            whole += len(text) + 1
            yield entry
        self._file.truncate(whole)


def _entry(number: int, line: bytes) -> bytes:
    body = b"%d %s" % (number, line)
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _parse(text: bytes) -> tuple[int, bytes] | None:
    """Number and line of an entry; None where it is not whole."""
    check, _, body = text.partition(b" ")
    if check != b"%08x" % zlib.crc32(body):
        return None
    number, _, line = body.partition(b" ")
    return int(number), line


def _lock(descriptor: int, path: Path) -> None:
    if os.name != "posix":
        return
    import fcntl  # is not there elsewhere

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SavedModelError(
            f"another process streams with {path}. End it, or give --snapshot another file."
        ) from None
