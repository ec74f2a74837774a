"""Weights over experts that are learned while the stream runs, with bounds on what that costs.

Two small algorithms, one upon the other. ``FixedShare`` follows the best expert, also where which one is best
changes. ``Floor`` stands between its forecast and that of the trivial rule, so that what the learner loses
against the trivial rule is bounded by a constant, however bad the experts are.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lamina.streaming import kernels
from lamina.streaming.state import Stateful

Array = NDArray[np.float64]


class FixedShare(Stateful):
    """Exponential weights that share a little of each weight with all experts after every row.

        w_i <- w_i exp(-eta loss_i) / Z,   then   w <- (1 - share) w + share prior

    With log loss and eta = 1 the mixture's log loss over n rows is at most that of the best sequence of
    experts with m switches, plus ``-log prior(first) - sum log(share prior(switch)) - (n - m - 1) log(1 -
    share)``.
    Source: Herbster & Warmuth 1998, doi:10.1023/A:1007424614876, theorem 4 with eta = 1.

    Args:
        prior: (experts,) positive, sums to 1.
        share: between 0 and 1.

    >>> mixture = FixedShare(np.array([0.5, 0.5]), share=0.01)
    >>> for _ in range(20):
    ...     mixture.learn(np.array([0.0, 1.0]))
    >>> bool(mixture.weights[0] > 0.99)
    True
    """

    kept = ("weights",)

    def __init__(self, prior: Array, share: float) -> None:
        self.prior = prior
        self.share = share
        self.weights = prior.copy()

    def learn(self, losses: Array) -> None:
        """Weigh by one row's losses, (experts,), each already multiplied by eta."""
        kernels.share_weights(self.weights, self.prior, losses, self.share)

    def soften(self, share: float) -> None:
        """Share more, once: what to do when the stream has changed."""
        self.weights = (1.0 - share) * self.weights + share * self.prior


class Floor(Stateful):
    """How much to trust a learner A over the trivial rule B, by (A,B)-Prod.

        w_A <- w_A (1 + eta d),   d = (loss_B - loss_A) / limit, cut to [-1, 1]

    normalised with w_B, which the row leaves alone; then ``w <- (1 - share) w + share / 2``. For losses that
    are convex in the forecast and differ by at most ``limit``, the mixed forecast over any n rows loses
    against B no more than ``regret_bound(n)``. Source: Sani, Neu & Lazaric 2014 ("Exploiting easy data in
    online optimization", NeurIPS 27), theorem 2, for share = 0; the share is ours and makes it hold from any
    row on.

    Args:
        limit: the largest difference of losses in one row.
        start: the first weight of the trivial rule.
        eta: at most 1/2.
        share: what both weights are kept above, times two.
    """

    kept = ("weight",)

    def __init__(
        self, *, limit: float = 1.0, start: float = 0.8, eta: float = 0.5, share: float = 0.001
    ) -> None:
        self.limit = limit
        self.start = start
        self.eta = eta
        self.share = share
        self.weight = start

    def learn(self, loss: float, trivial_loss: float) -> None:
        """Weigh by one row's loss of the learner and of the trivial rule."""
        gain = min(max((trivial_loss - loss) / self.limit, -1.0), 1.0)
        trivial = self.weight / (self.weight + (1.0 - self.weight) * (1.0 + self.eta * gain))
        self.weight = (1.0 - self.share) * trivial + self.share / 2

    def regret_bound(self, rows: int, *, from_start: bool = True) -> float:
        """The most that the mixed forecast may lose against the trivial rule over so many rows.

        >>> round(Floor(share=0.0).regret_bound(10_000), 3)    # a constant, whatever the rows
        0.446
        """
        first = self.start if from_start else self.share / 2
        return self.limit * (math.log(1 / first) - rows * math.log1p(-self.share)) / self.eta
