from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lamina.data.music import read_midi, write_midi
from lamina.errors import ConfigError, DataError
from lamina.estimators.language_model import LanguageModel
from lamina.estimators.music_model import MusicModel
from lamina.estimators.tagger import SequenceTagger
from lamina.estimators.text_classifier import TextClassifier
from lamina.estimators.text_files import answers, play, speak
from lamina.estimators.text_sources import TextModel, TextSource
from lamina.nn.stack import StackConfig
from lamina.training.optim import TrainingConfig

STACK = StackConfig(hidden_sizes=(8,))
SHORT = TrainingConfig(max_steps=60, batch_size=4, learning_rate=0.02)
REST = "\t_" * 6
CONLLU = f"1\tthe\t_\tDET{REST}\n2\tcat\t_\tNOUN{REST}\n"


def fitted(data: Path, *, text: str | None = None, label: str | None = None) -> TextModel:
    return TextSource(str(data), text=text, label=label).fit(stack=STACK, training=SHORT)


def test_texts_of_a_table_are_classified_and_plain_text_too(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("review,stars\n" + "good soup,5\npoor soup,1\n" * 12, encoding="utf-8")
    model = fitted(table, text="review", label="stars")
    assert isinstance(model, TextClassifier)
    found = answers(model, str(table), text="review")
    assert found.columns == ["label", "p(1)", "p(5)"]
    assert found["label"].to_list() == ["5", "1"] * 12
    np.testing.assert_allclose(found["p(1)"] + found["p(5)"], 1)
    lines = tmp_path / "lines.txt"
    lines.write_text("poor soup\ngood soup\n", encoding="utf-8")
    assert answers(model, str(lines))["label"].to_list() == ["1", "5"]


def test_words_of_a_file_are_tagged(tmp_path: Path) -> None:
    file = tmp_path / "a.conllu"
    file.write_text((CONLLU + "\n") * 12, encoding="utf-8")
    model = fitted(file)
    assert isinstance(model, SequenceTagger)
    found = answers(model, str(file))
    assert found.head(2).rows() == [(0, "the", "DET"), (0, "cat", "NOUN")]
    assert found.height == 24
    column = tmp_path / "words.txt"
    column.write_text("-DOCSTART- -X-\n\ncat\n\nthe\tx\ncat\n", encoding="utf-8")
    assert answers(model, str(column)).rows()[1:] == [(1, "the", "DET"), (1, "cat", "NOUN")]
    column.write_text("# id 1 x\ncat\n", encoding="utf-8")
    assert answers(model, str(column))["word"].to_list() == ["cat"]
    capitals = file.rename(tmp_path / "A.CONLLU")
    assert answers(model, str(capitals)).equals(found)
    column.write_text("th\u2028e\ncat\r\n \nt\u00a0he x\n", encoding="utf-8")
    assert answers(model, str(column))["word"].to_list() == ["th\u2028e", "cat", "t\u00a0he"]
    with pytest.raises(ConfigError, match=r"but 'words\.csv' is a table"):
        answers(model, "words.csv")


def test_a_text_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("abcd" * 200, encoding="utf-8")
    model = fitted(file)
    assert isinstance(model, LanguageModel)
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("ab", encoding="utf-8")
    assert speak(model, str(prompt), tokens=9, seed=3) == model.generate(9, prompt="ab", seed=3)
    assert len(speak(model, None, tokens=9, seed=3)) == 9


def test_music_goes_on_into_a_midi_file(tmp_path: Path) -> None:
    scale = np.repeat(np.eye(88, dtype=bool)[40:46], 2, axis=0)
    model = MusicModel(stack=STACK, training=SHORT.replace(max_steps=3)).fit([scale] * 4)
    write_midi(scale, tmp_path / "scale.mid", frames_per_quarter=4)
    play(model, str(tmp_path / "scale.mid"), tmp_path / "on.mid", frames=8, seed=1)
    expected = model.generate(8, prompt=read_midi(tmp_path / "scale.mid"), seed=1)
    found = read_midi(tmp_path / "on.mid")
    np.testing.assert_array_equal(found, expected[: len(found)])
    assert not expected[len(found) :].any()
    for out in (None, tmp_path / "on.csv"):
        with pytest.raises(ConfigError, match="written to a MIDI file"):
            play(model, None, out, frames=8, seed=1)


def test_mistakes_are_told(tmp_path: Path) -> None:
    model = TextClassifier(stack=STACK, training=SHORT.replace(max_steps=2)).fit(
        ["a b", "b a"] * 6, [0, 1] * 6
    )
    with pytest.raises(ConfigError, match="a TextClassifier needs a file to read"):
        answers(model, None)
    with pytest.raises(DataError, match="there is no file"):
        answers(model, str(tmp_path / "none.csv"))
