from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from lamina.errors import ConfigError, DataError
from lamina.estimators.bert_classifier import BertClassifier
from lamina.estimators.load import load
from lamina.estimators.text_classifier import TextClassifier
from lamina.estimators.text_parts import Texts
from lamina.study.bench import Job, Settings
from lamina.study.space import Design
from lamina.study.text_bench import TextBench, text_bench
from lamina.tasks.bert import SMALL_BERT

CLASSES = ("later", "sooner")
BERT = Design(transformer=True, bert=SMALL_BERT)


def part(seed: int, n: int) -> Texts:
    """Which of two words comes first, which no count of words can tell; fillers keep pairs from telling."""
    generator = np.random.default_rng(seed)
    texts, labels = [], np.arange(n) % 2
    for label in labels:
        words = generator.choice(["and", "so", "it", "was"], size=6).tolist()
        words[1], words[4] = ("night", "day") if label else ("day", "night")
        texts.append(" ".join(words))
    return texts, labels.astype(np.int64)


def make(bert: str = "", **changes: Texts) -> TextBench:
    parts = {"training": part(0, 120), "validation": part(1, 40), "test": part(2, 30)} | changes
    return TextBench(**parts, classes=CLASSES, path="made up", notes=("a note",), bert=bert)


@pytest.fixture(scope="module")
def bench() -> TextBench:
    return make(SMALL_BERT)


def test_what_the_record_says_of_the_data(bench: TextBench) -> None:
    assert bench.data.splits == {"train": 120, "validation": 40, "test": 30}
    assert (bench.data.series, bench.data.rows, bench.data.target) == (190, 120 * 6, "2 classes")
    assert (bench.metric.unit, bench.metric.direction) == ("share of texts", "higher")
    assert (len(bench.layout.series), len(bench.test_layout.series)) == (40, 30)
    assert make().data.hash == bench.data.hash
    assert make(test=part(3, 30)).data.hash != bench.data.hash


@pytest.mark.parametrize("design", [Design(hidden=16), BERT], ids=["lstm", "bert"])
def test_a_run_is_scored_saved_and_refitted(bench: TextBench, design: Design, tmp_path: Path) -> None:
    settings = Settings(0.02 * design.rate_scale, 0.0)
    job = Job(design, settings, seed=0, max_steps=120, max_seconds=60.0, keep=tmp_path / "model")
    run = bench.train(job)
    assert run.outcome == "complete"
    assert run.errors.shape == (40,)
    assert run.score == run.errors.mean()
    if not design.bert:
        assert run.score > 0.9
    errors = bench.test_errors(tmp_path / "model")
    assert set(errors) <= {0.0, 1.0}
    confusion = bench.figures(tmp_path / "model").confusion
    assert confusion is not None
    assert np.trace(np.array(confusion.matrix)) == errors.sum()
    cost = bench.predict_cost(tmp_path / "model")
    assert cost.single_ms > 0
    assert cost.step_us is None
    bench.refit(tmp_path / "model", steps=120, max_seconds=60.0, out=tmp_path / "best")
    chosen, best = (load(tmp_path / name) for name in ("model", "best"))
    assert isinstance(chosen, TextClassifier | BertClassifier)
    assert isinstance(best, TextClassifier | BertClassifier)
    assert best.network_.shares.tolist() == chosen.network_.shares.tolist()  # found before they were learned
    assert 0 < float(chosen.network_.shares[0]) != 0.5
    assert bench.test_errors(tmp_path / "best").shape == (30,)


def test_repeats_see_samples_and_shares_of_the_training_texts(bench: TextBench) -> None:
    job = Job(Design(hidden=8), Settings(0.02, 0.0), seed=0, max_steps=3, max_seconds=20.0)
    runs = [
        bench.train(one)
        for one in (job, replace(job, resample=True), replace(job, design=Design(hidden=8, rows=0.25)))
    ]
    assert len({tuple(run.history["train_loss"]) for run in runs}) == 3
    assert bench.train(job).history["train_loss"] == runs[0].history["train_loss"]
    assert bench._prepared(Design(rows=0.25)).training.labels.tolist().count(0) == 15


def test_methods_to_beat_are_scikit_learns(bench: TextBench) -> None:
    methods = {method.id: method for method in bench.trivial(10.0, 0)}
    assert list(methods) == ["majority", "naive Bayes", "TF-IDF regression"]
    assert methods["majority"].validation.mean() == 0.5
    texts, labels = part(0, 120)
    features = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+|[^\w\s]+")
    model = LogisticRegression(C=10, max_iter=5000, tol=1e-9).fit(features.fit_transform(texts), labels)
    expected = model.predict_proba(features.transform(part(2, 30)[0]))
    np.testing.assert_allclose(methods["TF-IDF regression"].test_prediction, expected, atol=1e-4)
    assert not [method.failed for method in methods.values() if method.failed]
    assert bench.trivial_test_errors(methods["majority"]).shape == (30,)


def test_faults_of_the_data_are_found() -> None:
    def outcomes(bench: TextBench) -> dict[str, str]:
        return {check.code: check.outcome for check in bench.checks()}

    again = (["  " + part(0, 120)[0][0].upper(), *part(1, 40)[0][1:]], part(1, 40)[1])
    assert outcomes(make(validation=again))["LB01"] == "warn"
    texts, labels = part(0, 60)
    alone = [text for text, label in zip(texts, labels, strict=True) if label]
    assert outcomes(make(test=(alone, np.ones(len(alone), dtype=np.int64))))["LB04"] == "fail"


def written(path: Path, texts: Texts) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [("review", "stars"), *((t, CLASSES[c]) for t, c in zip(*texts, strict=True))]
        )
    return path


def test_a_file_is_cut_into_parts_of_like_shares(tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", part(0, 100))
    bench, facts = text_bench(file, text="review", label="stars", test=None, seed=0, bert="")
    assert bench.data.splits == {"train": 64, "validation": 16, "test": 20}
    assert facts[:2] == ("100 texts", "2 classes")
    test = written(tmp_path / "b.csv", part(1, 10))
    bench, _ = text_bench(file, text="review", label="stars", test=test, seed=0, bert="")
    assert bench.data.splits == {"train": 80, "validation": 20, "test": 10}


def test_mistakes_are_told(tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", part(0, 100))

    def read(**changes: object) -> None:
        options = {"text": "review", "label": "stars", "test": None, "seed": 0, "bert": ""} | changes
        text_bench(file, **options)  # type: ignore[arg-type]  # options of tests

    with pytest.raises(ConfigError, match="name both columns"):
        read(label=None)
    with pytest.raises(DataError, match="no 'star'; did you mean 'stars'"):
        read(label="star")
    with pytest.raises(ConfigError, match="there is no folder 'bert-base'"):
        read(bert="bert-base")
    (tmp_path / "b.csv").write_text("review,stars\nday,never\n", encoding="utf-8")
    with pytest.raises(DataError, match="has 'never'; the data have later, sooner"):
        read(test=tmp_path / "b.csv")
