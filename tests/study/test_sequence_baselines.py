from __future__ import annotations

import numpy as np
import pytest

from lamina.data.labelled import LabelledSequences, labelled_sequences
from lamina.study.sequence_baselines import CLASSIFY_BASELINES, run_classify_baseline


def waves(n: int, seed: int, *, ragged: bool) -> LabelledSequences:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    sequences = []
    for label in labels:
        t = np.arange(rng.integers(5, 40) if ragged else 32)
        wave = np.sin(t * (0.4 + 0.5 * label) + rng.uniform(0, 6))
        sequences.append(np.stack([wave + 0.1 * rng.normal(size=len(t)), rng.normal(size=len(t))], axis=1))
    return labelled_sequences(sequences, [f"class {label}" for label in labels])


@pytest.mark.parametrize("name", list(CLASSIFY_BASELINES))
@pytest.mark.parametrize("ragged", [False, True])
def test_classifiers_give_probabilities_that_beat_chance(name: str, ragged: bool) -> None:
    train, valid, test = (waves(n, seed, ragged=ragged) for n, seed in ((90, 0), (30, 1), (60, 2)))
    done = run_classify_baseline(name, train, valid, (test,))
    assert done.outcome == "complete", done.reason
    (shares,) = done.predictions
    assert shares.shape == (60, 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    accuracy = float((shares.argmax(axis=1) == test.labels).mean())
    if name == "majority":
        assert accuracy == pytest.approx(1 / 3)
    else:
        assert accuracy > 0.75


def test_sequences_below_nine_steps_and_missing_values_are_no_fault() -> None:
    rng = np.random.default_rng(3)
    sequences = [np.full(4, float(i % 2)) + 0.1 * rng.normal(size=4) for i in range(20)]
    sequences[3][1] = np.nan
    data = labelled_sequences(sequences, [str(i % 2) for i in range(20)])
    for name in CLASSIFY_BASELINES:
        done = run_classify_baseline(name, data, data, (data,))
        assert done.outcome == "complete", done.reason
        assert np.isfinite(done.predictions[0]).all()


def test_rocket_leaves_torch_as_it_was() -> None:
    import torch

    data = waves(30, 4, ragged=False)
    threads, random = torch.get_num_threads(), torch.get_rng_state()
    run_classify_baseline("rocket", data, data, (data,))
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), random)
