"""The whole of training on one page."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from lamina.errors import SavedModelError
from lamina.training.callbacks import Averager, BestWeights, Callback, GradientNorms
from lamina.training.history import History
from lamina.training.optim import Frozen, ParameterGroup, TrainingConfig, build_optimizer, build_schedule

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Batches(Protocol):
    """Training examples: the same epoch number always gives the same batches in the same order."""

    def __len__(self) -> int:
        """Batches in one epoch, at least one."""

    def epoch(self, number: int, *, start: int = 0) -> Iterator[Any]:
        """The batches of one epoch from position ``start`` on."""


class Objective(Protocol):
    """What is fitted: a loss to descend and a score to select by."""

    higher_is_better: bool

    def loss(self, network: nn.Module, batch: Any) -> Tensor:
        """Mean loss of one batch, a scalar with a gradient."""

    def validate(self, network: nn.Module) -> tuple[float, float]:
        """The metric and the mean loss on the validation part, from one pass over it."""

    def constant_output(self, network: nn.Module) -> str | None:
        """Evidence that the output no longer depends on the input, or None."""


class Carried(Protocol):
    """What a loss hands on from one batch to the next, such as the state of a recurrence."""

    def state_dict(self) -> dict[str, Any]:
        """What the next batch starts from."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""


@runtime_checkable
class OfTokens(Protocol):
    """A batch of text, which knows how much it holds."""

    @property
    def tokens(self) -> int:
        """Tokens read."""


@dataclass
class Run:
    """The state of a run, which callbacks see and a checkpoint keeps."""

    config: TrainingConfig = field(default_factory=TrainingConfig)
    stage: str = "training"  # what it is called where several follow one another
    step: int = 0
    losses: list[float] = field(default_factory=list)
    clipped: int = 0
    stale: int = 0  # validations since the last best
    started: float = field(default_factory=time.monotonic)
    seconds_before: float = 0.0  # of earlier sittings of a resumed run
    tokens: int = 0  # read in this sitting, where batches are texts
    history: History = field(default_factory=History)

    @property
    def seconds(self) -> float:
        """Wall time so far, of earlier sittings too."""
        return self.seconds_before + time.monotonic() - self.started

    @property
    def out_of_time(self) -> bool:
        """Whether the time limit has passed."""
        return self.config.max_seconds is not None and self.seconds > self.config.max_seconds

    def ended(self) -> bool:
        """Whether nothing is left to do; the history then says why."""
        if self.history.outcome == "collapsed" or self.step >= self.config.max_steps:
            return True
        if not self.history.steps or self.history.steps[-1] != self.step:
            return False  # a run ends at a validation only
        if self.out_of_time:
            self.history.outcome = "time"
        elif self.stale >= self.config.patience:
            self.history.outcome = "stopped"
        return self.history.outcome != "complete"

    def collapse(self, reason: str) -> None:
        """End the run as collapsed."""
        self.history.outcome, self.history.reason = "collapsed", reason

    def finish(self) -> History:
        """The history with the figures of the whole run."""
        self.history.clip_rate = self.clipped / max(1, self.step)
        self.history.seconds = self.seconds
        return self.history


def fit(
    network: nn.Module,
    objective: Objective,
    batches: Batches,
    config: TrainingConfig,
    *,
    seed: int = 0,
    groups: Sequence[ParameterGroup] = (),
    callbacks: Sequence[Callback] = (),
    checkpoint: Path | None = None,
    carried: Carried | None = None,
    stage: str = "training",
) -> History:
    """Train ``network`` in place, leave it with its best weights, and return what happened.

    Divergence is an outcome, not a crash: a loss that is not finite, or an output that no longer depends
    on the input, ends the run with ``outcome="collapsed"`` and its reason.

    Args:
        network: the module to train; on return it is in evaluation mode, on the CPU's or device's memory
            it was trained in, with the weights of the best validation.
        objective: loss and validation score.
        batches: the training examples.
        config: the settings.
        seed: seeds dropout and every other random draw of the run.
        groups: parameters that wait for their turn; all others learn from the beginning.
        callbacks: observers, called in order.
        checkpoint: a file written at each validation; when it exists, the run goes on from it and gives the
            same numbers as an uninterrupted one.
        carried: what the objective's loss hands on from batch to batch, so that a checkpoint holds it.
        stage: what the run is called where several follow one another.

    Raises:
        SavedModelError: the checkpoint is damaged, or of another network.
    """
    from lightning_fabric import Fabric

    fabric = Fabric(accelerator=config.device, devices=1, precision=config.precision)
    torch.manual_seed(seed)
    optimizer = build_optimizer(network, config)
    schedule = build_schedule(optimizer, config)
    model, fast = fabric.setup(network, optimizer)
    best = BestWeights(objective.higher_is_better)
    norms = GradientNorms(network)
    average = Averager(network, config.average)
    run = Run(config, stage)
    frozen = Frozen(groups, config.max_steps)  # after all that lists what learns
    parts: dict[str, Any] = {
        "model": network,
        "optimizer": optimizer,
        "schedule": schedule,
        "best": best,
        "average": average,
    }
    if carried is not None:
        parts["carried"] = carried
    if checkpoint is not None and checkpoint.exists():
        _resume(checkpoint, parts, run)
    validate_every = max(1, config.max_steps // config.validations)

    model.train()
    batch_of = _endless(batches, run.step)
    while not run.ended():
        frozen.thaw(run.step)
        batch = next(batch_of)
        run.tokens += batch.tokens if isinstance(batch, OfTokens) else 0
        loss = objective.loss(model, fabric.to_device(batch))
        value = float(loss.detach())
        if not math.isfinite(value):
            run.collapse(f"the loss became {value} at step {run.step + 1}")
            break
        fabric.backward(loss)
        norms.record(run.step)
        run.clipped += _clip(fabric, model, fast, config.clip_norm)
        fast.step()
        fast.zero_grad()
        schedule.step()
        average.update()
        run.step += 1
        run.losses.append(value)
        for callback in callbacks:
            callback.on_step(run)

        if run.step % validate_every == 0 or run.step >= config.max_steps or run.out_of_time:
            with average.applied():
                _validate(run, model, objective, norms, best)
            if checkpoint is not None:
                _save(checkpoint, run, parts)
            for callback in callbacks:
                callback.on_validation(run)
    frozen.end()
    best.restore(network)
    network.eval()
    if run.history.outcome != "collapsed" and (evidence := objective.constant_output(network)):
        run.collapse(evidence)
    return run.finish()


def _clip(fabric: Fabric, model: Any, optimizer: Any, limit: float | None) -> bool:
    """Shorten the gradient to ``limit``, if there is one; whether that was needed."""
    if limit is None:
        return False
    norm = fabric.clip_gradients(model, optimizer, max_norm=limit, error_if_nonfinite=False)
    return norm is not None and bool(norm > limit)


def _endless(batches: Batches, step: int) -> Iterator[Any]:
    """All batches from ``step`` on, epoch after epoch."""
    number, start = divmod(step, len(batches))
    while True:
        yield from batches.epoch(number, start=start)
        number, start = number + 1, 0


def _validate(
    run: Run, model: nn.Module, objective: Objective, norms: GradientNorms, best: BestWeights
) -> None:
    model.eval()
    score, validation_loss = objective.validate(model)
    model.train()
    history = run.history
    history.steps.append(run.step)
    history.train_loss.append(sum(run.losses) / max(1, len(run.losses)))
    history.validation.append(score)
    history.validation_loss.append(validation_loss)
    for layer, value in norms.drain().items():
        history.gradient_norms.setdefault(layer, []).append(value)
    run.losses.clear()
    if not math.isfinite(score):
        run.collapse(f"the validation metric became {score} at step {run.step}")
    elif best.offer(score, model):
        history.best_step, run.stale = run.step, 0
    else:
        run.stale += 1


def _save(path: Path, run: Run, parts: dict[str, Any]) -> None:
    run_state = {
        "step": run.step,
        "clipped": run.clipped,
        "stale": run.stale,
        "seconds": run.seconds,
        "history": run.history.to_dict(),
        "random": torch.get_rng_state(),
        "random_cuda": torch.cuda.get_rng_state_all(),
    }
    state = {"run": run_state, **{name: part.state_dict() for name, part in parts.items()}}
    unfinished = path.with_suffix(".tmp")
    torch.save(state, unfinished)
    unfinished.replace(path)  # a kill leaves the old checkpoint or the new one, never half of one


def _resume(path: Path, parts: dict[str, Any], run: Run) -> None:
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        for name, part in parts.items():
            part.load_state_dict(state[name])
    except (RuntimeError, ValueError, KeyError, EOFError, UnpicklingError) as error:
        raise SavedModelError(
            f"a run goes on from a checkpoint of the same network, but {path} is damaged or of another one. "
            f"Delete it to start anew. ({error})"
        ) from error
    saved = state["run"]
    torch.set_rng_state(saved["random"])
    torch.cuda.set_rng_state_all(saved["random_cuda"])
    run.step, run.clipped, run.stale = saved["step"], saved["clipped"], saved["stale"]
    run.seconds_before, run.history = saved["seconds"], History(**saved["history"])
