from __future__ import annotations

import numpy as np

from lamina.data.labelled import LabelledSequences, labelled_sequences
from lamina.study.checks import CheckResult
from lamina.study.labelled_checks import check_labelled


def part(seed: int, labels: list[str], classes: tuple[str, ...] = ("a", "b")) -> LabelledSequences:
    arrays = np.random.default_rng(seed).normal(size=(len(labels), 5, 2))
    return labelled_sequences(arrays, labels, classes=classes)


def by_code(*parts: LabelledSequences) -> dict[str, CheckResult]:
    return {result.code: result for result in check_labelled(*parts)}


def test_sound_parts_pass() -> None:
    found = by_code(part(0, ["a", "b"]), part(1, ["a", "b"]), part(2, ["b", "a"]))
    assert {code: result.outcome for code, result in found.items()} == dict.fromkeys(
        ("LB01", "LB02", "LB03", "LB04", "LB05"), "pass"
    )


def test_a_sequence_in_two_parts_is_counted() -> None:
    training = part(0, ["a", "b", "a"])
    found = by_code(training, training.subset(np.array([1])), training.subset(np.array([0, 2])))
    again = found["LB01"]
    assert (again.outcome, again.evidence["duplicates"]) == ("warn", 3)
    assert "3 sequences" in again.sentence
    assert found["LB03"].outcome == "pass"  # copies are told once


def test_a_class_without_training_sequences_is_named() -> None:
    absent = by_code(part(0, ["a", "a"]), part(1, ["b"]), part(2, ["a"]))["LB02"]
    assert absent.outcome == "fail"
    assert "has the class b," in absent.sentence


def test_windows_that_overlap_by_less_than_a_run_are_not_told_apart_by_luck() -> None:
    """Training holds rows 0 to 99 of a recording, the test part rows 50 to 149 or 100 to 199."""
    rows = np.random.default_rng(3).normal(size=(400, 2)).cumsum(axis=0)
    label = ["a", "b"]

    def cut(begin: int) -> LabelledSequences:
        return labelled_sequences([rows[begin : begin + 100], rows[200 + begin : 300 + begin]], label)

    other = labelled_sequences([np.random.default_rng(i).normal(size=(100, 2)) for i in (8, 9)], label)
    half, none = by_code(cut(0), other, cut(50))["LB03"], by_code(cut(0), other, cut(100))["LB03"]
    assert (half.outcome, half.evidence["share"]) == ("fail", 0.5)
    assert none.outcome == "pass"


def test_a_part_of_one_class_fails_and_a_rare_class_may_be_absent() -> None:
    training = part(0, ["a"] * 60 + ["b"] * 60 + ["c"] * 2, ("a", "b", "c"))
    both = part(1, ["a", "b"] * 10, ("a", "b", "c"))
    assert by_code(training, both, both)["LB04"].outcome == "pass"
    assert by_code(training, both, part(2, ["a"] * 9, ("a", "b", "c")))["LB04"].outcome == "fail"
    lacking = by_code(training, part(3, ["a", "c"] * 10, ("a", "b", "c")), both)["LB04"]
    assert (lacking.outcome, lacking.evidence["part"]) == ("warn", "validation")


def test_a_group_in_two_parts_is_named() -> None:
    def people(names: list[str], seed: int) -> LabelledSequences:
        arrays = np.random.default_rng(seed).normal(size=(len(names), 5, 2))
        return labelled_sequences(arrays, ["a", "b"] * (len(names) // 2), groups=names)

    training = people(["ann", "bob"], 0)
    assert by_code(training, people(["cy", "cy"], 1), people(["di", "ed"], 2))["LB05"].outcome == "pass"
    both = by_code(training, people(["cy", "cy"], 1), people(["bob", "ed"], 2))["LB05"]
    assert (both.outcome, both.evidence["groups"]) == ("fail", 1)
    assert "'bob'" in both.sentence
    nameless = by_code(training, people(["cy", "cy"], 1), part(2, ["a", "b"]))["LB05"]
    assert (nameless.outcome, nameless.evidence) == ("warn", {"without groups": "test"})
    assert nameless.sentence.startswith("the test part names no groups")
