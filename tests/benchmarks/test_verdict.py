"""Two small cases of the benchmark on a stream of their own, and the committed results of all of them."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
STREAM = 7


def test_equal_depths_are_told_apart_in_at_most_five_percent(verdict: ModuleType) -> None:
    case = next(case for case in verdict.cases() if case.name == "four equal depths, five questions")
    result = verdict.measure(case, 150, stream=STREAM)
    # 5 % of 150 studies is 7.5; 14 is the 99 % point of a binomial
    assert result.means["claimed"] <= 14 / 150


def test_a_gain_of_two_deviations_is_found_within_ten_seeds(verdict: ModuleType) -> None:
    case = next(case for case in verdict.cases() if case.name == "gain 2, 4 depths, 10 seeds")
    # of 95 % in 200 studies, 181 is the 1 % point of a binomial
    assert verdict.measure(case, 200, stream=STREAM).means["found"] >= 181 / 200


def test_a_world_has_the_spread_it_states(verdict: ModuleType) -> None:
    rng = np.random.default_rng(3)
    for form in ({}, {"windows_each": 80, "overlap": 8}, {"windows_each": 80, "persistent": True}):
        world = verdict.World(window_error=0.5, **form)
        noise = np.stack([world.draw(rng, 2, 4).mean(axis=-1) for _ in range(2_000)]) / world.seed_sd
        own = noise - noise.mean(axis=2, keepdims=True)  # (studies, arms, seeds)
        assert own.var() * 4 / 3 == pytest.approx(1.0, rel=0.05)
        gap = noise.mean(axis=2) @ np.array([1.0, -1.0])
        assert gap.var() == pytest.approx(0.5**2 + 2 / 4, rel=0.1)


def test_another_stream_gives_other_studies(verdict: ModuleType) -> None:
    case = next(case for case in verdict.cases() if case.name == "gain 1, 2 depths, 24 seeds")
    seeds = [verdict.measure(case, 20, stream=stream).means["seeds"] for stream in (STREAM, verdict.HELD_OUT)]
    assert seeds[0] != seeds[1]


def test_committed_results_are_of_these_cases_on_the_held_out_stream_and_miss_no_bar(
    verdict: ModuleType,
) -> None:
    committed = json.loads((FOLDER / "results" / "verdict.json").read_text(encoding="utf-8"))
    assert committed["studies"] >= 1_000
    assert committed["stream"] == verdict.HELD_OUT
    assert {result["case"]: result["missed"] for result in committed["results"] if result["missed"]} == {}
    told = {result["case"]: result["bars"] for result in committed["results"]}
    stated = {case.name: {name: str(bar) for name, bar in case.bars.items()} for case in verdict.cases()}
    assert told == stated
