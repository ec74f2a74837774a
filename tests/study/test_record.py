from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lamina.study.bench import Job, Settings, Standing
from lamina.study.checks import CheckResult
from lamina.study.decide import decide
from lamina.study.record import candidate, check, environment, unanswered, verdict
from lamina.study.scores import Arm
from lamina.study.space import Design

ONE, TWO = Design(), Design(layers=2)


def test_the_environment_is_this_one() -> None:
    here = environment()
    assert here.threads == torch.get_num_threads()
    assert here.versions["torch"] == torch.__version__
    assert here.cpu
    assert here.backend in ("native", "aten", "reference")


def test_evidence_is_written_out() -> None:
    result = CheckResult("LK01", "fail", {"column": "tip", "correlation": 0.999987, "lag": 3}, "leak")
    found = check(result, ())
    assert found.evidence == "column tip, correlation 1, lag 3"


def test_an_open_question_names_the_arms_that_ran() -> None:
    found = unanswered("depth", "the study was interrupted", {"1": ONE, "2": TWO}, {ONE.id})
    assert (found.answer, found.status, found.arms) == (None, "undecided", (ONE.id,))
    assert found.sentence == "Not answered: the study was interrupted."


@pytest.mark.parametrize(("better", "effect"), [("2", 0.2), ("1", 0.25)])
def test_the_effect_on_the_test_part_has_the_answers_sign(
    fake: Callable[..., Any], better: str, effect: float
) -> None:
    """Positive where the answer is also the better of the two on the test part, whichever is the simpler."""
    bench = fake()
    level = {"1": 1.0, "2": 0.8} if better == "2" else {"1": 0.8, "2": 1.0}
    errors = {n: np.stack([level[n] * bench.errors("any", seed) for seed in range(4)]) for n in level}
    decision = decide("depth", [Arm(n, errors[n]) for n in level], bench.layout)
    ids = {"1": ONE.id, "2": TWO.id}
    found = verdict(bench, decision, ids, {ids[n]: list(errors[n]) for n in level}, set())
    assert (found.answer, found.chosen) == (int(better), ids[better])
    assert found.test_effect == pytest.approx(effect, abs=0.01)
    assert found.test_interval is not None
    low, high = found.test_interval
    assert low < effect < high
    unread = verdict(bench, decision, ids, {}, set())
    assert (unread.test_effect, unread.test_interval) == (None, None)
    nowhere = {name: [np.full_like(row, np.nan) for row in errors["1"]] for name in ids.values()}
    assert verdict(bench, decision, ids, nowhere, set()).test_effect is None


def test_a_candidate_keeps_its_collapsed_seeds(fake: Callable[..., Any], tmp_path: Path) -> None:
    bench = fake()
    standing = Standing(ONE)
    settings = Settings(learning_rate=0.01, dropout=0.2)
    job = Job(ONE, settings, seed=0, max_steps=100, max_seconds=9.0)
    standing.search.append(bench.train(job))
    standing.repeats.append(bench.train(replace(job, seed=1, keep=tmp_path / "a")))
    bench.collapses = (ONE.id,)
    standing.repeats.append(bench.train(replace(job, seed=2, keep=tmp_path / "b")))
    found = candidate(bench, standing, {ONE.id: [np.array([1.0, 3.0])]}, {})
    assert (found.outcome, found.reason) == ("complete", "loss is NaN")
    assert [(score.seed, score.test) for score in found.scores] == [(1, 2.0), (2, None)]
    assert found.scores[1].validation is None
    assert found.config["learning_rate"] == settings.learning_rate
    assert found.config["learning_rates"] == [5e-4, 1e-2]
