from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from lamina.data.music import KEYS
from lamina.errors import ConfigError, DataError, NotFittedError
from lamina.estimators.load import load
from lamina.estimators.music_model import MusicModel
from lamina.nn.stack import StackConfig
from lamina.training.optim import TrainingConfig

QUICK = TrainingConfig(max_steps=150, batch_size=4, validations=3, learning_rate=0.02)


def scales(n: int = 12) -> list[np.ndarray]:
    """Scales of 10 to 15 tones, each tone held for two frames, from one key."""
    return [np.repeat(np.eye(KEYS, dtype=bool)[40 : 50 + i % 6], 2, axis=0) for i in range(n)]


def quick(**changes: object) -> MusicModel:
    options: dict[str, object] = {"stack": StackConfig(hidden_sizes=(24,)), "training": QUICK}
    return MusicModel(**(options | changes))  # type: ignore[arg-type]


def test_it_learns_a_scale_and_plays_it() -> None:
    model = quick().fit(scales())
    scores = model.evaluate(scales())
    assert scores.frames == sum(len(scale) - 1 for scale in scales())
    assert scores.nats_per_frame < 0.6
    played = model.generate(16, prompt=scales()[0][:4], temperature=0.1)
    np.testing.assert_array_equal(played, scales()[0][4:])


def test_seeds_tell_music_apart_and_heat_adds_notes() -> None:
    model = quick().fit(scales())
    first, same, other = (model.generate(40, seed=seed, temperature=2.0) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()
    assert model.generate(40, temperature=5.0).sum() > model.generate(40, temperature=0.5).sum()


def test_the_end_of_a_single_piece_chooses_its_weights() -> None:
    piece, short = np.concatenate(scales()), QUICK.replace(max_steps=6)
    cut = len(piece) - round(0.2 * len(piece))
    alone = quick(validation_fraction=0.2, training=short).fit([piece])
    parts = quick(training=short).fit([piece[:cut]], validation=[piece[cut:]])
    assert alone.history_.validation == parts.history_.validation
    assert alone.data_hash_ == parts.data_hash_
    quick(training=short).fit([scales()[0][:3]])


def test_a_loaded_model_is_the_same_bit_for_bit(tmp_path: Path) -> None:
    model = quick(transpose=2).fit(scales())
    model.save(tmp_path / "m")
    again = load(tmp_path / "m")
    assert isinstance(again, MusicModel)
    assert again.evaluate(scales()) == model.evaluate(scales())
    np.testing.assert_array_equal(again.generate(20, seed=3), model.generate(20, seed=3))
    assert again.get_params() == model.get_params()


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(NotFittedError, match="Call fit"):
        quick().generate(3)
    with pytest.raises(DataError, match="a piano roll is"):
        quick().fit([np.zeros((4, 12))])
    for pieces in ([], [scales()[0][:2]]):
        with pytest.raises(DataError, match="a piece each, or parts of one"):
            quick().fit(pieces)
    for fraction in (-1, 0, 1.0):
        with pytest.raises(ConfigError, match=f"validation_fraction is between 0 and 1 but is {fraction}"):
            quick(validation_fraction=fraction).fit(scales())
    with pytest.raises(ConfigError, match="from 0 to 87 semitones but is 88"):
        quick(transpose=88).fit(scales())
    model = quick().fit(scales(), validation=scales(2))
    with pytest.raises(DataError, match="no piece has a second one"):
        model.evaluate([scales()[0][:1]])
    with pytest.raises(ConfigError, match="temperature is above 0 but is 0"):
        model.generate(3, temperature=0)


def test_clone_follows_scikit_learn() -> None:
    assert clone(quick(seed=4)).get_params() == quick(seed=4).get_params()
