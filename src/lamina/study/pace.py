"""How many trials, seeds and steps each arm gets, from the measured cost of a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lamina.study.bench import Bench, Job, Settings
from lamina.study.budget import Budget
from lamina.study.questions import Ladder
from lamina.study.space import Design
from lamina.study.trials import FIRST
from lamina.study.workers import Workers

PLANS = (
    (5, 5),
    (4, 4),
    (3, 4),
    (3, 3),
    (2, 3),
    (2, 2),
    (1, 2),
)  # trials and seeds of each arm, the best first
ENOUGH_STEPS = 250  # a plan with more trials is taken only where its runs have this many steps
LEAST_STEPS = 30
PROBE_STEPS = (10, 40)  # both have ten validations, so that the difference is of steps alone
DEEP = 4
# Arms that a question adds to those already trained, in layers at a winner of two.
ARM_COSTS: dict[str, tuple[float, ...]] = {
    "direction": (4.0, 3.0),
    "cell": (2.0,),
    "attention": (2.3,),
    "transformer": (3.0,),
    "bert": (4.0,),
    "depth-parameters": (2.0, 3.0, 4.0),
    "depth-time": (1.0, 1.0, 1.0),
    "residual": (2.0, 2.2),
    "transformer-time": (2.0,),
    "clipping": (2.0,),
    "data": (2.0,) * 3 + (3.0,) * 4 + (3.0,) * 4,
}


@dataclass(frozen=True)
class Pace:
    """What each arm gets."""

    trials: int
    seeds: int
    max_steps: int


def choose_pace(
    bench: Bench,
    workers: Workers,
    budget: Budget,
    *,
    questions: Sequence[Ladder],
    depths: Sequence[int],
    seed: int,
    kept_share: float,
) -> Pace:
    """The best plan whose runs have enough steps.

    Args:
        questions: those that the time is planned for.
        kept_share: of the time, for the end of the study.
    """
    price = _Prices(bench, workers, budget, seed)
    price.of(bench.base)  # the first runs also load and compile; they are not counted
    fixed, step = price.of(bench.base)
    _, deep_step = price.of(replace(bench.base, layers=DEEP))
    layer = max(0.0, (deep_step - step) / (DEEP - 1))
    planned = planned_layers(questions, depths)
    seconds = 0.9 * workers.count * budget.left_s * (1 - kept_share)
    for trials, seeds in PLANS:
        per_arm = seconds / (trials + seeds) - fixed * len(planned)
        steps = int(per_arm / sum(step + layer * (layers - 1) for layers in planned))
        if steps >= ENOUGH_STEPS:
            break
    return Pace(trials, seeds, min(max(steps, LEAST_STEPS), bench.most_steps))


def planned_layers(questions: Sequence[Ladder], depths: Sequence[int]) -> list[float]:
    """Cost of every arm that will be trained, in layers; later questions are priced at two layers."""
    planned = [float(depth) for depth in depths] if "depth" in questions else [1.0]
    for question in questions:
        planned += ARM_COSTS.get(question, ())
    return planned


@dataclass(frozen=True)
class _Prices:
    bench: Bench
    workers: Workers
    budget: Budget
    seed: int

    def of(self, design: Design) -> tuple[float, float]:
        """Seconds of a run that do not depend on its steps, and seconds of a step."""
        short, long = (self._seconds(design, steps) for steps in PROBE_STEPS)
        step = max(1e-4, (long - short) / (PROBE_STEPS[1] - PROBE_STEPS[0]))
        return max(0.0, short - step * PROBE_STEPS[0]), step

    def _seconds(self, design: Design, steps: int) -> float:
        most = max(1.0, self.budget.left_s / 8)
        job = Job(design, Settings(**FIRST), seed=self.seed, max_steps=steps, max_seconds=most)
        return self.workers.train(job).seconds
