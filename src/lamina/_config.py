"""The base of every configuration: frozen, checked when made, and plain about what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from lamina.errors import ConfigError, did_you_mean


class Config(BaseModel):
    """A frozen set of options. All bad fields are reported at once, and misspelt ones are guessed.

    Raises:
        ConfigError: a key is unknown or missing, or a value breaks its rule.

    >>> class Oven(Config):
    ...     heat_c: float = 180.0
    >>> Oven(haet_c=200)
    Traceback (most recent call last):
        ...
    lamina.errors.ConfigError: Oven: unknown key 'haet_c'; did you mean 'heat_c'?
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def __init__(self, /, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise ConfigError(_plain(type(self), error)) from None

    # Tells pydantic that a model nested in another one may be validated without this __init__, so that
    # its errors arrive at the outermost model with their full path.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]  # pydantic reads it off the function

    @classmethod
    def parse(cls, data: Mapping[str, object]) -> Self:
        """Make a configuration from what a file held; nested tables become nested configurations."""
        return cls(**data)

    def replace(self, **changes: object) -> Self:
        """Return a checked copy with some fields changed.

        >>> class Oven(Config):
        ...     heat_c: float = 180.0
        >>> Oven().replace(heat_c=200).heat_c
        200.0
        """
        return type(self)(**{name: getattr(self, name) for name in self.model_fields_set} | changes)


def _plain(config: type[BaseModel], error: ValidationError) -> str:
    return f"{config.__name__}: " + "; ".join(_sentence(config, fault) for fault in error.errors())


def _sentence(config: type[BaseModel], fault: ErrorDetails) -> str:
    path = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return (
            f"unknown key '{path}'{did_you_mean(str(fault['loc'][-1]), _keys_at(config, fault['loc'][:-1]))}"
        )
    if fault["type"] == "missing":
        return f"'{path}' is missing"
    rule = fault["msg"].removeprefix("Value error, ")
    if not path:  # a rule over several fields, which names them itself
        return rule
    if fault["type"] == "value_error":  # a rule of ours, which says what came
        return f"{path}: {rule}"
    return f"{path}: {rule[:1].lower()}{rule[1:]}, but is {fault['input']!r}"


def _keys_at(config: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Return the keys that may stand at a path inside nested configurations."""
    for part in path:
        field = config.model_fields.get(str(part))
        if (
            field is None
            or not isinstance(field.annotation, type)
            or not issubclass(field.annotation, BaseModel)
        ):
            return []
        config = field.annotation
    return list(config.model_fields)
