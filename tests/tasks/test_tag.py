from __future__ import annotations

import numpy as np
import pytest
import torch

from lamina.errors import DataError
from lamina.nn.stack import StackConfig
from lamina.tasks.tag import (
    TagBatches,
    TagConfig,
    TagInputs,
    TagNetwork,
    TagObjective,
    entity_f1,
    predict_tags,
    tag_nats,
)

X = [["The", "cat", "sat"], ["the", "dog"], ["Cats", "sat", "on", "the", "mat", "."], ["the"]]
Y = [["D", "N", "V"], ["D", "N"], ["N", "V", "P", "D", "N", "."], ["D"]]
INPUTS = TagInputs.fit(X, Y, least_count=2)


def network(**fields: object) -> TagNetwork:
    torch.manual_seed(0)
    config = TagConfig.parse({"word_size": 5, "character_size": 4} | fields)
    return TagNetwork(config, INPUTS, StackConfig(hidden_sizes=(6,), directions=("both",))).eval()


def test_words_are_known_in_lower_case_from_a_count_on() -> None:
    assert INPUTS.words == ("", "sat", "the")
    data = INPUTS.prepare([["THE", "mat", "é"]])
    assert data.words.tolist() == [2, 0, 0]
    assert [len(spelling) for spelling in data.spelling] == [3, 3, 1]
    spelled = data.spelling[int(data.forms[2])]
    assert spelled.tolist() == [0]  # a character never seen


def test_a_batch_spells_each_form_once() -> None:
    data = INPUTS.prepare(X, Y)
    batch = INPUTS.collate(data, np.array([0, 1]))
    assert batch.words.tolist() == [[2, 0, 1], [2, 0, 0]]
    assert batch.tags.tolist() == [[INPUTS.tags.index(t) for t in "DNV"], [*map(INPUTS.tags.index, "DN"), 0]]
    assert len(batch.characters) == 5  # The, cat, sat, the, dog
    for row, sentence in enumerate(X[:2]):
        for step, word in enumerate(sentence):
            form = int(batch.forms[row, step])
            numbers = batch.characters[form, : batch.spelled[form]]
            assert "".join(INPUTS.characters[n] for n in numbers) == word


@pytest.mark.parametrize("decoder", ["softmax", "crf"])
@pytest.mark.parametrize("characters", [0, 4])
def test_sentences_together_have_the_scores_of_each_alone(decoder: str, characters: int) -> None:
    net, data = network(decoder=decoder, character_size=characters), INPUTS.prepare(X, Y)
    together = INPUTS.collate(data, np.arange(4))
    scores, total = net(together), 0.0
    for row, sentence in enumerate(X):
        alone = INPUTS.collate(data, np.array([row]))
        torch.testing.assert_close(net(alone)[0], scores[row, : len(sentence)])
        total += float(tag_nats(net, net(alone), alone).detach())
    assert float(tag_nats(net, net(together), together).detach()) == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("decoder", ["softmax", "crf"])
def test_validation_gives_the_metric_and_the_nats_a_word(decoder: str) -> None:
    net, data = network(decoder=decoder), INPUTS.prepare(X, Y)
    accuracy, nats = TagObjective(INPUTS, data, metric="accuracy").validate(net)
    assert accuracy == float((predict_tags(net, INPUTS, data) == data.tags).mean())
    together = INPUTS.collate(data, np.arange(4))
    with torch.no_grad():
        total = float(tag_nats(net, net(together), together))
    assert nats == pytest.approx(total / len(data.tags), rel=1e-5)


def test_tags_come_back_in_the_order_of_the_sentences() -> None:
    net = network()
    sentences = [*X, [], X[0]]
    data = INPUTS.prepare(sentences)
    found = predict_tags(net, INPUTS, data)
    expected = np.concatenate([predict_tags(net, INPUTS, INPUTS.prepare([one])) for one in sentences if one])
    np.testing.assert_array_equal(found, expected)


def test_an_epoch_has_every_sentence_once() -> None:
    data = INPUTS.prepare(X * 5, Y * 5)
    batches = TagBatches(data, INPUTS, batch_size=3, seed=0)
    epoch = list(batches.epoch(1))
    assert len(epoch) == len(batches) == 7
    assert sum(int(batch.lengths.sum()) for batch in epoch) == 60
    assert torch.equal(next(batches.epoch(1, start=4)).words, epoch[4].words)


def test_entities_are_counted_whole() -> None:
    tags = ("B-X", "I-X", "O")
    inputs = TagInputs(("",), ("",), tags)
    words = [["a", "b", "c"], ["d"]]
    data = inputs.prepare(words, [["B-X", "I-X", "O"], ["B-X"]])
    assert entity_f1(tags, data, np.array([0, 1, 2, 0])) == 1
    assert entity_f1(tags, data, np.array([0, 2, 2, 0])) == 0.5  # one of two found, one of two right


def test_faulty_tags_name_their_sentence() -> None:
    with pytest.raises(DataError, match="sentence 1 has 2 words and 3 tags"):
        INPUTS.prepare(X[:2], [Y[0], Y[0]])
    with pytest.raises(DataError, match="sentence 0 has 'Q'"):
        INPUTS.prepare([["a"]], [["Q"]])
