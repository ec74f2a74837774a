"""What a saved model of texts or music says of a file."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from lamina.data.conll import DOCUMENT, SENTENCE_ID, cells, read_conllu
from lamina.data.labelled_texts import read_texts
from lamina.data.music import read_midi, write_midi
from lamina.data.text import read_lines, read_text
from lamina.data.text_columns import is_table
from lamina.errors import ConfigError
from lamina.estimators.bert_classifier import BertClassifier
from lamina.estimators.language_model import LanguageModel
from lamina.estimators.music_model import MusicModel
from lamina.estimators.tagger import SequenceTagger
from lamina.estimators.text_classifier import TextClassifier
from lamina.estimators.text_sources import CONLLU, MIDI
from lamina.estimators.translator import Translator

Reader = TextClassifier | BertClassifier | SequenceTagger | Translator


def answers(model: Reader, data: str | None, *, text: str = "text", beam: int = 5) -> pl.DataFrame:
    """What a model says of each text, or of each word, of a file.

    Args:
        data: for a tagger a .conllu file, or one with a word a line and an empty line after each sentence;
            for the others a .csv, .tsv or .jsonl file, or plain text, a text a line.
        text: the column of the texts, where the file is a table.
        beam: hypotheses that a translator keeps at every step.

    Raises:
        ConfigError: there is no file.
    """
    if data is None:
        raise ConfigError(f"a {type(model).__name__} needs a file to read. Name one after the model.")
    if isinstance(model, SequenceTagger):
        if is_table(data):
            raise ConfigError(
                "words are tagged from .conllu, or from a word a line with an empty line after each sentence,"
                f" but '{data}' is a table. Write its words so."
            )
        words = read_conllu(data).words if data.lower().endswith(CONLLU) else _words(Path(data))
        rows = [
            (number, word, tag)
            for number, (sentence, tags) in enumerate(zip(words, model.predict(words), strict=True))
            for word, tag in zip(sentence, tags, strict=True)
        ]
        return pl.DataFrame(rows, schema=["sentence", "word", "tag"], orient="row")
    texts = read_texts(data, text=text)
    if isinstance(model, Translator):
        return pl.DataFrame({"text": texts, "translation": model.translate(texts, beam=beam)})
    chances = model.predict_proba(texts)
    named = {f"p({name})": chances[:, i] for i, name in enumerate(model.inputs_.classes)}
    return pl.DataFrame({"label": model.classes_[chances.argmax(axis=1)], **named})


def _words(file: Path) -> list[list[str]]:
    """Sentences of a file with a word at the beginning of each line, and an empty line after each."""
    sentences: list[list[str]] = [[]]
    for line in read_lines(file):
        found = cells(line)
        if not sentences[-1] and line.startswith(SENTENCE_ID):
            continue
        if found and found[0] != DOCUMENT:
            sentences[-1].append(found[0])
        elif not found and sentences[-1]:
            sentences.append([])
    return [words for words in sentences if words]


def speak(
    model: LanguageModel,
    data: str | None,
    *,
    tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int,
) -> str:
    """A text that goes on from the one in a file, or from a line end; see ``LanguageModel.generate``."""
    prompt = "\n" if data is None else read_text(Path(data))
    return model.generate(tokens, prompt=prompt, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)


def play(
    model: MusicModel,
    data: str | None,
    out: Path | None,
    *,
    frames: int,
    temperature: float = 1.0,
    seed: int,
) -> None:
    """Write a MIDI file of music that goes on from that of a file, or begins a piece.

    Raises:
        ConfigError: the result has no place, or one that is no MIDI file.
    """
    if out is None or out.suffix.lower() not in MIDI:
        raise ConfigError("music is written to a MIDI file; name one with --out, such as --out played.mid.")
    prompt = None if data is None else read_midi(data)
    write_midi(model.generate(frames, prompt=prompt, temperature=temperature, seed=seed), out)
