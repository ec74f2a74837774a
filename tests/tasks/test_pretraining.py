from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lamina.data.labelled_texts import LabelledTexts
from lamina.errors import ConfigError
from lamina.nn.directions import directions_apart
from lamina.nn.next_token import log_chances
from lamina.nn.stack import StackConfig
from lamina.nn.transformer import TransformerConfig
from lamina.tasks.base import BodyConfig
from lamina.tasks.pretraining import NeighbourNetwork, NeighbourObjective, in_pieces
from lamina.tasks.text import TextBatch, TextConfig, TextInputs, TextNetwork

TOKENS = 12
BOTH = StackConfig(hidden_sizes=(5, 5), directions=("both",))
INPUTS = TextInputs(("a", "b"), None)


def texts(*lengths: int) -> LabelledTexts:
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    values = np.random.default_rng(0).integers(TOKENS, size=starts[-1])
    return LabelledTexts(values, starts, np.full(len(lengths), -1), INPUTS.classes)


def batch_of(*lengths: int) -> TextBatch:
    data = INPUTS.prepare(texts(*lengths))
    return INPUTS.collate(data, np.arange(len(lengths)))


def network(body: BodyConfig = BOTH) -> NeighbourNetwork:
    torch.manual_seed(0)
    made = NeighbourNetwork(TextNetwork(TextConfig(embedding_size=6), TOKENS, 2, body)).eval()
    torch.nn.init.normal_(made.bias)
    return made


def by_hand(made: NeighbourNetwork, ids: torch.Tensor) -> list[torch.Tensor]:
    """Nats of every neighbour of one text (time,), forward ones first: a softmax after each projection."""
    y = made.body(made.embed(ids[None]))[0][0]
    halves = y.chunk(len(made.project), -1)
    found = []
    for t in range(len(ids) - 1):
        logits = F.linear(made.project[0](halves[0][t]), made.embed.weight, made.bias)
        found.append(-logits.log_softmax(-1)[ids[t + 1]])
    if len(halves) == 2:
        for t in range(1, len(ids)):
            logits = F.linear(made.project[1](halves[1][t]), made.embed.weight, made.bias)
            found.append(-logits.log_softmax(-1)[ids[t - 1]])
    return found


@pytest.mark.parametrize("directions", ["forward", "both"])
def test_loss_is_that_of_both_neighbours(directions: str) -> None:
    made, batch = network(BOTH.replace(directions=directions)), batch_of(4, 7, 1, 2)
    expected = [
        nats
        for row, length in zip(batch.x, batch.lengths, strict=True)
        for nats in by_hand(made, row[: int(length)])
    ]
    assert len(expected) == (3 + 6 + 0 + 1) * (2 if directions == "both" else 1)
    torch.testing.assert_close(made(batch), torch.stack(expected).mean())


def test_a_larger_vocabulary_has_classes_of_rarer_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lamina.tasks.pretraining.CUTOFFS", (3, 6, 7))
    made, batch = network(BOTH.replace(directions="forward")), batch_of(5)
    assert made.output().cutoffs == (3, 6)
    chances = log_chances(made.project[0](made.read(batch)), made.output())  # (1, time, tokens)
    torch.testing.assert_close(chances.exp().sum(-1), torch.ones(1, 5))
    torch.testing.assert_close(made(batch), -chances[0, :-1].gather(1, batch.x[0, 1:, None]).mean())


def test_nothing_is_foreseen_that_was_read() -> None:
    """A last token that is another one changes its own score and those of all tokens seen from behind."""
    made, ids = network(), torch.tensor([3, 1, 4, 1, 5])
    other = ids.clone()
    other[4] = 9
    with directions_apart(made.body):
        one, two = (torch.stack(by_hand(made, given)) for given in (ids, other))
    assert torch.equal(one[:3], two[:3])  # tokens 1 to 3 from those before
    assert not torch.isclose(one[3:], two[3:]).any()


def test_the_network_that_is_pretrained_is_the_one_given() -> None:
    text = TextNetwork(TextConfig(embedding_size=6), TOKENS, 2, BOTH)
    made = NeighbourNetwork(text)
    shared = {id(p) for p in text.parameters()} & {id(p) for p in made.parameters()}
    assert shared == {id(p) for p in [text.embed.weight, *text.reader.body.parameters()]}


def test_validation_is_the_mean_over_held_out_tokens() -> None:
    made, data = network(), INPUTS.prepare(texts(4, 7, 3, 2, 9))
    held_out = np.array([4, 0, 3])
    expected = torch.stack([n for i in held_out for n in by_hand(made, torch.from_numpy(data.texts[int(i)]))])
    objective = NeighbourObjective(INPUTS, data, held_out)
    assert objective.validate(made) == pytest.approx([expected.mean().item()] * 2, abs=1e-5)
    assert objective.constant_output(made) is None
    for parameter in made.body.parameters():
        torch.nn.init.zeros_(parameter)
    assert objective.constant_output(made) == "what the stack gives does not depend on the tokens it reads"


def test_long_texts_are_cut_into_like_pieces_and_nothing_is_lost() -> None:
    whole = texts(3, 80, 81, 200, 1)
    pieces = in_pieces(whole, most=80)
    assert pieces.lengths.tolist() == [3, 80, 40, 41, 66, 67, 67, 1]
    assert pieces.values is whole.values
    assert pieces.starts[-1] == whole.starts[-1]


def test_what_cannot_be_pretrained_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"a Transformer that reads whole texts has seen already"):
        network(TransformerConfig())
    with pytest.raises(ConfigError, match="all read forward or all read both"):
        network(BOTH.replace(directions=("both", "forward")))
