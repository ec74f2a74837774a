"""Classes by counts of words and pairs of words: logistic regression on TF-IDF."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lamina.data.labelled_texts import LabelledTexts

Array = NDArray[np.float64]
STRENGTH = 10.0  # scikit-learn's C
PULL = 10.0  # nats for each half of the squared distance of a weight from a half; not tuned


@dataclass(frozen=True, eq=False)
class CountClassifier:
    """A fitted linear classifier of n-grams, one and two tokens long.

    A feature is 1 + log(count) of an n-gram times its inverse document frequency, each text scaled to norm 1.

    Attributes:
        keys: the n-grams known, sorted, (features,); token a is a, and a pair (a, b) is
            ``(a + 1) * tokens + b``.
        idf: ln((1 + n) / (1 + texts with it)) + 1, (features,).
        weights: (features, classes).
        bias: (classes,).
        tokens: size of the vocabulary.
    """

    keys: NDArray[np.int64]
    idf: Array
    weights: Array
    bias: Array
    tokens: int

    @classmethod
    def fit(cls, data: LabelledTexts, chosen: NDArray[np.int64], tokens: int) -> Self:
        """Fit on some of the texts; n-grams that only one of them has are left out."""
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        rows, grams = _ngrams(data, chosen, tokens)
        pairs = np.unique(np.stack([grams, rows]), axis=1)  # each n-gram once a text
        keys, texts = np.unique(pairs[0], return_counts=True)
        keys, texts = keys[texts > 1], texts[texts > 1]
        idf = np.log((1 + len(chosen)) / (1 + texts)) + 1
        classes = len(data.classes)
        empty = cls(keys, idf, np.zeros((len(keys), classes)), np.zeros(classes), tokens)
        if not len(keys):
            return empty
        # 0.1 s on TREC where the default solver takes 0.6 s, and 8 s of both cores with threads
        model = LogisticRegression(C=STRENGTH, solver="newton-cg", tol=1e-5, max_iter=100)
        with threadpool_limits(1, user_api="blas"):
            model.fit(empty._features(rows, grams, len(chosen)), data.labels[chosen])
        weights, bias = np.zeros((len(keys), classes)), np.full(classes, -np.inf)
        if len(model.classes_) == 2:
            weights[:, model.classes_[1]], bias[model.classes_] = model.coef_[0], [0, model.intercept_[0]]
        else:
            weights[:, model.classes_], bias[model.classes_] = model.coef_.T, model.intercept_
        return cls(keys, idf, weights, np.maximum(bias, bias[model.classes_].min() - 5), tokens)

    def log_chances(self, data: LabelledTexts) -> Array:
        """Log probability of each class, (n, classes)."""
        rows, grams = _ngrams(data, np.arange(len(data)), self.tokens)
        scores: Array = self._features(rows, grams, len(data)) @ self.weights + self.bias
        scores -= scores.max(axis=1, keepdims=True)
        result: Array = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return result

    def _features(self, rows: NDArray[np.int64], grams: NDArray[np.int64], texts: int) -> Any:
        """The sparse matrix (texts, features)."""
        from scipy.sparse import csr_matrix

        places = np.searchsorted(self.keys, grams)
        known = places < len(self.keys)
        known[known] = self.keys[places[known]] == grams[known]
        ones = np.ones(int(known.sum()))
        matrix = csr_matrix((ones, (rows[known], places[known])), shape=(texts, len(self.keys)))
        matrix.sum_duplicates()
        matrix.data = (1 + np.log(matrix.data)) * self.idf[matrix.indices]
        norms = np.sqrt(matrix.multiply(matrix).sum(axis=1)).A1
        matrix.data /= np.repeat(np.maximum(norms, 1e-12), np.diff(matrix.indptr))
        return matrix

    def tensors(self) -> dict[str, Tensor]:
        """All of it, to be saved."""
        arrays = {"keys": self.keys, "idf": self.idf, "weights": self.weights, "bias": self.bias}
        return {name: torch.from_numpy(value) for name, value in arrays.items()}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], tokens: int) -> Self:
        """The inverse of ``tensors``."""
        arrays = {name: value.numpy() for name, value in tensors.items()}
        return cls(arrays["keys"], arrays["idf"], arrays["weights"], arrays["bias"], tokens)


def blend(counts: Array, network: Array, labels: NDArray[np.int64]) -> tuple[float, float]:
    """How much to make of the counts and of a network, where their log probabilities are added.

    The two weights, above zero, give held-out texts the least cross-entropy, with PULL (w - 1/2)^2 / 2 nats
    on each weight w, so that a few texts leave them near a half.

    Args:
        counts: log probability of each class by counts, (n, classes).
        network: that by a network which has learned without them, (n, classes).
        labels: (n,).
    """
    from scipy.optimize import minimize
    from scipy.special import logsumexp

    rows = np.arange(len(labels))

    def cost(weights: Array) -> float:
        scores = weights[0] * counts + weights[1] * network
        nats = logsumexp(scores, axis=1) - scores[rows, labels]
        return float(nats.sum() + 0.5 * PULL * ((weights - 0.5) ** 2).sum())

    found = minimize(cost, np.array([0.5, 0.5]), method="L-BFGS-B", bounds=[(0.0, None)] * 2)
    return float(found.x[0]), float(found.x[1])


def _ngrams(
    data: LabelledTexts, chosen: NDArray[np.int64], tokens: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Position among the chosen texts, and key, of every token and pair of neighbours."""
    texts = [data[int(i)] for i in chosen]
    grams = [np.concatenate([one, (one[:-1] + 1) * tokens + one[1:]]) for one in texts]
    rows = np.repeat(np.arange(len(texts)), [len(keys) for keys in grams])
    return rows, np.concatenate(grams)
