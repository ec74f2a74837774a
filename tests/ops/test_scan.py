from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from torch import Tensor

from lamina.errors import BackendError, ConfigError, DataError
from lamina.ops.backends.aten import Aten
from lamina.ops.backends.reference import Reference
from lamina.ops.call import Call, Weights, ZoneoutMasks, ZoneoutRates
from lamina.ops.cells import LSTM
from lamina.ops.scan import BACKENDS, Absent, choose, explain, scan

ORDER = (Absent("native", "not built"), Aten(), Reference())
WEIGHTS = Weights(torch.zeros(8, 3), torch.zeros(8, 2))
STATE = (torch.zeros(4, 2), torch.zeros(4, 2))


def lstm_call(**changes: Any) -> Call:
    """A call that is right but for the changes."""
    fields: dict[str, Any] = {"cell": LSTM, "x": torch.zeros(4, 6, 3), "state": STATE, "weights": WEIGHTS}
    return Call(**fields | changes)


def test_hand_sum_with_lengths_and_direction() -> None:
    """h' = x + 10 h makes the order of the digits visible."""
    x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, torch.nan]]).unsqueeze(-1)
    weights, start = Weights(torch.ones(1, 1), torch.full((1, 1), 10.0)), (torch.zeros(2, 1),)
    lengths = torch.tensor([3, 2])
    y, (h,) = scan("relu", x, start, weights, lengths=lengths)
    assert y.squeeze(-1).tolist() == [[1, 12, 123], [4, 45, 0]]
    assert h.flatten().tolist() == [123, 45]
    y, (h,) = scan("relu", x, start, weights, lengths=lengths, reverse=True)
    assert y.squeeze(-1).tolist() == [[321, 32, 3], [54, 5, 0]]
    assert h.flatten().tolist() == [321, 54]


def test_recurrent_mask_hides_units_from_the_product_only() -> None:
    x = torch.ones(1, 3, 1).expand(1, 3, 2)
    weights = Weights(torch.eye(2), torch.eye(2))
    mask = torch.tensor([[0.0, 2.0]])
    y, _ = scan("relu", x, (torch.zeros(1, 2),), weights, recurrent_mask=mask)
    assert y[0].tolist() == [[1, 1], [1, 3], [1, 7]]


def test_zoneout_masks_keep_the_old_value() -> None:
    weights = Weights(torch.ones(1, 1), torch.ones(1, 1))
    keep = torch.tensor([False, True, False]).view(1, 3, 1)
    y, _ = scan("relu", torch.ones(1, 3, 1), (torch.zeros(1, 1),), weights, zoneout=ZoneoutMasks((keep,)))
    assert y.flatten().tolist() == [1, 1, 2]


def test_zoneout_rates_mix_old_and_new() -> None:
    weights = Weights(torch.ones(1, 1), torch.ones(1, 1))
    y, _ = scan("relu", torch.ones(1, 2, 1), (torch.zeros(1, 1),), weights, zoneout=ZoneoutRates((0.25,)))
    assert y.flatten().tolist() == [0.75, 1.5]


def test_memory_before_its_zoneout_makes_the_output() -> None:
    call = lstm_call(x=torch.randn(4, 1, 3), weights=Weights(torch.randn(8, 3), torch.zeros(8, 2)))
    plain, _ = Reference().run(call)
    masks = ZoneoutMasks((None, torch.ones(4, 1, 2, dtype=torch.bool)))
    zoned, (_, c) = scan(LSTM, call.x, STATE, call.weights, zoneout=masks, backend="reference")
    assert torch.equal(plain, zoned)
    assert not c.any()


@pytest.mark.parametrize("name", ["lstm", "gru", "tanh"])
def test_no_steps_leave_the_state(name: str) -> None:
    rows = {"lstm": 8, "gru": 6, "tanh": 2}[name]
    state = tuple(torch.randn(4, 2) for _ in range(2 if name == "lstm" else 1))
    y, final = scan(name, torch.zeros(4, 0, 3), state, Weights(torch.zeros(rows, 3), torch.zeros(rows, 2)))
    assert y.shape == (4, 0, 2)
    assert all(torch.equal(a, b) for a, b in zip(final, state, strict=True))


def test_first_willing_backend_runs_and_refusals_are_recorded() -> None:
    choice = choose(lstm_call(), backends=ORDER)
    assert str(choice) == "aten runs it\n  native: not built"
    masked = choose(lstm_call(recurrent_mask=torch.ones(4, 2)), backends=ORDER)
    assert str(masked) == "reference runs it\n  native: not built\n  aten: torch has no recurrent mask"


def test_refusals_reach_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="lamina.ops.scan"):
        scan("lstm", torch.zeros(4, 6, 3), STATE, WEIGHTS, recurrent_mask=torch.ones(4, 2))
    assert "aten: torch has no recurrent mask" in caplog.text or "native runs it" in caplog.text


def test_explain_asks_every_backend_in_order() -> None:
    call = lstm_call(zoneout=ZoneoutRates((0.1, 0.1)))
    choice = explain(call)
    names = [name for name, _ in choice.refused]
    assert [*names, choice.backend.name] == [backend.name for backend in BACKENDS][: len(names) + 1]
    assert BACKENDS[-1].name == "reference"


def test_named_backend_that_refuses_is_an_error() -> None:
    with pytest.raises(BackendError, match="backend 'aten' cannot run this call: torch has no zoneout"):
        choose(lstm_call(zoneout=ZoneoutRates((0.1, 0.1))), backend="aten")


def test_unknown_backend_is_guessed() -> None:
    with pytest.raises(ConfigError, match=r"'refrence'; did you mean 'reference'\?"):
        choose(lstm_call(), backend="refrence")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": torch.zeros(4, 6)}, r"x must be \(batch, time, features\) but has shape \(4, 6\)"),
        ({"x": torch.zeros(4, 6, 5)}, "x has 5 features but the weights were made for 3"),
        (
            {"x": torch.zeros(4, 6, 3, dtype=torch.float64)},
            "x is torch.float64 but the weights are torch.float32",
        ),
        ({"state": STATE[:1]}, "the state must hold h, c but has 1 tensors"),
        ({"state": (torch.zeros(3, 2), STATE[1])}, r"state h must have shape \(4, 2\) but has \(3, 2\)"),
        (
            {"lengths": torch.tensor([1, 2, 3, 7])},
            "lengths must lie from 0 to 6, the steps in x, but reach from 1 to 7",
        ),
        ({"lengths": torch.tensor([1, 2, 3, -1])}, "reach from -1 to 3"),
        ({"lengths": torch.ones(4)}, "lengths must be int64"),
        ({"lengths": torch.tensor([1])}, r"lengths must have shape \(4,\)"),
        ({"zoneout": ZoneoutRates((0.1,))}, "zoneout needs 2 rates"),
        ({"zoneout": ZoneoutRates((0.1, 1.5))}, "zoneout needs 2 rates"),
        ({"zoneout": ZoneoutMasks((torch.ones(4, 6, 2), None))}, "zoneout needs 2 bool masks"),
        ({"weights": Weights(torch.zeros(6, 3), torch.zeros(8, 2))}, r"w must have shape \(8, 3\)"),
        (
            {"weights": Weights(torch.zeros(8, 3), torch.zeros(8, 2), extra={"g": torch.zeros(1)})},
            "extra must hold",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_calls_that_do_not_fit_say_why(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        lstm_call(**changes)


def test_all_faults_come_at_once() -> None:
    with pytest.raises(DataError, match=r"5 features.*state h must.*lengths must be int64"):
        lstm_call(x=torch.zeros(4, 6, 5), state=(torch.zeros(1, 1), STATE[1]), lengths=torch.ones(4))


def test_float32_aten_reads_the_right_final_memory() -> None:
    torch.manual_seed(0)
    w, r, b, c = (torch.randn(size) * 0.3 for size in ((128, 3), (128, 32), (128,), (128,)))
    weights = Weights(w, r, b, c)
    x, state = torch.randn(3, 50, 3), (torch.zeros(3, 32), torch.zeros(3, 32))
    _, (_, c) = scan("lstm", x, state, weights, lengths=torch.tensor([50, 7, 1]), backend="aten")
    for row, steps in enumerate((50, 7, 1)):
        alone: tuple[Tensor, ...] = tuple(s[:1] for s in state)
        _, (_, truth) = scan("lstm", x[row : row + 1, :steps], alone, weights, backend="aten")
        torch.testing.assert_close(c[row], truth[0])
