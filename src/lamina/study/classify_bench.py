"""Classification of sequences as the ladder sees it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from lamina.data.labelled import LabelledSequences
from lamina.estimators.classifier import SequenceClassifier
from lamina.estimators.load import load
from lamina.study.bench import SCHEDULE, Array, Job, Run, Trivial
from lamina.study.checks import CheckResult
from lamina.study.class_scores import accuracy_of, confusion, independent, mean_score, trivial_of
from lamina.study.cost import PredictCost, predict_cost
from lamina.study.labelled_checks import check_labelled
from lamina.study.one_run import train_once
from lamina.study.rows import draw_sequences
from lamina.study.sequence_baselines import CLASSIFY_BASELINES, run_classify_baseline
from lamina.study.space import Design
from lamina.study.verdict import Data, Figures
from lamina.tasks.classify import case_scores
from lamina.training.optim import TrainingConfig


class ClassifyBench:
    """Labelled sequences in three parts; all designs share batches, loss and training settings.

    Args:
        training, validation, test: the parts.
        path: where they came from, for the record.
        notes: choices made for the user.
    """

    task = "classify"
    most_steps = 1200

    def __init__(
        self,
        training: LabelledSequences,
        validation: LabelledSequences,
        test: LabelledSequences,
        *,
        path: str,
        notes: tuple[str, ...] = (),
    ) -> None:
        self._training, self._validation, self._test = training, validation, test
        self.layout, self.test_layout = independent(len(validation)), independent(len(test))
        self.base = Design(hidden=64)
        self.metric = accuracy_of("sequences")
        self.data = Data(
            path=path,
            rows=sum(len(part.values) for part in (training, validation, test)),
            series=sum(len(part) for part in (training, validation, test)),
            hash=hashlib.sha256(
                b"".join(
                    np.ascontiguousarray(a).tobytes()
                    for part in (training, validation, test)
                    for a in (part.values, part.labels)
                )
            ).hexdigest(),
            splits={"train": len(training), "validation": len(validation), "test": len(test)},
            target=f"{len(training.classes)} classes",
            notes=notes,
        )

    def checks(self) -> list[CheckResult]:
        return check_labelled(self._training, self._validation, self._test)

    def train(self, job: Job) -> Run:
        model = SequenceClassifier(
            stack=job.design.body(job.settings.dropout),
            attention=job.design.attention,
            training=TrainingConfig(
                max_steps=job.max_steps,
                max_seconds=job.max_seconds,
                learning_rate=job.settings.learning_rate,
                batch_size=32,
                validations=10,
                schedule=SCHEDULE,
                clip_norm=1.0 if job.design.clip else None,
            ),
            seed=job.seed,
        )
        known = self._training
        drawn = known.subset(draw_sequences(known.labels, known.groups, job.design.rows, job.draw))
        return train_once(
            job,
            model,
            lambda callbacks: model.fit_sequences(drawn, self._validation, callbacks=callbacks),
            errors=lambda: self._scores(model, self._validation),
            summary=self.summary,
            higher_is_better=True,
        )

    def _scores(self, model: SequenceClassifier, data: LabelledSequences) -> Array:
        return case_scores("accuracy", data.labels, model.chances(data))

    def trivial(self, seconds: float, seed: int) -> list[Trivial]:
        del seconds  # these methods take seconds; none has a limit of its own
        parts = self._validation, self._test
        runs = (
            run_classify_baseline(name, self._training, self._validation, parts, seed=seed)
            for name in CLASSIFY_BASELINES
        )
        return [
            trivial_of(run, self._validation.labels, self._test.labels, len(self._test.classes))
            for run in runs
        ]

    def trivial_test_errors(self, method: Trivial) -> Array:
        return case_scores("accuracy", self._test.labels, method.test_prediction)

    def summary(self, errors: Array) -> float:
        return mean_score(errors)

    def test_errors(self, folder: Path) -> Array:
        return self._scores(_classifier(folder), self._test)

    def predict_cost(self, folder: Path) -> PredictCost:
        model, shown = _classifier(folder), self._validation

        def first(count: int) -> LabelledSequences:
            return shown.subset(np.arange(count) % len(shown))

        return predict_cost(lambda count: model.chances(first(count)), folder, shown[0][0])

    def figures(self, folder: Path) -> Figures:
        predicted = _classifier(folder).chances(self._test).argmax(axis=1)
        return confusion(self._test.labels, predicted, self._test.classes)

    def refit(self, folder: Path, *, steps: int, max_seconds: float, out: Path) -> None:
        model = _classifier(folder)
        settings = (model.training or TrainingConfig()).replace(
            max_steps=steps, max_seconds=max_seconds, validations=1
        )
        whole = _joined(self._training, self._validation)
        model.set_params(training=settings).fit_sequences(whole, self._validation).save(out)


def _joined(first: LabelledSequences, second: LabelledSequences) -> LabelledSequences:
    return LabelledSequences(
        values=np.concatenate([first.values, second.values]),
        starts=np.concatenate([first.starts, first.starts[-1] + second.starts[1:]]),
        labels=np.concatenate([first.labels, second.labels]),
        classes=first.classes,
        groups=None,
        names=first.names,
    )


def _classifier(folder: Path) -> SequenceClassifier:
    model = load(folder)
    assert isinstance(model, SequenceClassifier)
    return model
