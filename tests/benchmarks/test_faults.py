"""The small version of the benchmark: every planted fault, and the sound sets that come with the package."""

from __future__ import annotations

from types import ModuleType


def test_planted_faults_are_named(faults: ModuleType) -> None:
    """With a seed of its own, not the benchmark's."""
    outcomes = list(faults.planted(seed=1))
    missed = [outcome.name for outcome in outcomes if not outcome.found]
    assert len(outcomes) >= 40
    assert len(missed) <= 0.05 * len(outcomes), missed


def test_sound_sets_raise_no_alarm(faults: ModuleType) -> None:
    outcomes = list(faults.sound(None))
    assert {outcome.name for outcome in outcomes} >= {"wikipedia_views", "JapaneseVowels", "BasicMotions"}
    assert {outcome.name: outcome.spoke for outcome in outcomes if outcome.spoke} == {}


def test_made_series_without_a_fault_raise_no_alarm(faults: ModuleType) -> None:
    """Beside a covariate of the past and one of chance; the level may wander off, as it does in life."""
    import numpy as np

    spoke = set()
    for seed in range(5):
        rng = np.random.default_rng(seed)
        y = faults.hourly(rng)
        columns = {"yesterday": np.r_[np.full(24, np.nan), y[:-24]], "noise": rng.normal(size=len(y))}
        spoke |= {
            result.code for result in faults.checked(faults.table(y, **columns)) if result.outcome != "pass"
        }
    assert spoke <= {"LK04"}
    spoke = set()
    for seed in range(3):
        data = faults.windows_of(np.random.default_rng(seed), length=50, stride=50)
        spoke |= {result.code for result in faults.parted(data) if result.outcome != "pass"}
    assert spoke == set()
