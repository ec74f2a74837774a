from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina.data.batches import length_buckets, pad_sequences
from lamina.errors import ConfigError


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 50), max_size=40),
    rows=st.integers(1, 9),
    seed=st.none() | st.integers(0, 9),
)
def test_every_sequence_is_in_one_batch(lengths: list[int], rows: int, seed: int | None) -> None:
    generator = None if seed is None else np.random.default_rng(seed)
    batches = length_buckets(np.array(lengths, dtype=np.int64), rows_per_batch=rows, generator=generator)
    assert sorted(int(i) for batch in batches for i in batch) == list(range(len(lengths)))
    assert all(len(batch) <= rows for batch in batches)


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 50), max_size=40), budget=st.integers(1, 200))
def test_a_token_budget_counts_the_padding(lengths: list[int], budget: int) -> None:
    sizes = np.array(lengths, dtype=np.int64)
    batches = length_buckets(sizes, token_budget=budget)
    assert sorted(int(i) for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * sizes[batch].max() <= budget


def test_batches_hold_like_lengths() -> None:
    lengths = np.array([1, 9, 2, 8, 1, 9])
    batches = length_buckets(lengths, rows_per_batch=2, generator=np.random.default_rng(0))
    assert sorted(sorted(lengths[batch].tolist()) for batch in batches) == [[1, 1], [2, 8], [9, 9]]


def test_one_seed_gives_one_order() -> None:
    first, second, other = (
        np.concatenate(
            length_buckets(np.ones(50, np.int64), rows_per_batch=8, generator=np.random.default_rng(s))
        )
        for s in (1, 1, 2)
    )
    assert first.tolist() == second.tolist() != other.tolist()


def test_exactly_one_limit_is_needed() -> None:
    with pytest.raises(ConfigError, match="none or both"):
        length_buckets(np.ones(2))
    with pytest.raises(ConfigError, match="none or both"):
        length_buckets(np.ones(2), rows_per_batch=1, token_budget=1)
    with pytest.raises(ConfigError, match="at least 1 but is 0"):
        length_buckets(np.ones(2), rows_per_batch=0)


def test_padding_is_zero_behind_the_end() -> None:
    x, lengths = pad_sequences([np.full((2, 1), 3.0, np.float32), np.full((1, 1), 4.0, np.float32)])
    assert x[..., 0].tolist() == [[3, 3], [4, 0]]
    assert lengths.tolist() == [2, 1]
    assert x.dtype == np.float32
