"""torch.compile and torch.export take Lamina's layers as one graph, without a break."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from lamina.errors import DataError
from lamina.nn.stack import Stack, StackConfig
from lamina.nn.torch_compat import GRU, LSTM, RNN

LENGTHS = torch.tensor([6, 2, 3, 1])
BATCH, TIME = torch.export.Dim("batch", min=2, max=64), torch.export.Dim("time", min=2, max=500)


class OverStack(nn.Module):
    """A stack between other operators."""

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        self.stack = Stack(config)
        self.head = nn.Linear(self.stack.output_size, 2)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        y: Tensor = self.head(self.stack(x * 2, lengths=lengths)[0])
        return y


class OverLayer(nn.Module):
    """A drop-in layer between other operators."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer
        self.head = nn.Linear(layer.hidden_size * (2 if layer.bidirectional else 1), 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.layer(x * 2)[0])
        return y


STACKS = {
    "lstm": StackConfig(
        input_size=3, hidden_sizes=(5, 4), directions=("both",), residual="add", norm="layer"
    ),
    "gru": StackConfig(input_size=3, hidden_sizes=(5, 4), cell="gru", recurrent_dropout=0.1),
    "lnlstm": StackConfig(input_size=3, hidden_sizes=(5, 4), cell="lnlstm", zoneout=0.1),
}
LAYERS: dict[str, Callable[[], nn.RNNBase]] = {
    "lstm": lambda: LSTM(3, 5, 2, batch_first=True, bidirectional=True),
    "gru": lambda: GRU(3, 5),
    "rnn": lambda: RNN(3, 5, nonlinearity="relu", bias=False),
}


@pytest.fixture(autouse=True)
def _afresh() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    torch._dynamo.reset()
    yield
    torch.set_num_threads(threads)


def check_compiled(model: nn.Module, *inputs: Tensor) -> None:
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    expected, actual = model(*inputs), compiled(*inputs)
    torch.testing.assert_close(actual, expected)
    parameters = list(model.parameters())
    wanted, found = (torch.autograd.grad(y.square().sum(), parameters) for y in (expected, actual))
    torch.testing.assert_close(found, wanted)
    with torch.no_grad():
        torch.testing.assert_close(compiled(*inputs), expected)


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("ragged", [False, True], ids=["equal", "ragged"])
def test_stack_compiles_into_one_graph(name: str, ragged: bool) -> None:
    model = OverStack(STACKS[name]).eval()  # compiled noise is drawn by another rule
    check_compiled(model, torch.randn(4, 6, 3), *([LENGTHS] if ragged else []))


@pytest.mark.parametrize("name", LAYERS)
def test_drop_in_compiles_into_one_graph(name: str) -> None:
    check_compiled(OverLayer(LAYERS[name]()), torch.randn(4, 6, 3))


@pytest.mark.parametrize("name", STACKS)
def test_stack_in_training_compiles_into_one_graph(name: str) -> None:
    model = OverStack(STACKS[name])
    y = torch.compile(model, fullgraph=True, backend="aot_eager")(torch.randn(4, 6, 3), LENGTHS)
    assert all(g.isfinite().all() for g in torch.autograd.grad(y.sum(), list(model.parameters())))


@pytest.mark.parametrize("name", STACKS)
def test_exported_stack_takes_other_batches_times_and_lengths(name: str) -> None:
    model = OverStack(STACKS[name]).eval()
    shapes = {"x": {0: BATCH, 1: TIME}, "lengths": {0: BATCH}}
    program = torch.export.export(model, (torch.randn(4, 6, 3), LENGTHS), dynamic_shapes=shapes).module()
    x, lengths = torch.randn(3, 9, 3), torch.tensor([9, 0, 2])
    torch.testing.assert_close(program(x, lengths), model(x, lengths))
    equal = torch.export.export(model, (x,), dynamic_shapes=({0: BATCH, 1: TIME},)).module()
    torch.testing.assert_close(equal(torch.ones(2, 20, 3)), model(torch.ones(2, 20, 3)))


@pytest.mark.parametrize("name", LAYERS)
def test_exported_drop_in_takes_other_batches_and_times(name: str) -> None:
    model = OverLayer(LAYERS[name]())
    program = torch.export.export(
        model, (torch.randn(4, 6, 3),), dynamic_shapes=({0: BATCH, 1: TIME},)
    ).module()
    x = torch.randn(5, 11, 3, requires_grad=True)
    torch.testing.assert_close(program(x), model(x))
    assert torch.autograd.grad(program(x).sum(), x)[0].any()


def test_lengths_are_checked_when_the_graph_runs() -> None:
    compiled = torch.compile(OverStack(STACKS["gru"]).eval(), fullgraph=True, backend="aot_eager")
    compiled(torch.randn(4, 6, 3), LENGTHS)
    with pytest.raises(DataError, match="lengths must lie from 0 to 6"):
        compiled(torch.randn(4, 6, 3), LENGTHS + 5)
