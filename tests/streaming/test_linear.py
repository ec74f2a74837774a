"""The native arithmetic against the equations written out in NumPy, and what the experts learn."""

from __future__ import annotations

import numpy as np
import pytest

from lamina.streaming.linear import KEEP, STEPS, LinearExperts, Link


def softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


class Written:
    """Recursive least squares, online Newton and AdaGrad, as their equations stand."""

    def __init__(self, features: int, outputs: int, link: Link) -> None:
        self.link = link
        self.w = np.zeros((len(KEEP) + len(STEPS[link]), outputs, features))
        self.p = [np.eye(features) for _ in KEEP]
        self.g = np.full((len(STEPS[link]), outputs, features), 1.0 if link == "identity" else 0.01)

    def say(self, z: np.ndarray) -> np.ndarray:
        logits = np.asarray(self.w @ z)
        return softmax(logits) if self.link == "softmax" else logits

    def learn(self, z: np.ndarray, truth: np.ndarray) -> None:
        said = self.say(z)
        for e, keep in enumerate(KEEP):
            p = said[e]
            h = max(0.02, float((2 * p * (1 - p)).max())) if self.link == "softmax" else 1.0
            pz = self.p[e] @ z
            self.w[e] += np.outer(np.clip(truth - p, -3, 3), pz) / (keep + h * z @ pz)
            self.p[e] = (self.p[e] - h * np.outer(pz, pz) / (keep + h * z @ pz)) / keep
        for e, step in enumerate(STEPS[self.link]):
            error = truth - said[len(KEEP) + e]
            slope = np.outer(error if self.link == "softmax" else np.clip(error, -1, 1), z)
            self.g[e] += slope**2
            self.w[len(KEEP) + e] += step * slope / np.sqrt(self.g[e])


@pytest.mark.parametrize(("link", "outputs"), [("identity", 1), ("softmax", 2), ("softmax", 3)])
def test_native_steps_are_the_written_equations(link: Link, outputs: int) -> None:
    random = np.random.default_rng(0)
    experts, written = LinearExperts(7, outputs, link), Written(7, outputs, link)
    for row in range(30):  # fewer than the rows after which the trace is looked at
        z = random.normal(size=7)
        truth = np.eye(outputs)[row % outputs] if link == "softmax" else random.normal(size=1) * 4
        said = experts.outputs_of(z)
        np.testing.assert_allclose(said, written.say(z), rtol=1e-10, atol=1e-12)
        experts.learn(z, said, truth)
        written.learn(z, truth)
    np.testing.assert_allclose(experts.weights, written.w, rtol=1e-9, atol=1e-12)


def test_without_forgetting_it_is_ridge_regression() -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=(400, 5))
    y = x @ np.array([1.0, -0.5, 0.0, 0.3, 0.1]) * 0.5 + random.normal(size=400) * 0.1
    experts = LinearExperts(5, 1, "identity")
    for z, value in zip(x, y, strict=True):
        experts.learn(z, experts.outputs_of(z), np.array([value]))
    ridge = np.linalg.solve(x.T @ x + np.eye(5), x.T @ y)
    np.testing.assert_allclose(experts.weights[0, 0], ridge, atol=1e-9)


def test_growing_keeps_what_was_learned() -> None:
    experts = LinearExperts(2, 1, "identity")
    z = np.array([1.0, 0.5])
    for _ in range(50):
        experts.learn(z, experts.outputs_of(z), np.array([0.7]))
    before = experts.outputs_of(z)
    experts.grow(4, 1)
    np.testing.assert_array_equal(experts.outputs_of(np.array([1.0, 0.5, 0.0, 0.0])), before)


def test_forgetting_never_blows_up_where_nothing_varies() -> None:
    experts = LinearExperts(3, 1, "identity")
    z = np.array([1.0, 0.0, 0.0])
    for _ in range(20_000):
        experts.learn(z, experts.outputs_of(z), np.array([0.1]))
    assert experts.finite
    assert float(np.einsum("eii->e", experts.inverse).max()) < 6.0
