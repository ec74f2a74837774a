from __future__ import annotations

import inspect

import pytest

from lamina import errors
from lamina.errors import (
    ConfigError,
    DataError,
    LaminaError,
    MissingPackageError,
    NotFittedError,
    SavedModelError,
    did_you_mean,
)

KINDS = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", KINDS)
def test_all_can_be_caught_as_one(kind: type[Exception]) -> None:
    assert issubclass(kind, LaminaError)
    assert (inspect.getdoc(kind) or "").strip()


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (DataError, ValueError),
        (ConfigError, ValueError),
        (MissingPackageError, ImportError),
        (NotFittedError, AttributeError),
    ],
)
def test_code_that_knows_python_only_catches_them_too(
    kind: type[Exception], builtin: type[Exception]
) -> None:
    assert issubclass(kind, builtin)


def test_a_damaged_file_is_no_value_error() -> None:
    assert not issubclass(SavedModelError, ValueError)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("dept", "; did you mean 'depth'?"),
        ("DEPTHS", ""),
        ("", ""),
        ("cel", "; did you mean 'cell'?"),
    ],
)
def test_a_hint_names_the_nearest_option_or_nothing(word: str, hint: str) -> None:
    assert did_you_mean(word, ["depth", "cell"]) == hint


def test_without_options_there_is_no_hint() -> None:
    assert did_you_mean("depth", []) == ""
