from __future__ import annotations

import numpy as np

from lamina.data.labelled import LabelledSequences, labelled_sequences
from lamina.study.labelled_checks import check_labelled


def part(seed: int, labels: list[str], classes: tuple[str, ...] = ("a", "b")) -> LabelledSequences:
    arrays = np.random.default_rng(seed).normal(size=(len(labels), 5, 2))
    return labelled_sequences(arrays, labels, classes=classes)


def test_sound_parts_pass() -> None:
    found = check_labelled(part(0, ["a", "b"]), part(1, ["a"]), part(2, ["b"]))
    assert [(check.code, check.outcome) for check in found] == [("LB01", "pass"), ("LB02", "pass")]


def test_a_sequence_in_two_parts_is_counted() -> None:
    training = part(0, ["a", "b", "a"])
    again, _ = check_labelled(training, training.subset(np.array([1])), training.subset(np.array([0, 2])))
    assert (again.code, again.outcome, again.evidence["duplicates"]) == ("LB01", "warn", 3)
    assert "3 sequences" in again.sentence


def test_a_class_without_training_sequences_is_named() -> None:
    _, absent = check_labelled(part(0, ["a", "a"]), part(1, ["b"]), part(2, ["a"]))
    assert (absent.code, absent.outcome) == ("LB02", "fail")
    assert "has the class b," in absent.sentence
