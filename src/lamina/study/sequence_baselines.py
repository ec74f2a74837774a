"""Methods to beat in the classification of sequences: ridges on summaries and on convolutions."""

# Every baseline takes what any of them needs.
# ruff: noqa: ARG002

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lamina._optional import require
from lamina.data.labelled import LabelledSequences
from lamina.study.baselines import Array, BaselineRun, filled, run_baseline

# Longer sequences are resampled to this for convolutional features, whose memory grows with length.
ROCKET_STEPS = 1_024
ROCKET_LEAST_STEPS = 9
RIDGE_STRENGTHS = np.logspace(-3, 3, 10)


class ClassifyBaseline(Protocol):
    """What every classification baseline offers."""

    notes: list[str]

    def fit(self, train: LabelledSequences, valid: LabelledSequences, *, seed: int) -> None:
        """Learn from ``train``; ``valid`` calibrates the probabilities."""

    def predict_proba(self, data: LabelledSequences) -> Array:
        """(n, classes) probabilities in the order of ``data.classes``."""


def run_classify_baseline(
    name: str,
    train: LabelledSequences,
    valid: LabelledSequences,
    parts: tuple[LabelledSequences, ...],
    *,
    seed: int = 0,
) -> BaselineRun:
    """Fit one of CLASSIFY_BASELINES and predict each of ``parts``; a failure is an outcome, not an error."""
    model = CLASSIFY_BASELINES[name]()
    return run_baseline(
        name,
        lambda: model.fit(train, valid, seed=seed),
        [partial(model.predict_proba, part) for part in parts],
        model.notes,
    )


class Majority:
    """The shares of the classes in training, for every sequence."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def fit(self, train: LabelledSequences, valid: LabelledSequences, *, seed: int) -> None:
        """Count the classes."""
        counts = np.bincount(train.labels[train.labels >= 0], minlength=len(train.classes))
        self._shares = counts / counts.sum()

    def predict_proba(self, data: LabelledSequences) -> Array:
        """(n, classes)."""
        return np.tile(self._shares, (len(data), 1))


class RidgeOnSummaries:
    """Ridge on statistics of each feature (level, spread, extremes, rise, roughness) and the length."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def fit(self, train: LabelledSequences, valid: LabelledSequences, *, seed: int) -> None:
        """Closed form."""
        self._ridge = _CalibratedRidge(
            _summaries(train), train.labels, _summaries(valid), valid.labels, len(train.classes)
        )

    def predict_proba(self, data: LabelledSequences) -> Array:
        """(n, classes)."""
        return self._ridge.predict_proba(_summaries(data))


class Rocket:
    """Ridge on the features of Hydra, random convolutions that compete, of the ROCKET family; by aeon.

    Sequences are standardised by the training mean and deviation of each feature, missing values set to the
    mean, those above 1,024 steps resampled to that by straight lines, and shorter ones padded at the end with
    the mean to the longest of training. Hydra was taken for running on torch: MiniRocket compiles for 43 s on
    its first use (2 cores, aeon 1.6).

    Source: Dempster, Schmidt & Webb 2023, doi:10.1007/s10618-023-00939-3.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []

    def fit(self, train: LabelledSequences, valid: LabelledSequences, *, seed: int) -> None:
        """Draw the convolutions, then closed form."""
        require("aeon", extra="rocket")
        from aeon.transformations.collection.convolution_based import HydraTransformer

        self._mean = np.nanmean(train.values, axis=0)
        deviation = np.nanstd(train.values, axis=0)
        self._deviation = np.where(deviation > 0, deviation, 1.0)
        longest = int(train.lengths.max())
        self._steps = max(ROCKET_LEAST_STEPS, min(longest, ROCKET_STEPS))
        if train.lengths.min() < self._steps:
            self.notes.append(f"sequences padded at the end with the mean to {self._steps} steps")
        if longest > ROCKET_STEPS:
            self.notes.append(f"sequences above {ROCKET_STEPS:,} steps resampled to that")
        self._hydra = HydraTransformer(random_state=seed, output_type="numpy")
        with _TorchAsItWas():
            self._hydra.fit(self._stacked(train, np.arange(min(len(train), 2))))
        self._ridge = _CalibratedRidge(
            self._features(train), train.labels, self._features(valid), valid.labels, len(train.classes)
        )

    def predict_proba(self, data: LabelledSequences) -> Array:
        """(n, classes)."""
        return self._ridge.predict_proba(self._features(data))

    def _features(self, data: LabelledSequences) -> Array:
        size = max(1, 16_000_000 // (512 * self._steps))  # values in one layer of 512 convolutions
        found = []
        for first in range(0, len(data), size):
            chosen = np.arange(first, min(first + size, len(data)))
            counts = np.asarray(self._hydra.transform(self._stacked(data, chosen)), np.float64)
            found.append(np.sqrt(np.maximum(counts, 0)))
        return np.concatenate(found)

    def _stacked(self, data: LabelledSequences, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n, F, steps)."""
        stacked = np.zeros((len(chosen), data.n_features, self._steps), np.float32)
        for place, index in enumerate(chosen):
            sequence = np.nan_to_num((data[index] - self._mean) / self._deviation).T  # (F, T)
            length = sequence.shape[1]
            if length > self._steps:
                at = np.linspace(0, length - 1, self._steps)
                sequence = np.stack([np.interp(at, np.arange(length), row) for row in sequence])
            stacked[place, :, : sequence.shape[1]] = sequence
        return stacked


class _TorchAsItWas:
    """Keeps torch's random state and thread count, which Hydra's fit sets for the whole process."""

    def __enter__(self) -> None:
        import torch

        self._threads, self._random = torch.get_num_threads(), torch.get_rng_state()

    def __exit__(self, *_: object) -> None:
        import torch

        torch.set_num_threads(self._threads)
        torch.set_rng_state(self._random)


class _CalibratedRidge:
    """Ridge classifier; a softmax, its sharpness chosen on the validation part, makes probabilities."""

    def __init__(
        self,
        x: Array,
        labels: NDArray[np.int64],
        valid_x: Array,
        valid_labels: NDArray[np.int64],
        n_classes: int,
    ) -> None:
        from sklearn.linear_model import RidgeClassifierCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self._n_classes = n_classes
        self._model = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=RIDGE_STRENGTHS * x.shape[1]))
        self._model.fit(x, labels)
        scores = self._scores(valid_x)
        sharpnesses = np.logspace(-1, 2, 16)
        likelihoods = [
            np.log(_softmax(s * scores)[np.arange(len(scores)), valid_labels] + 1e-12).mean()
            for s in sharpnesses
        ]
        self._sharpness = float(sharpnesses[int(np.argmax(likelihoods))])

    def predict_proba(self, x: Array) -> Array:
        return _softmax(self._sharpness * self._scores(x))

    def _scores(self, x: Array) -> Array:
        """(n, classes); classes without a training sequence score far below all others."""
        raw = self._model.decision_function(x)
        raw = np.stack([-raw, raw], axis=1) if raw.ndim == 1 else raw
        scores = np.full((len(x), self._n_classes), -1e3)
        scores[:, self._model.classes_] = raw
        return scores


def _softmax(scores: Array) -> Array:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Array = raised / raised.sum(axis=1, keepdims=True)
    return shares


def _summaries(data: LabelledSequences) -> Array:
    """(n, 9 F + 1)."""
    rows = []
    for index in range(len(data)):
        steps = data[index].astype(np.float64)
        filled = np.stack([_filled_or_zero(column) for column in steps.T], axis=1)  # (T, F)
        changes = np.diff(filled, axis=0) if len(filled) > 1 else np.zeros_like(filled)
        facts = [
            filled.mean(axis=0),
            filled.std(axis=0),
            *np.quantile(filled, [0, 0.25, 0.5, 0.75, 1], axis=0),
            filled[-1] - filled[0],
            np.abs(changes).mean(axis=0),
        ]
        rows.append(np.concatenate([*facts, [np.log(len(filled))]]))
    return np.stack(rows)


def _filled_or_zero(column: Array) -> Array:
    return np.zeros(len(column)) if np.isnan(column).all() else filled(column)


CLASSIFY_BASELINES: dict[str, Callable[[], ClassifyBaseline]] = {
    "majority": Majority,
    "summary ridge": RidgeOnSummaries,
    "rocket": Rocket,
}
