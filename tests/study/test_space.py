from __future__ import annotations

import re

import pytest

from lamina.nn.stack import StackConfig
from lamina.nn.transformer import TransformerConfig
from lamina.study.space import MOST_STEPS_SHARE, Design, at_equal_parameters, at_equal_time, repaired


def test_dropout_residuals_and_norm_reach_the_network() -> None:
    body = Design(layers=2, residual=True, norm=True).body(0.25)
    assert isinstance(body, StackConfig)
    assert (body.dropout, body.hidden_sizes) == (0.25, (64, 64))
    assert (body.residual, body.norm) == ("add", "layer")


def test_mixed_directions_end_forward() -> None:
    body = Design(layers=3, direction="both-forward").body(0.0)
    assert isinstance(body, StackConfig)
    assert body.directions == ("both", "both", "forward")


def test_the_transformer_has_a_like_number_of_parameters() -> None:
    body = Design(layers=2, transformer=True).body(0.1)
    assert isinstance(body, TransformerConfig)
    assert body.parameters == pytest.approx(Design(layers=2).parameters, rel=0.1)


@pytest.mark.parametrize("base", [Design(), Design(cell="gru", hidden=48), Design(direction="both")])
@pytest.mark.parametrize("layers", [2, 3, 4, 8])
def test_the_width_at_equal_parameters_is_the_nearest(base: Design, layers: int) -> None:
    found = at_equal_parameters(base, layers)
    assert found.layers == layers
    gap = abs(found.parameters - base.parameters)
    for units in (found.hidden - 1, found.hidden + 1):
        other = at_equal_parameters(base, layers)
        assert gap <= abs(Design(**{**vars(other), "hidden": units}).parameters - base.parameters)
    assert gap < 0.05 * base.parameters


def test_equal_time_scales_steps_by_measured_cost_within_a_limit() -> None:
    cost = {1: 2.0, 2: 5.0, 3: 0.1}
    one, two, three = (Design(layers=n) for n in (1, 2, 3))
    assert at_equal_time(two, one, lambda design: cost[design.layers]).steps == 0.4
    assert at_equal_time(one, one, lambda design: cost[design.layers]) == one
    assert at_equal_time(three, one, lambda design: cost[design.layers]).steps == MOST_STEPS_SHARE


def test_what_fails_to_train_is_repaired_once() -> None:
    mended = repaired(Design(layers=4))
    assert mended == Design(layers=4, residual=True, norm=True, careful=True)
    assert repaired(mended) is None
    assert repaired(Design(layers=2, transformer=True)) is None


def test_settings_come_from_the_design_that_is_searched() -> None:
    assert Design(layers=2, rows=0.25).searched == Design(layers=2, full=True).searched == Design(layers=2)
    assert Design(layers=2, hidden=32).searched == Design(layers=2, hidden=32)


def test_every_field_is_seen_in_the_id_and_the_label() -> None:
    designs = [
        Design(),
        Design(layers=2),
        Design(direction="both"),
        Design(cell="gru"),
        Design(attention=True),
        Design(transformer=True),
        Design(hidden=32),
        Design(residual=True),
        Design(norm=True),
        Design(clip=False),
        Design(careful=True),
        Design(steps=0.5),
        Design(rows=0.5),
        Design(full=True),
    ]
    ids = [design.id for design in designs]
    assert len(set(ids)) == len(designs) == len({design.label for design in designs})
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in ids)
