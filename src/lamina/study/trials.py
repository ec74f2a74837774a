"""Trials on disk: a study that was killed goes on without repeating what is finished."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.study import StudyDirection

from lamina.study.bench import Run, Settings, Trivial
from lamina.study.space import Design

RATES = (5e-4, 1e-2)
DROPOUTS = (0.0, 0.4)
FIRST = {"learning_rate": 4e-3, "dropout": 0.1}  # the defaults are always among the trials

ARRAYS = ("validation", "test_prediction")  # of a method to beat


def rates(design: Design) -> tuple[float, float]:
    """The range in which the design's learning rate is searched."""
    return design.rate_scale * RATES[0], design.rate_scale * RATES[1]


class Trials:
    """Searches in an Optuna database, and the record of every run and of the methods to beat beside it.

    Args:
        folder: of the study; holds trials.db, methods.npz and runs/.
        seed: of the study; each search draws the same settings whether or not it was interrupted.
        higher_is_better: direction of the metric.
    """

    def __init__(self, folder: Path, *, seed: int, higher_is_better: bool) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._methods = folder / "methods.npz"
        self._runs = folder / "runs"
        self._runs.mkdir(parents=True, exist_ok=True)
        self._seed = seed
        self._direction = StudyDirection.MAXIMIZE if higher_is_better else StudyDirection.MINIMIZE
        self._storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 'trials.db'}")

    def methods(self, fit: Callable[[], list[Trivial]]) -> list[Trivial]:
        """The methods to beat: those on disk, or new ones."""
        if not self._methods.exists():
            found = [asdict(method) for method in fit()]
            arrays = {
                f"{name}.{place}": fields.pop(name) for place, fields in enumerate(found) for name in ARRAYS
            }
            unfinished = self._methods.with_suffix(".tmp.npz")
            np.savez(unfinished, methods=json.dumps(found), **arrays)
            unfinished.replace(self._methods)
        with np.load(self._methods, allow_pickle=False) as saved:
            return [
                Trivial(**fields, **{name: saved[f"{name}.{place}"] for name in ARRAYS})
                for place, fields in enumerate(json.loads(str(saved["methods"])))
            ]

    def search(self, design: Design, number: int, train: Callable[[Settings], Run]) -> Run:
        """The design's trial of this number: the one on disk, or a new one."""
        name = f"{design.id}.search-{number}"
        if (known := self._read(name)) is not None:
            return known
        study = optuna.create_study(
            study_name=design.id,
            storage=self._storage,
            direction=self._direction,
            load_if_exists=True,
            # Too few trials to learn from, and equal draws leave no design luckier than another.
            sampler=optuna.samplers.RandomSampler(seed=zlib.crc32(f"{self._seed}.{number}".encode())),
        )
        for unfinished in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
            study.tell(unfinished.number, state=optuna.trial.TrialState.FAIL)
        # Not skip_if_exists: that would find the defaults in a trial that was killed, and never try them.
        scale = design.rate_scale
        if number == 0 and not study.get_trials(states=(optuna.trial.TrialState.WAITING,)):
            study.enqueue_trial({**FIRST, "learning_rate": scale * FIRST["learning_rate"]})
        trial = study.ask()
        low, high = rates(design)
        settings = Settings(
            learning_rate=trial.suggest_float("learning_rate", low, high, log=True),
            dropout=trial.suggest_float("dropout", *DROPOUTS),
        )
        run = train(settings)
        trial.set_user_attr("outcome", run.outcome)
        self._write(name, run)
        if run.outcome == "collapsed" or not np.isfinite(run.score):
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        elif run.outcome == "ended":
            trial.report(run.score, step=len(run.history["steps"]))
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, run.score)
        return run

    def repeat(self, design: Design, seed: int, train: Callable[[Path], Run]) -> Run:
        """The design's run with this seed: the one on disk, or a new one whose model is kept."""
        name = f"{design.id}.seed-{seed}"
        if (known := self._read(name)) is not None:
            return known
        run = train(self._runs / f"{name}.model")
        self._write(name, run)
        return run

    def _write(self, name: str, run: Run) -> None:
        fields = asdict(run)
        errors = fields.pop("errors")
        fields["folder"] = None if run.folder is None else run.folder.name
        np.save(self._runs / f"{name}.npy", errors)
        unfinished = self._runs / f"{name}.json.tmp"
        unfinished.write_text(json.dumps(fields), encoding="utf-8")  # NaN is allowed: only we read it
        unfinished.replace(self._runs / f"{name}.json")

    def _read(self, name: str) -> Run | None:
        path = self._runs / f"{name}.json"
        if not path.exists():
            return None
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        folder = fields.pop("folder")
        settings = Settings(**fields.pop("settings"))
        errors = np.load(self._runs / f"{name}.npy", allow_pickle=False)
        return Run(
            **fields, settings=settings, errors=errors, folder=None if folder is None else self._runs / folder
        )
