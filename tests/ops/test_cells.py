"""The equations, against the papers written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from lamina.errors import ConfigError
from lamina.ops.cells import CELLS, find_cell

Array = NDArray[np.float64]
BATCH, HIDDEN = 3, 5


def sigmoid(v: Array) -> Array:
    result: Array = 1 / (1 + np.exp(-v))
    return result


def normalise(v: Array) -> Array:
    centred = v - v.mean(-1, keepdims=True)
    scaled: Array = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return scaled


def tanh_cell(wx: Array, rh: Array, state: list[Array], extra: dict[str, Array]) -> list[Array]:
    return [np.tanh(wx[:, 0] + rh[:, 0])]


def relu_cell(wx: Array, rh: Array, state: list[Array], extra: dict[str, Array]) -> list[Array]:
    return [np.maximum(0, wx[:, 0] + rh[:, 0])]


def lstm_cell(wx: Array, rh: Array, state: list[Array], extra: dict[str, Array]) -> list[Array]:
    i, f, g, o = np.moveaxis(wx + rh, 1, 0)
    c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
    return [sigmoid(o) * np.tanh(c), c]


def gru_cell(wx: Array, rh: Array, state: list[Array], extra: dict[str, Array]) -> list[Array]:
    r, z = sigmoid(wx[:, 0] + rh[:, 0]), sigmoid(wx[:, 1] + rh[:, 1])
    n = np.tanh(wx[:, 2] + r * rh[:, 2])
    return [(1 - z) * n + z * state[0]]


def lnlstm_cell(wx: Array, rh: Array, state: list[Array], extra: dict[str, Array]) -> list[Array]:
    terms = extra["gain_x"] * normalise(wx) + extra["gain_h"] * normalise(rh) + extra["shift"]
    i, f, g, o = np.moveaxis(terms, 1, 0)
    c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
    return [sigmoid(o) * np.tanh(extra["gain_c"] * normalise(c) + extra["shift_c"]), c]


def lngru_cell(wx: Array, rh: Array, state: list[Array], extra: dict[str, Array]) -> list[Array]:
    a, u = extra["gain_x"] * normalise(wx) + extra["shift"], extra["gain_h"] * normalise(rh)
    r, z = sigmoid(a[:, 0] + u[:, 0]), sigmoid(a[:, 1] + u[:, 1])
    return [(1 - z) * np.tanh(a[:, 2] + r * u[:, 2]) + z * state[0]]


PAPERS = {
    "tanh": tanh_cell,
    "relu": relu_cell,
    "lstm": lstm_cell,
    "gru": gru_cell,
    "lnlstm": lnlstm_cell,
    "lngru": lngru_cell,
}


def test_every_cell_is_checked() -> None:
    assert set(PAPERS) == set(CELLS)


@pytest.mark.parametrize("name", CELLS)
def test_step_is_the_equation_of_the_paper(name: str) -> None:
    torch.manual_seed(0)
    cell = CELLS[name]

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=torch.float64)

    wx, rh = draw(BATCH, len(cell.gates), HIDDEN), draw(BATCH, len(cell.gates), HIDDEN)
    state = tuple(draw(BATCH, HIDDEN) for _ in cell.states)
    extra = {key: draw(value.rows, HIDDEN) for key, value in cell.extra.items()}
    expected = PAPERS[name](
        wx.numpy(),
        rh.numpy(),
        [s.numpy() for s in state],
        {key: value.numpy() for key, value in extra.items()},
    )
    actual = cell.step(wx, rh, state, extra)
    assert len(actual) == len(cell.states)
    for got, truth in zip(actual, expected, strict=True):
        np.testing.assert_allclose(got.numpy(), truth, rtol=1e-12, atol=1e-12)


def test_gates_named_for_initialisation_exist() -> None:
    for cell in CELLS.values():
        for gate in (cell.keep_gate, cell.write_gate):
            assert gate is None or gate in cell.gates


def test_unknown_cell_guesses_the_right_one() -> None:
    with pytest.raises(ConfigError, match=r"no cell is called 'lsmt'; did you mean 'lstm'\?"):
        find_cell("lsmt")
