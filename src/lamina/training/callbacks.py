"""Observers of a run, and the parts of the loop that carry state of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from lamina.training.loop import Run


class Callback:
    """An observer; override what is needed. It may raise to stop a run, and must not change it."""

    def on_reading(self, texts: int) -> None:
        """Called while a teacher reads texts before a run, with how many it has read."""

    def on_step(self, run: Run) -> None:
        """Called after each optimiser step."""

    def on_validation(self, run: Run) -> None:
        """Called after each validation, when the history has its new row."""


class BestWeights:
    """Keeps the weights of the best validation."""

    def __init__(self, higher_is_better: bool) -> None:
        self._sign = -1.0 if higher_is_better else 1.0
        self._score = float("inf")
        self._weights: dict[str, Tensor] = {}

    def offer(self, score: float, network: nn.Module) -> bool:
        """Keep the present weights if ``score`` is the best so far; say whether it is."""
        if self._sign * score >= self._score:
            return False
        self._score = self._sign * score
        self._weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
        return True

    def restore(self, network: nn.Module) -> None:
        """Put the best weights back; does nothing before the first validation."""
        if self._weights:
            network.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        return {"score": self._score, "weights": self._weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._score, self._weights = state["score"], state["weights"]


class Averager:
    """Exponential moving average of the weights (Polyak averaging with forgetting).

    Early on, the decay is lowered to ``(1 + n) / (10 + n)`` so that the average forgets the initial weights.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay, self._updates = decay, 0
        self._live: list[Tensor] = [p for p in network.parameters() if p.requires_grad]
        self._mean = [p.detach().clone() for p in self._live] if decay else []

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the present weights."""
        if self._mean:
            self._updates += 1
            decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
            torch._foreach_lerp_(self._mean, self._live, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the network has the averaged weights."""
        if not self._mean:
            yield
            return
        saved = [p.detach().clone() for p in self._live]
        self._copy(self._mean)
        try:
            yield
        finally:
            self._copy(saved)

    @torch.no_grad()
    def _copy(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self._live, values, strict=True):
            parameter.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        return {"updates": self._updates, "mean": self._mean}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._updates = state["updates"]
        for mean, saved in zip(self._mean, state["mean"], strict=True):
            mean.copy_(saved)


class GradientNorms:
    """Mean gradient norm of each layer, sampled every few steps and at least once.

    A layer is a child of the network, or, for a stack, each of its own layers.
    """

    SAMPLE_EVERY = 8  # the norms cost about as much as one small layer's backward pass

    def __init__(self, network: nn.Module) -> None:
        self._layers: dict[str, list[nn.Parameter]] = {}
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                self._layers.setdefault(layer_of(name), []).append(parameter)
        self._sums: dict[str, float] = {}
        self._count = 0

    def record(self, step: int) -> None:
        """Take the present gradients into the means; the first after a ``drain`` is always taken."""
        if self._count and step % self.SAMPLE_EVERY:
            return
        self._count += 1
        for layer, parameters in self._layers.items():
            gradients = [p.grad for p in parameters if p.grad is not None]
            if gradients:
                norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
                self._sums[layer] = self._sums.get(layer, 0.0) + float(norm)

    def drain(self) -> dict[str, float]:
        """The means since the last call."""
        means = {layer: total / max(1, self._count) for layer, total in self._sums.items()}
        self._sums, self._count = {}, 0
        return means


def layer_of(parameter_name: str) -> str:
    """The layer that a parameter belongs to, as the report names it.

    >>> layer_of("body.layers.1.weight_hh_l0"), layer_of("head.out.weight")
    ('layer 2', 'head')
    """
    parts = parameter_name.split(".")
    if "layers" in parts[:-1]:
        number = parts[parts.index("layers") + 1]
        if number.isdigit():
            return f"layer {int(number) + 1}"
    return parts[0]
