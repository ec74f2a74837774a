from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lamina.errors import ConfigError
from lamina.study.questions import FURTHER, MAIN, QUESTIONS, Arms, Known, Ladder, arms, parse_questions
from lamina.study.space import Design

DEPTHS = (1, 2, 3, 4)


def asked(question: Ladder, winner: Design, **changes: Any) -> Arms:
    known = Known(winner, Design(), DEPTHS, lambda design: float(design.layers + design.transformer))
    return arms(question, replace(known, **changes))


def test_arms_of_a_question_differ_from_the_winner_in_what_is_asked_only() -> None:
    winner = Design(layers=3, direction="both", cell="gru", hidden=32)
    assert asked("depth", winner, base=winner, depths=(1, 3)) == {"1": replace(winner, layers=1), "3": winner}
    assert asked("cell", winner) == {"gru": winner, "lstm": replace(winner, cell="lstm")}
    assert asked("attention", winner) == {
        "no attention": winner,
        "attention": replace(winner, attention=True),
    }
    assert asked("clipping", winner) == {"no clipping": replace(winner, clip=False), "clipping": winner}
    assert list(asked("residual", winner).values()) == [
        winner,
        replace(winner, residual=True),
        replace(winner, residual=True, norm=True),
    ]


def test_a_single_layer_has_no_mixed_directions() -> None:
    assert list(asked("direction", Design())) == ["forward", "both directions"]
    assert list(asked("direction", Design(layers=3))) == ["forward", "both directions", "both → forward"]


def test_questions_of_depth_are_about_the_first_design_whatever_won_since() -> None:
    winner = Design(layers=2, cell="gru", direction="both")
    for question in ("depth", "depth-parameters", "depth-time", "overfitting"):
        found = asked(question, winner)
        assert list(found) == ["1", "2", "3", "4"]
        assert found["1"] == Design()
    widths = [design.hidden for design in asked("depth-parameters", winner).values()]
    assert widths == sorted(widths, reverse=True)
    assert [design.steps for design in asked("depth-time", winner).values()] == [1.0, 0.5, 0.333, 0.25]


def test_a_transformer_is_of_like_size_or_of_like_time() -> None:
    for layers in (1, 2, 4):
        winner, like = asked("transformer", Design(layers=layers)).values()
        assert winner == Design(layers=layers)
        assert (like.transformer, like.layers, like.steps) == (True, max(2, layers), 1.0)
    assert list(asked("transformer-time", Design(layers=3)).values())[1].steps == 0.75


def test_recurrent_layers_are_not_asked_about_where_a_transformer_won() -> None:
    winner = Design(layers=2, transformer=True)
    assert asked("residual", winner) == asked("transformer-time", winner) == {}


def test_more_data_is_asked_of_the_winner_one_layer_more_and_a_transformer() -> None:
    found = list(asked("data", Design()).values())
    assert [design.rows for design in found] == [1 / 8, 1 / 4, 1 / 2, 1.0] * 3
    assert {design.searched for design in found} == {
        Design(),
        Design(layers=2),
        Design(layers=2, transformer=True),
    }


@pytest.mark.parametrize(
    ("text", "questions"),
    [
        (None, MAIN),
        ("", MAIN),
        ("cell, depth", ("depth", "cell")),  # in the order of the ladder
        ("depth,depth", ("depth",)),
        ("data,depth-time,transformer", ("transformer", "depth-time", "data")),
    ],
)
def test_questions_by_name(text: str | None, questions: tuple[Ladder, ...]) -> None:
    assert parse_questions(text) == questions
    assert (*MAIN, "bert", *FURTHER) == QUESTIONS


def test_a_bert_is_asked_about_where_there_is_one_and_only_there() -> None:
    assert parse_questions(None, bert=True) == (*MAIN, "bert")
    assert parse_questions("bert,depth", bert=True) == ("depth", "bert")
    for text, bert in (("depth,bert", False), ("depth", True)):
        with pytest.raises(ConfigError, match="belong together"):
            parse_questions(text, bert=bert)
    winner = Design(layers=2, direction="both")
    found = asked("bert", winner, bert="some/bert-base")
    assert list(found) == ["lstm ×2 both directions", "BERT bert-base"]
    assert found["BERT bert-base"].id == "bert-bert-base"
    assert asked("residual", found["BERT bert-base"]) == {}
    shares = asked("data", winner, bert="small")
    assert [design.rows for design in shares.values() if design.bert] == [1 / 8, 1 / 4, 1 / 2, 1.0]
    assert [design.layers for design in shares.values()] == [2] * 4 + [3] * 4 + [1] * 4


def test_where_a_bert_has_won_more_data_is_asked_of_it_and_of_what_it_has_beaten() -> None:
    winner, stack = Design(transformer=True, bert="small"), Design(direction="both")
    known = Known(winner, Design(), (1, 2), lambda _: 1.0, bert="small", beaten=stack)
    found = [replace(design, rows=1.0) for design in arms("data", known).values()]
    assert found == [winner] * 4 + [stack] * 4


def test_an_unknown_question_is_an_error_that_guesses() -> None:
    with pytest.raises(ConfigError, match=r"but 'dept' was asked; did you mean 'depth'?"):
        parse_questions("cell,dept")
