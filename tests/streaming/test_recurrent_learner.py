"""The recurrent experts: native steps are torch's, and they learn."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from lamina.errors import ConfigError
from lamina.streaming.recurrent_learner import WINDOW_ROWS, RecurrentExperts
from lamina.streaming.recurrent_trainer import Trainer


def fed(rows: int, *, depth: int = 2, seed: int = 0) -> RecurrentExperts:
    """Experts that have seen so many rows whose truth is the sign of the first input."""
    random = np.random.default_rng(seed)
    experts = RecurrentExperts(1, "identity", depth=depth, hidden_size=8, seed=seed)
    for _ in range(rows):
        z = random.normal(size=3)
        experts.learn(z, np.array([float(z[0] > 0)]))
    return experts


def test_native_steps_give_what_the_trained_layers_give() -> None:
    experts = fed(3 * WINDOW_ROWS)
    trainer, steps = experts._trainer, experts._steps
    assert trainer is not None
    assert steps is not None
    fresh = type(steps)(trainer, None)
    x = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    below = torch.from_numpy(x)[None]
    said = [fresh.peek(x[0].astype(np.float64), "identity")]
    for row in x[:-1]:
        fresh.advance(row.astype(np.float64))
    said.append(fresh.peek(x[-1].astype(np.float64), "identity"))
    for depth, (layer, head) in enumerate(zip(trainer._layers, trainer._heads, strict=True)):
        below, _ = layer(below)
        expected = head(below)[0].detach().numpy()  # (rows, outputs)
        np.testing.assert_allclose(said[0][depth], expected[0], atol=1e-5)
        np.testing.assert_allclose(said[1][depth], expected[-1], atol=1e-5)


def test_looking_ahead_leaves_the_state_alone() -> None:
    experts = fed(2 * WINDOW_ROWS)
    z = np.array([0.3, -1.0, 0.5])
    np.testing.assert_array_equal(experts.outputs_of(z), experts.outputs_of(z))


def test_they_learn_and_a_copy_learns_on_its_own() -> None:
    experts = fed(40 * WINDOW_ROWS)
    high, low = np.array([1.5, 0.0, 0.0]), np.array([-1.5, 0.0, 0.0])
    assert (experts.outputs_of(high) - experts.outputs_of(low) > 0.5).all()
    before = experts.outputs_of(high)
    other = copy.deepcopy(experts)
    np.testing.assert_allclose(other.outputs_of(high), before, atol=1e-6)
    for _ in range(2 * WINDOW_ROWS):
        other.learn(high, np.array([-2.0]))
    np.testing.assert_array_equal(experts.outputs_of(high), before)


def test_memory_is_bounded() -> None:
    assert fed(40 * WINDOW_ROWS, depth=1).nbytes == fed(36 * WINDOW_ROWS, depth=1).nbytes


def test_growing_outputs_keeps_what_was_learned() -> None:
    experts = RecurrentExperts(2, "softmax", depth=1, hidden_size=4, seed=0)
    for row in range(6 * WINDOW_ROWS):
        experts.learn(np.array([row % 2, 1.0]), np.eye(2)[row % 2])
    before = experts.outputs_of(np.array([0.0, 1.0]))
    experts.grow(3)
    after = experts.outputs_of(np.array([0.0, 1.0]))
    assert after.shape == (1, 3)
    assert after[0, 0] / after[0, 1] == pytest.approx(before[0, 0] / before[0, 1], rel=1e-5)


def test_depth_below_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="depth"):
        RecurrentExperts(1, "identity", depth=-1, hidden_size=4, seed=0)


def test_looking_at_rows_leaves_no_trace() -> None:
    """Looks before a row is learned, at it and at others, with copies between, change nothing after it."""
    plain, looked = fed(2 * WINDOW_ROWS), fed(2 * WINDOW_ROWS)
    random = np.random.default_rng(5)
    for row in range(60):
        z, other = random.normal(size=(2, 3))
        looked.outputs_of(other)
        looked.outputs_of(z)
        if row % 3 == 0:
            looked.outputs_of(other)
        if row % 7 == 0:
            looked = copy.deepcopy(looked)
        plain.learn(z, np.array([0.0]))
        looked.learn(z, np.array([0.0]))
    probe = np.ones(3)
    np.testing.assert_array_equal(plain.outputs_of(probe), looked.outputs_of(probe))


def test_updates_run_on_one_thread_and_leave_torchs_number_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    loss = Trainer._loss

    def watched(self: Trainer, said: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return loss(self, said, truth)

    monkeypatch.setattr(Trainer, "_loss", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        fed(2 * WINDOW_ROWS)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(seen) == {1}
