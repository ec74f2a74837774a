from __future__ import annotations

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from lamina.data.labelled_texts import LabelledTexts, encode_texts
from lamina.data.vocabulary import Vocabulary
from lamina.tasks.counts import STRENGTH, CountClassifier, cross_fitted

STEMS = ["good film", "bad film", "not bad at all", "not good at all", "a film , a film"]
CODES = {"good film": 0, "bad film": 1, "not bad at all": 0, "not good at all": 1, "a film , a film": 2}


def drawn(n: int, *, classes: int = 3) -> tuple[list[str], np.ndarray]:
    generator = np.random.default_rng(0)
    words = ["the", "one", "and", "film", "plot"]
    stems = [stem for stem in STEMS if CODES[stem] < classes]
    chosen = [stems[i] for i in generator.integers(len(stems), size=n)]
    texts = [f"{stem} {' '.join(generator.choice(words, size=3))}" for stem in chosen]
    return texts, np.array([CODES[stem] for stem in chosen])


def encoded(texts: list[str], labels: np.ndarray, classes: int = 3) -> tuple[LabelledTexts, Vocabulary]:
    words = Vocabulary.fit(texts, unit="word")
    return encode_texts(texts, labels, words, ("a", "b", "c")[:classes]), words


def test_it_is_scikit_learns_tfidf_and_logistic_regression() -> None:
    for classes in (2, 3):
        texts, labels = drawn(80, classes=classes)
        data, words = encoded(texts, labels, classes)
        train = np.arange(60)
        fitted = CountClassifier.fit(data, train, len(words))
        vectorizer = TfidfVectorizer(
            ngram_range=(1, 2), sublinear_tf=True, min_df=2, token_pattern=r"\w+|[^\w\s]+"
        )
        model = LogisticRegression(C=STRENGTH, max_iter=5000, tol=1e-9)
        model.fit(vectorizer.fit_transform(texts[:60]), labels[:60])
        expected = model.predict_log_proba(vectorizer.transform(texts))
        np.testing.assert_allclose(fitted.log_chances(data), expected, atol=2e-3)


def test_a_class_that_is_missing_gets_little_but_something() -> None:
    texts, labels = drawn(60)
    data, words = encoded(texts, labels)
    fitted = CountClassifier.fit(data, np.flatnonzero(labels != 2), len(words))
    chances = np.exp(fitted.log_chances(data))
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert (chances > 0).all()
    assert (chances[:, 2] < chances[:, :2].max(axis=1)).all()


def test_cross_fitted_scores_do_not_know_their_own_text() -> None:
    """With labels drawn at random there is nothing to learn, except by heart."""
    texts = [f"w{i} w{i + 1}" for i in range(200)]
    labels = np.random.default_rng(1).integers(2, size=200)
    data, words = encoded(texts, labels, 2)
    by_heart = CountClassifier.fit(data, np.arange(200), len(words)).log_chances(data)
    assert (by_heart.argmax(axis=1) == labels).mean() > 0.9
    fair = cross_fitted(data, len(words), seed=0)
    assert 0.35 < (fair.argmax(axis=1) == labels).mean() < 0.65


def test_it_comes_back_from_tensors() -> None:
    data, words = encoded(*drawn(40))
    fitted = CountClassifier.fit(data, np.arange(40), len(words))
    again = CountClassifier.from_tensors(fitted.tensors(), len(words))
    np.testing.assert_array_equal(again.log_chances(data), fitted.log_chances(data))
