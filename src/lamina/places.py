"""Whether a result will find its place, asked before the work that makes it.

Asked by making something there: os.access says yes to root, also where nothing can be made.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from lamina.errors import ConfigError


def require_file(path: str | os.PathLike[str]) -> None:
    """Raise ConfigError where a file cannot be written."""
    target = Path(path)
    try:
        if target.exists():
            target.open("ab").close()
        else:
            tempfile.TemporaryFile(dir=target.absolute().parent).close()
    except OSError as error:
        raise ConfigError(
            f"a file is written into a folder that exists, but {path} cannot be written: {error.strerror}. "
            "Name another."
        ) from error


def why_no_folder(folder: Path) -> str:
    """Why nothing can be written into a folder of that name, made where it is missing; "" where it can be."""
    try:
        found = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
        os.rmdir(tempfile.mkdtemp(prefix=".lamina-", dir=found))
    except OSError as error:
        return error.strerror or str(error)
    return ""
