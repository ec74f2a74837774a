"""The planted tasks are what they say, checked without training where that is possible."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from lamina.study.bench import Job, Settings
from lamina.study.space import Design


def test_every_task_has_both_classes_in_like_shares(planted: ModuleType) -> None:
    for name, task in planted.TASKS.items():
        x, labels = task.make(400, np.random.default_rng(0))
        assert len(x) == len(labels) == 400, name
        assert 0.35 < labels.mean() < 0.65, name


def test_the_query_names_the_bit_that_counts(planted: ModuleType) -> None:
    for ahead, first, place in ((True, 1, 0), (False, 0, 8)):
        x, labels = planted.query(50, np.random.default_rng(1), ahead=ahead)
        asked = x[:, place, 2:].argmax(axis=1)
        assert (x[np.arange(50), first + asked, 0] == labels).all()
        assert (x[:, place, 1] == 1).all()


def test_the_last_pulse_of_the_latch_is_eight_steps_ago_or_more(planted: ModuleType) -> None:
    x, labels = planted.latch(200, np.random.default_rng(2))
    assert np.abs(x[:, -8:]).max() < 3.0
    loud = x[:, :, :2] > 2.2
    last = [np.argwhere(rows)[-1] for rows in loud]
    assert np.mean([kind == label for (_, kind), label in zip(last, labels, strict=True)]) > 0.99


def test_copies_differ_in_their_label_and_seed_alone(planted: ModuleType) -> None:
    bench = planted.bench_of("copies", 0)
    job = Job(Design(hidden=4, layers=8), Settings(0.01, 0.0), seed=1, max_steps=5, max_seconds=20.0)
    eight = bench.train(job)
    assert eight.design == "lstm-8-forward-4units"
    one = bench.train(Job(Design(hidden=4), Settings(0.01, 0.0), seed=1, max_steps=5, max_seconds=20.0))
    assert eight.parameters == one.parameters
    assert eight.history["train_loss"] != one.history["train_loss"]


def test_a_wrong_answer_an_open_one_and_a_right_one(planted: ModuleType) -> None:
    def said(answer: str, status: str, failing: list[str] | None = None) -> object:
        return planted.Answer(answer, status, "", failing or [], 0, 0.0)

    assert planted.verdict_on("markov", said("2", "decided"), {"answer": "1"}) == "wrong"
    assert planted.verdict_on("markov", said("2", "undecided"), {"answer": "1"}) == "open"
    assert planted.verdict_on("markov", said("1", "tie"), {"answer": "1"}) == "right"
    assert planted.verdict_on("copies", said("3", "decided"), {"answer": "1"}) == "wrong"
    assert planted.verdict_on("copies", said("1", "undecided"), {"answer": "1"}) == "right"
    truth = {"answer": "1", "failing": ["8"]}
    assert planted.verdict_on("collapse", said("1", "decided"), truth) == "wrong"
    assert planted.verdict_on("collapse", said("1", "decided", ["8"]), truth) == "right"
