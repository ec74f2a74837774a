from __future__ import annotations

import pytest
import torch
from torch import nn

from lamina.errors import ConfigError, DataError
from lamina.nn.recurrent import Recurrent
from lamina.ops.cells import CELLS


@pytest.mark.parametrize("direction", ["forward", "both"])
@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru"])
def test_state_dict_of_torch_loads_and_gives_the_same(cell: str, direction: str) -> None:
    kinds = {"tanh": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
    theirs = kinds[cell](4, 6, batch_first=True, bidirectional=direction == "both")
    ours = Recurrent(4, 6, cell=cell, direction="both" if direction == "both" else "forward")
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(3, 5, 4)
    torch.testing.assert_close(ours(x)[0], theirs(x)[0])


@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_blocks_start_orthogonal(cell: str) -> None:
    layer = Recurrent(3, 8, cell=cell, direction="both")
    for direction in (0, 1):
        for block in layer.weights(direction).r.chunk(len(layer.cell.gates)):
            torch.testing.assert_close(block @ block.T, torch.eye(8), atol=1e-5, rtol=0)


def test_forget_bias_starts_at_one() -> None:
    layer = Recurrent(3, 2)
    assert layer.get_parameter("bias_ih_l0").tolist() == [0, 0, 1, 1, 0, 0, 0, 0]
    assert not layer.get_parameter("bias_hh_l0").any()
    shift = Recurrent(3, 2, cell="lnlstm").get_parameter("shift_l0")
    assert shift.tolist() == [[0, 0], [1, 1], [0, 0], [0, 0]]


def test_chrono_spreads_memories_up_to_the_steps_asked() -> None:
    bias = Recurrent(3, 200, chrono_steps=100).get_parameter("bias_ih_l0").view(4, 200)
    memory_steps = bias[1].exp() + 1
    assert 2 <= memory_steps.min() < 10
    assert 90 < memory_steps.max() <= 100
    assert torch.equal(bias[0], -bias[1])


@pytest.mark.parametrize(("cell", "steps", "message"), [("tanh", 10, "no gate"), ("lstm", 2, "at least 3")])
def test_chrono_that_cannot_be_is_refused(cell: str, steps: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Recurrent(3, 2, cell=cell, chrono_steps=steps)


def test_state_of_the_wrong_directions_is_refused() -> None:
    with pytest.raises(DataError, match="has 2 directions but the state has 1"):
        Recurrent(3, 2, direction="both")(torch.zeros(1, 1, 3), Recurrent(3, 2).init_state(1))


def test_parameters_of_its_own_are_drawn_for_layer_norm() -> None:
    names = {name for name, _ in Recurrent(3, 2, cell="lngru", direction="both").named_parameters()}
    own = {"weight_ih", "weight_hh", "gain_x", "gain_h", "shift"}
    assert names == {name + suffix for name in own for suffix in ("_l0", "_l0_reverse")}
