"""The one place that speaks of packages that may be missing."""

from __future__ import annotations

import importlib
from types import ModuleType

from lamina.errors import MissingPackageError


def require(package: str, *, extra: str) -> ModuleType:
    """Import and return an optional package.

    Args:
        package: the import name, such as ``"aeon"``.
        extra: the name of the extra that installs it.

    Raises:
        MissingPackageError: with the command that installs it.

    >>> require("json", extra="none").__name__
    'json'
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] != package.partition(".")[0]:
            raise  # the package is there but broken; hiding that would mislead
        raise MissingPackageError(
            f"this needs the package '{package}', which is not installed; run: pip install 'lamina[{extra}]'"
        ) from error
