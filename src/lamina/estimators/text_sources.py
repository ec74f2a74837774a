"""Files of texts and music to learn from: which model each trains, and its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lamina.data.conll import TaggedSentences, read_conll, read_conllu
from lamina.data.labelled_texts import read_labelled_texts, read_texts
from lamina.data.music import Roll, read_midi
from lamina.data.parallel import Pairs, read_pairs
from lamina.data.text_columns import is_table
from lamina.data.vocabulary import Unit
from lamina.errors import ConfigError, DataError
from lamina.estimators.bert_classifier import BertClassifier
from lamina.estimators.language_model import LanguageModel
from lamina.estimators.music_model import MusicModel
from lamina.estimators.tagger import SequenceTagger
from lamina.estimators.text_classifier import TextClassifier
from lamina.estimators.translator import Translator
from lamina.nn.stack import StackConfig
from lamina.tasks.bert import SMALL_BERT
from lamina.tasks.text import TextConfig
from lamina.training.callbacks import Callback
from lamina.training.optim import TrainingConfig

Kind = Literal[
    "TextClassifier", "BertClassifier", "Translator", "SequenceTagger", "LanguageModel", "MusicModel"
]
TextModel = TextClassifier | BertClassifier | Translator | SequenceTagger | LanguageModel | MusicModel
PLAIN, CONLLU, CONLL = (".txt", ".txt.gz"), (".conllu", ".conllu.gz"), (".conll", ".conll.gz")
MIDI = (".mid", ".midi")


@dataclass(frozen=True)
class TextSource:
    """A file of texts or music and what was said of it, which together tell the model that it trains.

    Attributes:
        data: a table (.csv, .tsv, .jsonl) of texts; plain text, a text a line; sentences with a tag for each
            word (.conllu; or .conll, with the word first and its tag last in a line); a MIDI file, or a
            folder of some.
        text: the column of texts, where ``data`` is a table.
        label: the column of their labels.
        translation: the column of their translations; beside plain text, the file that has them line by line.
        bert: the folder of a BERT to tune to the labels, or ``small`` for one that is trained from nothing.
    """

    data: str
    text: str | None = None
    label: str | None = None
    translation: str | None = None
    bert: str | None = None

    @property
    def kind(self) -> Kind | None:
        """What it trains; None where it holds neither texts nor music."""
        if self.label is not None:
            return "TextClassifier" if self.bert is None else "BertClassifier"
        if self.translation is not None:
            return "Translator"
        if self._ends_with(*CONLLU, *CONLL):
            return "SequenceTagger"
        if self.text is not None or self._ends_with(*PLAIN):
            return "LanguageModel"
        return "MusicModel" if self._ends_with(*MIDI) or Path(self.data).is_dir() else None

    def check(self) -> None:
        """Raise ConfigError where a column is not named, or is named of a file that has none."""
        if not self._is_table and self.label is not None:
            raise ConfigError(f"labels stand in a column: give a .csv, .tsv or .jsonl file, not {self.data}.")
        if not self._is_table and self.text is not None:
            reason = f"each line of {self.data} is a text" if self._ends_with(*PLAIN) else "no table is given"
            raise ConfigError(
                f"{reason}, so that --text {self.text} would have no effect. Leave it out, or give a .csv, "
                ".tsv or .jsonl file."
            )
        beside = "--label" if self.label is not None else "--translation"
        if self._is_table and self.text is None and self.kind is not None:
            raise ConfigError(
                f"{beside} names a column beside that of the texts; name both, --text and {beside}."
            )

    def _ends_with(self, *suffixes: str) -> bool:
        return self.data.lower().endswith(suffixes)

    @property
    def _is_table(self) -> bool:
        return is_table(self.data)

    def fit(
        self,
        *,
        stack: StackConfig | None = None,
        attention: bool = False,
        unit: Unit | None = None,
        vectors: Path | None = None,
        unlabelled: Path | None = None,
        teacher: Path | None = None,
        training: TrainingConfig | None = None,
        pretraining: TrainingConfig | None = None,
        own: Mapping[str, Any] | None = None,
        seed: int = 0,
        callbacks: Sequence[Callback] = (),
    ) -> TextModel:
        """The model that the file trains, trained.

        Args:
            stack: of any network but a BERT; None is that of its class.
            attention: of a classifier.
            unit: what a token is, for a classifier or a language model; None is that of its class.
            vectors: a file of word vectors for a classifier to begin with.
            unlabelled: a table or plain text without labels, on which a classifier is pre-trained.
            teacher: the folder of a BERT from which a classifier learns too.
            training: settings of the run; None are those of the class.
            pretraining: settings of the run before, on texts without labels.
            own: further parameters of the model's class, such as its form; for tagged sentences also ``tag``,
                the column that has the tags.
            seed: of the model.
            callbacks: observers of the runs.

        Raises:
            ConfigError: a column is not named, or an option does not fit.
            DataError: a file cannot be read.
        """
        self.check()
        more = dict(own or {})
        tag = more.pop("tag", None)
        common: dict[str, Any] = {"stack": stack, "training": training, "seed": seed, **more}
        if self.kind == "TextClassifier":
            form = common.pop("form", TextConfig())
            classifier = TextClassifier(
                **common,
                form=form.replace(attention=True) if attention else form,
                unit=unit or "word",
                vectors=vectors,
                pretraining=pretraining,
            )
            return classifier.fit(
                *self._labelled(),
                unlabelled=None if unlabelled is None else self._without_labels(unlabelled),
                teacher=teacher,
                callbacks=callbacks,
            )
        if self.kind == "BertClassifier":
            bert = None if self.bert == SMALL_BERT else self.bert
            model = BertClassifier(**{"bert": bert, "training": training, "seed": seed, **more})
            return model.fit(*self._labelled(), callbacks=callbacks)
        if self.kind == "Translator":
            return Translator(**common).fit(*self._pairs(), callbacks=callbacks)
        if self.kind == "SequenceTagger":
            return SequenceTagger(**common).fit(*self._tagged(tag), callbacks=callbacks)
        if self.kind == "LanguageModel":
            speaker = LanguageModel(**common, unit=unit or "character")
            return speaker.fit(self._plain(), callbacks=callbacks)
        return MusicModel(**common).fit(self._pieces(), callbacks=callbacks)

    def _labelled(self) -> tuple[list[str], list[str]]:
        assert self.text is not None
        assert self.label is not None
        return read_labelled_texts(self.data, text=self.text, label=self.label)

    def _without_labels(self, file: Path) -> list[str] | Path:
        """The texts of a table; plain text is read when it is needed, since it may be longer than memory."""
        assert self.text is not None
        return read_texts(file, text=self.text) if is_table(file) else file

    def _pairs(self) -> Pairs:
        assert self.translation is not None
        if self._is_table:
            assert self.text is not None
            return read_pairs(self.data, source=self.text, target=self.translation)
        return read_pairs(self.data, self.translation)

    def _tagged(self, tag: int | str | None) -> TaggedSentences:
        """Sentences whose tags stand in a column, by its name in CoNLL-U and by its number elsewhere."""
        if self._ends_with(*CONLLU):
            return read_conllu(self.data, tag="UPOS" if tag is None else str(tag))
        if isinstance(tag, str):
            raise ConfigError(
                f"the columns of {self.data} have no names but numbers from 0, and tag is '{tag}'"
            )
        return read_conll(self.data, tag=-1 if tag is None else tag)

    def _plain(self) -> list[str] | Path:
        """Texts of a table, or a file that may be longer than memory."""
        return read_texts(self.data, text=self.text) if self.text is not None else Path(self.data)

    def _pieces(self) -> list[Roll]:
        """The pieces of a folder, by name, or of one file.

        Raises:
            DataError: there is no MIDI file.
        """
        place = Path(self.data)
        files = [place]
        if place.is_dir():
            files = sorted(file for file in place.iterdir() if file.suffix.lower() in MIDI)
        if not files:
            raise DataError(f"a folder trains a music model by the MIDI files in it, but '{place}' has none.")
        return [read_midi(file) for file in files]
