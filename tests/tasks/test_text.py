from __future__ import annotations

import math

import numpy as np
import torch

from lamina.data.labelled_texts import LabelledTexts
from lamina.nn.stack import StackConfig
from lamina.tasks.text import PreparedTexts, TextBatches, TextConfig, TextInputs, TextNetwork

CLASSES = ("a", "b", "c")
INPUTS = TextInputs(CLASSES, None)


def prepared(*lengths: int) -> PreparedTexts:
    generator = np.random.default_rng(0)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    labels = generator.integers(3, size=len(lengths))
    return INPUTS.prepare(LabelledTexts(generator.integers(20, size=starts[-1]), starts, labels, CLASSES))


def network(**fields: object) -> TextNetwork:
    torch.manual_seed(0)
    config = TextConfig.parse({"embedding_size": 6} | fields)
    return TextNetwork(config, 20, 3, StackConfig(hidden_sizes=(5,), directions=("both",))).eval()


def test_counts_have_a_say_once_they_are_weighed() -> None:
    data, net = prepared(4, 9), network()
    torch.nn.init.normal_(net.head.weight)
    data.prior[:] = np.log([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
    batch = INPUTS.collate(data, np.arange(2))
    alone = net(batch)
    torch.testing.assert_close(alone, net(batch._replace(prior=torch.zeros(2, 3))))
    net.weigh(0.75, 0.5)
    torch.testing.assert_close(net(batch), 0.75 * batch.prior + 0.5 * alone)
    torch.nn.init.constant_(net.head.weight, torch.nan)
    net.weigh(1.0, 0.0)
    torch.testing.assert_close(net(batch), batch.prior)


def test_padding_changes_no_score() -> None:
    net, data = network(attention=True), prepared(3, 11, 7)
    torch.nn.init.normal_(net.head.weight)
    together = net(INPUTS.collate(data, np.arange(3)))
    for row in range(3):
        torch.testing.assert_close(net(INPUTS.collate(data, np.array([row])))[0], together[row])
    assert not torch.allclose(together[0], together[1])


def test_without_counts_every_class_starts_the_same() -> None:
    assert np.allclose(prepared(3, 4).prior, -math.log(3))


def test_batches_hold_a_budget_of_tokens() -> None:
    lengths = [*range(1, 41)]
    batches = TextBatches(prepared(*lengths), INPUTS, batch_size=8, seed=0)
    for number in range(3):
        epoch = list(batches.epoch(number))
        assert len(epoch) == len(batches)
        assert sorted(int(n) for batch in epoch for n in batch.lengths) == lengths
        assert all(batch.x.numel() <= math.ceil(8 * 20.5) for batch in epoch)
        assert torch.equal(next(batches.epoch(number, start=2)).x, epoch[2].x)
