"""Checks of labelled sequences before training: what parts have in common, and what they lack."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lamina.data.labelled import LabelledSequences
from lamina.study.checks import CheckResult
from lamina.study.stretches import shape, shared_runs

Sequence = NDArray[np.float32]
Labels = NDArray[np.int64]

# A run of rows is long enough to be told from any other at this many values, features counted.
RUN_VALUES = 32
LEAST_RUN = 4
# Windows cut with an overlap and then drawn at random share rows nearly always; chance never does.
OVERLAPPING = 0.05
# A part lacks a class by more than chance where this many of its sequences were to be expected.
EXPECTED = 5.0


def check_labelled(
    training: LabelledSequences, validation: LabelledSequences, test: LabelledSequences
) -> list[CheckResult]:
    """Every check, in the order of their codes.

    LB01 a sequence of validation or test stands in training too, at whatever scale: warn, with how many.
    LB02 a class has no training sequence: fail, with its name.
    LB03 sequences of validation or test overlap with those of training, as windows of one recording do: fail.
    LB04 validation or test holds one class only (fail), or lacks a class it should have (warn).
    LB05 a group lies in training and in another part (fail), or a part names no groups (warn).
    """
    later = {"validation": validation, "test": test}
    asked = [part[i] for part in later.values() for i in range(len(part))]
    known = [training[i] for i in range(len(training))]
    again = _again(known, asked)
    return [
        _duplicates(int(again.sum())),
        missing_classes(training.labels, training.classes),
        _overlaps(known, [sequence for sequence, copy in zip(asked, again, strict=True) if not copy]),
        classes_of_parts(
            training.labels, {name: part.labels for name, part in later.items()}, training.classes
        ),
        _split_groups(training, later),
    ]


def _again(known: list[Sequence], asked: list[Sequence]) -> NDArray[np.bool_]:
    """(asked,) whether a sequence is one of the known, perhaps at another offset and scale."""
    values = {sequence.tobytes() for sequence in known}
    shapes = {shape for sequence in known if (shape := _plain_or_shape(sequence)) is not None}
    return np.array(
        [sequence.tobytes() in values or _plain_or_shape(sequence) in shapes for sequence in asked],
        dtype=bool,
    )


def _plain_or_shape(sequence: Sequence) -> tuple[int, int] | None:
    return shape(sequence) if len(sequence) >= LEAST_RUN else None


def _duplicates(again: int) -> CheckResult:
    evidence: dict[str, float | int | str] = {"duplicates": again}
    if again:
        sentence = (
            f"{again} sequence{'s' if again > 1 else ''} of the validation and test parts "
            f"stand{'' if again > 1 else 's'} in training too, perhaps at another scale; scores flatter"
        )
        return CheckResult("LB01", "warn", evidence, sentence)
    return CheckResult("LB01", "pass", evidence, "no sequence stands in two parts")


def missing_classes(training: Labels, classes: tuple[str, ...], *, what: str = "sequence") -> CheckResult:
    """LB02 from the labels of the training part; ``what`` says what has them."""
    absent = [name for name, count in zip(classes, _counts(training, classes), strict=True) if not count]
    evidence: dict[str, float | int | str] = {"absent": len(absent)}
    if absent:
        sentence = f"no training {what} has the class {', '.join(absent)}, so it cannot be learnt"
        return CheckResult("LB02", "fail", evidence, sentence)
    return CheckResult("LB02", "pass", evidence, f"every class has training {what}s")


def _overlaps(known: list[Sequence], asked: list[Sequence]) -> CheckResult:
    shortest = min(len(sequence) for sequence in (*known, *asked)) if asked else LEAST_RUN
    length = max(LEAST_RUN, min(-(-RUN_VALUES // known[0].shape[1]), shortest // 4))
    longer = max(length, shortest // 3)  # scaled runs agree more easily, so they have to be longer
    found = shared_runs(known, asked, length=length, stride=max(1, length // 2)) > 0
    found |= shared_runs(known, asked, length=longer, stride=max(1, length // 4), scaled=True) > 0
    share = float(found.mean()) if asked else 0.0
    evidence: dict[str, float | int | str] = {"share": share, "run": length}
    if share < OVERLAPPING:
        return CheckResult("LB03", "pass", evidence, "sequences of different parts share no rows")
    sentence = (
        f"{share:.0%} of the validation and test sequences share runs of {length} rows with training, as "
        "windows do that were cut with an overlap and then drawn at random. Split the recordings first and "
        "cut them afterwards, or name the recording of each sequence as its group"
    )
    return CheckResult("LB03", "fail", evidence, sentence)


def classes_of_parts(
    training: Labels, later: dict[str, Labels], classes: tuple[str, ...], *, what: str = "sequence"
) -> CheckResult:
    """LB04 from the labels of the parts; ``what`` says what has them."""
    shares = _counts(training, classes) / max(1, len(training))
    for name, labels in later.items():
        counts = _counts(labels, classes)
        if np.count_nonzero(counts) == 1 and np.count_nonzero(shares) > 1:
            only = classes[int(counts.argmax())]
            sentence = f"every {name} {what} has the class {only}, so nothing can be told apart there"
            return CheckResult("LB04", "fail", {"part": name, "classes": 1}, sentence)
        lacking = [classes[i] for i in np.flatnonzero((counts == 0) & (shares * len(labels) >= EXPECTED))]
        if lacking:
            sentence = (
                f"no {name} {what} has the class {', '.join(lacking)}, though training has many: "
                "scores say nothing of it"
            )
            return CheckResult("LB04", "warn", {"part": name, "lacking": len(lacking)}, sentence)
    return CheckResult("LB04", "pass", {}, "validation and test hold the classes they should")


def _split_groups(training: LabelledSequences, later: dict[str, LabelledSequences]) -> CheckResult:
    if training.groups is None:
        return CheckResult("LB05", "pass", {}, "no groups were named")
    unnamed = [name for name, part in later.items() if part.groups is None]
    both = {
        str(group)
        for part in later.values()
        if part.groups is not None
        for group in np.intersect1d(training.groups, part.groups)
    }
    if both:
        sentence = (
            f"{len(both)} group{'s lie' if len(both) > 1 else ' lies'} in training and in another part, "
            f"such as '{min(both)}': scores then count what is known of the group"
        )
        return CheckResult("LB05", "fail", {"groups": len(both)}, sentence)
    if unnamed:
        sentence = (
            f"the {' and '.join(unnamed)} part names no groups, so that whether a group of training lies in "
            "it is not known"
        )
        return CheckResult("LB05", "warn", {"without groups": ", ".join(unnamed)}, sentence)
    return CheckResult("LB05", "pass", {"groups": 0}, "every group lies in one part")


def _counts(labels: Labels, classes: tuple[str, ...]) -> Labels:
    return np.bincount(labels[labels >= 0], minlength=len(classes))
