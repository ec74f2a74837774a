"""What the online learners share: the vector of features, the group of models, and their weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamina.streaming.aggregate import FixedShare, Floor
from lamina.streaming.linear import LinearExperts, Link
from lamina.streaming.recurrent_learner import RecurrentExperts
from lamina.streaming.state import Stateful

Array = NDArray[np.float64]

SHARE = 0.01
"""What the mixture shares among all experts after each row."""

_PRIOR_OF_NO_CHANGE = 0.5


class Layout(Stateful):
    """Where in the vector each block of features stands; what is new is appended.

    >>> layout = Layout()
    >>> layout.vector(np.array([2.0]), np.array([5.0])).tolist()
    [1.0, 2.0, 5.0]
    >>> layout.vector(np.array([2.0, 3.0]), np.array([5.0])).tolist()
    [1.0, 2.0, 5.0, 3.0]
    """

    kept = ("size", "_feedback", "_inputs")

    def __init__(self) -> None:
        self.size = 1
        self._feedback = np.zeros(0, np.int64)
        self._inputs = np.zeros(0, np.int64)

    def vector(self, feedback: Array, inputs: Array) -> Array:
        """The features (size,): 1, the feedback and the inputs, wherever they stand."""
        self._feedback = self._extended(self._feedback, len(feedback))
        self._inputs = self._extended(self._inputs, len(inputs))
        z = np.empty(self.size)
        z[0] = 1.0
        z[self._feedback] = feedback
        z[self._inputs] = inputs
        return z

    def _extended(self, places: NDArray[np.int64], length: int) -> NDArray[np.int64]:
        new = length - len(places)
        if not new:
            return places
        self.size += new
        return np.append(places, np.arange(self.size - new, self.size))


@dataclass(frozen=True)
class Said:
    """What the models said of a row, and what they need to learn it."""

    z: Array
    linear: Array  # (linear experts, outputs)
    recurrent: Array  # (depths, outputs)

    def state(self) -> dict[str, Any]:
        """The arrays by name."""
        return {"z": self.z, "linear": self.linear, "recurrent": self.recurrent}


class Models(Stateful):
    """The linear and the recurrent experts over one vector of features.

    Args:
        link: "identity" for one number, "softmax" for classes.
        depth: recurrent stacks of 1 to so many layers; 0 for none, and then torch is not loaded.
        hidden_size: units of each layer.
        seed: of their first weights.
    """

    kept = ("linear", "recurrent")

    def __init__(self, link: Link, outputs: int, *, depth: int, hidden_size: int, seed: int) -> None:
        self.linear = LinearExperts(1, outputs, link)
        self.recurrent = RecurrentExperts(outputs, link, depth=depth, hidden_size=hidden_size, seed=seed)

    @property
    def names(self) -> tuple[str, ...]:
        """What each is, linear first."""
        return (*self.linear.names, *self.recurrent.names)

    def fit_sizes(self, features: int, outputs: int) -> None:
        """Make room for features and outputs that are new."""
        if (features, outputs) != (self.linear.features, self.linear.outputs):
            self.linear.grow(features, outputs)
            self.recurrent.grow(outputs)

    def say(self, z: Array) -> Said:
        """What each says of a vector of features."""
        return Said(z, self.linear.outputs_of(z), self.recurrent.outputs_of(z))

    def learn(self, said: Said, truth: Array) -> None:
        """Learn a row; features and outputs that were not there when it was predicted count as 0."""
        if len(said.z) != self.linear.features or said.linear.shape[1] != self.linear.outputs:
            z = np.zeros(self.linear.features)
            z[: len(said.z)] = said.z
            linear = np.zeros((len(self.linear), self.linear.outputs))
            linear[:, : said.linear.shape[1]] = said.linear
        else:
            z, linear = said.z, said.linear
        self.linear.learn(z, linear, truth)
        self.recurrent.learn(z, truth)

    def like_new(self) -> Models:
        """Models of the same sizes, without anything learned."""
        recurrent = self.recurrent
        other = Models(
            recurrent.link,
            recurrent.outputs,
            depth=recurrent.depth,
            hidden_size=recurrent.hidden_size,
            seed=recurrent.seed,
        )
        other.fit_sizes(self.linear.features, self.linear.outputs)
        return other

    @property
    def finite(self) -> bool:
        """Whether no model has run away to infinity."""
        return self.linear.finite and self.recurrent.finite

    @property
    def nbytes(self) -> int:
        """Bytes of what is learned; without the rows of the window that is not full yet."""
        return self.linear.nbytes + self.recurrent.nbytes

    @property
    def bound_bytes(self) -> int:
        """The most that the models can come to with the features and outputs of now."""
        return self.linear.nbytes + self.recurrent.bound_bytes(self.linear.features)


def mixture_of(experts: int) -> FixedShare:
    """A mixture that starts with half its weight on the trivial rule, which is first, and the rest even."""
    prior = np.full(experts, (1 - _PRIOR_OF_NO_CHANGE) / (experts - 1))
    prior[0] = _PRIOR_OF_NO_CHANGE
    return FixedShare(prior, SHARE)


def shares_of(names: Sequence[str], mixture: FixedShare, floor: Floor) -> dict[str, float]:
    """Expert -> its share in what the learner says."""
    shares = (1.0 - floor.weight) * mixture.weights
    shares[0] += floor.weight
    return dict(zip(names, shares.tolist(), strict=True))
