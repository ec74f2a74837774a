from __future__ import annotations

import numpy as np
import pytest

from lamina.study.bench import Run, Settings
from lamina.study.overfitting import gap_of, growth, sentence


def run(train: float, validation: float) -> Run:
    history = {
        "steps": [10, 20],
        "best_step": 20,
        "train_loss": [9.0, train],
        "validation_loss": [9.0, validation],
    }
    return Run("d", Settings(0.01, 0.1), 0, 1.0, np.ones(1), 1.0, 1, 1.0, history, "complete", "")


def test_a_gap_is_the_share_by_which_training_lies_below_validation() -> None:
    gap = gap_of("1", [run(0.8, 1.0), run(0.9, 1.0)])
    assert gap is not None
    assert [gap.gap, gap.train, gap.validation] == pytest.approx([0.15, 0.85, 1.0])
    assert gap.seeds == 2
    assert gap.spread == pytest.approx(np.std([0.2, 0.1], ddof=1))


def test_one_seed_has_no_spread_and_gives_no_gap() -> None:
    assert gap_of("1", [run(0.8, 1.0), run(float("nan"), 1.0)]) is None
    assert growth([gap for gap in [gap_of("1", [run(0.8, 1.0)] * 2)] if gap]) is None


def test_growth_is_found_and_its_absence_is_not_claimed_otherwise() -> None:
    """Welch's interval of 0.11 and 0.31 by hand: standard error 0.01 sqrt(2 / 3), 4 degrees of freedom."""
    shallow = gap_of("1", [run(1 - gap, 1.0) for gap in (0.10, 0.11, 0.12)])
    deep = gap_of("4", [run(1 - gap, 1.0) for gap in (0.30, 0.31, 0.32)])
    assert shallow is not None
    assert deep is not None
    found = growth([shallow, deep])
    assert found is not None
    reach = 2.776 * 0.01 * np.sqrt(2 / 3)
    assert list(found.interval) == pytest.approx([0.2 - reach, 0.2 + reach], abs=1e-4)
    assert found.grows
    assert "grows with depth (by 20.0 points" in sentence(found)
    level = growth([shallow, shallow])
    assert level is not None
    assert not level.grows
    assert "is not shown to grow" in sentence(level)
