"""The methods that a network has to beat on texts: majority, naive Bayes, logistic regression on TF-IDF."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamina.study.baselines import BaselineRun, run_baseline

Array = NDArray[np.float64]
TOKEN = r"\w+|[^\w\s]+"  # as lamina.data.vocabulary cuts words


def run_text_baseline(
    name: str,
    texts: Sequence[str],
    labels: NDArray[np.int64],
    parts: Sequence[Sequence[str]],
    *,
    classes: int,
) -> BaselineRun:
    """Fit one of TEXT_BASELINES and predict each of ``parts``; a failure is an outcome, not an error."""
    from threadpoolctl import threadpool_limits

    model = TEXT_BASELINES[name]()
    with threadpool_limits(1, user_api="blas"):  # on few rows threads wait for one another
        return run_baseline(
            name,
            lambda: model.fit(texts, labels),
            [partial(_chances, model, part, classes) for part in parts],
            [],
        )


def _chances(model: Any, texts: Sequence[str], classes: int) -> Array:
    """(n, classes); zero for a class that training lacked."""
    chances = np.zeros((len(texts), classes))
    chances[:, model.classes_] = model.predict_proba(texts)
    return chances


def _majority() -> Any:
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior")


def _naive_bayes() -> Any:
    """Multinomial, on which words and pairs of words a text has (Wang & Manning 2012, ACL P12-2018)."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.pipeline import make_pipeline

    return make_pipeline(
        CountVectorizer(ngram_range=(1, 2), binary=True, token_pattern=TOKEN), MultinomialNB()
    )


def _tfidf_regression() -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    weighted = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=TOKEN)
    return make_pipeline(weighted, LogisticRegression(C=10, solver="newton-cg", tol=1e-5))


TEXT_BASELINES: dict[str, Callable[[], Any]] = {
    "majority": _majority,
    "naive Bayes": _naive_bayes,
    "TF-IDF regression": _tfidf_regression,
}
