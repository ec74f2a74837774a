"""Change: noticing it, and what is done then; and the way back where learning has gone wrong."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Literal, Protocol, get_args

from typing_extensions import override

from lamina._optional import require
from lamina.errors import ConfigError, did_you_mean
from lamina.streaming.aggregate import FixedShare, Floor
from lamina.streaming.experts import Models
from lamina.streaming.state import Stateful

Detector = Literal["adwin", "page-hinkley"]

SOFTEN = 0.5
"""What the mixture shares at once when the stream has changed."""

CHECK_ROWS = 1000
"""Rows between two looks at whether the models are worth keeping."""

RUNAWAY = 2.0
"""Learning has run away when the models' recent loss is this many times the trivial rule's."""

_RECENT = 1 / 100


class Notices(Protocol):
    """What tells that a stream of losses has changed."""

    def update(self, loss: float) -> bool:
        """Whether this loss shows that the stream has changed."""


class Never:
    """Notices nothing; forgetful experts and shared weights alone follow the stream."""

    def update(self, loss: float) -> bool:
        """No."""
        del loss
        return False


class RiverDetector:
    """A drift detector of river, with river's defaults.

    Raises:
        MissingPackageError: river is not installed.
        ConfigError: there is no such detector.
    """

    def __init__(self, name: Detector) -> None:
        if name not in get_args(Detector):
            raise ConfigError(
                f"drift must be None, 'adwin' or 'page-hinkley' but is {name!r}"
                f"{did_you_mean(str(name), get_args(Detector))}"
            )
        found = require("river.drift", extra="online")
        self._detector: Any = found.ADWIN() if name == "adwin" else found.PageHinkley()

    def update(self, loss: float) -> bool:
        """Whether the detector fires."""
        self._detector.update(loss)
        return bool(self._detector.drift_detected)


def detector_of(name: Detector | None) -> Notices:
    """The detector of that name; for None, one that never fires."""
    return Never() if name is None else RiverDetector(name)


class Watch(Stateful):
    """Follows the losses of the models and of the trivial rule, and acts where a rule says so.

    - When the detector fires on the models' loss, the mixture shares half of every weight among all experts,
      and the linear models become as ready to move as at the start (``LinearExperts.widen``).
    - Every 1,000 rows a copy of the models is kept if they are no worse than the trivial rule.
    - When the models' mean loss over about 100 rows is more than twice the trivial rule's, or a weight is not
      finite, the copy takes their place, and the floor returns to its start.
    """

    kept = ("_loss", "_trivial_loss", "rows", "drifts", "rollbacks")

    def __init__(self, detector: Detector | None) -> None:
        self._detector = detector_of(detector)
        self._good: Models | None = None
        self._loss = 0.0
        self._trivial_loss = 0.0
        self.rows = 0
        self.drifts: list[int] = []
        self.rollbacks = 0

    def follow(
        self, models: Models, mixture: FixedShare, floor: Floor, *, loss: float, trivial_loss: float
    ) -> Models:
        """Take note of one row's losses, and return the models to go on with."""
        self.rows += 1
        weight = max(1 / self.rows, _RECENT)
        self._loss += weight * (loss - self._loss)
        self._trivial_loss += weight * (trivial_loss - self._trivial_loss)
        if self._detector.update(loss):
            self.drifts = [*self.drifts[-99:], self.rows]
            mixture.soften(SOFTEN)
            models.linear.widen()
        if self.rows % CHECK_ROWS:
            return models
        bad = not models.finite or self._loss > RUNAWAY * self._trivial_loss > 0
        if not bad:
            if self._loss <= self._trivial_loss:
                self._good = copy.deepcopy(models)
            return models
        self.rollbacks += 1
        floor.weight = floor.start
        mixture.soften(1.0)
        return models.like_new() if self._good is None else copy.deepcopy(self._good)

    @override
    def state(self) -> dict[str, Any]:
        return {**super().state(), "good": None if self._good is None else self._good.state()}

    def take_with(self, state: Mapping[str, Any], models: Models) -> None:
        """Go on from a state; ``models`` says of what sizes the kept copy is. The detector is new."""
        self.take(state)
        self._good = None
        if state["good"] is not None:
            self._good = models.like_new()
            self._good.take(state["good"])
