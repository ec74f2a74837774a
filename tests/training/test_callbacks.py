from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from lamina.nn.stack import StackConfig
from lamina.nn.transformer import TransformerConfig
from lamina.tasks.base import BodyConfig, Reader
from lamina.training.callbacks import Averager, BestWeights, GradientNorms, layer_of


def test_best_weights_are_a_copy_and_come_back() -> None:
    network = nn.Linear(2, 1)
    kept = network.weight.detach().clone()
    best = BestWeights(higher_is_better=False)
    assert best.offer(2.0, network)
    nn.init.zeros_(network.weight)
    assert not best.offer(2.0, network)
    assert not best.offer(3.0, network)
    best.restore(network)
    assert torch.equal(network.weight, kept)


def test_nothing_is_restored_before_the_first_validation() -> None:
    network = nn.Linear(2, 1)
    before = network.weight.detach().clone()
    BestWeights(higher_is_better=True).restore(network)
    assert torch.equal(network.weight, before)


def test_the_average_forgets_the_first_weights_early() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 0.0)
    average = Averager(network, decay=0.99)
    nn.init.constant_(network.weight, 1.0)
    average.update()  # decay (1 + 1) / (10 + 1)
    with average.applied():
        assert network.weight.item() == pytest.approx(1 - 2 / 11)
    average.update()  # decay (1 + 2) / (10 + 2)
    with average.applied():
        assert network.weight.item() == pytest.approx(1 - 2 / 11 * 3 / 12)
    assert network.weight.item() == 1.0


def test_live_weights_come_back_after_an_error() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 0.0)
    average = Averager(network, decay=0.5)
    nn.init.constant_(network.weight, 4.0)
    with pytest.raises(KeyError), average.applied():
        raise KeyError
    assert network.weight.item() == 4.0


def test_no_decay_averages_nothing() -> None:
    network = nn.Linear(1, 1)
    average = Averager(network, decay=0.0)
    average.update()
    with average.applied():
        pass
    assert average.state_dict() == {"updates": 0, "mean": []}


def test_gradient_norms_are_means_over_sampled_steps() -> None:
    network = nn.ModuleDict(
        {"layers": nn.ModuleList([nn.Linear(1, 2), nn.Linear(2, 1)]), "head": nn.Linear(1, 1)}
    )
    norms = GradientNorms(network)

    def give(gradient: float) -> None:
        for parameter in network.parameters():
            parameter.grad = torch.full_like(parameter, gradient)

    give(3.0)
    norms.record(0)
    give(100.0)
    for step in range(1, 8):
        norms.record(step)  # not sampled
    give(5.0)
    norms.record(8)
    assert norms.drain() == {
        "layer 1": pytest.approx(4 * math.sqrt(4)),  # weight 2, bias 2
        "layer 2": pytest.approx(4 * math.sqrt(3)),  # weight 2, bias 1
        "head": pytest.approx(4 * math.sqrt(2)),
    }
    norms.record(9)  # the first after a drain
    assert norms.drain()["head"] == pytest.approx(5 * math.sqrt(2))
    assert norms.drain() == {}


@pytest.mark.parametrize(
    "body", [StackConfig(hidden_sizes=(4, 4), directions=("both",)), TransformerConfig(size=4, heads=1)]
)
def test_layers_of_a_body_are_told_apart(body: BodyConfig) -> None:
    reader = Reader(3, body, width=4, attention=True)
    names = {layer_of(name) for name, _ in reader.named_parameters()}
    assert {"layer 1", "layer 2", "embed", "attend"} <= names
