"""What is compared: designs, and the arms of each question."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import repeat
from typing import Literal, get_args

from lamina.errors import ConfigError, did_you_mean
from lamina.nn.stack import StackConfig
from lamina.nn.transformer import TransformerConfig
from lamina.tasks.base import BodyConfig

Ladder = Literal["depth", "direction", "cell", "attention", "transformer"]
Direction = Literal["forward", "both", "both-forward"]
BOTH: Literal["both"] = "both"
QUESTIONS: tuple[Ladder, ...] = get_args(Ladder)


@dataclass(frozen=True)
class Design:
    """One architecture; everything that is not a field is equal for all designs of a study."""

    layers: int = 1
    direction: Direction = "forward"
    cell: str = "lstm"
    attention: bool = False
    transformer: bool = False
    hidden: int = 64

    @property
    def id(self) -> str:
        """Unique within a study, and fit to name a file."""
        if self.transformer:
            return f"transformer-{self.layers}"
        ending = "-attention" if self.attention else ""
        return f"{self.cell}-{self.layers}-{self.direction}{ending}"

    @property
    def label(self) -> str:
        """What a person reads.

        >>> Design(layers=2, direction="both", attention=True).label
        'lstm ×2 both directions + attention'
        """
        if self.transformer:
            return f"transformer ×{self.layers}"
        words = {"forward": "", "both": " both directions", "both-forward": " both → forward"}
        return f"{self.cell} ×{self.layers}{words[self.direction]}{' + attention' if self.attention else ''}"

    def body(self, dropout: float) -> BodyConfig:
        """The network that reads the sequence."""
        stack = StackConfig(
            cell=self.cell,
            hidden_sizes=(self.hidden,) * self.layers,
            directions=self._directions,
            dropout=dropout,
            dropout_mask="sequence",
        )
        if not self.transformer:
            return stack
        # The window is known whole, so the encoder may look both ways in it.
        return TransformerConfig.like(stack.replace(input_size=self.hidden)).replace(causal=False)

    @property
    def _directions(self) -> tuple[Literal["forward", "both"], ...]:
        if self.direction == "both-forward":
            return (*repeat(BOTH, self.layers - 1), "forward")
        return tuple(repeat(self.direction, self.layers))


def arms(question: Ladder, winner: Design, *, depths: tuple[int, ...]) -> dict[str, Design]:
    """The designs that a question compares, by the name that its sentence uses, simplest first.

    Args:
        question: one of ``QUESTIONS``.
        winner: the design that the questions before have chosen; all else stays as in it.
        depths: for the depth question.

    >>> list(arms("direction", Design(layers=2), depths=(1, 2)))
    ['forward', 'both directions', 'both → forward']
    """
    if question == "depth":
        return {str(n): replace(winner, layers=n) for n in depths}
    if question == "direction":
        found = {"forward": winner, "both directions": replace(winner, direction="both")}
        if winner.layers > 1:  # with one layer, both below and forward above is both
            found["both → forward"] = replace(winner, direction="both-forward")
        return found
    if question == "cell":
        return {
            winner.cell: winner,
            **{c: replace(winner, cell=c) for c in ("lstm", "gru") if c != winner.cell},
        }
    if question == "attention":
        return {"no attention": winner, "attention": replace(winner, attention=True)}
    like = Design(layers=max(2, winner.layers), transformer=True, hidden=winner.hidden)
    return {winner.label: winner, "a Transformer of like size": like}


def parse_questions(asked: str | None) -> tuple[Ladder, ...]:
    """The questions in ``"depth,cell"``, in the order in which they are asked; all where nothing is named.

    Raises:
        ConfigError: a name is not a question.
    """
    if not asked:
        return QUESTIONS
    names = [name.strip() for name in asked.split(",") if name.strip()]
    for name in names:
        if name not in QUESTIONS:
            raise ConfigError(
                f"a question is one of {', '.join(QUESTIONS)}, but '{name}' was asked"
                f"{did_you_mean(name, QUESTIONS)}"
            )
    return tuple(question for question in QUESTIONS if question in names)
