"""What a training run leaves behind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

Outcome = Literal["complete", "stopped", "time", "collapsed"]


@dataclass
class History:
    """The record of one run; every list runs in step with ``steps``.

    Attributes:
        steps: optimiser steps done at each validation.
        train_loss: mean training loss since the validation before.
        validation: the task's metric on the validation part.
        validation_loss: the loss on the validation part; above ``train_loss`` by what is overfitted.
        gradient_norms: per layer, mean gradient norm (before clipping) since the validation before.
        clip_rate: share of all steps whose gradient was clipped.
        seconds: wall time of the run.
        best_step: the step whose weights were kept.
        outcome: ``complete`` ran all steps, ``stopped`` stopped early, ``time`` hit its time limit,
            ``collapsed`` became NaN or a constant.
        reason: for ``collapsed``, what was seen.
    """

    steps: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    gradient_norms: dict[str, list[float]] = field(default_factory=dict)
    clip_rate: float = 0.0
    seconds: float = 0.0
    best_step: int = 0
    outcome: Outcome = "complete"
    reason: str = ""

    @property
    def best(self) -> float:
        """The validation metric of the kept weights; NaN when nothing was validated."""
        if self.best_step not in self.steps:
            return float("nan")
        return self.validation[self.steps.index(self.best_step)]

    def to_dict(self) -> dict[str, Any]:
        """All fields as lists, numbers and strings; numbers may be NaN."""
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """The inverse of ``to_dict``, also from JSON, which has null for NaN.

        >>> History.from_dict({"steps": [1], "validation": [None]}).validation
        [nan]
        """
        fields = dict(saved)
        for name in ("train_loss", "validation"):
            fields[name] = _numbers(fields.get(name, []))
        norms = fields.get("gradient_norms", {})
        fields["gradient_norms"] = {layer: _numbers(values) for layer, values in norms.items()}
        return cls(**fields)


def _numbers(values: list[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]
