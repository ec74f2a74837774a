"""Linear models learned one row at a time, all of them at once.

Two families over one feature vector. Second-order models keep the inverse of the (forgetful) sum of outer
products; first-order models keep a step size a coordinate. Which forgetting rate or step size suits a stream
is not known beforehand, so there is one expert for each, and the aggregation chooses.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lamina.streaming import kernels
from lamina.streaming.state import Stateful

Array = NDArray[np.float64]
Link = Literal["identity", "softmax"]

KEEP = (1.0, 0.9995, 0.998, 0.99)
"""What the second-order experts keep of the past at each row: all of it, or about 2,000, 500 and 100 rows."""

STEPS: dict[Link, tuple[float, ...]] = {
    "identity": (0.003, 0.01, 0.03, 0.1),
    "softmax": (0.03, 0.1, 0.3, 1.0),
}
"""Step sizes of the first-order experts, chosen on streams that no benchmark reports (docs/online.md)."""

_FIRST_SQUARES: dict[Link, float] = {"identity": 1.0, "softmax": 0.01}
_MOST_SECOND_ORDER = 128
"""Features that the second-order experts read; their cost is the square of it."""
_CHECK_ROWS = 32


class LinearExperts(Stateful):
    """``len(KEEP)`` second-order and ``len(STEPS[link])`` first-order linear models.

    Second order (recursive least squares; online Newton for classes), with P = I at first:

        W <- W + P z (y - p)' / (keep + h z'Pz),   P <- (P - h P z z'P / (keep + h z'Pz)) / keep

    where h is 1, or ``2 max p (1 - p)`` for classes, the largest curvature of the log loss in its logits (at
    least 0.02), and errors are cut at 3 (Huber's loss). P is
    not divided by ``keep`` while its trace is above the prior's (looked at every 32 rows), so that
    forgetting never makes a model less sure than it was at the start. First order (AdaGrad), on absolute
    loss (cut to be smooth near 0) or log loss:

        G <- G + g^2,   W <- W - step g / sqrt(G)

    Args:
        features: of the vector z, including one that is always 1.
        outputs: 1 with link "identity", the classes with "softmax".

    Sources: Haykin, Adaptive Filter Theory, ch. 9; Böhning 1992, doi:10.1007/BF00048682, for one P shared by
    all classes; Duchi, Hazan & Singer 2011 (JMLR 12).

    >>> experts = LinearExperts(features=2, outputs=1, link="identity")
    >>> for _ in range(200):
    ...     experts.learn(np.array([1.0, 2.0]), experts.outputs_of(np.array([1.0, 2.0])), np.array([0.5]))
    >>> experts.outputs_of(np.array([1.0, 2.0]))[0].round(2).tolist()
    [0.5]
    """

    kept = ("features", "outputs", "weights", "inverse", "squares", "_forget", "_rows")

    def __init__(self, features: int, outputs: int, link: Link) -> None:
        self.link: Link = link
        self.features = features
        self.outputs = outputs
        self._keep = np.array(KEEP)
        self._forget = self._keep.copy()
        self._steps = np.array(STEPS[link])
        self._rows = 0
        second = min(features, _MOST_SECOND_ORDER)
        self.weights = np.zeros((len(self), outputs, features))
        self.inverse = np.repeat(np.eye(second)[None], len(KEEP), axis=0)
        self.squares = np.full((len(STEPS[link]), outputs, features), _FIRST_SQUARES[link])

    def __len__(self) -> int:
        return len(KEEP) + len(STEPS[self.link])

    @property
    def names(self) -> tuple[str, ...]:
        """What each expert is, in order."""
        return (
            *(f"newton keep={keep:g}" for keep in KEEP),
            *(f"adagrad step={step:g}" for step in STEPS[self.link]),
        )

    def outputs_of(self, z: Array) -> Array:
        """What each expert says of a feature vector: (experts, outputs), probabilities for classes."""
        said = np.empty((len(self), self.outputs))
        kernels.say(self.weights, z, self.link == "softmax", said)
        return said

    def learn(self, z: Array, said: Array, truth: Array) -> None:
        """Learn a row.

        Args:
            z: (features,), as given to ``outputs_of``.
            said: what that returned, (experts, outputs).
            truth: (outputs,), the value, or 1 for the class and 0 for the others.
        """
        kernels.learn(
            self.weights,
            self.inverse,
            self.squares,
            self._keep,
            self._forget,
            self._steps,
            z,
            said,
            truth,
            self.link == "softmax",
        )
        self._rows += 1
        if self._rows % _CHECK_ROWS == 0:
            trace = np.einsum("eii->e", self.inverse)
            self._forget = np.where(trace < self.inverse.shape[1], self._keep, 1.0)

    def grow(self, features: int, outputs: int) -> None:
        """Make room for features and outputs that first appear now; what was learned stays."""
        self.features, self.outputs = features, outputs
        second = min(features, _MOST_SECOND_ORDER)
        room = (outputs, features)
        self.weights = _grown(self.weights, np.zeros((len(self), *room)))
        self.inverse = _grown(self.inverse, np.repeat(np.eye(second)[None], len(KEEP), axis=0))
        self.squares = _grown(self.squares, np.full((len(self._steps), *room), _FIRST_SQUARES[self.link]))

    def widen(self) -> None:
        """Be as ready to move as at the start, from the weights of now: for when the stream has changed."""
        self.inverse[self._keep < 1.0] = np.eye(self.inverse.shape[1])
        self.squares[:] = _FIRST_SQUARES[self.link]

    @property
    def finite(self) -> bool:
        """Whether no expert has run away to infinity."""
        return bool(np.isfinite(self.weights).all() and np.isfinite(self.inverse).all())

    @property
    def nbytes(self) -> int:
        return self.weights.nbytes + self.inverse.nbytes + self.squares.nbytes


def _grown(old: Array, new: Array) -> Array:
    """``new`` with ``old`` in its first corner."""
    new[tuple(slice(0, size) for size in old.shape)] = old
    return new
