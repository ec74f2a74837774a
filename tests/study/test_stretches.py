from __future__ import annotations

import numpy as np

from lamina.study.stretches import shape, shared_runs


def noise(seed: int, rows: int = 60, features: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, features))


def test_a_run_is_found_wherever_it_stands() -> None:
    rows = noise(0, 200, 2)
    found = shared_runs([rows[:100]], [rows[92:130], rows[93:130], rows[40:48]], length=8)
    assert found[0] == 1 / 31
    assert found.tolist()[1:] == [0.0, 1.0]


def test_the_order_of_rows_counts() -> None:
    rows = noise(1)
    assert shared_runs([rows], [rows[::-1]], length=8).tolist() == [0.0]


def test_scaled_runs_are_found_only_when_asked_for() -> None:
    rows = noise(2)
    moved = 3 * rows[10:50] - 7
    assert shared_runs([rows], [moved], length=12).tolist() == [0.0]
    assert shared_runs([rows], [moved], length=12, scaled=True)[0] > 0.8  # rounding parts a few


def test_plain_runs_are_no_evidence() -> None:
    ramp, step = np.arange(60.0)[:, None], np.r_[np.zeros(30), np.ones(30)][:, None]
    for plain in (ramp, step, np.full((60, 1), np.nan)):
        assert shared_runs([plain], [5 * plain], length=12, scaled=True).tolist() == [0.0]
    assert shared_runs([step], [step], length=12).tolist() == [0.0]


def test_unrelated_sequences_share_nothing_and_short_ones_neither() -> None:
    known = [noise(seed) for seed in range(50)]
    asked = [noise(seed) for seed in range(50, 100)]
    for scaled in (False, True):
        assert not shared_runs(known, asked, length=8, scaled=scaled).any()
    assert shared_runs(known, [noise(0)[:5]], length=8).tolist() == [0.0]
    assert shared_runs([], [noise(0)], length=8).tolist() == [0.0]


def test_the_shape_of_a_sequence_forgets_offset_and_scale() -> None:
    rows = noise(3, 30, 2)
    assert shape(rows) == shape(rows * [2.0, 5.0] + [1.0, -4.0])
    assert shape(rows) != shape(rows[::-1])
    assert shape(np.arange(30.0)[:, None]) is None
