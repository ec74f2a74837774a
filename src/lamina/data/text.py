"""Plain text from files."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lamina.errors import DataError

Text = str | Path | Sequence[str]
"""A text itself, the path of a file of text, or several texts."""


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, or of one that is gzipped (``.gz``).

    Raises:
        DataError: the file is not there, is no whole gzip file, or is not UTF-8; with the line of the first
            bad byte.
    """
    if not path.is_file():
        raise missing(path)
    with whole_gzip(path):
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise not_utf8(path, line, content[error.start]) from error


@contextmanager
def whole_gzip(path: Path) -> Iterator[None]:
    """Raise DataError where what is read is no gzip file, or was cut short."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"what ends with .gz is a whole gzip file, but '{path}' is not: {error}. Fetch or pack it again, "
            "or take .gz from its name if it is not packed."
        ) from error


def read_lines(path: Path) -> list[str]:
    """The lines of a file; no other sign than a line feed ends one, since a text may hold it.

    Raises:
        DataError: as ``read_text``.
    """
    return lines_of(read_text(path))


def lines_of(text: str) -> list[str]:
    r"""The lines of a text, without their ends.

    >>> lines_of("one\r\ntwo\u2028still two\n\n")
    ['one', 'two\u2028still two', '']
    """
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []


def missing(path: Path) -> DataError:
    """There is no file of text."""
    return DataError(f"a text is read from a file, and there is no file '{path}'. Check the path.")


def not_utf8(path: Path, line: int, byte: int) -> DataError:
    """A file of text has a byte that is not UTF-8, in this line."""
    seems = "utf-16" if line == 1 and byte in (0xFE, 0xFF) else "latin1"  # its mark of the order of bytes
    return DataError(
        f"a text is in UTF-8, but line {line} of '{path}' has the byte 0x{byte:02x}. "
        f"Convert it, for example: iconv -f {seems} -t utf-8 {path.name}"
    )


def empty() -> DataError:
    """A text has no word."""
    return DataError("a text has at least one word, but this one is empty. Check the source.")


def require_text(text: object, where: str) -> None:
    """Raise DataError where something is no text that UTF-8 can write.

    Args:
        where: what the message calls it, such as "row 3".
    """
    if not isinstance(text, str):
        raise DataError(f"a text is a string but {where} is {type(text).__name__}; leave it out or mend it")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"a text is Unicode but {where} has half of a surrogate pair, {text[error.start]!r}, at "
            f"{error.start}; leave it out or mend it"
        ) from error


def as_text(text: Text) -> str:
    r"""One text out of what a user may give; several are joined, each ending its line.

    Raises:
        DataError: a file that cannot be read, the name of a file given as text, a row that is no text, or no
            text at all.

    >>> as_text(["one", "two"])
    'one\ntwo\n'
    """
    if isinstance(text, Path):
        found = read_text(text)
    elif isinstance(text, str):
        if "\n" not in text and len(text) < 256 and Path(text).is_file():
            raise DataError(f"a string is the text itself, but '{text}' is a file. Pass Path({text!r}).")
        require_text(text, "this one")
        found = text
    else:
        for row, one in enumerate(text):
            require_text(one, f"row {row}")
        found = "".join(f"{one}\n" for one in text)
    if not found.strip():
        raise empty()
    return found
