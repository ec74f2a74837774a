from __future__ import annotations

import pytest
import torch

from lamina.nn.recurrent import Recurrent
from lamina.nn.regularize import Dropout, VariationalDropout, drop_recurrent, drop_weight, zone_out
from lamina.ops.call import ZoneoutMasks, ZoneoutRates


def test_variational_dropout_drops_the_same_features_at_every_step() -> None:
    torch.manual_seed(0)
    y = VariationalDropout(0.5)(torch.ones(50, 7, 40))
    assert torch.equal(y, y[:, :1].expand_as(y))
    assert set(y.flatten().tolist()) == {0.0, 2.0}
    assert abs(y.mean().item() - 1) < 0.1
    assert not torch.equal(y[0], y[1])


def test_nothing_is_dropped_in_evaluation() -> None:
    x = torch.randn(2, 3, 4)
    assert torch.equal(VariationalDropout(0.5).eval()(x), x)
    assert Dropout(0.5).eval()(x) is x
    assert bool((Dropout(0.5)(torch.ones(99)) != 1).all())  # and something in training
    assert drop_recurrent(x[:, 0], 0.5, training=False) is None
    assert torch.equal(drop_weight(x[0], 0.5, training=False), x[0])


def test_recurrent_mask_keeps_the_mean() -> None:
    torch.manual_seed(0)
    mask = drop_recurrent(torch.zeros(100, 100), 0.2, training=True)
    assert mask is not None
    assert set(mask.flatten().tolist()) == {0.0, 1.25}
    assert abs(mask.mean().item() - 1) < 0.02


def test_zoneout_draws_masks_in_training_and_mixes_in_evaluation() -> None:
    torch.manual_seed(0)
    x = torch.zeros(20, 30, 3)
    masks = zone_out(x, 5, 2, 0.3, training=True)
    assert isinstance(masks, ZoneoutMasks)
    share = [mask.double().mean().item() for mask in masks.keep if mask is not None]
    assert share == pytest.approx([0.3, 0.3], abs=0.03)
    assert zone_out(x, 5, 2, 0.3, training=False) == ZoneoutRates((0.3, 0.3))
    assert zone_out(x, 5, 2, 0.0, training=True) is None


@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru", "lnlstm"])
def test_weight_drop_masks_the_matrix_that_is_used(cell: str) -> None:
    """The output is that of the masked matrix, and a masked weight has no gradient while all others have."""
    layer = Recurrent(3, 6, cell=cell, weight_drop=0.5).double()
    x = torch.randn(4, 5, 3, dtype=torch.float64)
    r = layer.get_parameter("weight_hh_l0")
    torch.manual_seed(7)
    masked = drop_weight(r.detach(), 0.5, training=True)
    torch.manual_seed(7)
    y, _ = layer(x)
    y.square().sum().backward()
    assert r.grad is not None
    assert torch.equal(r.grad != 0, masked != 0)
    assert 0.2 < (masked == 0).double().mean() < 0.8

    plain = Recurrent(3, 6, cell=cell).double()
    plain.load_state_dict(layer.state_dict() | {"weight_hh_l0": masked})
    torch.testing.assert_close(y, plain(x)[0], rtol=1e-12, atol=1e-12)
    unmasked, _ = layer.eval()(x)
    assert (unmasked - y).abs().max() > 1e-3


def test_the_parameter_itself_is_left_alone() -> None:
    layer = Recurrent(3, 6, weight_drop=0.5)
    before = layer.get_parameter("weight_hh_l0").clone()
    layer(torch.randn(4, 5, 3))
    assert torch.equal(layer.get_parameter("weight_hh_l0"), before)


@pytest.mark.parametrize("rate", ["recurrent_dropout", "zoneout"])
def test_layer_really_uses_its_noise(rate: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 5, 3)
    options = {"recurrent_dropout": 0.0, "zoneout": 0.0} | {rate: 0.5}
    layer = Recurrent(3, 6, recurrent_dropout=options["recurrent_dropout"], zoneout=options["zoneout"])
    assert not torch.equal(layer(x)[0], layer(x)[0])
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])
