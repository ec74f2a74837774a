"""A study that is killed (SIGKILL) at any moment goes on, repeats no finished run, and ends alike."""

from __future__ import annotations

import json
import multiprocessing
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

# A bench of which each run takes a moment, in a process of its own. The budget counts the bench's seconds, so
# that every sitting plans alike.
SITTING = """
import runpy, time
from pathlib import Path
from lamina.study import budget as budget_module
from lamina.study.run import Quiet, run_study

parts = runpy.run_path({conftest!r})
clock, folder = parts["Clock"](), Path({folder!r})
budget_module.time = clock

class Slow(parts["FakeBench"]):
    def train(self, job):
        run = super().train(job)
        time.sleep(0.01)
        return run

bench = Slow(clock, truth={{"lstm-1-forward": 1.0, "lstm-2-forward": 0.8, "gru-2-forward": 0.79}})
run_study(
    bench, folder, budget_s=300.0, questions=("depth", "cell"), depths=(1, 2), seed=0, rope=0.005,
    listener=Quiet(), resume=(folder / "state.json").exists(), command="",
)
"""
KILLS = 10


def sitting(folder: Path) -> BaseProcess:
    """A process that begins the study in the folder, or goes on with it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lamina.study.run"])  # loaded once for all sittings
    code = SITTING.format(conftest=str(Path(__file__).with_name("conftest.py")), folder=str(folder))
    process = context.Process(target=exec, args=(code, {"__name__": "sitting"}))
    process.start()
    return process


def finished(folder: Path) -> dict[str, int]:
    """Runs that are on disk, by name, with the moment they were written."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / "runs").glob("*.json")}


def answers(folder: Path) -> tuple[object, ...]:
    record = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    return record["questions"], [entry["scores"] for entry in record["candidates"]], record["best"]


def test_ten_kills_at_random_moments_change_nothing(tmp_path: Path) -> None:
    uninterrupted = sitting(tmp_path / "whole")
    uninterrupted.join()
    assert uninterrupted.exitcode == 0
    rng = np.random.default_rng(0)
    whole = finished(tmp_path / "whole")
    before: dict[str, int] = {}
    kills = 0
    # After a random number of further runs and a random part of one, wherever that falls.
    for further in rng.integers(0, max(2, len(whole) // KILLS), KILLS):
        process = sitting(tmp_path / "killed")
        while process.is_alive() and len(finished(tmp_path / "killed")) < len(before) + further:
            time.sleep(0.002)
        time.sleep(float(rng.uniform(0, 0.05)))
        kills += process.is_alive()
        process.kill()
        process.join()
        after = finished(tmp_path / "killed")
        assert {name: after[name] for name in before} == before  # none was done again
        before = after
    assert kills == KILLS
    last = sitting(tmp_path / "killed")
    last.join()
    assert last.exitcode == 0
    after = finished(tmp_path / "killed")
    assert {name: after[name] for name in before} == before
    assert after.keys() == whole.keys()
    assert answers(tmp_path / "killed") == answers(tmp_path / "whole")
