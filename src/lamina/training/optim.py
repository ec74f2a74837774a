"""How a network is trained: the settings, the optimiser, the learning-rate schedule, and what waits."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field
from torch import nn

from lamina._config import Config

Schedule = Literal["one-cycle", "warmup-stable-decay", "constant"]


class TrainingConfig(Config):
    """Settings of one training run.

    Attributes:
        max_steps: optimiser steps at most; the schedule spans them.
        batch_size: examples a step.
        learning_rate: the schedule's peak.
        weight_decay: decoupled decay of matrices; vectors (biases, gains) are never decayed.
        schedule: ``one-cycle`` rises and falls over the whole run, ``warmup-stable-decay`` holds the peak
            between a short rise and a final fall, ``constant`` stays.
        clip_norm: largest total gradient norm, or None for no clipping.
        validations: how many times the validation part is scored over ``max_steps``.
        patience: validations without a new best before training stops.
        average: decay per step of the weights' moving average that is scored and kept; 0 averages nothing.
        max_seconds: stop, with outcome "time", once this much time has passed.
        precision: ``32-true`` or ``bf16-mixed``.
        device: ``cpu``, ``cuda`` or ``auto``.
    """

    max_steps: int = Field(default=1000, ge=1)
    batch_size: int = Field(default=64, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    schedule: Schedule = "one-cycle"
    clip_norm: float | None = Field(default=1.0, gt=0)
    validations: int = Field(default=20, ge=1)
    patience: int = Field(default=12, ge=1)
    average: float = Field(default=0.0, ge=0, lt=1)
    max_seconds: float | None = Field(default=None, gt=0)
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    device: Literal["cpu", "cuda", "auto"] = "cpu"


def rate_factor(schedule: Schedule, progress: float) -> float:
    """Learning rate at ``progress`` (0 to 1 of the run), as a share of its peak.

    >>> [round(rate_factor("one-cycle", p), 3) for p in (0.0, 0.1, 1.0)]
    [0.04, 1.0, 0.0]
    >>> [round(rate_factor("warmup-stable-decay", p), 3) for p in (0.0, 0.5, 1.0)]
    [0.04, 1.0, 0.0]
    """
    if schedule == "constant":
        return 1.0
    start = 0.04  # a twenty-fifth of the peak, as in Smith & Topin 2019 (arXiv:1708.07120)
    if schedule == "one-cycle":
        if progress < 0.1:
            return start + (1 - start) * 0.5 * (1 - math.cos(math.pi * progress / 0.1))
        return 0.5 * (1 + math.cos(math.pi * (progress - 0.1) / 0.9))
    if progress < 0.05:
        return start + (1 - start) * progress / 0.05
    return 1.0 if progress <= 0.7 else (1 - progress) / 0.3


@dataclass(frozen=True, eq=False)
class ParameterGroup:
    """Parameters that wait for their turn.

    Attributes:
        parameters: of the network.
        begin: share of the run that is over when they begin to learn; they are frozen until then.
    """

    parameters: tuple[nn.Parameter, ...]
    begin: float


class Frozen:
    """Takes the parameters of each group out of the gradient until their turn.

    No gradient is computed for what is frozen, nor for what lies below all that is not, so that a run is
    faster while it lasts. Parameters that were frozen before are left so.
    """

    def __init__(self, groups: Sequence[ParameterGroup], max_steps: int) -> None:
        self._waiting = [
            (group.begin * max_steps, [p for p in group.parameters if p.requires_grad])
            for group in groups
            if group.begin > 0
        ]
        for _, parameters in self._waiting:
            _require_gradients(parameters, False)

    def thaw(self, step: int) -> None:
        """Let those learn whose turn has come, before step ``step`` (from 0) is taken."""
        due = [parameters for begin, parameters in self._waiting if begin <= step]
        for parameters in due:
            _require_gradients(parameters, True)
        if due:
            self._waiting = [(begin, parameters) for begin, parameters in self._waiting if begin > step]

    def end(self) -> None:
        """Let all learn."""
        self.thaw(sys.maxsize)


def _require_gradients(parameters: Sequence[nn.Parameter], required: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad_(required)


def build_optimizer(network: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW that decays matrices and leaves vectors alone."""
    learning = [p for p in network.parameters() if p.requires_grad]
    matrices, vectors = [p for p in learning if p.ndim >= 2], [p for p in learning if p.ndim < 2]
    return torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": config.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        fused=True,
    )


def build_schedule(
    optimizer: torch.optim.Optimizer, config: TrainingConfig
) -> torch.optim.lr_scheduler.LambdaLR:
    """The configured schedule, one call of ``step()`` an optimiser step."""
    factor: Callable[[int], float] = lambda step: rate_factor(  # noqa: E731  # a named type needs a binding
        config.schedule, min(1.0, step / config.max_steps)
    )
    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
