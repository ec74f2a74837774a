"""States as bytes: equal after a round trip, and nothing is pickled."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lamina.errors import DataError
from lamina.streaming.state import bytes_of, pack_state, plain_names, unpack_state


def test_every_kind_of_value_comes_back_as_it_was() -> None:
    state = {
        "array": np.arange(6, dtype=np.float32).reshape(2, 3),
        "empty": np.zeros((0, 4)),
        "scalar": np.array(3.5, np.float32),
        "bytes": b"\0\1",
        "numbers": [1, 1.0, True, None, "text", math.inf, 0.1 + 0.2, 2**100],
        "inner": {"whole": np.array([1, -1])},
    }
    form, data = pack_state(state)
    found = unpack_state(form, data)
    for name in ("array", "empty", "scalar"):
        np.testing.assert_array_equal(found[name], state[name])
        assert found[name].dtype == state[name].dtype  # type: ignore[attr-defined]  # these three are arrays
    assert found["bytes"] == b"\0\1"
    assert found["numbers"] == state["numbers"]
    assert [type(value) for value in found["numbers"]] == [
        int,
        float,
        bool,
        type(None),
        str,
        float,
        float,
        int,
    ]
    np.testing.assert_array_equal(found["inner"]["whole"], [1, -1])
    assert bytes_of(state) == 24 + 0 + 4 + 2 + 16


def test_arrays_that_come_back_may_be_written_to() -> None:
    found = unpack_state(*pack_state({"a": np.zeros(3)}))
    found["a"][0] = 1.0
    assert found["a"].tolist() == [1.0, 0.0, 0.0]


def test_numpy_labels_become_numbers_and_others_are_refused() -> None:
    assert plain_names([np.int64(3), np.bool_(True), "up"]) == [3, True, "up"]
    with pytest.raises(DataError, match=r"text, numbers, or true and false, but one is \('a', 1\)"):
        plain_names([("a", 1)])
