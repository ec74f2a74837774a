"""Drawing the next token from its scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lamina._config import Config


class Sampling(Config):
    """How one of many tokens is drawn.

    Attributes:
        temperature: scores are divided by it.
        top_k: only the k likeliest can be drawn.
        top_p: only the likeliest that together reach this probability can (Holtzman et al. 2020,
            arXiv:1904.09751). Both limits hold where both are given.

    >>> Sampling(top_k=1).draw(np.array([0.1, 3.0, 2.0]), np.random.default_rng(0))
    1
    """

    temperature: float = Field(default=1.0, gt=0)
    top_k: int | None = Field(default=None, ge=1)
    top_p: float | None = Field(default=None, gt=0, le=1)

    def chances(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores (tokens,) -> the chance of each to be drawn, (tokens,)."""
        scaled = (logits - logits.max()) / self.temperature
        chances: NDArray[np.float64] = np.exp(scaled)
        chances /= chances.sum()
        order = np.argsort(-chances, kind="stable")
        kept = len(order) if self.top_k is None else min(self.top_k, len(order))
        if self.top_p is not None:
            reached = int(np.searchsorted(np.cumsum(chances[order]), self.top_p)) + 1
            kept = min(kept, reached)
        chances[order[kept:]] = 0
        chances /= chances.sum()
        return chances

    def draw(self, logits: NDArray[np.float64], generator: np.random.Generator) -> int:
        """The number of one token."""
        return int(generator.choice(len(logits), p=self.chances(logits)))
