"""Classification of texts as the ladder sees it; a BERT stands beside the stacks where one is asked."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from lamina._optional import require
from lamina.data.labelled_texts import draw_by_class, label_codes, read_labelled_texts
from lamina.errors import ConfigError, DataError
from lamina.estimators.bert_classifier import BertClassifier
from lamina.estimators.load import load
from lamina.estimators.text_classifier import TextClassifier
from lamina.estimators.text_parts import TextParts, Texts
from lamina.study.bench import SCHEDULE, Array, Job, Run, Trivial
from lamina.study.checks import CheckResult
from lamina.study.class_scores import accuracy_of, confusion, independent, mean_score, trivial_of
from lamina.study.classify_bench import ClassifyBench
from lamina.study.cost import PredictCost, predict_cost
from lamina.study.one_run import train_once
from lamina.study.rows import draw_sequences, stratified
from lamina.study.space import Design
from lamina.study.text_baselines import TEXT_BASELINES, run_text_baseline
from lamina.study.text_checks import check_texts
from lamina.study.verdict import Data, Figures
from lamina.tasks.bert import EXTRA, SMALL_BERT, check_checkpoint
from lamina.tasks.classify import case_scores
from lamina.tasks.text import TextConfig
from lamina.training.optim import TrainingConfig

Model = TextClassifier | BertClassifier
HELD_OUT = 0.2  # share of labelled cases for validation, and for the test where no test file is given


class TextBench:
    """Labelled texts in three parts; all designs share batches, loss, schedule and the counts beside them.

    Every network stands beside a logistic regression on counts of its tokens, so that it is judged by what
    reading in order adds. That regression is fitted once for all networks that see the same rows.

    Args:
        training, validation, test: texts, and positions of their labels in ``classes``.
        classes: names of the labels.
        path: where they came from, for the record.
        notes: choices made for the user.
        bert: source of a BERT that will be compared; "" for none.
    """

    task = "classify-text"
    most_steps = ClassifyBench.most_steps

    def __init__(
        self,
        training: Texts,
        validation: Texts,
        test: Texts,
        *,
        classes: tuple[str, ...],
        path: str,
        notes: tuple[str, ...] = (),
        bert: str = "",
    ) -> None:
        self._training, self._validation, self._test = training, validation, test
        self._classes = classes
        self.layout, self.test_layout = independent(len(validation[0])), independent(len(test[0]))
        self.base = Design(hidden=64)
        self.metric = accuracy_of("texts")
        self._parts: dict[tuple[str, float], TextParts] = {}
        words = self._prepared(self.base).training.texts
        if bert:
            self._prepared(Design(transformer=True, bert=bert))
        self.data = Data(
            path=path,
            rows=len(words.values),
            series=sum(len(part[0]) for part in (training, validation, test)),
            hash=_digest(training, validation, test),
            splits={"train": len(training[0]), "validation": len(validation[0]), "test": len(test[0])},
            target=f"{len(classes)} classes",
            notes=notes,
        )

    def checks(self) -> list[CheckResult]:
        codes = {"training": self._training[1], "validation": self._validation[1], "test": self._test[1]}
        return check_texts(self._training[0], [*self._validation[0], *self._test[0]], codes, self._classes)

    def train(self, job: Job) -> Run:
        model = self._model(job)
        parts = self._prepared(job.design)
        if (draw := job.draw) is not None:
            parts = parts.drawn(draw_sequences(parts.training.labels, None, 1.0, draw))
        return train_once(
            job,
            model,
            lambda callbacks: model.fit_parts(parts, np.array(self._classes), callbacks=callbacks),
            errors=lambda: case_scores("accuracy", self._validation[1], model.chances(parts.validation)),
            summary=self.summary,
            higher_is_better=True,
        )

    def _model(self, job: Job) -> Model:
        design, dropout = job.design, job.settings.dropout
        training = TrainingConfig(
            max_steps=job.max_steps,
            max_seconds=job.max_seconds,
            learning_rate=job.settings.learning_rate,
            batch_size=32,
            validations=10,
            schedule=SCHEDULE,
            clip_norm=1.0 if design.clip else None,
        )
        if design.bert:
            return BertClassifier(bert=_source(design), dropout=dropout, training=training, seed=job.seed)
        form = TextConfig(attention=design.attention)
        return TextClassifier(stack=design.body(dropout), form=form, training=training, seed=job.seed)

    def _prepared(self, design: Design) -> TextParts:
        """The parts as tokens of the design, with the share of the training texts that it sees."""
        key = design.bert, design.rows
        if key not in self._parts:
            texts, labels = self._training
            chosen = stratified(labels, design.rows)
            model = BertClassifier(bert=_source(design)) if design.bert else TextClassifier()
            self._parts[key] = model.prepare(
                ([texts[i] for i in chosen], labels[chosen]), self._validation, self._classes
            )
        return self._parts[key]

    def trivial(self, seconds: float, seed: int) -> list[Trivial]:
        del seconds, seed  # these methods take seconds, and nothing of theirs is drawn
        (texts, labels), (validation, known), (test, asked) = self._training, self._validation, self._test
        runs = (
            run_text_baseline(name, texts, labels, (validation, test), classes=len(self._classes))
            for name in TEXT_BASELINES
        )
        return [trivial_of(run, known, asked, len(self._classes)) for run in runs]

    def trivial_test_errors(self, method: Trivial) -> Array:
        return case_scores("accuracy", self._test[1], method.test_prediction)

    def summary(self, errors: Array) -> float:
        return mean_score(errors)

    def test_errors(self, folder: Path) -> Array:
        return case_scores("accuracy", self._test[1], _loaded(folder).predict_proba(self._test[0]))

    def predict_cost(self, folder: Path) -> PredictCost:
        model, shown = _loaded(folder), self._validation[0]
        return predict_cost(lambda count: model.predict_proba([shown[i % len(shown)] for i in range(count)]))

    def figures(self, folder: Path) -> Figures:
        predicted = _loaded(folder).predict_proba(self._test[0]).argmax(axis=1)
        return confusion(self._test[1], predicted, self._classes)

    def refit(self, folder: Path, *, steps: int, max_seconds: float, out: Path) -> None:
        model = _loaded(folder)
        settings = (model.training or TrainingConfig()).replace(
            max_steps=steps, max_seconds=max_seconds, validations=1
        )
        model.set_params(training=settings)
        (texts, labels), (held_out, known) = self._training, self._validation
        whole = [*texts, *held_out], np.concatenate([labels, known])
        parts = model.prepare(whole, self._validation, self._classes)
        counts, network = model.network_.shares.tolist()  # both now learn what they were weighed by
        model.fit_parts(parts, model.classes_, shares=(counts, network)).save(out)


def _source(design: Design) -> str | None:
    """As BertClassifier names it."""
    return None if design.bert == SMALL_BERT else design.bert


def _loaded(folder: Path) -> Model:
    model = load(folder)
    assert isinstance(model, TextClassifier | BertClassifier)
    return model


def _digest(*parts: Texts) -> str:
    """Of all texts and labels."""
    digest = hashlib.sha256()
    for texts, labels in parts:
        for text in texts:
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        digest.update(np.ascontiguousarray(labels, dtype=np.int64).tobytes())
    return digest.hexdigest()


def text_bench(
    data: Any, *, text: str | None, label: str | None, test: Any, seed: int, bert: str
) -> tuple[TextBench, tuple[str, ...]]:
    """Labelled texts of files in three parts, and what the head of a study says of them.

    Args:
        data: a .csv, .tsv or .jsonl file.
        text, label: its columns.
        test: a file with the same columns; None cuts a test part from ``data``.
        seed: of the parts.
        bert: source of a BERT that will be compared; "" for none.

    Raises:
        ConfigError: one column is named without the other, data are no file, or the BERT cannot be read.
        DataError: the file breaks a rule, or the test has a label that the data lack.
    """
    if text is None or label is None:
        raise ConfigError("texts are studied with their labels; name both columns, text= and label=.")
    if not isinstance(data, str | os.PathLike):
        raise ConfigError(f"texts are studied from a .csv, .tsv or .jsonl file, but data is {type(data)}")
    if bert:
        require("transformers", extra=EXTRA)
        if bert != SMALL_BERT:
            check_checkpoint(bert)
    texts, labels = read_labelled_texts(data, text=text, label=label)
    codes, names = label_codes(labels, len(texts))
    notes = []
    if test is None:
        rest, held = draw_by_class(codes, HELD_OUT, seed)
        asked: Texts = [texts[i] for i in held], codes[held]
        notes.append(f"{HELD_OUT:.0%} of the texts are the test part, drawn with like shares of each class")
    else:
        rest = np.arange(len(texts))
        asked = _test_texts(test, names, text=text, label=label)
    kept, chosen = draw_by_class(codes[rest], HELD_OUT, seed + 1)
    notes.append(f"{HELD_OUT:.0%} of the training texts are held out for validation")
    training, validation = (([texts[i] for i in rest[part]], codes[rest[part]]) for part in (kept, chosen))
    bench = TextBench(
        training, validation, asked, classes=names, path=os.fspath(data), notes=tuple(notes), bert=bert
    )
    facts = (f"{bench.data.series:,} texts", f"{len(names)} classes", f"{bench.data.rows:,} training words")
    return bench, facts


def _test_texts(test: Any, names: tuple[str, ...], *, text: str, label: str) -> Texts:
    texts, labels = read_labelled_texts(test, text=text, label=label)
    places = {name: code for code, name in enumerate(names)}
    for row, name in enumerate(labels):
        if name not in places:
            raise DataError(
                f"the test has no label that the data lack, but row {row} of '{test}' has {name!r}; "
                f"the data have {', '.join(names)}"
            )
    return texts, np.array([places[name] for name in labels], dtype=np.int64)
