"""The two directions of a stack kept apart, so that each can learn to foresee what the other reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lamina.errors import ConfigError
from lamina.nn.recurrent import Recurrent
from lamina.nn.stack import Add, Concatenate, Stack, StackConfig

ANY, FORWARD, BACKWARD = 0, 1, 2
"""What a feature hangs on: the step itself, steps up to it, steps from it on."""


def require_one_kind(config: StackConfig, purpose: str) -> None:
    """Raise ConfigError unless the directions of a stack can be kept apart.

    Args:
        purpose: completes "to ...", such as "be pre-trained".
    """
    kinds = set(config.layer_directions)
    if len(kinds) > 1:
        raise ConfigError(
            f"to {purpose}, the layers of a stack all read forward or all read both directions, but these "
            f"read {', '.join(config.layer_directions)}. Use directions=('both',) or ('forward',)."
        )
    if kinds == {"both"} and config.norm == "layer":
        raise ConfigError(
            f"to {purpose}, the two directions of a stack are kept apart, but norm='layer' takes its "
            "mean over both. Use norm='none', or directions=('forward',)."
        )


@contextmanager
def directions_apart(stack: Stack) -> Iterator[None]:
    """Within the block, what reads forward sees no later step and what reads backward no earlier one.

    A deeper layer of both directions reads both of the layer below, and so all steps. Here the weights by
    which one direction reads the other become zero, and their gradients too: the stack is then two stacks
    side by side, as in ELMo (Peters et al. 2018, arXiv:1802.05365). Afterwards they learn like all others.

    Raises:
        ConfigError: the layers differ in their directions, or a norm is taken over both.
    """
    require_one_kind(stack.config, "be pre-trained")
    crossings = _crossings(stack)
    with torch.no_grad():
        for weight, kept in crossings:
            weight.mul_(kept)
    hooks: list[RemovableHandle] = [
        weight.register_hook(partial(_without_crossing, kept))  # type: ignore[no-untyped-call]  # torch's own
        for weight, kept in crossings
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _without_crossing(kept: Tensor, gradient: Tensor) -> Tensor:
    return gradient * kept.to(gradient.device)


def _crossings(stack: Stack) -> list[tuple[Tensor, Tensor]]:
    """Weights by which a direction reads the other, each with 0 where it does and 1 elsewhere."""
    if stack.causal:
        return []
    found: list[tuple[Tensor, Tensor]] = []
    assert stack.config.input_size is not None
    below = torch.full((stack.config.input_size,), ANY)  # what each feature that a layer reads hangs on
    for layer, joint in zip(stack.layers, stack.joints, strict=True):
        assert isinstance(layer, Recurrent)
        for direction, other in enumerate((BACKWARD, FORWARD)):
            weight = layer.weights(direction).w  # (rows, features below)
            found.append((weight, (below != other).to(weight)[None].expand_as(weight)))
        given = torch.tensor([FORWARD, BACKWARD]).repeat_interleave(layer.hidden_size)
        if isinstance(joint, Add) and isinstance(joint.project, nn.Linear):
            weight = joint.project.weight  # (features given, features below)
            crosses = given[:, None] + below == FORWARD + BACKWARD
            found.append((weight, (~crosses).to(weight)))
        below = torch.cat((below, given)) if isinstance(joint, Concatenate) else given
    return [(weight, kept) for weight, kept in found if not kept.all()]
