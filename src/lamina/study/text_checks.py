"""Checks of labelled texts before training: what parts have in common, and what they lack."""

from __future__ import annotations

from collections.abc import Sequence

from lamina.study.checks import CheckResult
from lamina.study.labelled_checks import Labels, classes_of_parts, missing_classes


def check_texts(
    training: Sequence[str], later: Sequence[str], labels: dict[str, Labels], classes: tuple[str, ...]
) -> list[CheckResult]:
    """Every check, in the order of their codes, which are those of labelled sequences.

    LB01 a text of validation or test stands in training too, but for case and spaces: warn, with how many.
    LB02 a class has no training text: fail, with its name.
    LB04 validation or test holds one class only (fail), or lacks a class it should have (warn).

    Args:
        training: texts of this part.
        later: those of validation and test.
        labels: of all three parts, by name, ``training`` first.
        classes: names of the labels.
    """
    rest = dict(labels)
    learned = rest.pop("training")
    return [
        _duplicates(training, later),
        missing_classes(learned, classes, what="text"),
        classes_of_parts(learned, rest, classes, what="text"),
    ]


def _duplicates(training: Sequence[str], later: Sequence[str]) -> CheckResult:
    known = {_plain(text) for text in training}
    again = sum(_plain(text) in known for text in later)
    evidence: dict[str, float | int | str] = {"duplicates": again}
    if again:
        sentence = (
            f"{again} text{'s' if again > 1 else ''} of the validation and test parts "
            f"stand{'' if again > 1 else 's'} in training too; scores flatter"
        )
        return CheckResult("LB01", "warn", evidence, sentence)
    return CheckResult("LB01", "pass", evidence, "no text stands in two parts")


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
