"""Sessions of fitted models answer as the models do offline, from memory and from disk, without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamina.data.sources import load_labelled
from lamina.errors import ConfigError, DataError, SavedModelError
from lamina.estimators.classifier import SequenceClassifier
from lamina.nn.stack import StackConfig
from lamina.nn.transformer import TransformerConfig
from lamina.streaming.packed import Storage
from lamina.streaming.session import RowSession, Session
from lamina.training.optim import TrainingConfig

SHORT = TrainingConfig(max_steps=5)
CAUSAL = StackConfig(cell="gru", hidden_sizes=(9, 6), residual="add", norm="layer")


def sequences(features: int = 3, gaps: bool = True) -> tuple[list[np.ndarray], list[str]]:
    generator = np.random.default_rng(0)
    found = [generator.normal(size=(n, features)).cumsum(0) for n in generator.integers(5, 20, size=30)]
    if gaps:
        found[0][2, 1] = np.nan
    return found, ["abc"[i % 3] for i in range(30)]


def classifier(**fields: Any) -> SequenceClassifier:
    x, y = sequences()
    model: SequenceClassifier = SequenceClassifier(**{"stack": CAUSAL, "training": SHORT, **fields}).fit(x, y)
    return model


def offline(model: SequenceClassifier, sequence: np.ndarray) -> np.ndarray:
    """Probabilities after each step, each from the sequence up to there."""
    return model.predict_proba([sequence[: step + 1] for step in range(len(sequence))])


@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_a_classifier_streams_what_it_predicts_of_the_steps_so_far(pooling: str, attention: bool) -> None:
    model = classifier(pooling=pooling, attention=attention)
    session = model.stream()
    for key, sequence in enumerate(sequences()[0][:3]):
        streamed = np.stack([session.step(step, key=str(key)) for step in sequence])
        np.testing.assert_allclose(streamed, offline(model, sequence), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("storage", ["bfloat16", "int8"])
def test_fewer_bits_cost_less_than_one_percent_of_the_accuracy(storage: Storage) -> None:
    training, test = load_labelled("JapaneseVowels", None)
    settings = TrainingConfig(max_steps=100, learning_rate=4e-3)
    model = SequenceClassifier(stack=StackConfig(hidden_sizes=(32,)), training=settings)
    model.fit([training[i] for i in range(len(training))], [training.classes[c] for c in training.labels])
    sessions = [model.stream(), model.stream(storage=storage)]
    right = np.zeros(2)
    for i in range(len(test)):
        for number, session in enumerate(sessions):
            chances = [session.step(frame, key=str(i)) for frame in test[i]][-1]
            right[number] += model.classes_[chances.argmax()] == test.classes[test.labels[i]]
    assert right[0] > 0.8 * len(test)
    assert abs(right[1] / right[0] - 1) <= 0.01


def test_a_feature_that_was_never_missing_may_not_be_missing() -> None:
    session = classifier().stream()
    session.step([1.0, np.nan, 2.0])  # missing in training too
    with pytest.raises(DataError, match="input 0 of row 0 is missing, and was never missing"):
        session.step([np.nan, 1.0, 2.0])


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        (StackConfig(hidden_sizes=(4,), directions=("both",)), "layer 1 reads both directions"),
        (TransformerConfig(size=8, heads=2), "has no state to carry"),
    ],
)
def test_a_model_that_is_not_causal_says_why_it_cannot_stream(stack: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        classifier(stack=stack).stream()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[SequenceClassifier, Path]:
    model, path = classifier(attention=True), tmp_path_factory.mktemp("saved") / "model"
    model.save(path)
    return model, path


def test_a_saved_model_streams_as_the_one_in_memory(saved: tuple[SequenceClassifier, Path]) -> None:
    model, path = saved
    here, there = model.stream(), Session.open(path)
    assert isinstance(there, RowSession)
    assert there.classes == ("a", "b", "c")
    for step in sequences()[0][1]:
        assert np.array_equal(here.step(step), there.step(step))
    there.restore(here.snapshot())  # they are the same model


def test_a_saved_model_is_served_without_torch(saved: tuple[SequenceClassifier, Path]) -> None:
    model, path = saved
    sequence = sequences(gaps=False)[0][4]
    code = (
        "import sys, json; from lamina.streaming.session import Session\n"
        f"session = Session.open({str(path)!r})\n"
        f"out = [session.step(step).tolist() for step in {sequence.tolist()}]\n"
        "assert not {'torch', 'polars', 'pandas', 'sklearn', 'pydantic'} & set(sys.modules)\n"
        "print(json.dumps(out))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    np.testing.assert_allclose(json.loads(done.stdout), offline(model, sequence), rtol=1e-5, atol=1e-6)


def test_int8_stays_within_one_percent_of_the_metric() -> None:
    """A separable task that float32 solves to about 90 %; both are counted on sequences kept aside."""
    generator = np.random.default_rng(3)
    slopes = generator.choice([-1.0, 1.0], size=900)
    x = [slope * 0.3 * np.arange(15)[:, None] + generator.normal(size=(15, 1)) * 3 for slope in slopes]
    y = ["up" if slope > 0 else "down" for slope in slopes]
    model = SequenceClassifier(stack=StackConfig(hidden_sizes=(16,)), training=TrainingConfig(max_steps=60))
    model.fit(x[:300], y[:300])
    right = {}
    for storage in ("float32", "int8"):
        session = model.stream(storage=storage)
        named = []
        for sequence in x[300:]:
            session.clear()
            chances = [session.step(step) for step in sequence][-1]
            named.append(model.classes_[chances.argmax()])
        right[storage] = float(np.mean(np.array(named) == y[300:]))
    assert right["float32"] > 0.8
    assert abs(right["float32"] - right["int8"]) <= 0.01


def test_a_model_saved_before_it_could_stream_says_what_to_do(saved: tuple[SequenceClassifier, Path]) -> None:
    from lamina.estimators.saving import SavedModel
    from lamina.streaming.opening import open_parts

    parts = SavedModel.read(saved[1])
    config = {name: value for name, value in parts.config.items() if name != "body"}
    with pytest.raises(SavedModelError, match="save it again"):
        open_parts("SequenceClassifier", config, {}, parts.preprocessing, {}, storage="float32", max_keys=1)


def test_what_is_no_model_or_does_not_stream_is_refused(tmp_path: Path) -> None:
    from lamina.streaming.opening import open_parts

    with pytest.raises(SavedModelError, match=r"a model is a directory with a config\.json"):
        Session.open(tmp_path)
    with pytest.raises(ConfigError, match="a Oracle cannot stream: this version has no session for it"):
        open_parts("Oracle", {}, {}, {}, {}, storage="float32", max_keys=1)
