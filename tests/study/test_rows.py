from __future__ import annotations

import numpy as np
import pytest

from lamina.study.rows import draw_sequences, moving_blocks, newest, stratified


def test_the_newest_share_is_taken_of_each_series() -> None:
    series = np.repeat([0, 1, 2], [8, 3, 1])
    assert newest(series, 0.25).tolist() == [6, 7, 10, 11]
    assert newest(series, 1.0).tolist() == list(range(12))


def test_blocks_are_runs_of_neighbours_of_one_series() -> None:
    series = np.repeat([0, 1], [40, 10])
    drawn = moving_blocks(series, 5, np.random.default_rng(0))
    assert np.bincount(series[drawn]).tolist() == [40, 10]
    runs = drawn[:40].reshape(8, 5)
    assert (np.diff(runs, axis=1) == 1).all()
    assert set(series[drawn[40:]]) == {1}


def test_a_bootstrap_leaves_out_about_a_third() -> None:
    """1 / e of independent rows; blocks that are short beside the series come near it."""
    series = np.zeros(2000, dtype=np.int64)
    left_out = [
        1 - len(np.unique(moving_blocks(series, 4, np.random.default_rng(seed)))) / 2000 for seed in range(20)
    ]
    assert np.mean(left_out) == pytest.approx(np.exp(-1), abs=0.01)


def test_a_block_longer_than_a_series_is_the_series() -> None:
    assert moving_blocks(np.zeros(3, np.int64), 9, np.random.default_rng(0)).tolist() == [0, 1, 2]


def test_shares_of_classes_are_kept_and_spread() -> None:
    labels = np.repeat([0, 1], [80, 20])
    chosen = stratified(labels, 0.25)
    assert np.bincount(labels[chosen]).tolist() == [20, 5]
    assert np.ptp(chosen[:20]) > 70
    assert stratified(np.array([0, 1]), 0.1).tolist() == [0, 1]


def test_groups_are_drawn_whole() -> None:
    labels = np.tile([0, 1], 12)
    groups = np.repeat(np.arange(6), 4)
    drawn = draw_sequences(labels, groups, 1.0, np.random.default_rng(1))
    times = np.bincount(drawn, minlength=24).reshape(6, 4)
    assert (times == times[:, :1]).all()
    assert times[:, 0].sum() == 6
    assert draw_sequences(labels, groups, 1.0, None).tolist() == list(range(24))
