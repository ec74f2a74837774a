"""Checks of labelled sequences before training."""

from __future__ import annotations

import numpy as np

from lamina.data.labelled import LabelledSequences
from lamina.study.checks import CheckResult


def check_labelled(
    training: LabelledSequences, validation: LabelledSequences, test: LabelledSequences
) -> list[CheckResult]:
    """Every check, in the order of their codes.

    LB01 a sequence of validation or test stands in training too: warn, with how many.
    LB02 a class has no training sequence: fail, with its name.
    """
    return [_duplicates(training, validation, test), _missing_classes(training)]


def _duplicates(
    training: LabelledSequences, validation: LabelledSequences, test: LabelledSequences
) -> CheckResult:
    known = {training[i].tobytes() for i in range(len(training))}
    again = sum(part[i].tobytes() in known for part in (validation, test) for i in range(len(part)))
    evidence: dict[str, float | int | str] = {"duplicates": again}
    if again:
        sentence = f"{again} sequences of the validation and test parts stand in training too; scores flatter"
        return CheckResult("LB01", "warn", evidence, sentence)
    return CheckResult("LB01", "pass", evidence, "no sequence stands in two parts")


def _missing_classes(training: LabelledSequences) -> CheckResult:
    counts = np.bincount(training.labels, minlength=len(training.classes))
    absent = [name for name, count in zip(training.classes, counts, strict=True) if not count]
    evidence: dict[str, float | int | str] = {"absent": len(absent)}
    if absent:
        sentence = f"no training sequence has the class {', '.join(absent)}, so it cannot be learnt"
        return CheckResult("LB02", "fail", evidence, sentence)
    return CheckResult("LB02", "pass", evidence, "every class has training sequences")
