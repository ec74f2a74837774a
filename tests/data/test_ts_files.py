from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lamina.data.labelled import labelled_sequences
from lamina.data.ts_files import read_labelled, write_ts
from lamina.errors import DataError

VALUES = st.floats(-1e6, 1e6, width=32) | st.just(float("nan"))
HEADER = "@problemName p\n@timeStamps false\n@classLabel true a b\n@data\n"


def write(folder: Path, text: str, name: str = "set.ts") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    lengths=st.lists(st.integers(1, 9), min_size=2, max_size=6),
    features=st.integers(1, 4),
    suffix=st.sampled_from([".ts", ".ts.gz"]),
)
def test_ragged_sequences_survive_a_file(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    lengths: list[int],
    features: int,
    suffix: str,
) -> None:
    sequences = [data.draw(hnp.arrays(np.float32, (length, features), elements=VALUES)) for length in lengths]
    labels = ["walk", *(data.draw(st.sampled_from(["rest", "walk"])) for _ in lengths[1:-1]), "rest"]
    written = labelled_sequences(sequences, labels)
    path = tmp_path_factory.mktemp("ts") / f"set{suffix}"
    write_ts(path, written, problem="drawn")
    found = read_labelled(path)
    np.testing.assert_array_equal(found.values, written.values)
    np.testing.assert_array_equal(found.starts, written.starts)
    np.testing.assert_array_equal(found.labels, written.labels)
    assert found.classes == written.classes


def test_aeon_reads_what_is_written(tmp_path: Path) -> None:
    from aeon.datasets import load_from_ts_file

    data = labelled_sequences([np.arange(6.0).reshape(3, 2), np.ones((2, 2))], ["a", "b"])
    path = tmp_path / "set.ts"
    write_ts(path, data, problem="set")
    sequences, labels = load_from_ts_file(str(path))
    np.testing.assert_array_equal(sequences[0], np.arange(6.0).reshape(3, 2).T)
    assert labels.tolist() == ["a", "b"]


def test_ts_lines_are_dimensions_then_the_label(tmp_path: Path) -> None:
    path = write(tmp_path, "# about\n" + HEADER + "1,2,?:4,5,6:b\n7,8:9,10:a\n")
    data = read_labelled(path)
    np.testing.assert_array_equal(data[0], [[1, 4], [2, 5], [np.nan, 6]])
    np.testing.assert_array_equal(data[1], [[7, 9], [8, 10]])
    assert data.labels.tolist() == [1, 0]


def test_tsv_lines_are_the_label_then_values_without_the_fill(tmp_path: Path) -> None:
    text = "1\t0.5\t1.5\tNaN\n-1\t2\t3\t4\n"
    path = tmp_path / "set.tsv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    data = read_labelled(path)
    assert data.classes == ("-1", "1")
    assert data.lengths.tolist() == [2, 3]
    assert data[0][:, 0].tolist() == [0.5, 1.5]


def test_the_classes_of_a_training_file_keep_their_codes(tmp_path: Path) -> None:
    path = write(tmp_path, "b\t1\n", "test.tsv")
    assert read_labelled(path, classes=("a", "b")).labels.tolist() == [1]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEADER + "1,2:3,4:a\n1,x:3,4:b\n", "line 6 must hold numbers, or [?] where missing but has 'x'"),
        (HEADER + "1,2:3:a\n", "line 5 must hold dimensions of equal length but has 'lengths 2, 1'"),
        (HEADER + "1,2\n", "line 5 must hold dimensions and a label"),
        (HEADER + "1,2:c\n", "labels are a, b but row 0 has 'c'"),
        (HEADER + "1,2:?\n", "row 0 has none"),
        ("@problemName p\n1:a\n", "a line '@data'"),
        (HEADER.replace("true a b", "false") + "1:a\n", "@classLabel does not say"),
        (HEADER.replace("timeStamps false", "timeStamps true") + "(1,2):a\n", "time stamps are not read"),
        ("", "is empty"),
        (HEADER, "there are none"),
    ],
)
def test_faults_name_the_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read_labelled(write(tmp_path, text))


def test_other_files_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ends in \.ts.*this is 'set\.arff'"):
        read_labelled(write(tmp_path, "x", "set.arff"))
    with pytest.raises(DataError, match=r"did you mean 'set\.arff'"):
        read_labelled(tmp_path / "set.arf")
    with pytest.raises(DataError, match="a label, a tab and values"):
        read_labelled(write(tmp_path, "1 2 3\n", "set.tsv"))
