"""What every stack keeps to, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lamina.nn.stack import Stack, StackConfig
from lamina.ops.cells import CELLS
from lamina.ops.lengths import reverse_rows, valid_steps

Same = Callable[..., None]

LENGTHS = [9, 3, 0, 1, 5]
FORMS: dict[str, dict[str, Any]] = {
    **{cell: {"cell": cell} for cell in CELLS},
    "add": {"residual": "add", "hidden_sizes": (7, 5, 5)},
    "dense": {"residual": "dense", "norm": "layer", "hidden_sizes": (7, 5, 6)},
    "norm": {"cell": "gru", "norm": "layer", "residual": "add"},
    "zoneout": {"zoneout": 0.3, "weight_drop": 0.2, "recurrent_dropout": 0.1},
}


def stack(form: str, **fields: Any) -> Stack:
    torch.manual_seed(0)
    config = StackConfig.parse({"input_size": 3, "hidden_sizes": (7, 5)} | FORMS[form] | fields)
    return Stack(config).double().eval()


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def flat(state: tuple[tuple[tuple[Tensor, ...], ...], ...]) -> list[Tensor]:
    return [h for layer in state for direction in layer for h in direction]


@pytest.mark.parametrize("form", FORMS)
def test_two_pieces_give_what_the_whole_gives(form: str, same: Same) -> None:
    model, x = stack(form), draw(4, 9, 3)
    y, final = model(x)
    first, state = model(x[:, :4])
    second, state = model(x[:, 4:], state)
    same(torch.cat((first, second), 1), y)
    for actual, expected in zip(flat(state), flat(final), strict=True):
        same(actual, expected)


@pytest.mark.parametrize("directions", ["forward", "both"])
@pytest.mark.parametrize("form", FORMS)
def test_padding_does_not_change_valid_steps(form: str, directions: str, same: Same) -> None:
    model, lengths = stack(form, directions=directions), torch.tensor(LENGTHS)
    x = draw(5, 9, 3)
    x[~valid_steps(lengths, 9)] = torch.nan
    x.requires_grad_()
    y, final = model(x, lengths=lengths)
    (y.sum() + sum(h.sum() for h in flat(final))).backward()
    assert x.grad is not None
    assert not x.grad[~valid_steps(lengths, 9)].any()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    for row, steps in enumerate(LENGTHS):
        alone, final_alone = model(x.detach()[row : row + 1, :steps])
        same(y[row, :steps], alone[0])
        assert not y[row, steps:].any()
        for actual, expected in zip(flat(final), flat(final_alone), strict=True):
            same(actual[row], expected[0])


@pytest.mark.parametrize("cell", CELLS)
def test_both_directions_are_forward_joined_with_reversed(cell: str, same: Same) -> None:
    both = stack(cell, hidden_sizes=(7,), directions=("both",))
    weights = both.state_dict()
    forward, backward = (stack(cell, hidden_sizes=(7,)) for _ in range(2))
    forward.load_state_dict({name: w for name, w in weights.items() if "_reverse" not in name})
    backward.load_state_dict(
        {name.removesuffix("_reverse"): w for name, w in weights.items() if name.endswith("_reverse")}
    )
    x, lengths = draw(5, 9, 3), torch.tensor(LENGTHS)
    backward_y = reverse_rows(backward(reverse_rows(x, lengths), lengths=lengths)[0], lengths)
    expected = torch.cat((forward(x, lengths=lengths)[0], backward_y), -1)
    same(both(x, lengths=lengths)[0], expected)


@pytest.mark.parametrize("both", [False, True], ids=["forward", "both"])
@pytest.mark.parametrize("cell", ["tanh", "relu", "lstm", "gru"])
def test_stack_equals_torch(cell: str, both: bool, same: Same) -> None:
    model = stack(cell, hidden_sizes=(7, 7), directions="both" if both else "forward")
    options = {"nonlinearity": cell} if cell in ("tanh", "relu") else {}
    kind = {"lstm": nn.LSTM, "gru": nn.GRU}.get(cell, nn.RNN)
    theirs = kind(3, 7, 2, batch_first=True, bidirectional=both, dtype=torch.float64, **options)
    renamed = {
        name.removeprefix(f"layers.{k}.").replace("_l0", f"_l{k}"): weight
        for name, weight in model.state_dict().items()
        for k in (0, 1)
        if name.startswith(f"layers.{k}.")
    }
    theirs.load_state_dict(renamed)
    x = draw(5, 9, 3)
    y, state = model(x)
    expected, final = theirs(x)
    same(y, expected)
    h = torch.stack([direction[0] for layer in state for direction in layer])
    same(h, final[0] if cell == "lstm" else final)
