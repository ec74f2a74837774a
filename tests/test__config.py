from __future__ import annotations

import pytest
from pydantic import Field, model_validator

from lamina._config import Config
from lamina.errors import ConfigError


class Inner(Config):
    rate: float = Field(default=0.1, lt=1)


class Outer(Config):
    inner: Inner = Inner()
    low: int = 0
    high: int = 1

    @model_validator(mode="after")
    def _in_order(self) -> Outer:
        if self.low > self.high:
            raise ConfigError(f"low must not exceed high, but {self.low} > {self.high}")
        return self


class Needy(Config):
    name: str


def test_all_faults_come_at_once_with_their_path() -> None:
    with pytest.raises(ConfigError) as error:
        Outer.parse({"inner": {"rate": 3, "rte": 1}, "hihg": 2, "low": "x"})
    assert str(error.value) == (
        "Outer: inner.rate: input should be less than 1, but is 3; "
        "unknown key 'inner.rte'; did you mean 'rate'?; "
        "low: input should be a valid integer, unable to parse string as an integer, but is 'x'; "
        "unknown key 'hihg'; did you mean 'high'?"
    )


def test_rules_over_several_fields_speak_for_themselves() -> None:
    with pytest.raises(ConfigError, match=r"^Outer: low must not exceed high, but 3 > 1$"):
        Outer(low=3)


def test_missing_key_is_named() -> None:
    with pytest.raises(ConfigError, match="'name' is missing"):
        Needy.parse({})


def test_nan_is_no_value() -> None:
    with pytest.raises(ConfigError, match="rate: input should be a finite number"):
        Inner(rate=float("nan"))


def test_replace_checks_and_keeps_the_rest() -> None:
    changed = Outer(high=5, inner=Inner(rate=0.5)).replace(low=2)
    assert (changed.low, changed.high, changed.inner.rate) == (2, 5, 0.5)
    with pytest.raises(ConfigError, match="low must not exceed high"):
        changed.replace(low=9)
    with pytest.raises(ConfigError, match="did you mean 'high'"):
        changed.replace(hig=9)


def test_configurations_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Outer().low = 3
    assert hash(Outer()) == hash(Outer())
