"""Configurations, parameters and labels as JSON and back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamina._config import Config
from lamina.errors import SavedModelError
from lamina.nn.stack import StackConfig
from lamina.nn.transformer import TransformerConfig
from lamina.tasks.base import BodyConfig
from lamina.training.optim import TrainingConfig

BODIES: dict[str, type[StackConfig] | type[TransformerConfig]] = {
    "stack": StackConfig,
    "transformer": TransformerConfig,
}


def dump_body(config: BodyConfig | None) -> dict[str, Any] | None:
    """A body's configuration as JSON types."""
    if config is None:
        return None
    kind = next(name for name, cls in BODIES.items() if type(config) is cls)
    return {"kind": kind, **config.model_dump(mode="json")}


def load_body(saved: dict[str, Any] | None) -> BodyConfig | None:
    """The inverse of ``dump_body``.

    Raises:
        SavedModelError: no such kind of body.
    """
    if saved is None:
        return None
    fields = dict(saved)
    kind = fields.pop("kind", None)
    if kind not in BODIES:
        raise SavedModelError(f"a body is one of {sorted(BODIES)}, but the saved one is {kind!r}.")
    return BODIES[kind](**fields)


def dump_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of an estimator as JSON types: configurations as what they say, paths as text."""
    return {name: _plain(value) for name, value in parameters.items()}


def _plain(value: object) -> object:
    if isinstance(value, StackConfig | TransformerConfig):
        return dump_body(value)
    if isinstance(value, Config):
        return value.model_dump(mode="json")
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def load_parameters(saved: Mapping[str, Any], **kinds: type[Config]) -> dict[str, Any]:
    """The inverse of ``dump_parameters``, but that paths stay text.

    Args:
        saved: what it made.
        kinds: the class of each configuration by the parameter's name, but for stack and training.

    Raises:
        SavedModelError: the stack is of no known kind.
    """
    found = dict(saved)
    if "stack" in found:
        found["stack"] = load_body(found["stack"])
    known: dict[str, type[Config]] = {"training": TrainingConfig, **kinds}
    for name, kind in known.items():
        if isinstance(found.get(name), dict):
            found[name] = kind.parse(found[name])
    return found


def dump_labels(classes: NDArray[Any]) -> dict[str, Any]:
    """Labels as JSON types."""
    return {"dtype": classes.dtype.str, "values": classes.tolist()}


def load_labels(saved: dict[str, Any]) -> NDArray[Any]:
    """The inverse of ``dump_labels``."""
    return np.array(saved["values"], dtype=np.dtype(saved["dtype"]))
