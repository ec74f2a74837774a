from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from lamina.errors import ConfigError, DataError
from lamina.nn.stack import StackConfig
from lamina.nn.transformer import Sinusoids, Transformer, TransformerConfig, parameter_count
from lamina.ops.lengths import valid_steps


def transformer(**fields: Any) -> Transformer:
    torch.manual_seed(0)
    return Transformer(TransformerConfig(**{"input_size": 3, "size": 8, "heads": 2} | fields)).double().eval()


@pytest.mark.parametrize(
    "positions", [{}, {"positions": "learned", "max_steps": 50}], ids=["fixed", "learned"]
)
def test_parameters_are_counted_right(positions: dict[str, Any]) -> None:
    model = transformer(layers=3, feedforward_ratio=3, **positions)
    assert model.config.parameters == sum(p.numel() for p in model.parameters())


def test_layers_equal_those_of_torch() -> None:
    model = transformer(layers=1)
    ours = model.layers[0]
    theirs = nn.TransformerEncoderLayer(
        8, 2, 32, 0.0, activation="gelu", batch_first=True, norm_first=True, dtype=torch.float64
    )
    names = {
        "self_attn.in_proj_": "attention.project_in.",
        "self_attn.out_proj.": "attention.project_out.",
        "linear1.": "feedforward.0.",
        "linear2.": "feedforward.2.",
        "norm1.": "norm_attention.",
        "norm2.": "norm_feedforward.",
    }
    own = ours.state_dict()
    theirs.load_state_dict({t + end: own[o + end] for t, o in names.items() for end in ("weight", "bias")})
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    torch.testing.assert_close(ours(x, None), theirs(x), rtol=1e-10, atol=1e-10)


def test_sinusoids_are_those_of_the_paper() -> None:
    table = Sinusoids(4)(torch.zeros(1, 3, 4, dtype=torch.float64))
    expected = [math.sin(2), math.cos(2), math.sin(2 / 100), math.cos(2 / 100)]
    assert table[2].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("causal", [False, True])
def test_padding_changes_nothing(causal: bool) -> None:
    model, lengths = transformer(causal=causal), torch.tensor([6, 2, 0, 1])
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    x[~valid_steps(lengths, 6)] = torch.nan
    y, state = model(x, lengths=lengths)
    assert state == ()
    y.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    for row, steps in enumerate((6, 2, 0, 1)):
        torch.testing.assert_close(
            y[row, :steps], model(x[row : row + 1, :steps])[0][0], rtol=1e-10, atol=1e-10
        )
        assert not y[row, steps:].any()


def test_causal_transformer_does_not_see_the_future() -> None:
    model = transformer(causal=True)
    x = torch.randn(1, 6, 3, dtype=torch.float64)
    changed = x.clone()
    changed[:, 3:] += 1
    torch.testing.assert_close(model(x)[0][:, :3], model(changed)[0][:, :3], rtol=1e-12, atol=1e-12)
    model.require_causal("stream")
    with pytest.raises(ConfigError, match="this Transformer looks at all steps, so it cannot stream"):
        transformer().require_causal("stream")


@pytest.mark.parametrize("layers", [1, 2, 4])
@pytest.mark.parametrize("hidden", [16, 64, 256])
@pytest.mark.parametrize("direction", ["forward", "both"])
def test_like_is_the_nearest_in_parameters(layers: int, hidden: int, direction: str) -> None:
    stack = StackConfig.parse({"input_size": 5, "hidden_sizes": [hidden] * layers, "directions": direction})
    chosen, wanted = TransformerConfig.like(stack), parameter_count(stack)
    assert chosen.causal == (direction == "forward")
    assert chosen.layers == layers
    gap = abs(chosen.parameters - wanted)
    for size in (chosen.size - 4, chosen.size + 4):
        if size > 0:
            assert gap <= abs(chosen.replace(size=size).parameters - wanted)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": 10, "heads": 4}, "size must be even and a multiple of heads, 4, but is 10"),
        ({"positions": "learned"}, "belong together"),
        ({"max_steps": 5}, "belong together"),
        ({"head": 2}, "unknown key 'head'; did you mean 'heads'?"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_configurations_that_cannot_be_say_why(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        TransformerConfig(**fields)
    assert message in str(error.value)


def test_wrong_input_says_why() -> None:
    with pytest.raises(DataError, match=r"x must be \(batch, time, 3\) but has shape \(1, 5, 4\)"):
        transformer()(torch.zeros(1, 5, 4))
    with pytest.raises(DataError, match="6 steps but positions were learned for 5"):
        transformer(positions="learned", max_steps=5)(torch.zeros(1, 6, 3, dtype=torch.float64))
    with pytest.raises(DataError, match="carries no state"):
        transformer()(torch.zeros(1, 5, 3, dtype=torch.float64), ((torch.zeros(1),),))
    with pytest.raises(ConfigError, match="needs to know its input_size"):
        Transformer(TransformerConfig())
