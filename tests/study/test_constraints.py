from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamina.errors import ConfigError
from lamina.study.bench import Job, Settings, Standing
from lamina.study.constraints import (
    WIDTHS,
    Fit,
    Limits,
    Option,
    choose,
    kept,
    parse_size_mb,
    pick,
    smaller,
)
from lamina.study.space import Design


def standing(bench: Any, folder: Path, design: Design, seeds: int = 3) -> Standing:
    found = Standing(design)
    for seed in range(seeds):
        keep = folder / f"{design.id}.seed-{seed}.model"
        found.repeats.append(bench.train(Job(design, Settings(4e-3, 0.1), seed, 300, 60.0, keep=keep)))
    return found


def cost(design: Design) -> dict[str, float]:
    """A network of w units and n layers has n w^2 parameters and answers in n w microseconds."""
    return {"params": design.layers * design.hidden**2, "latency_us": design.layers * design.hidden}


@pytest.mark.parametrize("text", ["", "fast", "-5MB", "0"])
def test_a_size_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError, match="200MB"):
        parse_size_mb(text)


def test_excess_is_the_worst_ratio_of_the_limits_that_are_set() -> None:
    limits = Limits(latency_us=50, params=1_000)
    assert limits.excess({"latency_us": 25, "params": 2_000, "train_s": 1e9}) == 2.0
    assert Limits().excess({"latency_us": 25}) == 0.0
    assert limits.given == {"latency_us": 50, "params": 1_000}


def test_the_widest_networks_that_keep_the_limits_are_tried() -> None:
    tried = smaller(Design(layers=3, direction="both"), Limits(latency_us=40), cost)
    assert [(d.layers, d.direction, d.hidden) for d in tried] == [
        (3, "both", 12),
        (1, "both", 32),
        (1, "forward", 32),
    ]
    assert smaller(Design(), Limits(params=9), cost) == []  # the narrowest has 16
    assert smaller(Design(), Limits(train_s=5.0), cost) == [Design()]
    assert min(WIDTHS) == 4


def test_few_networks_are_measured_to_find_the_widest() -> None:
    asked: list[Design] = []

    def counted(design: Design) -> dict[str, float]:
        asked.append(design)
        return cost(design)

    (found,) = smaller(Design(), Limits(latency_us=47), counted)
    assert found.hidden == 32
    assert len(asked) <= 5  # of nine widths
    asked.clear()
    assert smaller(Design(), Limits(latency_us=3), counted) == []
    assert len(asked) == 2  # the widest and the narrowest


def test_a_transformer_is_replaced_by_stacks() -> None:
    tried = smaller(Design(layers=2, transformer=True), Limits(params=300), cost)
    assert [(d.transformer, d.hidden) for d in tried] == [(False, 16)]


def chosen(
    bench: Any, folder: Path, designs: list[Design], limits: Limits, *, recommended: Design | None = None
) -> Fit:
    standings = [standing(bench, folder, design) for design in designs]
    return choose(bench, standings, limits, recommended=recommended or designs[0], rope=0.005)


def test_the_best_that_keeps_the_limits_is_chosen_and_the_price_told(
    fake: Callable[..., Any], tmp_path: Path
) -> None:
    bench = fake(truth={"lstm-1-forward": 1.0, "lstm-2-forward": 0.8, "gru-1-forward": 0.9})
    designs = [Design(), Design(layers=2), Design(cell="gru")]
    found = chosen(bench, tmp_path, designs, Limits(params=150), recommended=Design(layers=2))
    assert found.chosen == Design(cell="gru")
    assert found.unlimited == Design(layers=2)
    assert found.price == pytest.approx(0.125, abs=0.01)
    assert "100 parameters where 150 are allowed" in found.sentence
    assert "The limits cost 12." in found.sentence
    assert [option.recommended for option in found.options] == [False, True, False]


def test_a_limit_that_binds_nothing_changes_nothing(fake: Callable[..., Any], tmp_path: Path) -> None:
    """Two layers have the better mean; the questions saw no difference that matters and said one."""
    bench = fake(truth={"lstm-1-forward": 1.0, "lstm-2-forward": 0.98})
    found = chosen(bench, tmp_path, [Design(), Design(layers=2)], Limits(params=10**9))
    assert found.chosen == found.unlimited == Design()
    assert found.price == 0.0
    assert found.sentence == (
        "lstm ×1 keeps the limits (100 parameters where 1,000,000,000 are allowed). They cost nothing."
    )


def test_of_networks_as_good_as_the_best_that_fits_the_smallest_is_chosen() -> None:
    def option(name: str, score: float, parameters: int, *, recommended: bool = False) -> Option:
        return Option(name, name, score, {"params": float(parameters)}, recommended)

    options = [
        option("deep", 0.9, 900, recommended=True),
        option("middle", 1.0, 400),
        option("small", 1.004, 200),
        option("tiny", 1.006, 100),
    ]
    found = pick(options, Limits(params=500), higher_is_better=False, rope=0.005)
    assert (found.chosen, found.unlimited) == ("small", "deep")
    assert found.price == pytest.approx(0.104 / 0.9)
    assert pick(options, Limits(params=500), higher_is_better=False, rope=0.01).chosen == "tiny"
    accuracies = [option("a", 0.9, 300), option("b", 0.896, 200), option("c", 0.89, 100)]
    assert pick(accuracies, Limits(params=500), higher_is_better=True, rope=0.005).chosen == "b"
    worse = [option("deep", 1.0, 900, recommended=True), option("small", 0.99, 100)]
    free = pick(worse, Limits(params=500), higher_is_better=False, rope=0.005)
    assert "It is no worse than deep, which has 900 parameters where 500 are allowed." in free.sentence


def test_where_none_keeps_them_the_nearest_is_named(fake: Callable[..., Any], tmp_path: Path) -> None:
    bench = fake(truth={"lstm-2-forward": 0.8})
    found = chosen(bench, tmp_path, [Design(), Design(layers=2)], Limits(params=50, latency_us=2_000))
    assert (found.chosen, found.nearest) == (None, Design())
    assert found.sentence.startswith(
        "No network keeps the limits; lstm ×1 comes nearest (nine in ten answers within 1,000 us"
    )


def test_the_saved_model_is_held_to_the_limits() -> None:
    limits = Limits(latency_us=1_500)
    assert kept(limits, {"latency_us": 1_400.0}).outcome == "pass"
    broken = kept(limits, {"latency_us": 1_600.0})
    assert (broken.outcome, broken.evidence) == ("warn", {"latency_us": 1_600.0})


def test_a_limited_cost_that_was_not_measured_passes_no_check() -> None:
    found = kept(Limits(params=500, train_s=5.0), {"params": 100.0})
    assert (found.outcome, found.evidence) == ("warn", {"params": 100.0, "train_s": "not measured"})
    assert found.sentence == "whether the saved model keeps the limits is open; not measured: train_s"
