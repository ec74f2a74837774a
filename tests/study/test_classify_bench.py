from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lamina.data.labelled import LabelledSequences, labelled_sequences
from lamina.study.bench import Job, Settings
from lamina.study.classify_bench import ClassifyBench
from lamina.study.space import Design


def part(seed: int, n: int) -> LabelledSequences:
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    arrays = [generator.normal(label, 0.3, (int(generator.integers(3, 9)), 1)) for label in labels]
    return labelled_sequences(arrays, labels.tolist(), classes=("0", "1"))


@pytest.fixture(scope="module")
def bench() -> ClassifyBench:
    return ClassifyBench(part(0, 40), part(1, 16), part(2, 20), path="made up", notes=("a note",))


def test_what_the_record_says_of_the_data(bench: ClassifyBench) -> None:
    assert bench.data.splits == {"train": 40, "validation": 16, "test": 20}
    assert (bench.data.series, bench.data.target, bench.data.notes) == (76, "2 classes", ("a note",))
    assert bench.metric.direction == "higher"
    assert len(bench.layout.series) == 16
    assert len(bench.test_layout.series) == 20
    other = ClassifyBench(part(0, 40), part(1, 16), part(3, 20), path="made up")
    assert other.data.hash != bench.data.hash


def test_a_run_is_scored_saved_and_refitted(bench: ClassifyBench, tmp_path: Path) -> None:
    job = Job(Design(hidden=8), Settings(0.02, 0.0), seed=0, max_steps=60, max_seconds=20.0)
    run = bench.train(replace(job, keep=tmp_path / "model"))
    assert run.outcome == "complete"
    assert run.errors.shape == (16,)
    assert set(run.errors) <= {0.0, 1.0}
    assert run.score == run.errors.mean() > 0.8
    errors = bench.test_errors(tmp_path / "model")
    assert errors.shape == (20,)
    confusion = bench.figures(tmp_path / "model").confusion
    assert confusion is not None
    matrix = np.array(confusion.matrix)
    assert matrix.sum() == 20
    assert np.trace(matrix) == errors.sum()
    assert bench.predict_cost(tmp_path / "model").single_ms > 0
    bench.refit(tmp_path / "model", steps=5, max_seconds=10.0, out=tmp_path / "best")
    assert bench.test_errors(tmp_path / "best").shape == (20,)
