from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from lamina.errors import ConfigError
from lamina.training.optim import (
    Frozen,
    ParameterGroup,
    Schedule,
    TrainingConfig,
    build_optimizer,
    build_schedule,
    rate_factor,
)


def rates(schedule: Schedule, steps: int) -> list[float]:
    """The learning rate that each step really uses."""
    config = TrainingConfig(max_steps=steps, learning_rate=0.5, schedule=schedule)
    optimizer = build_optimizer(nn.Linear(2, 1), config)
    scheduler = build_schedule(optimizer, config)
    used = []
    for _ in range(steps):
        used.append(optimizer.param_groups[0]["lr"])
        assert optimizer.param_groups[1]["lr"] == used[-1]
        optimizer.step()
        scheduler.step()
    return used


def test_one_cycle_rises_for_a_tenth_and_falls_for_the_rest() -> None:
    used = rates("one-cycle", 100)
    assert used[0] == pytest.approx(0.5 / 25)
    assert used[10] == max(used) == 0.5
    assert used == [*sorted(used[:11]), *sorted(used[11:], reverse=True)]
    assert used[5] == pytest.approx(0.5 * (0.04 + 0.96 / 2))
    assert used[40] == pytest.approx(0.5 * 0.5 * (1 + math.cos(math.pi / 3)))  # a third of the way down
    assert 0 < used[99] < 0.001


def test_warmup_stable_decay_holds_its_peak() -> None:
    used = rates("warmup-stable-decay", 100)
    assert used[0] == pytest.approx(0.5 / 25)
    assert used[5:71] == pytest.approx([0.5] * 66)
    assert used[85] == pytest.approx(0.25)
    assert used[99] == pytest.approx(0.5 / 30)


def test_a_constant_rate_stays() -> None:
    assert rates("constant", 5) == [0.5] * 5


@pytest.mark.parametrize("schedule", ["one-cycle", "warmup-stable-decay"])
def test_a_rate_never_leaves_its_range(schedule: Schedule) -> None:
    assert all(0 <= rate_factor(schedule, step / 1000) <= 1 for step in range(1001))


def test_weight_decay_shrinks_matrices_and_leaves_vectors() -> None:
    config = TrainingConfig(learning_rate=0.1, weight_decay=0.5, schedule="constant")
    network = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2), nn.GRU(2, 2))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1.0)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    build_optimizer(network, config).step()
    for name, parameter in network.named_parameters():
        expected = 1 - 0.1 * 0.5 if parameter.ndim >= 2 else 1.0
        assert parameter.flatten().tolist() == pytest.approx([expected] * parameter.numel()), name


def test_a_step_is_that_of_adamw() -> None:
    """First step: m / (sqrt(v) + eps) is the gradient's sign, after decay (Loshchilov & Hutter 2019)."""
    layer = nn.Linear(1, 1)
    nn.init.constant_(layer.weight, 2.0)
    nn.init.constant_(layer.bias, 2.0)
    layer.weight.grad, layer.bias.grad = torch.tensor([[3.0]]), torch.tensor([-0.2])
    build_optimizer(layer, TrainingConfig(learning_rate=0.01, weight_decay=0.1)).step()
    assert layer.weight.item() == pytest.approx(2 * (1 - 0.001) - 0.01)
    assert layer.bias.item() == pytest.approx(2 + 0.01)


def test_frozen_parameters_are_left_out() -> None:
    network = nn.Linear(2, 2)
    network.bias.requires_grad_(False)
    groups = build_optimizer(network, TrainingConfig()).param_groups
    assert [len(group["params"]) for group in groups] == [1, 0]


def test_what_is_frozen_waits_for_its_turn() -> None:
    layers = [nn.Linear(2, 2) for _ in range(3)]
    layers[2].bias.requires_grad_(False)  # by the user, who wants it so
    groups = [
        ParameterGroup(tuple(one.parameters()), begin=begin)
        for one, begin in zip(layers, (0, 0.25, 0.5), strict=True)
    ]

    def learning() -> list[list[bool]]:
        return [[p.requires_grad for p in layer.parameters()] for layer in layers]

    frozen = Frozen(groups, max_steps=10)
    assert learning() == [[True, True], [False, False], [False, False]]
    frozen.thaw(2)
    assert learning() == [[True, True], [False, False], [False, False]]
    frozen.thaw(3)
    assert learning() == [[True, True], [True, True], [False, False]]
    frozen.end()
    assert learning() == [[True, True], [True, True], [True, False]]


def test_all_bad_settings_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        TrainingConfig(max_step=5, learning_rate=0, average=1.0, schedule="cosine")  # type: ignore[call-arg,arg-type]
    message = str(caught.value)
    assert "unknown key 'max_step'; did you mean 'max_steps'?" in message
    for name in ("learning_rate", "average", "schedule"):
        assert f"{name}: " in message
