"""The questions of a study, and the designs that each compares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from lamina.errors import ConfigError, did_you_mean
from lamina.study.space import Cost, Design, at_equal_parameters, at_equal_time

Main = Literal["depth", "direction", "cell", "attention", "transformer"]
Further = Literal[
    "depth-parameters", "depth-time", "residual", "transformer-time", "clipping", "overfitting", "data"
]
Ladder = Main | Literal["bert"] | Further
Arms = dict[str, Design]
MAIN: tuple[Main, ...] = get_args(Main)
FURTHER: tuple[Further, ...] = get_args(Further)
SHAPING: tuple[Ladder, ...] = (*MAIN, "bert")  # their answers shape the recommended model
QUESTIONS: tuple[Ladder, ...] = (*SHAPING, *FURTHER)
ABOUT_DEPTH: tuple[Ladder, ...] = ("depth", "depth-parameters", "depth-time", "overfitting")
ESTIMATES: tuple[Ladder, ...] = ("overfitting", "data")  # they measure a curve and choose nothing
CARRIED: tuple[Ladder, ...] = ("residual", "clipping")  # so does a gain that they prove
SHARES_OF_ROWS = (1 / 8, 1 / 4, 1 / 2, 1.0)


@dataclass(frozen=True)
class Known:
    """What a question builds on.

    Attributes:
        winner: the design that the questions before have chosen.
        base: what the first question began with. All questions of depth compare forms of it, so that their
            answers can be set beside one another.
        depths: rungs of the questions of depth.
        cost: measured time, for the questions of equal time.
        bert: source of the BERT that is asked about; "" for none.
        beaten: what was chosen before a BERT won; None where none has.
    """

    winner: Design
    base: Design
    depths: tuple[int, ...]
    cost: Cost
    bert: str = ""
    beaten: Design | None = None


def arms(question: Ladder, known: Known) -> Arms:
    """The designs that a question compares, by the name that its sentence uses, simplest first.

    They differ in what is asked only. A Transformer that has won is asked nothing about recurrent layers.

    >>> list(arms("direction", Known(Design(layers=2), Design(), (1, 2), lambda design: 1.0)))
    ['forward', 'both directions', 'both → forward']
    """
    return _ARMS[question](known)


def _depth(known: Known) -> Arms:
    return {str(layers): replace(known.base, layers=layers) for layers in known.depths}


def _depth_parameters(known: Known) -> Arms:
    first = replace(known.base, layers=known.depths[0])
    return {str(layers): at_equal_parameters(first, layers) for layers in known.depths}


def _depth_time(known: Known) -> Arms:
    rungs = _depth(known)
    first = rungs[str(known.depths[0])]
    return {name: at_equal_time(rung, first, known.cost) for name, rung in rungs.items()}


def _direction(known: Known) -> Arms:
    winner = known.winner
    found = {"forward": winner, "both directions": replace(winner, direction="both")}
    if winner.layers > 1:  # with one layer, both below and forward above is both
        found["both → forward"] = replace(winner, direction="both-forward")
    return found


def _cell(known: Known) -> Arms:
    winner = known.winner
    return {winner.cell: winner} | {
        cell: replace(winner, cell=cell) for cell in ("lstm", "gru") if cell != winner.cell
    }


def _attention(known: Known) -> Arms:
    return {"no attention": known.winner, "attention": replace(known.winner, attention=True)}


def _like(winner: Design) -> Design:
    return Design(layers=max(2, winner.layers), transformer=True, hidden=winner.hidden)


def _transformer(known: Known) -> Arms:
    return {known.winner.label: known.winner, "a Transformer of like size": _like(known.winner)}


def _bert(known: Known) -> Arms:
    rival = Design(transformer=True, bert=known.bert)
    return {known.winner.label: known.winner, rival.label: rival}


def _transformer_time(known: Known) -> Arms:
    if known.winner.transformer:
        return {}
    timed = at_equal_time(_like(known.winner), known.winner, known.cost)
    return {known.winner.label: known.winner, "a Transformer of like time": timed}


def _residual(known: Known) -> Arms:
    if known.winner.transformer:
        return {}
    layers = max(2, known.winner.layers)
    plain = replace(known.winner, layers=layers, residual=False, norm=False, careful=False)
    joined = replace(plain, residual=True)
    return {"plain layers": plain, "residual": joined, "residual + norm": replace(joined, norm=True)}


def _clipping(known: Known) -> Arms:
    return {"no clipping": replace(known.winner, clip=False), "clipping": known.winner}


def _data(known: Known) -> Arms:
    """The winner, one layer more, and the Transformer or BERT, each on growing shares of the rows.

    Where a BERT has won, it and what it has beaten.
    """
    winner = known.winner
    if known.beaten is not None:
        kinds = [winner, known.beaten]
    else:
        other = Design(transformer=True, bert=known.bert) if known.bert else _like(winner)
        kinds = [winner, replace(winner, layers=winner.layers + 1), other]
    shares = [replace(kind, rows=share) for kind in dict.fromkeys(kinds) for share in SHARES_OF_ROWS]
    return {design.label: design for design in shares}


_ARMS: dict[Ladder, Callable[[Known], Arms]] = {
    "depth": _depth,
    "direction": _direction,
    "cell": _cell,
    "attention": _attention,
    "transformer": _transformer,
    "bert": _bert,
    "depth-parameters": _depth_parameters,
    "depth-time": _depth_time,
    "residual": _residual,
    "transformer-time": _transformer_time,
    "clipping": _clipping,
    "overfitting": _depth,
    "data": _data,
}


def parse_questions(asked: str | None, *, bert: bool = False) -> tuple[Ladder, ...]:
    """The questions in ``"depth,cell"``, in the order in which they are asked; ``MAIN`` where none is named.

    Args:
        bert: whether there is a BERT to ask about; it then is, where no question is named.

    Raises:
        ConfigError: a name is not a question, or "bert" is asked about and there is none, or the reverse.
    """
    if not asked:
        return SHAPING if bert else MAIN
    names = [name.strip() for name in asked.split(",") if name.strip()]
    for name in names:
        if name not in QUESTIONS:
            raise ConfigError(
                f"a question is one of {', '.join(QUESTIONS)}, but '{name}' was asked"
                f"{did_you_mean(name, QUESTIONS)}"
            )
    if bert != ("bert" in names):
        raise ConfigError(
            "the question 'bert' and a BERT belong together; name both or neither, such as "
            "--ask depth,bert --bert small"
        )
    return tuple(question for question in QUESTIONS if question in names)
