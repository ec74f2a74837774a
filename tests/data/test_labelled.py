from __future__ import annotations

import numpy as np
import pytest

from lamina.data.labelled import LabelledSequences, labelled_sequences, split_labelled
from lamina.errors import ConfigError, DataError


def ragged(n: int = 12, groups: list[str] | None = None) -> LabelledSequences:
    """Sequence i has i % 3 + 1 steps of the value i, and class i % 2."""
    sequences = [np.full((i % 3 + 1, 2), float(i)) for i in range(n)]
    return labelled_sequences(sequences, [f"c{i % 2}" for i in range(n)], groups=groups)


def test_arrays_and_lists_give_the_same_sequences() -> None:
    block = np.arange(24, dtype=np.float64).reshape(3, 4, 2)
    from_block = labelled_sequences(block, ["a", "b", "a"])
    from_list = labelled_sequences(list(block), ["a", "b", "a"])
    np.testing.assert_array_equal(from_block.values, from_list.values)
    assert from_block.starts.tolist() == [0, 4, 8, 12]
    assert from_block.values.dtype == np.float32
    np.testing.assert_array_equal(from_block[1], block[1])


def test_two_axes_are_one_feature() -> None:
    data = labelled_sequences(np.arange(6.0).reshape(2, 3), [1, 0])
    assert (data.n_features, data.lengths.tolist()) == (1, [3, 3])


def test_classes_that_are_numbers_sort_as_numbers() -> None:
    data = labelled_sequences(np.zeros((3, 2)), [10, 9, -1])
    assert data.classes == ("-1", "9", "10")
    assert data.labels.tolist() == [2, 1, 0]


def test_missing_values_are_kept_and_marked() -> None:
    data = labelled_sequences(np.array([[1.0, np.nan], [2.0, 3.0]]), ["a", "b"])
    assert data.observed[:, 0].tolist() == [True, False, True, True]


def test_subset_takes_sequences_in_the_order_asked() -> None:
    part = ragged().subset(np.array([5, 0]))
    assert part.lengths.tolist() == [3, 1]
    assert part.values[:, 0].tolist() == [5, 5, 5, 0]
    assert part.labels.tolist() == [1, 0]
    assert part.classes == ("c0", "c1")


def test_sequences_to_predict_have_no_label() -> None:
    data = labelled_sequences([np.zeros((1, 1))], None, classes=["a", "b"])
    assert data.labels.tolist() == [-1]


def test_a_split_keeps_the_shares_of_the_classes_and_loses_nothing() -> None:
    data = ragged(60)
    first, second = split_labelled(data, 0.2, seed=3)
    assert (len(first), len(second)) == (48, 12)
    assert np.bincount(second.labels).tolist() == [6, 6]
    ids = sorted([*(first[i][0, 0] for i in range(48)), *(second[i][0, 0] for i in range(12))])
    assert ids == list(range(60))
    again = split_labelled(data, 0.2, seed=3)[1]
    np.testing.assert_array_equal(again.values, second.values)
    assert not np.array_equal(split_labelled(data, 0.2, seed=4)[1].values[:5], second.values[:5])


def test_every_class_stays_in_the_first_part() -> None:
    data = labelled_sequences(np.zeros((5, 1)), ["a", "a", "a", "a", "rare"])
    first, second = split_labelled(data, 0.9, seed=0)
    assert set(first.labels.tolist()) == {0, 1}
    assert len(second) == 3


def test_groups_are_never_parted() -> None:
    groups = [f"person{i // 6}" for i in range(60)]
    data = ragged(60, groups)
    first, second = split_labelled(data, 0.3, seed=1)
    assert first.groups is not None
    assert second.groups is not None
    assert not set(first.groups) & set(second.groups)
    assert len(second) == 18


@pytest.mark.parametrize(
    ("sequences", "labels", "told"),
    [
        ([np.zeros((2, 1)), np.zeros((2, 3))], ["a", "b"], "row 1 has 3 and row 0 has 1"),
        ([np.zeros((2, 1)), np.zeros((0, 1))], ["a", "b"], r"at least one step but row 1 is \(0, 1\)"),
        (
            [np.zeros((2, 1)), np.zeros((2, 1))],
            ["a", "a"],
            "at least two classes are needed but the labels are a",
        ),
        ([np.zeros((2, 1)), np.zeros((2, 1)), np.zeros((2, 1))], ["a", "b", None], "row 2 has none"),
        ([np.zeros((2, 1))], ["a", "b"], "there are 1 sequences and 2 labels"),
        ([np.array([[np.inf]]), np.zeros((2, 1))], ["a", "b"], "row 0 holds an infinite one"),
        ([np.zeros((1, 1, 1))], ["a", "b"], r"row 0 is \(1, 1, 1\)"),
        ([], [], "there are none"),
        ([np.zeros(3), "a b"], ["a", "b"], "row 1 is text; these are texts; use lamina.TextClassifier"),
        ([["a", "b"], ["c"]], ["a", "b"], "row 0 is text"),
    ],
)
def test_faults_name_the_row(sequences: list[np.ndarray], labels: list[object], told: str) -> None:
    with pytest.raises(DataError, match=told):
        labelled_sequences(sequences, labels)


def test_an_unknown_class_is_an_error() -> None:
    with pytest.raises(DataError, match="labels are a, b but row 0 has 'c'"):
        labelled_sequences(np.zeros((1, 2)), ["c"], classes=["a", "b"])


def test_splits_that_cannot_be_made_are_errors() -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        split_labelled(ragged(), 1.0, seed=0)
    with pytest.raises(DataError, match="there is only 'p'"):
        split_labelled(ragged(4, ["p"] * 4), 0.5, seed=0)
    with pytest.raises(DataError, match="give 0 to the second"):
        split_labelled(ragged(2), 0.5, seed=0)
