from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lamina.data.vocabulary import Vocabulary
from lamina.errors import ConfigError
from lamina.nn.decoder import DecoderConfig
from lamina.nn.stack import StackConfig
from lamina.nn.transformer import TransformerConfig
from lamina.tasks.base import BodyConfig
from lamina.tasks.translate import (
    EncodedPairs,
    PairBatches,
    TranslateConfig,
    TranslateMetric,
    TranslateNetwork,
    TranslateObjective,
    encode_ended,
    pair_nats,
    translate_tokens,
)

SOURCE = ["one two", "three", "two one three one", "three two", "one"]
TARGET = ["eins zwei", "drei", "zwei eins drei eins", "drei zwei", "eins"]
FORM = TranslateConfig(embedding_size=6, input_dropout=0, output_dropout=0)
STACK = StackConfig(hidden_sizes=(5, 7), directions=("both", "forward"))
BODIES: list[tuple[BodyConfig, DecoderConfig | None]] = [
    (STACK, None),
    (STACK.replace(cell="gru"), DecoderConfig(attention="additive", input_feeding=True)),
    (STACK, DecoderConfig(attention=None, stack=StackConfig(hidden_sizes=(4,)))),
    (TransformerConfig(size=8, heads=2), None),
]


def vocabulary() -> Vocabulary:
    return Vocabulary.fit([*SOURCE, *TARGET], unit="subword", size=270)


def network(body: BodyConfig, decoder: DecoderConfig | None, tokens: int) -> TranslateNetwork:
    torch.manual_seed(0)
    return TranslateNetwork(FORM, tokens, body, decoder).eval()


@pytest.mark.parametrize(("body", "decoder"), BODIES, ids=["lstm", "fed gru", "no attention", "transformer"])
def test_a_batch_gives_what_each_pair_gives_alone(body: BodyConfig, decoder: DecoderConfig | None) -> None:
    words = vocabulary()
    pairs = EncodedPairs.encode(SOURCE, TARGET, words)
    net = network(body, decoder, len(words))
    with torch.no_grad():
        logits, targets = net(pairs.collate(np.arange(5), words.end))
        alone = [net(pairs.collate(np.array([i]), words.end)) for i in range(5)]
    torch.testing.assert_close(logits, torch.cat([one for one, _ in alone]), rtol=1e-4, atol=1e-5)
    assert targets.tolist() == [int(token) for row in pairs.target for token in row]
    expected = float(F.cross_entropy(logits, targets))
    assert pair_nats(net, pairs, words.end) == pytest.approx(expected, rel=1e-5)


def test_a_decoder_reads_the_tokens_before_the_one_it_writes() -> None:
    words = vocabulary()
    batch = EncodedPairs.encode(SOURCE, TARGET, words).collate(np.array([0, 1]), words.end)
    assert batch.read[:, 0].tolist() == [words.end] * 2
    assert torch.equal(batch.read[:, 1:], batch.target[:, :-1])
    assert [int(row[n - 1]) for row, n in zip(batch.target, batch.target_lengths, strict=True)] == [
        words.end
    ] * 2
    assert [int(row[n - 1]) for row, n in zip(batch.source, batch.source_lengths, strict=True)] == [
        words.end
    ] * 2


@pytest.mark.parametrize(("body", "decoder"), BODIES, ids=["lstm", "fed gru", "no attention", "transformer"])
def test_greedy_translation_takes_the_likeliest_token_at_every_step(
    body: BodyConfig, decoder: DecoderConfig | None
) -> None:
    words = vocabulary()
    net = network(body, decoder, len(words))
    sources = encode_ended(SOURCE, words)
    found = translate_tokens(net, sources, words, beam=1)
    for source, (best,) in zip(sources, found, strict=True):
        longest = 2 * len(source) + 10
        assert 1 <= len(best.tokens) <= longest
        read = torch.tensor([[words.end, *best.tokens]])
        with torch.no_grad():
            memory = net.read(torch.from_numpy(source)[None], torch.tensor([len(source)]))
            logits = net.logits(net.write(read, memory)[0])[0]
        logits[:, words.unknown] = -torch.inf
        logits[0, words.end] = -torch.inf
        chosen = logits.argmax(-1).tolist()
        assert chosen[: len(best.tokens)] == list(best.tokens)
        assert best.ended == (chosen[len(best.tokens)] == words.end and len(best.tokens) < longest)


def test_one_table_of_vectors_serves_source_target_and_output() -> None:
    net = network(STACK, None, 300)
    shapes = [tuple(p.shape) for p in net.parameters() if 300 in p.shape]
    assert sorted(shapes) == [(300,), (300, 6)]


def test_batches_hold_every_pair_once_and_follow_the_seed() -> None:
    words = vocabulary()
    pairs = EncodedPairs.encode(SOURCE * 9, TARGET * 9, words)
    batches = PairBatches(pairs, begin=words.end, batch_size=4, seed=0)
    first = list(batches.epoch(0))
    assert len(first) == len(batches)
    assert sum(len(batch.source) for batch in first) == 45
    assert sum(int(batch.source_lengths.sum()) for batch in first) == sum(map(len, pairs.source))
    again = list(batches.epoch(0, start=1))
    assert all(torch.equal(a.source, b.source) for a, b in zip(first[1:], again, strict=True))
    sizes = [max(b.source.numel(), b.target.numel()) for b in first]
    assert max(sizes) <= math.ceil(4 * pairs.lengths.mean())


@pytest.mark.parametrize("metric", ["nats", "bleu"])
def test_weights_are_chosen_by_the_metric(metric: TranslateMetric) -> None:
    words = vocabulary()
    pairs = EncodedPairs.encode(SOURCE, TARGET, words)
    net = network(STACK, None, len(words))
    objective = TranslateObjective(FORM, words, pairs, TARGET, metric=metric)
    score, loss = objective.validate(net)
    nats = pair_nats(net, pairs, words.end)
    assert objective.higher_is_better == (metric == "bleu")
    assert loss == pytest.approx(nats)
    assert score == pytest.approx(nats) if metric == "nats" else 0 <= score < 5
    logits, targets = net(pairs.collate(np.arange(5), words.end))
    expected = F.cross_entropy(logits, targets, label_smoothing=0.1)
    torch.testing.assert_close(objective.loss(net, pairs.collate(np.arange(5), words.end)), expected)


def test_a_network_that_ignores_the_source_has_collapsed() -> None:
    words = vocabulary()
    pairs = EncodedPairs.encode(SOURCE, TARGET, words)
    net = network(STACK, None, len(words))
    objective = TranslateObjective(FORM, words, pairs, TARGET, metric="nats")
    assert objective.constant_output(net) is None
    with torch.no_grad():
        net.embed.weight.zero_()
    assert "do not depend on the source" in str(objective.constant_output(net))


def test_a_transformer_has_its_own_decoder() -> None:
    with pytest.raises(ConfigError, match="leave decoder out"):
        network(TransformerConfig(size=8), DecoderConfig(), 9)
