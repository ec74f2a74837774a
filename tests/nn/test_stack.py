from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lamina.errors import BackendError, ConfigError, DataError
from lamina.nn.stack import Add, Stack, StackConfig
from lamina.nn.transformer import TransformerConfig


def stack(**fields: Any) -> Stack:
    torch.manual_seed(0)
    return Stack(StackConfig(**{"input_size": 3} | fields)).double()


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def test_bidirectional_below_and_unidirectional_above_is_one_setting() -> None:
    model = stack(hidden_sizes=(5, 4), directions=("both", "forward"))
    y, state = model(draw(2, 6, 3))
    assert y.shape == (2, 6, 4)
    assert [[tuple(h.shape) for h in direction] for layer in state for direction in layer] == [
        [(2, 5), (2, 5)],
        [(2, 5), (2, 5)],
        [(2, 4), (2, 4)],
    ]
    assert model.layers[1].input_size == 10


@pytest.mark.parametrize("directions", ["both", ("both",), ("both", "both")])
def test_one_direction_counts_for_all_layers(directions: object) -> None:
    assert StackConfig.parse({"hidden_sizes": [5, 4], "directions": directions}).layer_directions == (
        "both",
        "both",
    )


def test_added_residual_is_the_sum_with_a_projection_where_sizes_differ() -> None:
    model = stack(hidden_sizes=(5, 4, 4), residual="add")
    first, second, third = model.layers
    joints = [joint for joint in model.joints if isinstance(joint, Add)]
    assert len(joints) == 2  # the first layer has none
    x = draw(2, 6, 3)
    below = first(x)[0]
    below = below @ joints[0].project.weight.T + second(below)[0]
    expected = below + third(below)[0]
    torch.testing.assert_close(model(x)[0], expected, rtol=1e-12, atol=1e-12)


def test_dense_layers_read_everything_below() -> None:
    model = stack(hidden_sizes=(5, 4, 2), residual="dense")
    first, second, third = model.layers
    x = draw(2, 6, 3)
    one = torch.cat((x, first(x)[0]), -1)
    two = torch.cat((one, second(one)[0]), -1)
    torch.testing.assert_close(model(x)[0], third(two)[0], rtol=1e-12, atol=1e-12)


def test_norms_stand_before_upper_layers_and_at_the_end() -> None:
    model = stack(hidden_sizes=(5, 5), norm="layer", residual="add")
    x = draw(2, 6, 3)
    below = model.layers[0](x)[0]
    expected = torch.nn.functional.layer_norm(
        below + model.layers[1](torch.nn.functional.layer_norm(below, (5,)))[0], (5,)
    )
    torch.testing.assert_close(model(x)[0], expected, rtol=1e-12, atol=1e-12)


def test_dropout_on_one_layer_is_not_ignored() -> None:
    y, _ = stack(hidden_sizes=(50,), dropout=0.5)(draw(1, 20, 3))
    assert 0.4 < (y == 0).double().mean() < 0.6
    y, _ = stack(hidden_sizes=(50,), dropout=0.5, dropout_mask="sequence")(draw(1, 20, 3))
    assert torch.equal((y == 0).all(1), (y == 0).any(1))


def test_steps_give_what_the_whole_sequence_gives() -> None:
    model = stack(cell="gru", hidden_sizes=(5, 4), residual="add", norm="layer").eval()
    x = draw(2, 6, 3)
    y, final = model(x)
    state = model.init_state(2)
    for t in range(6):
        out, state = model.step(x[:, t], state)
        torch.testing.assert_close(out, y[:, t], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(state, final, rtol=1e-12, atol=1e-12)


def test_stack_that_needs_the_future_does_not_stream() -> None:
    model = stack(hidden_sizes=(5, 4), directions=("forward", "both"))
    assert not model.causal
    with pytest.raises(ConfigError, match="layer 2 reads both directions, so this stack cannot stream"):
        model.step(draw(2, 3), model.init_state(2))
    with pytest.raises(ConfigError, match="cannot generate text"):
        model.require_causal("generate text")


def test_causal_stack_does_not_see_the_future() -> None:
    model = stack(hidden_sizes=(5, 4), residual="dense", norm="layer")
    assert model.causal
    x = draw(1, 6, 3)
    changed = x.clone()
    changed[:, 4:] += 1
    assert torch.equal(model(x)[0][:, :4], model(changed)[0][:, :4])


def test_module_keeps_no_state() -> None:
    model = stack(hidden_sizes=(5, 4))
    x = draw(2, 6, 3)
    first, _ = model(x)
    assert torch.equal(first, model(x)[0])
    assert not list(model.buffers())


def test_named_backend_runs_every_layer_or_fails() -> None:
    x = draw(2, 6, 3)
    model = stack(hidden_sizes=(5, 4))
    torch.testing.assert_close(model(x, backend="reference")[0], model(x, backend="aten")[0])
    with pytest.raises(BackendError, match="torch has no cell 'lnlstm'"):
        stack(cell="lnlstm")(x, backend="aten")


@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru", "lngru"])
def test_autocast_to_bfloat16_trains(cell: str) -> None:
    model, x = Stack(StackConfig(cell=cell, input_size=3, hidden_sizes=(8, 8))), torch.randn(2, 6, 3)
    expected, _ = model(x)
    with torch.autocast("cpu", torch.bfloat16):
        y, _ = model(x, lengths=torch.tensor([6, 6]))
        y.float().sum().backward()
    torch.testing.assert_close(y.float(), expected, atol=0.05, rtol=0)  # bfloat16 carries 8 bits
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_state_of_another_depth_is_refused() -> None:
    with pytest.raises(DataError, match="has 2 layers but the state has 1"):
        stack(hidden_sizes=(5, 4))(draw(2, 6, 3), stack(hidden_sizes=(5,)).init_state(2))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hiden_sizes": (3,)}, "unknown key 'hiden_sizes'; did you mean 'hidden_sizes'?"),
        ({"cell": "lsmt"}, "cell: no cell is called 'lsmt'; did you mean 'lstm'?"),
        ({"hidden_sizes": ()}, "hidden_sizes: "),
        ({"hidden_sizes": (3, 0)}, "hidden_sizes.1: "),
        (
            {"directions": ("forward",) * 3, "hidden_sizes": (3, 3)},
            "directions has 3 entries but hidden_sizes has 2",
        ),
        ({"init": "chrono"}, "init='chrono' and chrono_steps belong together"),
        ({"chrono_steps": 10}, "init='chrono' and chrono_steps belong together"),
        ({"init": "chrono", "chrono_steps": 10, "cell": "relu"}, "cell 'relu' has none"),
        ({"dropout": 1.0, "zoneout": -1}, "dropout: input should be less than 1, but is 1.0; zoneout: "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_configurations_that_cannot_be_say_why(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        StackConfig(**fields)
    assert message in str(error.value)


def test_stack_without_input_size_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs to know its input_size"):
        Stack(StackConfig())


def test_what_is_no_stack_is_refused() -> None:
    with pytest.raises(ConfigError, match="made from a StackConfig, but came TransformerConfig"):
        Stack(TransformerConfig(input_size=3))  # type: ignore[arg-type]  # what is refused


@pytest.mark.parametrize("directions", [("forward",), ("both",)])
@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_grown_stack_computes_the_same_until_it_is_trained(
    directions: tuple[str, ...], norm: str, cell: str
) -> None:
    """To 1e-6, also where rows are padded, and with the same state of the layers below."""
    model = stack(hidden_sizes=(5, 5), directions=directions, norm=norm, cell=cell, residual="gated")
    with torch.no_grad():
        model.joints[1].gate.fill_(0.7)  # type: ignore[operator]  # as if it had been trained
    x, lengths = draw(3, 9, 3), torch.tensor([9, 4, 1])
    taller = model.grown(3)
    before, below = model(x, lengths=lengths)
    after, state = taller(x, lengths=lengths)
    assert float((after - before).detach().abs().max()) <= 1e-6
    assert len(taller.layers) == len(state) == 5
    torch.testing.assert_close(state[1], below[1])


def test_a_grown_layer_learns_and_then_matters() -> None:
    model = stack(hidden_sizes=(4,), residual="gated").grown(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, target = draw(4, 6, 3), draw(4, 6, 4)
    gradients = []
    for _ in range(2):
        optimizer.zero_grad()
        ((model(x)[0] - target) ** 2).mean().backward()
        known = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        gradients.append({name: float(gradient.norm()) for name, gradient in known.items()})
        optimizer.step()
    assert gradients[0]["joints.1.gate"] > 0
    assert gradients[0]["layers.1.weight_hh_l0"] == 0.0
    assert gradients[1]["layers.1.weight_hh_l0"] > 0


def test_only_a_gated_stack_grows_without_a_change() -> None:
    with pytest.raises(ConfigError, match=r"only with residual='gated', but this one has 'add'"):
        stack(hidden_sizes=(4,), residual="add").grown(1)
    with pytest.raises(ConfigError, match=r"layers of one width, but they give \[4, 6\] features"):
        StackConfig(hidden_sizes=(4, 6), residual="gated")
