from __future__ import annotations

import itertools

import pytest
import torch

from lamina.estimators.pretraining import ALL_AWAKE, from_the_top_down
from lamina.estimators.text_classifier import TextClassifier
from lamina.nn.stack import StackConfig
from lamina.tasks.text import TextConfig, TextNetwork
from lamina.training.callbacks import Callback
from lamina.training.loop import Run
from lamina.training.optim import TrainingConfig

TEXTS = ["sun and rain", "rain and sun", "snow or ice", "ice or snow"] * 8
LABELS = ["warm", "warm", "cold", "cold"] * 8
STEPS = 40


@pytest.mark.parametrize("hidden_sizes", [(4,), (4, 6, 4)])
@pytest.mark.parametrize("residual", ["none", "add"])
def test_layers_wake_from_the_top_down(hidden_sizes: tuple[int, ...], residual: str) -> None:
    stack = StackConfig(hidden_sizes=hidden_sizes, directions=("both",), residual=residual)  # type: ignore[arg-type]
    network = TextNetwork(TextConfig(embedding_size=5, attention=True), 20, 2, stack)
    groups = from_the_top_down(network)
    layers = len(hidden_sizes)
    assert len(groups) == layers + 2
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    held = [[names[id(parameter)] for parameter in group.parameters] for group in groups]
    assert sorted(name for group in held for name in group) == sorted(names.values())  # each once
    assert {"head.weight", "head.bias"} <= set(held[0])
    assert not [name for name in held[0] if name.startswith(("reader.body", "embed"))]
    for number, layer in zip(range(layers - 1, -1, -1), held[1:], strict=False):
        assert f"reader.body.layers.{number}.weight_ih_l0" in layer
        assert all(name.split(".")[3] == str(number) for name in layer)
    assert held[-1] == ["embed.weight"]
    for depth, group in enumerate(groups):
        assert group.begin == pytest.approx(ALL_AWAKE * depth / (layers + 1))


class Embeddings(Callback):
    """The embedding after each step of the tuning."""

    def __init__(self, model: TextClassifier) -> None:
        self.model = model
        self.seen: list[torch.Tensor] = []

    def on_step(self, run: Run) -> None:
        if run.stage == "training":
            self.seen.append(self.model.network_.embed.weight.detach().clone())


@pytest.mark.parametrize("unlabelled", [["sun and ice"] * 4, None])
def test_the_embedding_waits_for_its_turn_after_a_pretraining_only(unlabelled: list[str] | None) -> None:
    settings = TrainingConfig(max_steps=STEPS, batch_size=8, validations=1, learning_rate=0.01)
    model = TextClassifier(
        stack=StackConfig(hidden_sizes=(4,), directions=("both",)),
        training=settings,
        pretraining=settings.replace(max_steps=2) if unlabelled else None,
    )
    watching = Embeddings(model)
    model.fit(TEXTS, LABELS, unlabelled=unlabelled, callbacks=[watching])
    turn = round(ALL_AWAKE * STEPS)  # the first step that moves it, from 0
    changed = [not torch.equal(before, after) for before, after in itertools.pairwise(watching.seen)]
    assert len(watching.seen) == STEPS
    assert any(changed[: turn - 1]) == (unlabelled is None)
    assert all(changed[turn - 1 :])
    assert all(parameter.requires_grad for parameter in model.network_.parameters())
