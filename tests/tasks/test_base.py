from __future__ import annotations

import pytest
import torch

from lamina.errors import ConfigError
from lamina.nn.stack import Stack, StackConfig
from lamina.nn.transformer import Transformer, TransformerConfig
from lamina.tasks.base import Ends, Pooling, Reader, build_body


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def test_the_data_set_the_bodys_input_size() -> None:
    stack = build_body(StackConfig(input_size=9, hidden_sizes=(4,)), 3)
    transformer = build_body(TransformerConfig(size=4, heads=1), 5)
    assert isinstance(stack, Stack)
    assert isinstance(transformer, Transformer)
    assert stack.config.input_size == 3
    assert transformer.config.input_size == 5


def test_a_body_that_is_none_is_an_error_with_the_next_step() -> None:
    with pytest.raises(ConfigError, match=r"stack is a StackConfig or .* but is 'lstm'\. Pass for example"):
        build_body("lstm", 3)  # type: ignore[arg-type]


def test_ends_are_the_last_step_forward_and_the_first_backward() -> None:
    y = torch.arange(24.0).view(2, 3, 4)
    assert Ends()(y).tolist() == [[8, 9, 2, 3], [20, 21, 14, 15]]
    assert Ends()(y, torch.tensor([2, 1])).tolist() == [[4, 5, 2, 3], [12, 13, 14, 15]]


def test_the_last_state_of_both_directions_uses_both_ends() -> None:
    """Against torch.nn.LSTM's own final states, whose directions each end at their own end."""
    reader = Reader(3, StackConfig(hidden_sizes=(5,), directions=("both",)))
    twin = torch.nn.LSTM(3, 5, bidirectional=True, batch_first=True)
    recurrent = reader.body.layers[0]
    weights = dict(recurrent.named_parameters())
    for name, parameter in twin.named_parameters():
        found = [value for key, value in weights.items() if key.endswith(name)]
        assert len(found) == 1, (name, list(weights))
        parameter.data.copy_(found[0])
    x = torch.randn(2, 7, 3)
    _, (h, _) = twin(x)
    torch.testing.assert_close(reader(x), torch.cat([h[0], h[1]], dim=-1))


@pytest.mark.parametrize("step", [0, -1])
def test_both_ends_of_the_sequence_reach_the_vector_at_full_strength(step: int) -> None:
    reader = Reader(1, StackConfig(hidden_sizes=(4,), directions=("both",)))
    x = torch.zeros(1, 200, 1, requires_grad=True)
    reader(x).sum().backward()
    assert x.grad is not None
    assert x.grad[0, step].abs().item() > 1e-3


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize(
    "body",
    [
        StackConfig(hidden_sizes=(4,), directions=("both",)),
        StackConfig(hidden_sizes=(4, 3), directions=("both", "forward")),
        TransformerConfig(size=4, heads=2, layers=1),
    ],
)
def test_padding_does_not_change_the_vector(
    body: StackConfig | TransformerConfig, pooling: Pooling, attention: bool
) -> None:
    reader = Reader(2, body, width=3, pooling=pooling, attention=attention).eval()
    x = torch.randn(3, 6, 2)
    lengths = torch.tensor([6, 4, 1])
    padded = x.clone()
    padded[1, 4:], padded[2, 1:] = 1e6, -1e6
    out = reader(padded, lengths)
    assert out.shape == (3, reader.output_size)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(out[[row]], reader(x[[row], :length]), rtol=2e-5, atol=2e-5)


def test_attention_joins_the_pooled_vector() -> None:
    plain, attending = (Reader(2, StackConfig(hidden_sizes=(4,)), attention=a) for a in (False, True))
    assert (plain.output_size, attending.output_size) == (4, 8)
    attending.load_state_dict(plain.state_dict(), strict=False)
    x = torch.randn(2, 5, 2)
    torch.testing.assert_close(attending(x)[:, :4], plain(x))
