from __future__ import annotations

import re
from dataclasses import replace

import pytest

from lamina.errors import ConfigError
from lamina.nn.stack import StackConfig
from lamina.nn.transformer import TransformerConfig
from lamina.study.space import QUESTIONS, Design, Ladder, arms, parse_questions

DEPTHS = (1, 2, 3, 4)


def test_arms_of_a_question_differ_from_the_winner_in_what_is_asked_only() -> None:
    winner = Design(layers=3, direction="both", cell="gru", hidden=32)
    assert arms("depth", winner, depths=(1, 3)) == {"1": replace(winner, layers=1), "3": winner}
    assert arms("cell", winner, depths=DEPTHS) == {"gru": winner, "lstm": replace(winner, cell="lstm")}
    assert arms("attention", winner, depths=DEPTHS) == {
        "no attention": winner,
        "attention": replace(winner, attention=True),
    }


def test_a_single_layer_has_no_mixed_directions() -> None:
    assert list(arms("direction", Design(), depths=DEPTHS)) == ["forward", "both directions"]
    mixed = arms("direction", Design(layers=3), depths=DEPTHS)["both → forward"]
    body = mixed.body(0.0)
    assert isinstance(body, StackConfig)
    assert body.directions == ("both", "both", "forward")


def test_the_transformer_is_of_like_size() -> None:
    for layers in (1, 2, 4):
        winner, transformer = arms("transformer", Design(layers=layers), depths=DEPTHS).values()
        assert winner == Design(layers=layers)
        body = transformer.body(0.1)
        assert isinstance(body, TransformerConfig)
        assert transformer.layers == max(2, layers)


def test_ids_are_unique_and_fit_to_name_a_file() -> None:
    designs = {
        design
        for layers in (1, 2)
        for winner in (Design(layers=layers), Design(layers=layers, cell="gru"))
        for question in QUESTIONS
        for design in arms(question, winner, depths=DEPTHS).values()
    }
    ids = [design.id for design in designs]
    assert len(set(ids)) == len(designs)
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in ids)
    assert len({design.label for design in designs}) == len(designs)


def test_dropout_reaches_the_network() -> None:
    body = Design(layers=2).body(0.25)
    assert isinstance(body, StackConfig)
    assert (body.dropout, body.hidden_sizes) == (0.25, (64, 64))


@pytest.mark.parametrize(
    ("asked", "questions"),
    [
        (None, QUESTIONS),
        ("", QUESTIONS),
        ("cell, depth", ("depth", "cell")),  # in the order of the ladder
        ("depth,depth", ("depth",)),
    ],
)
def test_questions_by_name(asked: str | None, questions: tuple[Ladder, ...]) -> None:
    assert parse_questions(asked) == questions


def test_an_unknown_question_is_an_error_that_guesses() -> None:
    with pytest.raises(ConfigError, match=r"but 'dept' was asked; did you mean 'depth'?"):
        parse_questions("cell,dept")
