from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
import torch
from sklearn.base import clone

from lamina.data.vocabulary import Unit
from lamina.errors import ConfigError, DataError, NotFittedError
from lamina.estimators.language_model import LanguageModel
from lamina.estimators.load import load
from lamina.nn.stack import StackConfig
from lamina.tasks.language import LanguageConfig
from lamina.training.optim import TrainingConfig

QUICK = TrainingConfig(max_steps=80, batch_size=4, validations=4, learning_rate=0.02)
SMALL = StackConfig(hidden_sizes=(16,))
TEXT = "one two three four\n" * 60


def quick(**changes: object) -> LanguageModel:
    options: dict[str, object] = {"stack": SMALL, "training": QUICK, "window_steps": 12}
    return LanguageModel(**(options | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("unit", ["character", "word", "spaced", "subword"])
def test_it_learns_a_text_that_repeats(unit: Unit) -> None:
    model = quick(unit=unit, window_steps=12 if unit == "character" else 8).fit(TEXT)
    scores = model.evaluate(TEXT)
    assert scores.nats_per_token < 0.1
    assert scores.perplexity == pytest.approx(math.exp(scores.nats_per_token))
    assert scores.unknown == 0
    text = model.generate(40, temperature=0.1)
    assert text.startswith(TEXT[:19])


def test_bits_are_counted_by_character_whatever_a_token_is() -> None:
    for unit, tokens in (("character", len(TEXT)), ("spaced", 5 * 60)):
        scores = quick(unit=unit, window_steps=8).fit(TEXT).evaluate(TEXT)
        assert scores.tokens == tokens - 1
        bits = scores.nats_per_token * scores.tokens / math.log(2)
        assert scores.bits_per_character == pytest.approx(bits / len(TEXT))


@pytest.mark.parametrize("form", [None, LanguageConfig(tied=False, embedding_size=5, embedding_dropout=0.1)])
def test_a_loaded_model_is_the_same_bit_for_bit(tmp_path: Path, form: LanguageConfig | None) -> None:
    model = quick(form=form, stack=SMALL.replace(weight_drop=0.2)).fit(TEXT)
    model.save(tmp_path / "m")
    again = load(tmp_path / "m")
    assert isinstance(again, LanguageModel)
    assert again.evaluate(TEXT) == model.evaluate(TEXT)
    assert again.generate(50, seed=3) == model.generate(50, seed=3)
    assert again.get_params() == model.get_params()
    assert again.history_ == model.history_


def test_streaming_gives_what_generating_gives_and_seeds_tell_texts_apart() -> None:
    model = quick().fit(TEXT)
    options = {"prompt": "one t", "temperature": 6.0, "top_k": 9, "top_p": 0.95}
    texts = [model.generate(60, seed=seed, **options) for seed in (1, 1, 2)]  # type: ignore[arg-type]
    assert texts[0] == texts[1] != texts[2]
    pieces = model.generate_tokens(seed=1, **options)  # type: ignore[arg-type]
    assert "".join(itertools.islice(pieces, 60)) == texts[0]
    assert "<unk>" not in model.generate(300, temperature=50.0)


def test_seeds_decide_and_the_users_random_state_stays() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    losses = [quick(seed=seed).fit(TEXT).history_.train_loss for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert losses[0] == losses[1] != losses[2]


def test_files_lists_and_strings_are_one_text(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(TEXT)
    found = [quick().fit(text).history_ for text in (TEXT, tmp_path / "t.txt", TEXT.splitlines())]
    assert found[0].validation == found[1].validation == found[2].validation
    chosen = quick().fit(TEXT, validation="one two three four\n" * 9)
    assert len(chosen.history_.validation) == 4


def test_a_word_never_seen_is_counted() -> None:
    model = quick(unit="word", window_steps=8).fit(TEXT)
    assert model.evaluate("one five three\n").unknown == 1


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError, match="Call fit"):
        quick().generate(3)
    with pytest.raises(NotFittedError, match="Call fit"):
        quick().save(tmp_path / "m")
    with pytest.raises(DataError, match="Give a longer text"):
        quick().fit("abc")
    with pytest.raises(DataError, match="needs 60, but has 52"):
        quick().fit(TEXT[:52], validation=TEXT)
    with pytest.raises(DataError, match="validation text has at least two, but this one has 1"):
        quick(unit="word", window_steps=4).fit(TEXT, validation="a")
    with pytest.raises(ConfigError, match="validation_fraction"):
        quick(validation_fraction=1.0).fit(TEXT)
    with pytest.raises(ConfigError, match="unit is one of"):
        quick(unit="letter").fit(TEXT)
    model = quick().fit(TEXT)
    with pytest.raises(DataError, match="has no second"):
        model.evaluate("a")
    with pytest.raises(ConfigError, match="temperature"):
        model.generate(3, temperature=0.0)
    with pytest.raises(ConfigError, match="has no token"):
        model.generate(3, prompt="")


def test_clone_follows_scikit_learn() -> None:
    model = quick(seed=4)
    assert clone(model).get_params() == model.get_params()


def test_an_adaptive_softmax_learns_as_one_softmax_does_and_is_saved(tmp_path: Path) -> None:
    scores = {}
    for cutoffs in ((), (3, 5)):
        model = quick(unit="word", window_steps=8, form=LanguageConfig(embedding_size=16, cutoffs=cutoffs))
        model.fit(TEXT).save(tmp_path / "model")
        scores[cutoffs] = model.evaluate(TEXT).nats_per_token
        loaded = load(tmp_path / "model")
        assert isinstance(loaded, LanguageModel)
        assert loaded.evaluate(TEXT).nats_per_token == scores[cutoffs]
        assert loaded.generate(5, prompt="one two three four\n", temperature=0.1) == "one two three four\n"
    assert max(scores.values()) < 0.1
