"""Configurations as JSON and back, by the name of their class."""

from __future__ import annotations

from typing import Any

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


def dump_training(config: TrainingConfig | None) -> dict[str, Any] | None:
    """Training settings as JSON types."""
    return None if config is None else config.model_dump(mode="json")


def load_training(saved: dict[str, Any] | None) -> TrainingConfig | None:
    """The inverse of ``dump_training``."""
    return None if saved is None else TrainingConfig(**saved)
