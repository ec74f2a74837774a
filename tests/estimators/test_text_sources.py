from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lamina.data.music import write_midi
from lamina.errors import ConfigError, DataError
from lamina.estimators.bert_classifier import BertClassifier
from lamina.estimators.language_model import LanguageModel
from lamina.estimators.music_model import MusicModel
from lamina.estimators.tagger import SequenceTagger
from lamina.estimators.text_classifier import TextClassifier
from lamina.estimators.text_sources import TextSource
from lamina.estimators.translator import Translator
from lamina.nn.stack import StackConfig
from lamina.training.optim import TrainingConfig

STACK = StackConfig(hidden_sizes=(8,))
SHORT = TrainingConfig(max_steps=3, batch_size=4, learning_rate=0.02)
COLUMNS = ("english", "german", "mood")
ROWS = [("one cat", "eine Katze", "calm"), ("two dogs", "zwei Hunde", "wild")] * 150


def table(path: Path) -> str:
    if path.suffix == ".jsonl":
        lines = [json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) for row in ROWS]
    else:
        lines = [("," if path.suffix == ".csv" else "\t").join(row) for row in (COLUMNS, *ROWS)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_columns_of_a_table_tell_what_it_trains(tmp_path: Path, suffix: str) -> None:
    data = table(tmp_path / f"a{suffix}")
    classifier = TextSource(data, text="english", label="mood").fit(stack=STACK, training=SHORT)
    assert isinstance(classifier, TextClassifier)
    assert classifier.classes_.tolist() == ["calm", "wild"]
    translator = TextSource(data, text="english", translation="german").fit(stack=STACK, training=SHORT)
    assert isinstance(translator, Translator)
    speaker = TextSource(data, text="german").fit(stack=STACK, training=SHORT, unit="word")
    assert isinstance(speaker, LanguageModel)
    assert {speaker.vocabulary_.token(i) for i in range(len(speaker.vocabulary_))} == {
        *("<unk>", "<eos>", "eine", "Katze", "zwei", "Hunde")
    }
    assert TextSource(data).kind is None  # a table of series


def test_a_bert_is_trained_or_tuned(tmp_path: Path, bert_folder: Path) -> None:
    data = table(tmp_path / "a.csv")
    for bert in ("small", str(bert_folder)):
        model = TextSource(data, text="english", label="mood", bert=bert).fit(training=SHORT)
        assert isinstance(model, BertClassifier)
        assert model.bert == (None if bert == "small" else bert)


def test_plain_text_speaks_and_is_translated_line_by_line(tmp_path: Path) -> None:
    english, german = tmp_path / "a.txt", tmp_path / "b.txt"
    english.write_text("".join(f"{row[0]}\n" for row in ROWS), encoding="utf-8")
    german.write_text("".join(f"{row[1]}\n" for row in ROWS), encoding="utf-8")
    speaker = TextSource(str(english)).fit(stack=STACK, training=SHORT)
    assert isinstance(speaker, LanguageModel)
    assert speaker.unit == "character"
    translator = TextSource(str(english), translation=str(german)).fit(stack=STACK, training=SHORT)
    assert isinstance(translator, Translator)


def test_tags_are_read_from_both_forms_of_columns(tmp_path: Path) -> None:
    conllu, conll = tmp_path / "a.conllu", tmp_path / "a.conll"
    rest = "\t_" * 6
    conllu.write_text(f"1\tthe\t_\tDET{rest}\n2\tcat\t_\tNOUN{rest}\n\n" * 12, encoding="utf-8")
    conll.write_text("the x DET\ncat y NOUN\n\n" * 12, encoding="utf-8")
    for file in (conllu, conll):
        model = TextSource(str(file)).fit(stack=STACK, training=SHORT)
        assert isinstance(model, SequenceTagger)
        assert set(model.tags_) == {"DET", "NOUN"}


def test_a_folder_of_music_trains_a_music_model(tmp_path: Path) -> None:
    scale = np.repeat(np.eye(88, dtype=bool)[40:46], 2, axis=0)
    for name in ("b.mid", "a.MIDI"):
        write_midi(scale, tmp_path / name, frames_per_quarter=4)
    (tmp_path / "notes.md").write_text("not music")
    model = TextSource(str(tmp_path)).fit(stack=STACK, training=SHORT)
    assert isinstance(model, MusicModel)
    (tmp_path / "a.MIDI").rename(tmp_path / "A.MID")
    alone = TextSource(str(tmp_path / "A.MID")).fit(stack=STACK, training=SHORT)
    assert isinstance(alone, MusicModel)
    assert alone.data_hash_ != model.data_hash_
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"by the MIDI files in it, but '.*empty' has none"):
        TextSource(str(tmp_path / "empty")).fit(stack=STACK, training=SHORT)


def test_what_is_missing_or_would_do_nothing_is_told() -> None:
    with pytest.raises(ConfigError, match="name both, --text and --label"):
        TextSource("a.csv", label="mood").check()
    with pytest.raises(ConfigError, match="name both, --text and --translation"):
        TextSource("a.csv", translation="german").check()
    with pytest.raises(
        ConfigError, match=r"each line of a\.txt is a text, so that --text english would have no"
    ):
        TextSource("a.txt", text="english").check()
    with pytest.raises(ConfigError, match=r"labels stand in a column: give a \.csv"):
        TextSource("a.txt", text="english", label="mood").check()
