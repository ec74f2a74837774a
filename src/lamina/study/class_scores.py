"""What all studies of classes share: their metric, their independent cases, methods to beat, confusions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lamina.study.baselines import BaselineRun
from lamina.study.bench import Array, Trivial
from lamina.study.scores import Layout
from lamina.study.verdict import Confusion, Figures, Metric
from lamina.tasks.classify import case_scores

Labels = NDArray[np.int64]


def accuracy_of(what: str) -> Metric:
    """The share of cases named right."""
    return Metric(name="accuracy", unit=f"share of {what}", direction="higher")


def independent(cases: int) -> Layout:
    """One block each."""
    return Layout(series=np.zeros(cases, dtype=np.int64), block_windows=1)


def mean_score(errors: Array) -> float:
    """NaN where there is none."""
    return float(np.nanmean(errors)) if np.isfinite(errors).any() else float("nan")


def trivial_of(run: BaselineRun, validation: Labels, test: Labels, classes: int) -> Trivial:
    """A method to beat, scored on the validation part; its predictions for both parts are in the run."""
    first, second = run.predictions or (np.zeros((0, classes)),) * 2
    return Trivial(
        id=run.name,
        validation=case_scores("accuracy", validation, first) if run.predictions else np.zeros(0),
        test_prediction=second,
        train_s=run.train_s,
        predict_ms=1000 * run.predict_s / max(1, len(validation) + len(test)),
        note="; ".join(dict.fromkeys(run.notes)),
        failed=run.reason,
    )


def confusion(labels: Labels, predicted: Labels, classes: tuple[str, ...]) -> Figures:
    """How often each class was named as each."""
    matrix = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(matrix, (labels, predicted), 1)
    return Figures(confusion=Confusion(classes=classes, matrix=tuple(tuple(row.tolist()) for row in matrix)))
