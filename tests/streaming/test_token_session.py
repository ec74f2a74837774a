"""Sessions of language and music models answer as the models do offline, and say what they cannot read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lamina.errors import ConfigError, DataError, SavedModelError
from lamina.estimators.language_model import LanguageModel
from lamina.estimators.music_model import MusicModel
from lamina.nn.stack import StackConfig
from lamina.streaming.lines import Row, answer_row
from lamina.streaming.opening import WHOLE, open_parts
from lamina.streaming.session import Session
from lamina.tasks.language import LanguageConfig
from lamina.training.optim import TrainingConfig

TEXT = "the cat sat on the mat and the dog sat on the cat\n" * 12
SHORT = TrainingConfig(max_steps=20, batch_size=4, learning_rate=0.02)
STACKS = [
    StackConfig(cell="lstm", hidden_sizes=(9,)),
    StackConfig(cell="gru", hidden_sizes=(6, 8), residual="add", norm="layer"),
    StackConfig(cell="tanh", hidden_sizes=(7, 5, 6), residual="dense"),
    StackConfig(cell="lnlstm", hidden_sizes=(8, 8)),
]


def language_model(stack: StackConfig = STACKS[0], **fields: Any) -> LanguageModel:
    form = LanguageConfig(embedding_size=8, tied=fields.pop("tied", True), cutoffs=fields.pop("cutoffs", ()))
    model: LanguageModel = LanguageModel(
        **{"stack": stack, "form": form, "window_steps": 6, "training": SHORT, **fields}
    ).fit(TEXT)
    return model


@torch.no_grad()
def offline(model: LanguageModel, numbers: np.ndarray) -> np.ndarray:
    """The chances of the next token after each one, (tokens, vocabulary)."""
    model.network_.eval()
    chances = model.network_.log_chances(torch.from_numpy(numbers)[None])[0][0]
    return np.asarray(chances.double().exp())


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("stack", STACKS, ids=lambda stack: stack.cell)
def test_streamed_chances_are_those_of_the_network(stack: StackConfig, tied: bool) -> None:
    model = language_model(stack, tied=tied)
    numbers = model.vocabulary_.encode("the dog sat on the mat\nand sat")
    session = model.stream()
    streamed = np.stack([session.step(int(number)) for number in numbers])
    np.testing.assert_allclose(streamed, offline(model, numbers), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(streamed.sum(1), 1.0, rtol=1e-9)


@pytest.mark.parametrize("tied", [True, False])
def test_chances_in_classes_are_those_of_the_network(tied: bool, tmp_path: Path) -> None:
    model = language_model(tied=tied, cutoffs=(4, 9))
    numbers = model.vocabulary_.encode("the dog sat on the mat\nand sat")
    model.save(tmp_path / "model")
    for session in (model.stream(), Session.open(tmp_path / "model")):
        streamed = np.stack([session.step(int(number)) for number in numbers])
        np.testing.assert_allclose(streamed, offline(model, numbers), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(streamed.sum(1), 1.0, rtol=1e-9)


def test_long_texts_stay_equal() -> None:
    model = language_model()
    numbers = np.tile(model.vocabulary_.encode(TEXT), 8)[:4000]
    session = model.stream()
    streamed = np.stack([session.step(int(number)) for number in numbers])
    np.testing.assert_allclose(streamed, offline(model, numbers), rtol=1e-4, atol=1e-6)


def test_tokens_are_read_by_name_number_or_text() -> None:
    model = language_model(unit="word", validation_fraction=0.2)
    session = model.stream()
    for word in ("the", "dog", "sat"):
        by_name = session.step(word, key="name")
        by_number = session.step(model.vocabulary_.number(word) or 0, key="number")
    np.testing.assert_array_equal(by_name, by_number)
    np.testing.assert_array_equal(session.read("the dog sat", key="text"), by_name)
    best = session.likeliest(by_name, 2)
    assert list(best.values()) == sorted(by_name.tolist(), reverse=True)[:2]
    np.testing.assert_array_equal(session.step("zebra", key="a"), session.step("<unk>", key="b"))


@pytest.mark.parametrize("cutoffs", [(), (4,)])
def test_many_texts_in_one_call_are_as_one_by_one(cutoffs: tuple[int, ...]) -> None:
    model = language_model(cutoffs=cutoffs, tied=not cutoffs)
    one, many = model.stream(), model.stream()
    for tokens, keys in (("tdc", "abc"), ("haa", "aba")):  # "a" twice in one call
        expected = np.stack([one.step(x, key=key) for x, key in zip(tokens, keys, strict=True)])
        np.testing.assert_allclose(many.step_many(list(tokens), list(keys)), expected, rtol=1e-5, atol=1e-7)
    before = many.snapshot()
    for wrong, message in ((["t", "the cat"], "a step reads one token"), (["t"], "for 2 keys")):
        with pytest.raises(DataError, match=message):
            many.step_many(wrong, ["a", "b"])
    assert many.snapshot() == before
    assert many.step_many([], []).shape == (0, len(expected[0]))


def test_keys_are_texts_of_their_own_and_snapshots_hold_them() -> None:
    model = language_model()
    session = model.stream()
    session.read("the cat", key="a")
    session.read("on", key="b")
    state = session.snapshot()
    after = session.step(" ", key="a")
    np.testing.assert_allclose(after, offline(model, model.vocabulary_.encode("the cat "))[-1], rtol=1e-4)
    session.restore(state)
    np.testing.assert_array_equal(session.step(" ", key="a"), after)
    with pytest.raises(SavedModelError, match="of another model"):
        language_model(seed=5).stream().restore(state)


@pytest.mark.parametrize("wrong", ["the cat", "", 10_000, -1, True, 1.5, None])
def test_what_is_no_token_is_refused_and_nothing_is_read(wrong: Any) -> None:
    session = language_model().stream()
    before = session.step("t")
    with pytest.raises(DataError, match=r"one token|a token is text"):
        session.step(wrong)
    session.reset("")
    np.testing.assert_array_equal(session.step("t"), before)
    with pytest.raises(DataError, match="at least one token"):
        session.read("")


def test_a_saved_language_model_streams_without_torch(tmp_path: Path) -> None:
    model = language_model(STACKS[1])
    model.save(tmp_path / "model")
    code = (
        "import sys; from lamina.streaming.session import Session; "
        f"s = Session.open({str(tmp_path / 'model')!r}); "
        "print(repr(float(s.read('the c')[3])), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    value, loaded = done.stdout.split()
    assert float(value) == pytest.approx(model.stream().read("the c")[3], rel=1e-6)
    assert loaded == "False"


def test_a_music_model_streams_what_it_foresees() -> None:
    scale = np.eye(88, dtype=bool)[40:64]
    model = MusicModel(stack=StackConfig(hidden_sizes=(12,)), training=SHORT).fit([scale] * 8)
    session = model.stream()
    heard = np.concatenate([np.zeros((1, 88)), scale])
    streamed = np.stack([session.step(frame, key="piece") for frame in heard])
    with torch.no_grad():
        logits, _ = model.network_.eval()(torch.from_numpy(heard.astype(np.float32))[None])
    np.testing.assert_allclose(streamed, logits[0].double().sigmoid().numpy(), rtol=1e-4, atol=1e-6)
    together = [session.step_many(np.stack([frame, frame]), ["one", "two"]) for frame in heard]
    np.testing.assert_allclose(np.stack(together)[:, 1], streamed, rtol=1e-5, atol=1e-7)
    for wrong in (np.zeros((1, 88)), np.full((2, 88), 0.5), np.zeros((2, 87))):
        with pytest.raises(DataError, match="a frame is 88 numbers"):
            session.step_many(wrong, ["one", "two"])


def test_a_saved_music_model_opens_and_refuses_what_is_no_frame(tmp_path: Path) -> None:
    model = MusicModel(stack=StackConfig(hidden_sizes=(4,)), training=SHORT)
    model.fit([np.eye(88, dtype=bool)[:20]] * 4).save(tmp_path / "model")
    session = Session.open(tmp_path / "model")
    first = session.step(np.zeros(88, dtype=bool))
    for wrong in (np.zeros(87), np.full(88, 0.5), np.zeros((1, 88)), "silence"):
        with pytest.raises(DataError):
            session.step(wrong)
    session.reset("")
    np.testing.assert_array_equal(session.step([0] * 88), first)


def test_lines_of_text_and_of_frames_are_answered() -> None:
    session = language_model().stream()
    answer = answer_row(session, Row(1, "a", {"text": "the c"}), ())
    assert answer["next"] == session.likeliest(session.read("the c", key="b"))
    with pytest.raises(DataError, match="'text' is what the model reads next, but is 3"):
        answer_row(session, Row(2, "a", {"text": 3}), ())
    music = (
        MusicModel(stack=StackConfig(hidden_sizes=(4,)), training=SHORT).fit([np.eye(88)[:20]] * 4).stream()
    )
    assert len(answer_row(music, Row(1, "", {"x": [0] * 88}), ())["p"]) == 88


@pytest.mark.parametrize("kind", [*WHOLE, "Novelty"])
def test_models_that_cannot_stream_say_why(kind: str) -> None:
    why = WHOLE.get(kind, "this version has no session for it")
    with pytest.raises(ConfigError, match=f"a {kind} cannot stream: {why}"):
        open_parts(kind, {}, {}, {}, {}, storage="float32", max_keys=1)
