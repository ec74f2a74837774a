"""What is compared: designs, and their forms at equal parameters and at equal time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import repeat
from pathlib import Path
from typing import Literal

from lamina.nn.stack import StackConfig
from lamina.nn.transformer import TransformerConfig, parameter_count
from lamina.tasks.base import BodyConfig
from lamina.tasks.bert import SMALL_BERT

Direction = Literal["forward", "both", "both-forward"]
BOTH: Literal["both"] = "both"
HIDDEN = 64
CAREFUL = 1 / 3  # of the learning rates, for a design that failed to train
MOST_STEPS_SHARE = 4.0  # a design that is cheaper trains for at most so many times the study's steps

Cost = Callable[["Design"], float]
"""Measured seconds of one run of a design, per step of the study."""


@dataclass(frozen=True)
class Design:
    """One architecture and how it is trained; what is not a field is equal for all designs of a study.

    Attributes:
        residual: add each layer's input to its output, from the second layer on.
        norm: normalise what each layer from the second on reads, and the output of the stack.
        clip: clip the gradient's norm at 1.
        careful: search with learning rates a third as large; for a design that failed to train.
        steps: training steps as a share of the study's.
        rows: share of the training rows that is used.
        full: train on these rows themselves, not on bootstrap samples of them.
        bert: a BERT instead, which counts as a Transformer: ``small`` from nothing, or the folder of a
            checkpoint; "" for none.
    """

    layers: int = 1
    direction: Direction = "forward"
    cell: str = "lstm"
    attention: bool = False
    transformer: bool = False
    hidden: int = HIDDEN
    residual: bool = False
    norm: bool = False
    clip: bool = True
    careful: bool = False
    steps: float = 1.0
    rows: float = 1.0
    full: bool = False
    bert: str = ""

    @property
    def id(self) -> str:
        """Unique within a study, and fit to name a file."""
        name = f"{self.cell}-{self.layers}-{self.direction}"
        if self.transformer:
            name = f"bert-{_folder(self.bert)}" if self.bert else f"transformer-{self.layers}"
        marks = {
            "attention": self.attention,
            "residual": self.residual,
            "norm": self.norm,
            "careful": self.careful,
            "unclipped": not self.clip,
            f"{self.hidden}units": self.hidden != HIDDEN,
            f"{round(1000 * self.steps)}steps": self.steps != 1,
            f"{round(1000 * self.rows)}rows": self.rows != 1,
            "full": self.full,
        }
        return "-".join([name, *(mark for mark, present in marks.items() if present)])

    @property
    def label(self) -> str:
        """What a person reads.

        >>> Design(layers=2, direction="both", attention=True).label
        'lstm ×2 both directions + attention'
        >>> Design(layers=4, residual=True, norm=True, careful=True, hidden=32).label
        'lstm ×4 + residual + norm, 32 units, smaller rates'
        """
        directions = {"forward": "", "both": " both directions", "both-forward": " both → forward"}
        name = "transformer" if self.transformer else self.cell
        words = f"{name} ×{self.layers}{'' if self.transformer else directions[self.direction]}"
        if self.bert:
            words = f"BERT {_folder(self.bert)}"
        parts = {"attention": self.attention, "residual": self.residual, "norm": self.norm}
        words += "".join(f" + {part}" for part, present in parts.items() if present)
        if self.hidden != HIDDEN:
            words += f", {self.hidden} units"
        if self.careful:
            words += ", smaller rates"
        if not self.clip:
            words += ", not clipped"
        if self.steps != 1:
            words += f", {self.steps:.2f} of the steps"
        if self.rows != 1:
            words += f", {Fraction(self.rows).limit_denominator(64)} of the rows"
        if self.full:
            words += ", all rows"
        return words

    @property
    def rate_scale(self) -> float:
        """By which the learning rates of the search are multiplied.

        A pretrained BERT is tuned around 4e-5 (Devlin et al. 2019, arXiv:1810.04805, appendix A.3), one from
        nothing around 5e-4.
        """
        if self.bert:
            return 1 / 8 if self.bert == SMALL_BERT else 1 / 100
        return CAREFUL if self.careful else 1.0

    def body(self, dropout: float) -> BodyConfig:
        """The network that reads the sequence; a BERT has a form of its own."""
        stack = self._stack.replace(dropout=dropout)
        if not self.transformer:
            return stack
        # The window is known whole, so the encoder may look both ways in it.
        return TransformerConfig.like(stack.replace(input_size=self.hidden)).replace(causal=False)

    @property
    def _stack(self) -> StackConfig:
        return StackConfig(
            cell=self.cell,
            hidden_sizes=(self.hidden,) * self.layers,
            directions=self._directions,
            residual="add" if self.residual else "none",
            norm="layer" if self.norm else "none",
            dropout_mask="sequence",
        )

    @property
    def _directions(self) -> tuple[Literal["forward", "both"], ...]:
        if self.direction == "both-forward":
            return (*repeat(BOTH, self.layers - 1), "forward")
        return tuple(repeat(self.direction, self.layers))

    @property
    def parameters(self) -> int:
        """Numbers that the stack learns where it reads as many features as it has units."""
        return parameter_count(self._stack.replace(input_size=self.hidden))

    @property
    def searched(self) -> Design:
        """The design whose search gives the settings of this one, on whatever rows it trains."""
        return replace(self, rows=1.0, full=False)


def _folder(source: str) -> str:
    return Path(source).name


def repaired(design: Design) -> Design | None:
    """The design made to train: residuals, norm and smaller steps; None where it has them already."""
    if design.transformer or design.careful:
        return None
    return replace(design, residual=True, norm=True, careful=True)


def at_equal_parameters(design: Design, layers: int) -> Design:
    """The design at another depth, with the width whose stack's parameters are nearest to the same.

    >>> narrow = at_equal_parameters(Design(), 4)
    >>> narrow.hidden, Design().parameters, narrow.parameters
    (32, 33280, 33792)
    """
    wanted, widest = design.parameters, replace(design, layers=layers)
    low, high = 1, design.hidden * max(1, design.layers)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if replace(widest, hidden=middle).parameters <= wanted else (low, middle)
    found = min((low, high), key=lambda size: abs(replace(widest, hidden=size).parameters - wanted))
    return replace(widest, hidden=found)


def at_equal_time(design: Design, reference: Design, cost: Cost) -> Design:
    """The design, trained for as many steps as take the reference's time."""
    share = min(MOST_STEPS_SHARE, cost(reference) / cost(design))
    return design if design == reference else replace(design, steps=round(share, 3))
