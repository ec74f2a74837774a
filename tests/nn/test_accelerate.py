from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lamina.errors import ConfigError
from lamina.nn import torch_compat
from lamina.nn.accelerate import accelerate, report, restore

WORDS, TAGS = 50, 5


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


class FlairTagger(nn.Module):
    """A tagger as Flair builds it: embeddings packed, two directions, a linear map of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 12)
        self.rnn = nn.LSTM(12, 16, num_layers=2, dropout=0.3, bidirectional=True, batch_first=True)
        self.linear = nn.Linear(32, TAGS)

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.embedding(words), lengths, batch_first=True, enforce_sorted=False)
        y, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=words.shape[1])
        tags: Tensor = self.linear(y)
        return tags


class KerasTagger(nn.Module):
    """A tagger as Keras' Bidirectional(LSTM(return_sequences=True)) twice: one module a direction."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 12)
        self.forwards = nn.ModuleList([nn.LSTM(12, 16, batch_first=True), nn.LSTM(32, 16, batch_first=True)])
        self.backwards = nn.ModuleList([nn.LSTM(12, 16, batch_first=True), nn.LSTM(32, 16, batch_first=True)])
        self.linear = nn.Linear(32, TAGS)

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        y = self.embedding(words) * (torch.arange(words.shape[1]) < lengths[:, None])[:, :, None]
        for ahead, back in zip(self.forwards, self.backwards, strict=True):
            y = torch.cat((ahead(y)[0], back(y.flip(1))[0].flip(1)), -1)
        tags: Tensor = self.linear(y)
        return tags


def sentences(number: int) -> tuple[Tensor, Tensor, Tensor]:
    """Words, lengths and tags; a tag hangs on its word."""
    generator = torch.Generator().manual_seed(number)
    words = torch.randint(0, WORDS, (16, 12), generator=generator)
    lengths = torch.randint(3, 13, (16,), generator=generator)
    tags = words % TAGS
    return words, lengths, tags.masked_fill(torch.arange(12) >= lengths[:, None], -100)


def loss_curve(model: nn.Module, steps: int) -> list[float]:
    optimizer, found = torch.optim.Adam(model.parameters(), lr=1e-2), []
    torch.manual_seed(3)  # of the dropout, whose masks are torch's
    for step in range(steps):
        words, lengths, tags = sentences(step)
        loss = nn.functional.cross_entropy(model(words, lengths).flatten(0, 1), tags.flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        optimizer.step()
        found.append(loss.item())
    return found


@pytest.mark.parametrize("kind", [FlairTagger, KerasTagger])
def test_tagger_gives_the_same_outputs_and_learns_along_the_same_curve(kind: type[nn.Module]) -> None:
    torchs = kind()
    ours = accelerate(copy.deepcopy(torchs))
    assert report(ours).replaced
    assert not report(ours).left
    words, lengths, _ = sentences(-1)
    torch.testing.assert_close(
        ours.eval()(words, lengths), torchs.eval()(words, lengths), atol=1e-5, rtol=1e-5
    )
    expected, actual = (loss_curve(model.train(), 200) for model in (torchs, ours))
    assert expected[-1] < 0.8 * expected[0]  # there is a curve to agree on
    torch.testing.assert_close(torch.tensor(actual), torch.tensor(expected), atol=2e-3, rtol=2e-3)


def test_every_layer_stays_the_object_that_it_was() -> None:
    shared = nn.GRU(3, 3)
    model = nn.ModuleDict({"a": shared, "b": shared, "c": nn.Sequential(nn.RNN(3, 3), nn.Linear(3, 3))})
    model.eval()
    modules, parameters = list(model.modules()), list(model.parameters())
    assert accelerate(model) is model
    assert all(a is b for a, b in zip(modules, model.modules(), strict=True))
    assert all(a is b for a, b in zip(parameters, model.parameters(), strict=True))
    assert model["a"] is model["b"]
    assert not any(module.training for module in model.modules())
    assert report(model).replaced == ("a", "c.0")
    assert [type(module) for module in model.modules() if isinstance(module, nn.RNNBase)] == [
        torch_compat.GRU,
        torch_compat.RNN,
    ]


def test_restored_model_is_what_it_was() -> None:
    model = nn.ModuleList([nn.LSTM(3, 4), nn.GRU(3, 4), nn.RNN(3, 4, nonlinearity="relu")])
    before = {name: dict(vars(module)) for name, module in model.named_modules()}
    kinds = [type(module) for module in model]
    assert restore(accelerate(model)) is model
    assert [type(module) for module in model] == kinds
    assert {name: dict(vars(module)) for name, module in model.named_modules()} == before


def test_twice_is_as_once() -> None:
    model = accelerate(accelerate(nn.Sequential(nn.LSTM(3, 4))))
    assert report(model).replaced == ("0",)
    assert type(restore(restore(model))[0]) is nn.LSTM


def test_the_model_may_itself_be_a_layer() -> None:
    layer: nn.Module = accelerate(nn.LSTM(3, 4))
    assert str(report(layer)) == "the model itself: runs on Lamina"
    assert isinstance(layer, torch_compat.LSTM)
    restored: nn.Module = restore(layer)
    assert type(restored) is nn.LSTM


def test_hooks_go_on() -> None:
    seen: list[str] = []
    layer = nn.GRU(3, 4)
    layer.register_forward_pre_hook(lambda *_: seen.append("before"))
    layer.register_forward_hook(lambda *_: seen.append("after"))
    accelerate(layer)(torch.zeros(2, 1, 3))
    assert seen == ["before", "after"]


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")  # models have it still
def test_weight_norm_by_hook_goes_on() -> None:
    layer: nn.Module = nn.utils.weight_norm(nn.LSTM(3, 4), "weight_hh_l0")
    x = torch.randn(5, 2, 3)
    before = layer(x)[0]
    with torch.no_grad():
        layer.get_parameter("weight_hh_l0_g").mul_(2)  # only the hook carries this to the weight
    expected = layer(x)[0]
    assert not torch.equal(expected, before)
    assert report(accelerate(layer)).replaced == ("",)
    torch.testing.assert_close(layer(x)[0], expected, atol=1e-5, rtol=1e-5)


class OwnLSTM(nn.LSTM):
    """Computes something else."""

    def forward(self, input: Any, hx: Any = None) -> Any:
        y, state = super().forward(input, hx)
        return 2 * y, state


def test_what_is_left_alone_is_told_with_the_reason() -> None:
    replaced = nn.GRU(3, 4)
    replaced.forward = lambda x: x  # type: ignore[assignment]  # as some libraries do
    parametrized = nn.utils.parametrizations.weight_norm(nn.GRU(3, 4), "weight_hh_l0")
    with pytest.warns(DeprecationWarning, match=r"torch\.jit\.script"):
        scripted = torch.jit.script(nn.GRU(3, 4))
    model = nn.ModuleDict(
        {"own": OwnLSTM(3, 4), "replaced": replaced, "parametrized": parametrized, "scripted": scripted}
    )
    kinds = [type(module) for module in model.modules()]
    accelerate(model)
    assert [type(module) for module in model.modules()] == kinds
    told = report(model)
    assert not told.replaced
    assert {name: why.split(";")[0] for name, why in told.left} == {
        "own": "its class OwnLSTM is no class of torch.nn, and may compute something else",
        "replaced": "its forward was replaced",
        "parametrized": "its parameters are parametrized, which made its class",
        "scripted": "TorchScript has compiled it",
    }
    assert "own: left to torch, for its class OwnLSTM" in str(told)


def test_layer_added_later_is_told() -> None:
    model = accelerate(nn.Sequential(nn.LSTM(3, 4)))
    model.append(nn.LSTM(3, 4))
    assert report(model).left == (("1", "lamina.accelerate has not been called since it was added"),)


def test_model_without_recurrence_is_told() -> None:
    assert str(report(accelerate(nn.Linear(2, 2)))) == "the model has no recurrent layer"


def test_optimiser_goes_on_across_the_change() -> None:
    layer: nn.Module = nn.LSTM(3, 4)
    x = torch.randn(5, 2, 3)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    before = layer.get_parameter("weight_ih_l0").detach().clone()
    accelerate(layer)
    layer(x)[0].sum().backward()
    optimizer.step()
    assert not torch.equal(before, layer.get_parameter("weight_ih_l0"))


@pytest.mark.parametrize("change", [accelerate, restore, report])
def test_something_else_than_a_model_is_refused(change: Any) -> None:
    with pytest.raises(ConfigError, match=r"must be a torch\.nn\.Module but is a list"):
        change([nn.LSTM(3, 4)])
