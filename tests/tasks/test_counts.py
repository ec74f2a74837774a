from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from lamina.data.labelled_texts import LabelledTexts, encode_texts
from lamina.data.vocabulary import Vocabulary
from lamina.tasks.counts import STRENGTH, CountClassifier, blend

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


def logs(right: np.ndarray, sure: float) -> np.ndarray:
    """Of two classes, the first being the label: log chances of a classifier that is so often right."""
    chances = np.where(right, sure, 1 - sure)
    result: np.ndarray = np.log(np.stack([chances, 1 - chances], axis=1))
    return result


def test_what_is_right_more_often_weighs_more() -> None:
    generator = np.random.default_rng(0)
    good, chance = logs(generator.random(2000) < 0.8, 0.8), logs(generator.random(2000) < 0.5, 0.8)
    labels = np.zeros(2000, np.int64)
    counts, network = blend(good, chance, labels)
    assert counts > 0.9
    assert network < 0.1
    assert blend(chance, good, labels) == pytest.approx((network, counts), abs=1e-3)


def test_few_texts_leave_both_near_a_half() -> None:
    one, other = logs(np.array([True]), 0.99), logs(np.array([False]), 0.99)
    counts, network = blend(one, other, np.zeros(1, np.int64))
    assert 0 <= network < 0.5 < counts < 1


def test_the_weights_give_the_least_cross_entropy() -> None:
    generator = np.random.default_rng(1)
    one, other = (logs(generator.random(500) < share, 0.7) for share in (0.8, 0.7))
    labels = np.zeros(500, np.int64)

    def nats(a: float, b: float) -> float:
        scores = a * one + b * other
        return float((np.logaddexp(*scores.T) - scores[:, 0]).sum() + 5 * ((a - 0.5) ** 2 + (b - 0.5) ** 2))

    a, b = blend(one, other, labels)
    around = [(a + x, b + y) for x in (-0.05, 0.05) for y in (-0.05, 0.05)]
    assert all(nats(a, b) < nats(*place) for place in around)


def test_it_comes_back_from_tensors() -> None:
    data, words = encoded(*drawn(40))
    fitted = CountClassifier.fit(data, np.arange(40), len(words))
    again = CountClassifier.from_tensors(fitted.tensors(), len(words))
    np.testing.assert_array_equal(again.log_chances(data), fitted.log_chances(data))
