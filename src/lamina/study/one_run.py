"""One training run of either task, from the job to what the ladder keeps of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from torch import nn

from lamina.study.bench import Array, Job, Run
from lamina.study.cost import count_parameters, measure
from lamina.study.early_stop import Halfway, TrialEndedError
from lamina.training.callbacks import Callback
from lamina.training.history import History

Fit = Callable[[Sequence[Callback]], object]


class Model(Protocol):
    """An estimator; it has its history and network once it was fitted."""

    history_: History
    network_: nn.Module

    def save(self, path: Path) -> None:
        """Write it to a folder."""


def train_once(
    job: Job,
    model: Model,
    fit: Fit,
    *,
    errors: Callable[[], Array],
    summary: Callable[[Array], float],
    higher_is_better: bool,
) -> Run:
    """Fit a model as a job says, score it where it trained, and save it where the job says.

    Args:
        fit: trains ``model`` with the callbacks it is given.
        errors: scores of the fitted model by validation window or sequence.
        summary: the metric from these.
    """
    callbacks: list[Callback] = []
    if job.bound is not None:
        callbacks.append(Halfway(job.max_steps, job.bound, higher_is_better=higher_is_better))
    outcome: Literal["complete", "collapsed", "ended"] = "complete"

    def attempt() -> TrialEndedError | None:
        try:
            fit(callbacks)
        except TrialEndedError as ended:
            return ended
        return None

    measured = measure(attempt)
    ended = measured.result
    history = model.history_ if ended is None else ended.run.finish()
    if ended is not None:
        outcome = "ended"
    elif history.outcome == "collapsed":
        outcome = "collapsed"
    begin = time.perf_counter()
    found = errors() if outcome == "complete" else np.zeros(0)
    scoring_s = time.perf_counter() - begin
    score = {"complete": summary(found) if len(found) else np.nan, "ended": history.best}.get(outcome, np.nan)
    keep = job.keep if outcome == "complete" else None
    if keep is not None:
        model.save(keep)
    return Run(
        design=job.design.id,
        settings=job.settings,
        seed=job.seed,
        score=float(score),
        errors=found,
        seconds=measured.seconds,
        parameters=count_parameters(model.network_),
        peak_mb=measured.growth_bytes / 1e6,
        history=history.to_dict(),
        outcome=outcome,
        reason="it could not catch up" if outcome == "ended" else history.reason,
        folder=keep,
        energy_j=measured.energy_j,
        scoring_s=scoring_s,
    )
