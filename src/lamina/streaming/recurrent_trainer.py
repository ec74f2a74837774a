"""The half of the recurrent experts that needs torch: the layers' parameters, and one update of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from lamina.nn.stack import Stack, StackConfig
from lamina.streaming.linear import Link
from lamina.streaming.packed import Weights

LEARNING_RATE = 0.01
REPLAYED = 1
"""Old windows beside the newest in each update."""

LARGEST_GRADIENT = 1.0


@dataclass(frozen=True, eq=False)
class Window:
    """Consecutive rows to learn from.

    Attributes:
        features: (rows, features).
        truths: (rows, outputs); fewer outputs than now where some were not yet known.
        states: of each layer before the first row, (1, hidden).
    """

    features: NDArray[np.float32]
    truths: NDArray[np.float32]
    states: tuple[Tensor, ...]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch on one thread: the threads of networks this small spend five times the work on waiting."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Trainer:
    """Layers of gated recurrent units with an output after each, and Adam.

    Args:
        features: numbers in a row.
        outputs: after each layer; 1 for link "identity".
        windows: kept to be replayed.
        seed: of the first weights and of which windows are replayed.
    """

    def __init__(
        self,
        features: int,
        outputs: int,
        link: Link,
        *,
        depth: int,
        hidden_size: int,
        windows: int,
        seed: int,
    ) -> None:
        self.link = link
        self.features = features
        self.outputs = outputs
        self._most_windows = windows
        self.windows: list[Window] = []
        self._random = np.random.default_rng(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            sizes = [features] + [hidden_size] * (depth - 1)
            self._layers = [
                Stack(StackConfig(cell="gru", input_size=size, hidden_sizes=(hidden_size,))) for size in sizes
            ]
        self._heads = [_head(hidden_size, outputs) for _ in range(depth)]
        self._optimiser = self._new_optimiser()
        self._states = tuple(torch.zeros(1, hidden_size) for _ in range(depth))

    @_one_thread()
    def learn(self, features: NDArray[np.float32], truths: NDArray[np.float32]) -> None:
        """One step of descent on the newest rows and some replayed windows of as many.

        Args:
            features: (rows, features), those after the last call's.
            truths: (rows, outputs).
        """
        newest = Window(features, truths, self._states)
        old = len(self.windows)
        picked = self._random.choice(old, size=min(REPLAYED, old), replace=False)
        chosen = [newest, *(self.windows[number] for number in picked)]
        self.windows = [*self.windows[1 - self._most_windows :], newest]
        x = torch.from_numpy(np.stack([window.features for window in chosen]))  # (batch, rows, features)
        y = torch.zeros(*x.shape[:2], self.outputs)
        for row, window in enumerate(chosen):
            y[row, :, : window.truths.shape[1]] = torch.from_numpy(window.truths)
        loss = torch.zeros(())
        after = []
        self._optimiser.zero_grad()
        for depth, (layer, head) in enumerate(zip(self._layers, self._heads, strict=True)):
            before = torch.cat([window.states[depth] for window in chosen])  # (batch, hidden)
            x, (((state,),),) = layer(x, (((before,),),))
            after.append(state[:1].detach())
            loss = loss + self._loss(head(x), y)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        nn.utils.clip_grad_norm_(self._parameters(), LARGEST_GRADIENT)
        self._optimiser.step()
        self._states = tuple(after)

    def grow(self, outputs: int) -> None:
        """Make room for outputs that first appear now; the optimiser starts anew."""
        self.outputs = outputs
        for number, head in enumerate(self._heads):
            wider = _head(head.in_features, outputs)
            with torch.no_grad():
                wider.weight[: head.out_features] = head.weight
                wider.bias[: head.out_features] = head.bias
            self._heads[number] = wider
        self._optimiser = self._new_optimiser()

    def state(self) -> dict[str, Any]:
        """Weights, the optimiser's moments, the windows, and where the draws of windows stand."""
        return {
            "features": self.features,
            "outputs": self.outputs,
            "weights": [parameter.detach().numpy() for parameter in self._parameters()],
            "optimiser": {
                str(number): {name: value.numpy() for name, value in moments.items()}
                for number, moments in self._optimiser.state_dict()["state"].items()
            },
            "windows": [
                [window.features, window.truths, *(state.numpy() for state in window.states)]
                for window in self.windows
            ],
            "random": self._random.bit_generator.state,
            "states": [state.numpy() for state in self._states],
        }

    def take(self, state: Mapping[str, Any]) -> None:
        """Go on from a state of a trainer with as many features and layers."""
        if state["outputs"] != self.outputs:
            self.grow(state["outputs"])
        with torch.no_grad():
            for parameter, value in zip(self._parameters(), state["weights"], strict=True):
                parameter.copy_(torch.from_numpy(value))
        moments = {
            int(number): {name: torch.from_numpy(value) for name, value in each.items()}
            for number, each in state["optimiser"].items()
        }
        groups = self._optimiser.state_dict()["param_groups"]
        self._optimiser.load_state_dict({"state": moments, "param_groups": groups})
        self.windows = [
            Window(features, truths, tuple(torch.from_numpy(each) for each in states))
            for features, truths, *states in state["windows"]
        ]
        self._random.bit_generator.state = state["random"]
        self._states = tuple(torch.from_numpy(each) for each in state["states"])

    @property
    def layers(self) -> list[tuple[dict[str, object], Weights]]:
        """Configuration and weights of each layer, as ``packed.pack_stack`` reads them."""
        return [
            (layer.config.model_dump(), {name: value.numpy() for name, value in layer.state_dict().items()})
            for layer in self._layers
        ]

    @property
    def heads(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Weight (outputs, hidden) and bias (outputs,) after each layer."""
        return [(head.weight.detach().numpy(), head.bias.detach().numpy()) for head in self._heads]

    @property
    def finite(self) -> bool:
        """Whether no weight has run away to infinity."""
        return all(bool(parameter.isfinite().all()) for parameter in self._parameters())

    @property
    def nbytes(self) -> int:
        """Bytes of the weights, Adam's two moments of each, and the windows."""
        weights = sum(parameter.nbytes for parameter in self._parameters())
        return 3 * weights + sum(
            window.features.nbytes + window.truths.nbytes + sum(state.nbytes for state in window.states)
            for window in self.windows
        )

    def _parameters(self) -> list[nn.Parameter]:
        return [parameter for module in (*self._layers, *self._heads) for parameter in module.parameters()]

    def _new_optimiser(self) -> torch.optim.Adam:
        return torch.optim.Adam(self._parameters(), lr=LEARNING_RATE, fused=True)

    def _loss(self, said: Tensor, truth: Tensor) -> Tensor:
        """Mean over rows: log loss, or the absolute error, smooth near 0."""
        if self.link == "identity":
            return F.smooth_l1_loss(said, truth)
        return F.cross_entropy(said.flatten(0, 1), truth.flatten(0, 1))


def _head(inputs: int, outputs: int) -> nn.Linear:
    """A linear map that starts at zero, so that an untrained expert says nothing."""
    head = nn.Linear(inputs, outputs)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head
