from __future__ import annotations

import pytest
import torch

from lamina.errors import ConfigError
from lamina.nn.directions import directions_apart
from lamina.nn.recurrent import Recurrent
from lamina.nn.stack import Stack, StackConfig

BOTH = StackConfig(input_size=3, hidden_sizes=(4, 4, 4), directions=("both",))


def made(**changes: object) -> Stack:
    torch.manual_seed(0)
    return Stack(BOTH.replace(**changes)).eval()


def hangs_on(stack: Stack) -> tuple[set[int], set[int]]:
    """Steps of the input on which the forward and the backward half of output step 2 of 5 hang."""
    found = []
    for half in range(2):
        x = torch.randn(1, 5, 3, requires_grad=True)
        stack(x)[0].chunk(2, -1)[half][0, 2].sum().backward()
        assert x.grad is not None
        found.append({step for step in range(5) if x.grad[0, step].abs().max() > 0})
    return found[0], found[1]


@pytest.mark.parametrize("cell", ["lstm", "gru", "tanh", "lnlstm"])
@pytest.mark.parametrize("residual", ["none", "add", "dense", "gated"])
def test_each_half_sees_one_side_only(cell: str, residual: str) -> None:
    stack = made(cell=cell, residual=residual)
    if residual == "gated":
        for joint in stack.joints[1:]:
            torch.nn.init.ones_(joint.gate)  # type: ignore[arg-type]  # a parameter
    assert hangs_on(stack) == ({0, 1, 2, 3, 4}, {0, 1, 2, 3, 4})
    with directions_apart(stack):
        assert hangs_on(stack) == ({0, 1, 2}, {2, 3, 4})


def test_projections_between_layers_of_unequal_size_do_not_cross_either() -> None:
    stack = made(hidden_sizes=(4, 6, 3), residual="add")
    with directions_apart(stack):
        assert hangs_on(stack) == ({0, 1, 2}, {2, 3, 4})


def test_it_is_two_stacks_side_by_side() -> None:
    """The truth is a forward stack made of the forward weights alone, and one that reads the row reversed."""
    stack, x = made(), torch.randn(2, 7, 3)
    with directions_apart(stack):
        joined = stack(x)[0]
    for half, suffix in enumerate(("_l0", "_l0_reverse")):
        alone = Stack(BOTH.replace(directions=("forward",))).eval()
        for depth, (mine, theirs) in enumerate(zip(alone.layers, stack.layers, strict=True)):
            assert isinstance(mine, Recurrent)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                value = theirs.get_parameter(name + suffix).detach()
                if name == "weight_ih" and depth:
                    value = value[:, 4 * half : 4 * half + 4]
                mine.get_parameter(name + "_l0").data.copy_(value)
        expected = alone(x)[0] if half == 0 else alone(x.flip(1))[0].flip(1)
        torch.testing.assert_close(joined.chunk(2, -1)[half], expected)


def test_they_stay_apart_while_the_stack_learns_and_meet_afterwards() -> None:
    stack = made(residual="add", hidden_sizes=(4, 6)).train()
    optimizer = torch.optim.AdamW(stack.parameters(), lr=0.05, weight_decay=0.1)

    def learn() -> None:
        for _ in range(3):
            optimizer.zero_grad()
            stack(torch.randn(4, 5, 3))[0].square().mean().backward()
            optimizer.step()

    before = {name: value.clone() for name, value in stack.state_dict().items()}
    with directions_apart(stack):
        learn()
        assert hangs_on(stack) == ({0, 1, 2}, {2, 3, 4})
        assert all(not torch.equal(value, before[name]) for name, value in stack.state_dict().items())
    learn()
    assert hangs_on(stack) == ({0, 1, 2, 3, 4}, {0, 1, 2, 3, 4})


def test_one_layer_and_forward_stacks_are_left_as_they_are() -> None:
    for changes in (
        {"hidden_sizes": (4,)},
        {"directions": ("forward",)},
        {"directions": "forward", "norm": "layer"},
    ):
        stack = made(**changes)
        before = {name: value.clone() for name, value in stack.state_dict().items()}
        with directions_apart(stack):
            assert all(torch.equal(value, before[name]) for name, value in stack.state_dict().items())


def test_what_cannot_be_kept_apart_is_refused() -> None:
    with (
        pytest.raises(ConfigError, match=r"read both, forward, forward\. Use"),
        directions_apart(made(directions=("both", "forward", "forward"))),
    ):
        pass
    with (
        pytest.raises(ConfigError, match="norm='layer' takes its mean over both"),
        directions_apart(made(norm="layer")),
    ):
        pass
