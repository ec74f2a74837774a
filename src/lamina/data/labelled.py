"""Labelled sequences of equal or unequal length, for classification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lamina.errors import ConfigError, DataError


@dataclass(frozen=True, eq=False)
class LabelledSequences:
    """Sequences one below the other, each with a label; missing values are NaN.

    Args:
        values: (total, F) float32.
        starts: (n+1,) int64; sequence i is rows starts[i]:starts[i+1].
        labels: (n,) int64, positions in ``classes``; -1 where the label is not known.
        classes: names of the classes.
        groups: (n,) names of what must stay together in a split (a person, a machine), or None.
        names: of the F features.
    """

    values: np.ndarray
    starts: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    groups: np.ndarray | None
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> np.ndarray:
        """(T_i, F), sequence ``index``."""
        return self.values[self.starts[index] : self.starts[index + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """(n,) int64, steps of each sequence."""
        return np.diff(self.starts)

    @property
    def n_features(self) -> int:
        """Features of a step."""
        return int(self.values.shape[1])

    @property
    def observed(self) -> np.ndarray:
        """(total, F) bool, False where a value is missing."""
        mask: np.ndarray = ~np.isnan(self.values)
        return mask

    def subset(self, indices: np.ndarray) -> LabelledSequences:
        """These sequences in this order; classes stay as they are."""
        chosen = np.arange(len(self))[indices]
        lengths = self.lengths[chosen]
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.repeat(self.starts[chosen] - starts[:-1], lengths) + np.arange(starts[-1])
        return replace(
            self,
            values=self.values[rows],
            starts=starts,
            labels=self.labels[chosen],
            groups=None if self.groups is None else self.groups[chosen],
        )


def labelled_sequences(
    sequences: np.ndarray | Sequence[np.ndarray],
    labels: Sequence[object] | np.ndarray | None,
    *,
    classes: Sequence[str] | None = None,
    groups: Sequence[object] | np.ndarray | None = None,
    names: Sequence[str] | None = None,
) -> LabelledSequences:
    """Labelled sequences from arrays.

    Args:
        sequences: (n, T, F); (n, T) for one feature; or a list of (T_i, F) or (T_i,) arrays.
        labels: (n,) of anything that has a name; None where they are to be predicted.
        classes: every class, to keep the codes of an earlier set. Default: the labels found, sorted
            (as numbers where all are).
        groups: (n,) of what must stay together in a split.
        names: of the features. Default: "0", "1", ...

    Raises:
        DataError: unequal counts, an empty sequence, unequal features, an infinite value, a missing or
            unknown label, or a single class.

    >>> data = labelled_sequences([np.zeros((2, 1)), np.ones((3, 1))], ["rest", "walk"])
    >>> data.lengths.tolist(), data.classes, data.labels.tolist()
    ([2, 3], ('rest', 'walk'), [0, 1])
    """
    parts = [_as_steps(sequence, row) for row, sequence in enumerate(sequences)]
    if not parts:
        raise DataError("at least one sequence is needed but there are none; check the source")
    features = parts[0].shape[1]
    for row, part in enumerate(parts):
        if part.shape[1] != features:
            raise DataError(
                f"every sequence has the same features but row {row} has {part.shape[1]} and row 0 has "
                f"{features}; "
                f"mend it or leave it out"
            )
    known = _class_names(labels, classes)
    if names is not None and len(names) != features:
        raise DataError(f"every feature has a name but there are {features} features and {len(names)} names")
    return LabelledSequences(
        values=np.concatenate(parts),
        starts=np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64),
        labels=_codes(labels, known, len(parts)),
        classes=known,
        groups=_group_names(groups, len(parts)),
        names=tuple(names) if names is not None else tuple(str(feature) for feature in range(features)),
    )


def split_labelled(
    data: LabelledSequences, fraction: float, seed: int
) -> tuple[LabelledSequences, LabelledSequences]:
    """Two parts with like shares of every class; a group lies wholly in one of them.

    Args:
        data: the sequences.
        fraction: share of the second part, between 0 and 1. Without groups each class gives
            that share, rounded, but keeps at least one sequence in the first part.
        seed: of the draw.

    Returns:
        (first, second).

    Raises:
        DataError: fewer than two groups, or too few sequences for a second part.
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"fraction is between 0 and 1 but is {fraction}; use for example 0.2")
    generator = np.random.default_rng(seed)
    draw = (
        _draw_by_class(data, fraction, generator)
        if data.groups is None
        else _draw_groups(data, fraction, generator)
    )
    second = np.zeros(len(data), dtype=bool)
    second[draw] = True
    if not second.any() or second.all():
        raise DataError(
            f"a split needs sequences on both sides but {len(data)} sequences give {int(second.sum())} to "
            f"the "
            f"second; add sequences or choose another fraction"
        )
    return data.subset(np.flatnonzero(~second)), data.subset(np.flatnonzero(second))


def _draw_by_class(data: LabelledSequences, fraction: float, generator: np.random.Generator) -> np.ndarray:
    chosen = []
    for code in np.unique(data.labels):
        members = generator.permutation(np.flatnonzero(data.labels == code))
        chosen.append(members[: min(round(fraction * len(members)), len(members) - 1)])
    return np.concatenate(chosen)


def _draw_groups(data: LabelledSequences, fraction: float, generator: np.random.Generator) -> np.ndarray:
    """Whole groups, each the one that brings the class counts nearest to their share."""
    assert data.groups is not None
    names, group = np.unique(data.groups, return_inverse=True)
    if len(names) < 2:
        raise DataError(f"groups stay together, so a split needs two of them but there is only '{names[0]}'")
    counts = np.zeros((len(names), len(data.classes) + 1))
    np.add.at(counts, (group, data.labels), 1)  # unknown (-1) is the last
    wanted, taken = fraction * counts.sum(axis=0), np.zeros(counts.shape[1])
    left = list(generator.permutation(len(names)))
    chosen: list[int] = []
    while len(left) > 1:
        distances = [np.abs(wanted - taken - counts[candidate]).sum() for candidate in left]
        best = int(np.argmin(distances))
        if chosen and distances[best] >= np.abs(wanted - taken).sum():
            break
        taken += counts[left[best]]
        chosen.append(left.pop(best))
    return np.flatnonzero(np.isin(group, chosen))


def _as_steps(sequence: np.ndarray, row: int) -> np.ndarray:
    """(T, F) float32 of one sequence."""
    if np.asarray(sequence).dtype.kind in "US":
        raise DataError(
            f"a sequence holds numbers but row {row} is text; these are texts; use lamina.TextClassifier"
        )
    steps = np.asarray(sequence, dtype=np.float32)
    steps = steps[:, None] if steps.ndim == 1 else steps
    if steps.ndim != 2:
        raise DataError(f"a sequence is (steps, features) but row {row} is {steps.shape}; reshape it")
    if not steps.size:
        raise DataError(f"a sequence has at least one step but row {row} is {steps.shape}; leave it out")
    if np.isinf(steps).any():
        raise DataError(
            f"values must be finite but row {row} holds an infinite one; use NaN if it is unknown"
        )
    return steps


def _class_names(
    labels: Sequence[object] | np.ndarray | None, classes: Sequence[str] | None
) -> tuple[str, ...]:
    if classes is not None:
        return tuple(classes)
    if labels is None:
        raise DataError("labels or the classes must be given but neither was; pass one of them")
    found = {str(label) for label in labels if not _is_missing(label)}
    if len(found) < 2:
        raise DataError(
            f"at least two classes are needed but the labels are "
            f"{', '.join(sorted(found)) or 'all missing'}; "
            f"check the label column"
        )
    try:
        return tuple(sorted(found, key=float))
    except ValueError:
        return tuple(sorted(found))


def _codes(labels: Sequence[object] | np.ndarray | None, classes: tuple[str, ...], n: int) -> np.ndarray:
    if labels is None:
        return np.full(n, -1, dtype=np.int64)
    if len(labels) != n:
        raise DataError(f"every sequence has a label but there are {n} sequences and {len(labels)} labels")
    place = {name: code for code, name in enumerate(classes)}
    codes = np.empty(n, dtype=np.int64)
    for row, label in enumerate(labels):
        if _is_missing(label):
            raise DataError(f"every sequence has a label but row {row} has none; add it or leave the row out")
        if str(label) not in place:
            raise DataError(
                f"labels are {', '.join(classes)} but row {row} has '{label}'; mend it or add it to the "
                f"classes"
            )
        codes[row] = place[str(label)]
    return codes


def _group_names(groups: Sequence[object] | np.ndarray | None, n: int) -> np.ndarray | None:
    if groups is None:
        return None
    if len(groups) != n:
        raise DataError(f"every sequence has a group but there are {n} sequences and {len(groups)} groups")
    return np.array([str(group) for group in groups])


def _is_missing(label: object) -> bool:
    return label is None or (isinstance(label, float) and np.isnan(label)) or str(label).strip() in ("", "?")
