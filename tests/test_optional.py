from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lamina._optional import require
from lamina.errors import MissingPackageError


def test_a_package_that_is_there_is_returned() -> None:
    assert require("json", extra="none") is sys.modules["json"]


@pytest.mark.parametrize("package", ["no_such_package", "no_such_package.inside"])
def test_a_package_that_is_not_there_is_named_with_the_command_that_installs_it(package: str) -> None:
    with pytest.raises(MissingPackageError, match=r"pip install 'lamina\[export\]'") as caught:
        require(package, extra="export")
    assert f"'{package}'" in str(caught.value)


def test_a_package_that_is_broken_says_so_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own missing import must not read as if the package were not installed."""
    (tmp_path / "half_installed.py").write_text("import its_own_missing_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="its_own_missing_dependency") as caught:
        require("half_installed", extra="export")
    assert not isinstance(caught.value, MissingPackageError)
