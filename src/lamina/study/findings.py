"""What a climb has found so far, and who hears of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from lamina.study.bench import Standing, Trivial
from lamina.study.collapse import Collapse
from lamina.study.constraints import Fit
from lamina.study.cost import PredictCost
from lamina.study.decide import Decision
from lamina.study.estimates import Estimate
from lamina.study.pace import Pace
from lamina.study.questions import Arms, Ladder
from lamina.study.space import Design


class Listener(Protocol):
    """Hears what the study does; the command line draws it."""

    def stage(self, name: str, detail: str, seconds: float) -> None:
        """A stage begins, with its share of the budget."""

    def advance(self, done: int, total: int) -> None:
        """Runs finished of those planned in this stage."""

    def answer(self, question: str, sentence: str) -> None:
        """A question is answered, or is left open."""


class Silent:
    """A listener that does nothing."""

    def stage(self, name: str, detail: str, seconds: float) -> None:
        del name, detail, seconds

    def advance(self, done: int, total: int) -> None:
        del done, total

    def answer(self, question: str, sentence: str) -> None:
        del question, sentence


@dataclass
class Findings:
    """What is known so far; complete once every question was asked.

    Attributes:
        compared: the designs of each question, by name; a repaired design stands in the failed one's place.
        timed: what an answer costs, by id of the design, measured when it was first compared.
        fit: what limits on cost leave; None where none is set.
        final: the winner trained on all training rows, as the methods to beat are.
    """

    standings: dict[str, Standing] = field(default_factory=dict)
    decisions: dict[Ladder, Decision] = field(default_factory=dict)
    estimates: dict[Ladder, Estimate] = field(default_factory=dict)
    collapses: dict[Ladder, tuple[Collapse, ...]] = field(default_factory=dict)
    compared: dict[Ladder, Arms] = field(default_factory=dict)
    unanswered: dict[Ladder, str] = field(default_factory=dict)
    trivial: list[Trivial] = field(default_factory=list)
    timed: dict[str, PredictCost] = field(default_factory=dict)
    winner: Design | None = None
    fit: Fit | None = None
    final: Design | None = None
    pace: Pace | None = None

    @property
    def beaten_by_bert(self) -> Design | None:
        """What was chosen before a BERT won; None where none has."""
        if self.winner is None or not self.winner.bert:
            return None
        return next(iter(self.compared["bert"].values()))


@dataclass
class Progress:
    """Counts the runs of a stage, and never runs backwards."""

    listener: Listener
    done: int = 0
    total: int = 0

    def begin(self, total: int) -> None:
        self.done, self.total = 0, total

    def advance(self) -> None:
        self.done += 1
        self.total = max(self.total, self.done)
        self.listener.advance(self.done, self.total)
