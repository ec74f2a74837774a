"""Recurrent stacks of every depth, learned while the stream runs."""

from __future__ import annotations

import copy
import importlib
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from lamina.errors import ConfigError
from lamina.streaming import kernels
from lamina.streaming.linear import Link
from lamina.streaming.packed import new_model, pack_stack, require_native
from lamina.streaming.state import Stateful

if TYPE_CHECKING:
    from lamina.streaming.recurrent_trainer import Trainer

Array = NDArray[np.float64]

WINDOW_ROWS = 128
"""Rows between two updates, and the length over which errors are propagated back."""

WINDOWS = 32
"""Windows kept to be replayed; with ``WINDOW_ROWS`` they bound what is remembered of the stream."""

_KEY = "stream"


class RecurrentExperts(Stateful):
    """One stack of layers with an output after each, so that every depth from 1 up is an expert.

    The state is carried from row to row in native code. After every ``WINDOW_ROWS`` rows the layers are
    updated once, by back-propagation over the newest window and one that is replayed, each from the state
    that was current when it began. The first window is only watched; what is said until then is 0, or even
    odds. Features that first appear after it are left to the linear experts.

    Args:
        depth: layers, and so experts; 0 for none, and then torch is never loaded.
        seed: of the first weights and of which windows are replayed.

    Raises:
        ConfigError: a negative depth, or layers without units.
        BackendError: the native steps were not built on this machine.

    Sources: an output after each layer, weighed while the stream runs: Sahoo et al. 2018, arXiv:1711.03705;
    windows replayed from stored states: Kapturowski et al. 2019 (R2D2, ICLR).
    """

    def __init__(self, outputs: int, link: Link, *, depth: int, hidden_size: int, seed: int) -> None:
        if depth < 0 or hidden_size < 1:
            raise ConfigError(
                f"depth must be 0 or more and hidden_size 1 or more, but they are {depth} and {hidden_size}"
            )
        if depth:
            require_native()
            # loading torch takes seconds, which nobody expects in the middle of a stream
            importlib.import_module("lamina.streaming.recurrent_trainer")
        self.link: Link = link
        self.outputs = outputs
        self.depth = depth
        self.hidden_size = hidden_size
        self.seed = seed
        self._rows: list[tuple[Array, Array]] = []
        self._trainer: Trainer | None = None
        self._steps: _Steps | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The experts, shallow first."""
        return tuple(f"stack of {layers}" for layers in range(1, self.depth + 1))

    def outputs_of(self, z: Array) -> Array:
        """What each depth says of a row, (depth, outputs); the state stays as it is."""
        if self._steps is not None:
            return self._steps.peek(z, self.link)
        even = 1.0 / self.outputs if self.link == "softmax" and self.outputs else 0.0
        return np.full((self.depth, self.outputs), even)

    @contextmanager
    def ahead(self) -> Iterator[Callable[[Array], None]]:
        """Read rows that have not come yet, by the function that is given; the state comes back after."""
        steps = self._steps
        if steps is None:
            yield lambda _: None
            return
        before = steps.states
        try:
            yield steps.advance
        finally:
            steps.go_back(before)

    def learn(self, z: Array, truth: Array) -> None:
        """Let a row and its truth, (outputs,), become the past; learn when a window is full."""
        if not self.depth:
            return
        if self._steps is not None:
            self._steps.advance(z)
        elif self._rows and len(self._rows[-1][0]) < len(z):
            self._rows.clear()  # what has just appeared is to be read from the start
        self._rows.append((z, truth))
        if len(self._rows) == WINDOW_ROWS:
            self._learn_window()

    def grow(self, outputs: int) -> None:
        """Make room for outputs that first appear now; what was learned stays."""
        if outputs == self.outputs:
            return
        self.outputs = outputs
        if self._trainer is not None:
            self._trainer.grow(outputs)
            self._steps = _Steps.of(self._trainer, self._steps)

    def like_new(self) -> RecurrentExperts:
        """The same experts, without anything learned."""
        return RecurrentExperts(
            self.outputs, self.link, depth=self.depth, hidden_size=self.hidden_size, seed=self.seed
        )

    def _learn_window(self) -> None:
        trainer = self._trainer or self._new_trainer(len(self._rows[0][0]))
        features = np.array([z[: trainer.features] for z, _ in self._rows], dtype=np.float32)
        truths = np.zeros((WINDOW_ROWS, self.outputs), dtype=np.float32)
        for row, (_, truth) in enumerate(self._rows):
            truths[row, : len(truth)] = truth
        self._rows.clear()
        trainer.learn(features, truths)
        self._trainer = trainer
        self._steps = _Steps.of(trainer, self._steps)

    def _new_trainer(self, features: int) -> Trainer:
        from lamina.streaming.recurrent_trainer import Trainer  # loads torch

        return Trainer(
            features,
            self.outputs,
            self.link,
            depth=self.depth,
            hidden_size=self.hidden_size,
            windows=WINDOWS,
            seed=self.seed,
        )

    @override
    def state(self) -> dict[str, Any]:
        return {
            "outputs": self.outputs,
            "rows": [z for z, _ in self._rows],
            "truths": [truth for _, truth in self._rows],
            "trainer": None if self._trainer is None else self._trainer.state(),
            "steps": None if self._steps is None else list(self._steps.states),
        }

    @override
    def take(self, state: Mapping[str, Any]) -> None:
        self.outputs = state["outputs"]
        self._rows = list(zip(state["rows"], state["truths"], strict=True))
        self._trainer = self._steps = None
        if state["trainer"] is not None:
            self._trainer = self._new_trainer(state["trainer"]["features"])
            self._trainer.take(state["trainer"])
            self._steps = _Steps(self._trainer, tuple(state["steps"]))

    def __deepcopy__(self, memo: dict[int, Any]) -> RecurrentExperts:
        """A copy that learns on its own; native steps cannot be copied, and are packed anew."""
        other = self.like_new()
        other._rows = list(self._rows)
        if self._trainer is not None:
            memo |= {id(window): window for window in self._trainer.windows}  # they never change
            other._trainer = copy.deepcopy(self._trainer, memo)
            other._steps = _Steps.of(other._trainer, self._steps)
        return other

    @property
    def finite(self) -> bool:
        """Whether no weight has run away to infinity."""
        return self._trainer is None or self._trainer.finite

    @property
    def nbytes(self) -> int:
        """Bytes of weights, optimiser and windows."""
        return 0 if self._trainer is None else self._trainer.nbytes

    def bound_bytes(self, features: int) -> int:
        """The most that is kept when rows have so many features: all windows, and the rows of one more."""
        if not self.depth:
            return 0
        row, hidden = features + self.outputs, self.hidden_size
        above = (self.depth - 1) * (hidden + hidden + 2)
        weights = 3 * hidden * (features + hidden + 2 + above) + self.depth * self.outputs * (hidden + 1)
        window = WINDOW_ROWS * row + self.depth * hidden
        return (
            4 * (3 * weights + 6 * self.depth + WINDOWS * window + 2 * self.depth * hidden)
            + 8 * WINDOW_ROWS * row
        )


class _Steps:
    """Native steps of each layer, and an output after each."""

    def __init__(self, trainer: Trainer, states: tuple[bytes, ...] | None) -> None:
        native = require_native()
        self._weights = np.array([weight for weight, _ in trainer.heads], dtype=np.float64)
        self._biases = np.array([bias for _, bias in trainer.heads], dtype=np.float64)
        self._unknown = np.full(self._weights.shape[-1], np.nan, np.float32)
        self._peeked: Array | None = None
        self._before: tuple[bytes, ...] = ()
        self._layers = []
        for number, (config, weights) in enumerate(trainer.layers):
            model = new_model("float32")
            inputs = pack_stack(model, config, weights)
            model.finish(inputs)
            layer = native.Session(model, 1, [], [], [], False, np.ascontiguousarray)
            if states is not None:
                layer.load(states[number])
            self._layers.append(layer)
            if number == 0:
                self._inputs = inputs

    @classmethod
    def of(cls, trainer: Trainer, before: _Steps | None) -> _Steps:
        """Steps with the trainer's weights, from the state that other steps had come to."""
        return cls(trainer, None if before is None else before.states)

    @property
    def states(self) -> tuple[bytes, ...]:
        """The state of each layer."""
        self._return()
        return tuple(layer.dump() for layer in self._layers)

    def advance(self, z: Array) -> None:
        """Read a row; one that was just looked at has been read already."""
        if z is self._peeked:
            self._peeked = None
            return
        self._return()
        self._read(z)

    def peek(self, z: Array, link: Link) -> Array:
        """What each output says after a row, (depth, outputs); the row counts as read only if it is learned.

        The layers stay where the row took them, and return when another row comes: most rows are learned
        right after they are predicted, and so are read once.
        """
        self._before = self.states
        hidden = np.array(self._read(z), dtype=np.float64)  # (depth, hidden)
        self._peeked = z
        said = np.empty(self._biases.shape)
        kernels.say_each(self._weights, self._biases, hidden, link == "softmax", said)
        return said

    def go_back(self, states: tuple[bytes, ...]) -> None:
        """Go back to the state of each layer."""
        for layer, state in zip(self._layers, states, strict=True):
            layer.load(state)
        self._peeked = None

    def _return(self) -> None:
        """Go back to where the layers were before a row that was looked at."""
        if self._peeked is not None:
            self.go_back(self._before)

    def _read(self, z: Array) -> list[NDArray[np.float32]]:
        """Each layer's output after a row, (hidden,); the states move on.

        Where weights have run away, what stands on them is NaN, and the watch sees to it.
        """
        below: NDArray[Any] = z[: self._inputs]
        outputs: list[NDArray[np.float32]] = []
        for layer in self._layers:
            sound = not outputs or math.isfinite(below.dot(below))
            below = layer.step(below, _KEY) if sound else self._unknown
            outputs.append(below)
        return outputs
