from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone

from lamina.errors import ConfigError, DataError, NotFittedError
from lamina.estimators.load import load
from lamina.estimators.translator import Translator
from lamina.nn.decoder import DecoderConfig
from lamina.nn.stack import StackConfig
from lamina.nn.transformer import TransformerConfig
from lamina.tasks.translate import TranslateConfig
from lamina.training.optim import TrainingConfig

WORDS = {
    "red": "rot",
    "blue": "blau",
    "old": "alt",
    "new": "neu",
    "big": "groß",
    "odd": "eigen",
    "my": "mein",
}
SOURCE = [f"a {a} and {b} {c}" for a in WORDS for b in WORDS for c in ("car", "house")]
TARGET = [
    f"ein {'Auto' if c == 'car' else 'Haus'}, {WORDS[b]} und {WORDS[a]}"
    for a in WORDS
    for b in WORDS
    for c in ("car", "house")
]
KEPT = [i for i in range(98) if i % 9]  # the others are new to the model
QUICK = TrainingConfig(max_steps=240, batch_size=16, validations=4, learning_rate=0.01)
SMALL = StackConfig(cell="gru", hidden_sizes=(32,), directions=("both",))
FORM = TranslateConfig(embedding_size=32, input_dropout=0.0, output_dropout=0.0, label_smoothing=0.05)


def quick(**changes: object) -> Translator:
    options: dict[str, object] = {"stack": SMALL, "training": QUICK, "form": FORM, "vocabulary_size": 400}
    return Translator(**(options | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def fitted() -> Translator:
    return quick(decoder=DecoderConfig(attention="additive")).fit(*kept())


def kept() -> tuple[list[str], list[str]]:
    return [SOURCE[i] for i in KEPT], [TARGET[i] for i in KEPT]


def unseen() -> tuple[list[str], list[str]]:
    return [SOURCE[i] for i in range(0, 98, 9)], [TARGET[i] for i in range(0, 98, 9)]


def test_attention_lets_it_translate_sentences_it_never_saw(fitted: Translator) -> None:
    """The order of two words changes, which must be looked up in the source; a summary does not hold it."""
    texts, references = unseen()
    without = quick(decoder=DecoderConfig(attention=None)).fit(*kept())
    scores = fitted.evaluate(texts, references)
    assert scores.bleu > 85
    assert scores.chrf > 85
    assert scores.bleu > 20 + without.evaluate(texts, references).bleu
    assert "|tok:13a|" in scores.bleu_signature
    assert scores.chrf_signature.startswith("nrefs:1|")
    assert scores.texts == len(texts)


def test_scores_are_sacrebleus_own(fitted: Translator) -> None:
    import sacrebleu

    texts, references = unseen()
    shuffled = references[1:] + references[:1]
    scores = fitted.evaluate(texts, shuffled, beam=2)
    answers = fitted.translate(texts, beam=2)
    assert scores.bleu == sacrebleu.corpus_bleu(answers, [shuffled]).score
    assert scores.chrf == sacrebleu.corpus_chrf(answers, [shuffled]).score


def test_order_and_company_of_texts_do_not_matter(fitted: Translator) -> None:
    texts, _ = unseen()
    together = fitted.translate([*texts, "", "  "])
    assert together == [*(fitted.translate([text])[0] for text in texts), "", ""]
    assert fitted.translate([]) == []


def test_attention_looks_at_the_word_it_writes(fitted: Translator) -> None:
    """What stands first in one language stands last in the other."""
    seen = fitted.attention("a red and new car", "ein Auto, neu und rot")
    assert seen.weights.shape == (len(seen.target), len(seen.source))
    np.testing.assert_allclose(seen.weights.sum(1), 1, atol=1e-5)
    assert "".join(seen.source) == "a red and new car<eos>"
    assert "".join(seen.target) == "ein Auto, neu und rot<eos>"
    read_of = {word: seen.source.index(f" {word}") for word in ("red", "new")}
    written = {word: seen.target.index(f" {word}") for word in ("rot", "neu")}
    assert seen.weights[written["neu"]].argmax() == read_of["new"]
    assert seen.weights[written["rot"]].argmax() == read_of["red"]
    own = fitted.attention("a red and new car")
    assert "".join(own.target).removesuffix("<eos>") == fitted.translate(["a red and new car"])[0]


def test_without_attention_there_is_nothing_to_see() -> None:
    short = QUICK.replace(max_steps=4)
    blind = quick(decoder=DecoderConfig(attention=None), training=short).fit(SOURCE, TARGET)
    with pytest.raises(ConfigError, match="nothing to see"):
        blind.attention("a red and new car", "x")


@pytest.mark.parametrize(
    "changes",
    [
        {
            "decoder": DecoderConfig(
                attention="additive", input_feeding=True, stack=StackConfig(hidden_sizes=(9,))
            )
        },
        {"stack": TransformerConfig(size=16, layers=1)},
        {"stack": None, "form": None, "metric": "bleu"},
    ],
    ids=["fed", "transformer", "defaults"],
)
def test_a_loaded_model_is_the_same_bit_for_bit(tmp_path: Path, changes: dict[str, object]) -> None:
    model = quick(training=QUICK.replace(max_steps=6), **changes).fit(SOURCE, TARGET)
    model.save(tmp_path / "m")
    again = load(tmp_path / "m")
    assert isinstance(again, Translator)
    assert again.translate(SOURCE[:3], beam=3) == model.translate(SOURCE[:3], beam=3)
    np.testing.assert_array_equal(
        again.attention(SOURCE[0], TARGET[0]).weights, model.attention(SOURCE[0], TARGET[0]).weights
    )
    assert again.get_params() == model.get_params()
    assert again.history_ == model.history_


def test_seeds_decide_and_the_users_random_state_stays() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    short = QUICK.replace(max_steps=6)
    losses = [quick(seed=seed, training=short).fit(SOURCE, TARGET).history_.train_loss for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert losses[0] == losses[1] != losses[2]


def test_given_pairs_choose_the_weights() -> None:
    texts, references = unseen()
    short = QUICK.replace(max_steps=8)
    model = quick(training=short).fit(SOURCE, TARGET, validation=(texts, references))
    assert len(model.history_.validation) == 4
    assert model.history_.best == min(model.history_.validation)


def test_what_is_wrong_is_said(tmp_path: Path, fitted: Translator) -> None:
    with pytest.raises(NotFittedError, match="Call fit"):
        quick().translate(["a"])
    with pytest.raises(NotFittedError, match="Call fit"):
        quick().save(tmp_path / "m")
    with pytest.raises(DataError, match="2 texts and 1 translations"):
        quick().fit(["a", "b"], ["c"])
    with pytest.raises(DataError, match="the source of row 1 is empty"):
        quick().fit(["a", " "], ["b", "c"])
    with pytest.raises(DataError, match="only 1; give more"):
        quick().fit(["a"], ["b"])
    with pytest.raises(ConfigError, match="validation_fraction"):
        quick(validation_fraction=0.0).fit(SOURCE, TARGET)
    with pytest.raises(ConfigError, match="metric is one of nats, bleu, but is 'BLEU'"):
        quick(metric="BLEU").fit(SOURCE, TARGET)
    with pytest.raises(ConfigError, match="leave decoder out"):
        quick(stack=TransformerConfig(), decoder=DecoderConfig()).fit(SOURCE, TARGET)
    with pytest.raises(DataError, match=r"Pass \[text\]"):
        fitted.translate("a red car")
    with pytest.raises(DataError, match="row 1 is int"):
        fitted.translate(["a", 3])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="at least 1"):
        fitted.translate(["a"], beam=0)
    with pytest.raises(DataError, match="source of row 0 is empty"):
        fitted.attention("", "x")


def test_clone_follows_scikit_learn() -> None:
    model = quick(seed=4)
    assert clone(model).get_params() == model.get_params()
