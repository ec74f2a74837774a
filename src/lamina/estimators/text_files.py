"""Models of text over files: which one a file trains, and what a saved one says of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from lamina.data.conll import read_conllu
from lamina.data.labelled_texts import read_labelled_texts, read_texts
from lamina.data.music import read_midi, write_midi
from lamina.data.text import read_text
from lamina.data.text_columns import TABLES
from lamina.errors import ConfigError
from lamina.estimators.bert_classifier import BertClassifier
from lamina.estimators.language_model import LanguageModel
from lamina.estimators.music_model import MusicModel
from lamina.estimators.tagger import SequenceTagger
from lamina.estimators.text_classifier import TextClassifier
from lamina.estimators.translator import Translator
from lamina.nn.stack import StackConfig
from lamina.tasks.text import TextConfig
from lamina.training.callbacks import Callback
from lamina.training.optim import TrainingConfig

TextModel = TextClassifier | SequenceTagger | LanguageModel
Reader = TextClassifier | BertClassifier | SequenceTagger | Translator
PLAIN, TAGGED = (".txt", ".txt.gz"), (".conllu", ".conllu.gz")


def trains_text(data: str, text: str | None, label: str | None) -> bool:
    """Whether a file with these columns trains a model of text."""
    return text is not None or label is not None or data.endswith((*PLAIN, *TAGGED))


def fit_text_file(
    data: str,
    *,
    text: str | None,
    label: str | None,
    stack: StackConfig,
    attention: bool,
    unlabelled: Path | None = None,
    teacher: Path | None = None,
    training: TrainingConfig,
    pretraining: TrainingConfig | None = None,
    seed: int,
    callbacks: Sequence[Callback] = (),
) -> TextModel:
    """A classifier of a table's texts, a tagger of a CoNLL-U file's UPOS, or a language model of plain text.

    Args:
        data: a .csv, .tsv or .jsonl file with the columns ``text`` and ``label``; .conllu; or .txt.
        text, label: the columns; both or neither.
        stack: the network's.
        attention: of the classifier.
        unlabelled: a file of texts without labels for the classifier, a table or plain text, a text a line.
        teacher: the folder of a classifier that teaches it.
        training: settings of the run.
        pretraining: settings of the run before, on texts without labels.
        seed: of the model.
        callbacks: observers of the run.

    Raises:
        ConfigError: one column without the other, or an option that would have no effect.
    """
    if text is not None or label is not None:
        if text is None or label is None:
            raise ConfigError("texts are classified by their labels; name both columns, --text and --label.")
        model = TextClassifier(
            stack=stack,
            form=TextConfig(attention=attention),
            training=training,
            pretraining=pretraining,
            seed=seed,
        )
        return model.fit(
            *read_labelled_texts(data, text=text, label=label),
            unlabelled=None if unlabelled is None else _without_labels(unlabelled, text),
            teacher=teacher,
            callbacks=callbacks,
        )
    if attention:
        raise ConfigError(f"{data} trains a model of every token, which has no attention; leave it out.")
    if data.endswith(TAGGED):
        tagger = SequenceTagger(stack=stack, training=training, seed=seed)
        return tagger.fit(*read_conllu(data), callbacks=callbacks)
    return LanguageModel(stack=stack, training=training, seed=seed).fit(Path(data), callbacks=callbacks)


def _without_labels(file: Path, text: str) -> list[str] | Path:
    """The texts of a table; plain text is read when it is needed, since it may be longer than memory."""
    return read_texts(file, text=text) if file.suffix in TABLES else file


def answers(model: Reader, data: str | None, *, text: str = "text") -> pl.DataFrame:
    """What a model says of each text, or of each word, of a file.

    Args:
        data: for a tagger a .conllu file, or one with a word a line and an empty line after each sentence;
            for the others a .csv, .tsv or .jsonl file, or plain text, a text a line.
        text: the column of the texts, where the file is a table.

    Raises:
        ConfigError: there is no file.
    """
    if data is None:
        raise ConfigError(f"a {type(model).__name__} needs a file to read. Name one after the model.")
    if isinstance(model, SequenceTagger):
        words = read_conllu(data).words if data.endswith(TAGGED) else _words(Path(data))
        rows = [
            (number, word, tag)
            for number, (sentence, tags) in enumerate(zip(words, model.predict(words), strict=True))
            for word, tag in zip(sentence, tags, strict=True)
        ]
        return pl.DataFrame(rows, schema=["sentence", "word", "tag"], orient="row")
    texts = read_texts(data, text=text)
    if isinstance(model, Translator):
        return pl.DataFrame({"text": texts, "translation": model.translate(texts)})
    chances = model.predict_proba(texts)
    named = {f"p({name})": chances[:, i] for i, name in enumerate(model.inputs_.classes)}
    return pl.DataFrame({"label": model.classes_[chances.argmax(axis=1)], **named})


def _words(file: Path) -> list[list[str]]:
    """Sentences of a file with a word at the beginning of each line, and an empty line after each."""
    sentences: list[list[str]] = [[]]
    for line in read_text(file).splitlines():
        if line.strip():
            sentences[-1].append(line.split()[0])
        elif sentences[-1]:
            sentences.append([])
    return [words for words in sentences if words]


def speak(model: LanguageModel, data: str | None, *, tokens: int, seed: int) -> str:
    """A text that goes on from the one in a file, or from a line end."""
    if data is None:
        return model.generate(tokens, seed=seed)
    return model.generate(tokens, prompt=read_text(Path(data)), seed=seed)


def play(model: MusicModel, data: str | None, out: Path | None, *, frames: int, seed: int) -> None:
    """Write a MIDI file of music that goes on from that of a file, or begins a piece.

    Raises:
        ConfigError: the result has no place, or one that is no MIDI file.
    """
    if out is None or out.suffix not in (".mid", ".midi"):
        raise ConfigError("music is written to a MIDI file; name one with --out, such as --out played.mid.")
    prompt = None if data is None else read_midi(data)
    write_midi(model.generate(frames, prompt=prompt, seed=seed), out)
