from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lamina.errors import ConfigError
from lamina.nn.cross_attention import Memory
from lamina.nn.decoder import DecoderConfig, DecoderState, RecurrentDecoder, state_tensors
from lamina.nn.stack import StackConfig
from lamina.ops.scan import scan

LENGTHS = torch.tensor([6, 3])
FORMS = [
    DecoderConfig(),
    DecoderConfig(attention="additive"),
    DecoderConfig(attention=None),
    DecoderConfig(input_feeding=True),
    DecoderConfig(attention=None, input_feeding=True),
]


def decoder(config: DecoderConfig, stack: StackConfig | None = None) -> RecurrentDecoder:
    torch.manual_seed(0)
    layers = stack or StackConfig(cell="lstm", hidden_sizes=(7, 5))
    made = RecurrentDecoder(config, layers, input_size=4, memory_size=6, summary_size=3, output_size=4)
    return made.double()


def memory(made: RecurrentDecoder) -> Memory:
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(2, 6, 6, generator=generator, dtype=torch.float64)
    return made.remember(values, LENGTHS, torch.randn(2, 3, generator=generator, dtype=torch.float64))


def tokens() -> Tensor:
    return torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.mark.parametrize("config", FORMS, ids=str)
@pytest.mark.parametrize("sizes", [(7,), (7, 5, 6)])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_step_by_step_gives_what_the_whole_gives(
    config: DecoderConfig, sizes: tuple[int, ...], cell: str
) -> None:
    made = decoder(config, StackConfig(cell=cell, hidden_sizes=sizes))
    source, x = memory(made), tokens()
    whole, final, weights = made(x, source, made.start(source))
    state, outputs, looked = made.start(source), [], []
    for t in range(5):
        y, state, seen = made(x[:, t : t + 1], source, state)
        outputs.append(y)
        looked.append(seen)
    torch.testing.assert_close(torch.cat(outputs, 1), whole)
    for ours, theirs in zip(state_tensors(state.above), state_tensors(final.above), strict=True):
        torch.testing.assert_close(ours, theirs)
    if config.attention is None:
        assert weights is None
    else:
        torch.testing.assert_close(torch.cat(looked, 1), weights)
        assert float(weights[1, :, 3:].detach().abs().max()) == 0


def test_output_is_the_equation_of_the_docstring() -> None:
    made = decoder(DecoderConfig())
    source, x = memory(made), tokens()
    start = made.start(source)
    q, _ = made.asking(x, start.asking)
    assert made.attention is not None
    assert made.above is not None
    context, _ = made.attention(q, source.keys[0], source.values, LENGTHS)
    y, _ = made.above(torch.cat((q, context), -1), start.above)
    expected = torch.cat((y, context), -1) @ made.output.weight.T + made.output.bias
    torch.testing.assert_close(made(x, source, start)[0], expected.tanh())


@pytest.mark.parametrize(("feeding", "scans"), [(False, 2), (True, 2 * 5)])
def test_only_input_feeding_runs_step_by_step(
    feeding: bool, scans: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = decoder(DecoderConfig(input_feeding=feeding))
    source, steps = memory(made), []

    def counted(cell: object, x: Tensor, *rest: object, **options: object) -> object:
        steps.append(x.shape[1])
        return scan(cell, x, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("lamina.nn.recurrent.scan", counted)
    made(tokens(), source, made.start(source))
    assert len(steps) == scans
    assert sum(steps) == 2 * 5


def test_with_input_feeding_a_step_reads_the_output_before() -> None:
    made = decoder(DecoderConfig(input_feeding=True))
    source, x = memory(made), tokens()
    start = made.start(source)
    first, after, _ = made(x[:, :1], source, start)
    assert isinstance(after.fed, Tensor)
    torch.testing.assert_close(after.fed, first)
    other = after._replace(fed=first + 1)
    moved = made(x[:, 1:2], source, other)[0] - made(x[:, 1:2], source, after)[0]
    assert float(moved.detach().abs().max()) > 1e-3


@pytest.mark.parametrize("config", FORMS, ids=str)
def test_nothing_later_and_no_padding_reaches_a_valid_step(config: DecoderConfig) -> None:
    made = decoder(config)
    source, x = memory(made), tokens()
    later = x.clone()
    later[:, 3:] = 9
    limits = torch.tensor([3, 2])
    ours = made(x, source, made.start(source), lengths=limits)[0]
    theirs = made(later, source, made.start(source))[0]
    torch.testing.assert_close(ours[0, :3], theirs[0, :3])
    torch.testing.assert_close(ours[1, :2], theirs[1, :2])


def test_the_summary_reaches_every_first_state_and_all_parameters_learn() -> None:
    made = decoder(DecoderConfig(attention="additive", input_feeding=True))
    source = memory(made)
    start = made.start(source)
    assert isinstance(start, DecoderState)
    states = [*state_tensors(start.asking), *state_tensors(start.above)]
    assert [h.shape[1] for h in states] == [7, 7, 5, 5]
    assert all(not torch.equal(h[0], h[1]) for h in states)
    made(tokens(), source, start)[0].square().sum().backward()
    assert all(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in made.parameters())


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(ConfigError, match="decoder writes forward"):
        DecoderConfig(stack=StackConfig(directions=("both",)))
    for noise in (
        {"weight_drop": 0.1},
        {"recurrent_dropout": 0.1},
        {"dropout": 0.1, "dropout_mask": "sequence"},
    ):
        stack = StackConfig(hidden_sizes=(4,), **noise)
        with pytest.raises(ConfigError, match="drawn anew at every step"):
            decoder(DecoderConfig(input_feeding=True), stack)
        decoder(DecoderConfig(), stack)
