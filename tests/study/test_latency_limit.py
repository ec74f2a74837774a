"""A limit on latency holds where the model is used: in a process of its own, measured by its own clock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lamina.data.labelled import LabelledSequences, labelled_sequences
from lamina.study.budget import Budget
from lamina.study.classify_bench import ClassifyBench
from lamina.study.constraints import SHARE, Limits
from lamina.study.findings import Silent
from lamina.study.ladder import Climb
from lamina.study.pace import Pace
from lamina.study.space import Design
from lamina.study.trials import Trials
from lamina.study.workers import Here

LIMIT_US = 50.0
# The 90 % quantile, which the limit is held to, of the quietest of ten parts: what else runs on the machine
# is no cost of the model.
MEASURE = """
import sys, time
import numpy as np
from lamina.streaming.session import Session

session, row = Session.open(sys.argv[1]), np.ones(int(sys.argv[2]), np.float32)
slow = []
for _ in range(10):
    durations = []
    for _ in range(500):
        begin = time.perf_counter_ns()
        session.step(row)
        durations.append(time.perf_counter_ns() - begin)
    slow.append(float(np.quantile(durations, 0.9)) / 1000)
print(min(slow))
"""


def rising_or_falling(seed: int, n: int) -> LabelledSequences:
    generator = np.random.default_rng(seed)
    signs = generator.choice([-1, 1], n)
    ramps = signs[:, None, None] * np.linspace(-1, 1, 8)[None, :, None] + np.zeros((1, 1, 3))
    arrays = list((ramps + generator.normal(0, 0.5, ramps.shape)).astype(np.float32))
    return labelled_sequences(arrays, ["up" if sign > 0 else "down" for sign in signs])


def measured_us(model: Path, features: int) -> float:
    command = [sys.executable, "-c", MEASURE, str(model), str(features)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout)


def test_the_chosen_model_answers_within_the_limit_in_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [rising_or_falling(seed, n) for seed, n in enumerate((80, 40, 40))]
    bench = ClassifyBench(*parts, path="made up")
    bench.base = Design(hidden=1024)
    monkeypatch.setattr(bench, "trivial", lambda *_: [])  # they have no part in this, and are slow to load
    climb = Climb(
        bench,
        Trials(tmp_path, seed=0, higher_is_better=True),
        Budget(600.0, shares={"baselines": 1.0, "cell": 1.0, "limits": SHARE, "finish": 1.0}),
        Here(bench),
        questions=("cell",),
        depths=(1,),
        seed=0,
        rope=0.005,
        listener=Silent(),
        limits=Limits(latency_us=LIMIT_US),
        pace=Pace(trials=1, seeds=2, max_steps=4),
    )
    climb.run()
    fit = climb.findings.fit
    assert fit is not None
    # What would be recommended without the limit breaks it, so that the limit has something to do.
    wide = [option.costs["latency_us"] for option in fit.options if "1024units" in option.id]
    assert min(wide) > LIMIT_US
    assert fit.chosen is not None
    assert fit.chosen.hidden < 1024
    kept = climb.findings.standings[fit.chosen.id].trained[0].folder
    assert kept is not None
    best = tmp_path / "best"
    bench.refit(kept, steps=4, max_seconds=60.0, out=best)
    assert measured_us(best, 3) < LIMIT_US
