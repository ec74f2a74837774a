"""What a study found, as one file: `study.json`, schema 1.

A claim in the report or in the terminal is an entry here: estimate, interval, test, n, correction, cost.
The models are frozen, refuse unknown keys, and write strict JSON: a figure that is not finite is None.

>>> verdict = Verdict(id="depth", answer=2, status="decided", sentence="2 layers.", effect=0.071,
...                   interval=(0.050, 0.093), n=9)
>>> verdict.interval
(0.05, 0.093)
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NoReturn, Self, SupportsFloat

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from lamina.errors import SavedModelError

SCHEMA: Final = 1


def _finite_or_none(value: object) -> object:
    """The value itself, or None for NaN and the infinities, which JSON cannot say."""
    if isinstance(value, SupportsFloat) and not math.isfinite(value):
        return None
    return value


def _finite_interval_or_none(value: object) -> object:
    """The pair itself, or None when an end is missing or not finite."""
    if isinstance(value, list | tuple) and any(_finite_or_none(end) is None for end in value):
        return None
    return value


def _finite_tree(value: object) -> object:
    """The same tree of dicts and lists with every figure that is not finite turned into None."""
    if isinstance(value, dict):
        return {key: _finite_tree(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite_tree(item) for item in value]
    return _finite_or_none(value)


Number = Annotated[float | None, BeforeValidator(_finite_or_none)]
Numbers = tuple[Number, ...]
Interval = Annotated[tuple[float, float] | None, BeforeValidator(_finite_interval_or_none)]
Config = Annotated[dict[str, JsonValue], BeforeValidator(_finite_tree)]


class _Entry(BaseModel):
    """Base of every part of the record: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Metric(_Entry):
    """What is measured; `direction` says which way is better."""

    name: str
    unit: str
    direction: Literal["lower", "higher"]


class Data(_Entry):
    """Where the rows came from and how they were split.

    `splits` holds rows (or labelled sequences) a part, `season` the periods in rows, `notes` the
    choices made for the user and the repairs, a sentence each.
    """

    path: str
    rows: int
    series: int
    hash: str
    splits: dict[str, int]
    target: str | None = None
    horizon: int | None = None
    season: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


class Environment(_Entry):
    """What the figures were measured on; `versions` maps package to version."""

    versions: dict[str, str]
    cpu: str
    threads: int
    backend: str
    energy: str = "not readable here"


class Budget(_Entry):
    """Seconds asked for (None: no limit) and seconds used."""

    asked_s: Number = None
    used_s: float


class Settings(_Entry):
    """What would repeat the study: the seed, the questions asked, the checks exempted, the command."""

    seed: int
    questions: tuple[str, ...] = ()
    rope: float = 0.0
    limits: dict[str, float] = Field(default_factory=dict)
    allow: tuple[str, ...] = ()
    command: str = ""


class Collapse(_Entry):
    """An arm of which seeds failed to train, and the design that stands for it where it was repaired.

    `failed` of `seeds` runs failed; with residuals, norm and smaller steps, `repaired_failed` of
    `repaired_seeds`.
    """

    arm: str
    design: str
    failed: int
    seeds: int
    repaired: str | None = None
    repaired_failed: int = 0
    repaired_seeds: int = 0


class LearningCurve(_Entry):
    """The metric of one design with shares of the training rows, and the law c + a s^-b of its error.

    `gain` is the share of the error that twice the rows would remove, with its 95 % `interval`; `overtakes`
    the share of resamples in which it is then better than the chosen design, None for that one. `ahead` and
    `behind` are the shares in which it is better and worse than that design at each of `shares`; None where
    that has no score, and empty for it.
    """

    label: str
    shares: Numbers
    scores: Numbers
    law: tuple[float, float, float]
    gain: Number
    interval: Interval
    overtakes: Number = None
    ahead: Numbers = ()
    behind: Numbers = ()

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        _require_equal_lengths(shares=self.shares, scores=self.scores)
        if self.ahead or self.behind:
            _require_equal_lengths(shares=self.shares, ahead=self.ahead, behind=self.behind)
        return self


class Gap(_Entry):
    """Training and validation loss of one arm where its best weights were kept, means over `seeds`.

    `gap` is (validation - train) / validation, and `spread` its standard deviation between seeds.
    """

    arm: str
    train: Number
    validation: Number
    gap: Number
    spread: Number
    seeds: int


class ScoredArm(_Entry):
    """One arm as the statistics took it.

    Attributes:
        rows: of the recorded validation scores, one for each seed that trained.
        test_rows: of the recorded test scores.
        deterministic: no chance in its training; ``test_deterministic`` for its test scores.
        collapsed: seeds that failed to train.
        train_s: seconds to train one seed.
        predict_ms: one prediction of one window or sequence, measured once.
        share: of the training rows, for the question after more data.
        id: of the candidate or method; None where it is not in the record.
    """

    name: str
    rows: tuple[int, ...]
    test_rows: tuple[int, ...] = ()
    deterministic: bool = False
    test_deterministic: bool = False
    collapsed: int = 0
    train_s: Number = None
    predict_ms: Number = None
    share: Number = None
    id: str | None = None


class Evidence(_Entry):
    """What an answer was made from, so that ``lamina report --replay`` can make it again.

    Attributes:
        looks: numbers of seeds at which the question was to be looked at.
        level: one-sided error that the question might make.
        last: whether the clock made this look the last.
        at_once: training runs that went side by side.
        units, steps, clip_rate: what the sentence says of the setting.
    """

    arms: tuple[ScoredArm, ...]
    looks: tuple[int, ...] = ()
    level: Number = None
    last: bool = False
    at_once: int = 1
    units: tuple[int, ...] = ()
    steps: tuple[float, ...] = ()
    clip_rate: Number = None


class Option(_Entry):
    """A network that limits on cost had to choose from: its mean validation score, and its costs by limit.

    `recommended` marks the one that the questions lead to where there are no limits.
    """

    id: str
    label: str
    score: float
    costs: dict[str, float]
    recommended: bool = False


class Scores(_Entry):
    """The file of scores by window behind the answers, beside study.json.

    ``blocks`` says how many neighbouring windows share data, in the validation and the test part, and
    ``power`` which power of their mean score the metric is.
    """

    path: str
    sha256: str
    blocks: tuple[int, int]
    power: float = 1.0


NOT_ANSWERED = "Not answered: "  # what the sentence of a question without a comparison begins with


class Verdict(_Entry):
    """The answer to one question, with its evidence.

    Attributes:
        id: the question, as `--ask` names it, or trivial.
        answer: the choice; None while undecided.
        status: decided (a gain that matters is shown, or ruled out), tie (no difference that matters),
            undecided (a gain that matters may be there).
        sentence: the answer as shown to a person.
        effect: relative improvement of the answer over the rival that the sentence names, on validation rows;
            0.07 is 7 %.
        interval: 95 % interval of `effect`.
        n: seeds of the arm that has fewer.
        test: name of the statistical test, with `p` and the `correction` for several comparisons.
        cost: training time of the answer over that of its rival; None when unknown.
        would_change: what more evidence would take; of an answer, the nearest rope or truth that overturns
            it.
        test_effect: `effect` on the test rows, read once, with its `test_interval`.
        arms: ids of the candidates (or baselines) compared, in the order to show them.
        chosen: the arm that `answer` names, so that a chart can point at it.
        collapses: arms that failed to train, apart from what they can do where they train.
        curves: of the question after more data.
        gaps: of the question after overfitting.
        options: of the choice within limits on cost.
        sides: of the question after BERT, at which data size, latency and cost each of the two is ahead.
        evidence: the scores that it follows from; None where it does not follow from scores.
    """

    id: str
    answer: str | int | None
    status: Literal["decided", "tie", "undecided"]
    sentence: str
    effect: Number = None
    interval: Interval = None
    n: int = 0
    test: str | None = None
    p: Number = None
    correction: str | None = None
    cost: Number = None
    would_change: str | None = None
    test_effect: Number = None
    test_interval: Interval = None
    arms: tuple[str, ...] = ()
    chosen: str | None = None
    collapses: tuple[Collapse, ...] = ()
    curves: tuple[LearningCurve, ...] = ()
    gaps: tuple[Gap, ...] = ()
    options: tuple[Option, ...] = ()
    sides: str | None = None
    evidence: Evidence | None = None

    @property
    def unanswered(self) -> bool:
        """Whether the question was left open without a comparison."""
        return self.sentence.startswith(NOT_ANSWERED)

    @model_validator(mode="after")
    def _chosen_is_an_arm(self) -> Self:
        if self.chosen is not None:
            _require_known("chosen", [self.chosen], set(self.arms))
        return self


class Score(_Entry):
    """The metric of one seed; `test` stays None until the test part is read."""

    seed: int
    validation: Number
    test: Number = None


class Curve(_Entry):
    """Training and validation loss of one seed, one value an entry of `steps`.

    The weights of `best_step` were kept; None in records made before it was.
    """

    seed: int
    steps: tuple[int, ...]
    train: Numbers
    validation: Numbers
    best_step: int | None = None

    @property
    def at_best(self) -> tuple[float, float] | None:
        """Training and validation loss where the weights were kept; None where they are not known."""
        if self.best_step not in self.steps:
            return None
        place = self.steps.index(self.best_step)
        train, validation = self.train[place], self.validation[place]
        return None if train is None or validation is None else (train, validation)

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        _require_equal_lengths(steps=self.steps, train=self.train, validation=self.validation)
        return self


class Candidate(_Entry):
    """One model of the study: what it is, how well it does, what it costs.

    Attributes:
        label: what a person reads: "lstm ×2".
        config: the configuration that rebuilds it.
        parameters: trainable numbers.
        scores: one entry a seed.
        train_s: mean training time of a seed.
        train_j: mean energy of the processor while a seed trained; None where it cannot be read.
        predict_ms: one prediction of one sequence; `predict_256_ms` of 256 at once.
        step_us: one answer of a streaming session; None where the model cannot stream.
        latency_us: what a limit on latency is held to: nine in ten streamed answers take no longer; the
            median of `predict` where the model cannot stream.
        peak_mb: peak memory while training.
        outcome: complete, collapsed (failed to train), pruned (stopped early as hopeless), failed (an error).
        reason: why the outcome is not "complete".
        curves: loss by step, one entry a seed.
        gradient_norms: layer name to mean gradient norm by step, before clipping.
        clip_rate: share of updates whose gradient was clipped, 0 to 1.
    """

    id: str
    label: str
    config: Config = Field(default_factory=dict)
    parameters: int | None = None
    scores: tuple[Score, ...] = ()
    train_s: Number = None
    train_j: Number = None
    predict_ms: Number = None
    predict_256_ms: Number = None
    step_us: Number = None
    latency_us: Number = None
    peak_mb: Number = None
    outcome: Literal["complete", "collapsed", "pruned", "failed"] = "complete"
    reason: str | None = None
    curves: tuple[Curve, ...] = ()
    gradient_norms: dict[str, Numbers] = Field(default_factory=dict)
    clip_rate: Number = None


class Baseline(_Entry):
    """A simple method that a network has to beat."""

    id: str
    label: str
    validation: Number = None
    test: Number = None
    train_s: Number = None
    predict_ms: Number = None
    note: str | None = None


class Best(_Entry):
    """The candidate that was refitted and saved, and where, relative to the study's directory."""

    candidate: str
    path: str


class Check(_Entry):
    """One honesty check (a leak, a constant column, ...); `evidence` is the figure behind it.

    `allowed` marks a finding that the user has exempted by its code.
    """

    code: str
    outcome: Literal["pass", "warn", "fail"]
    evidence: str
    sentence: str
    allowed: bool = False


class Forecast(_Entry):
    """One forecast to draw: the recent past, then `horizon` steps of truth, median and intervals.

    `time` covers the history and then the horizon: len(time) = len(history) + len(median).
    """

    series: str
    time: tuple[str | int, ...]
    history: Numbers
    truth: Numbers
    median: Numbers
    lo_80: Numbers
    hi_80: Numbers
    lo_95: Numbers | None = None
    hi_95: Numbers | None = None

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        bounds = {"lo_95": self.lo_95, "hi_95": self.hi_95}
        given = {name: values for name, values in bounds.items() if values is not None}
        _require_equal_lengths(
            truth=self.truth, median=self.median, lo_80=self.lo_80, hi_80=self.hi_80, **given
        )
        _require_equal_lengths(time=self.time, history_and_median=self.history + self.median)
        return self


class Residuals(_Entry):
    """Test errors of the best model: mean absolute error by horizon step, and a sample of truth - median."""

    mae_by_step: Numbers
    sample: Numbers


class Confusion(_Entry):
    """Counts of test sequences: `matrix[truth][predicted]`, both in the order of `classes`."""

    classes: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...]

    @model_validator(mode="after")
    def _square(self) -> Self:
        _require_equal_lengths(classes=self.classes, matrix=self.matrix)
        for name, row in zip(self.classes, self.matrix, strict=True):
            _require_equal_lengths(classes=self.classes, **{f"row {name!r}": row})
        return self


class Figures(_Entry):
    """What the charts need beyond the candidates."""

    forecasts: tuple[Forecast, ...] = ()
    residuals: Residuals | None = None
    confusion: Confusion | None = None


class StudyRecord(_Entry):
    """Everything a study says, complete or interrupted: the parts it did not reach are empty."""

    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    task: str
    metric: Metric
    data: Data
    environment: Environment
    budget: Budget
    settings: Settings
    questions: tuple[Verdict, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    best: Best | None = None
    scores: Scores | None = None
    checks: tuple[Check, ...] = ()
    figures: Figures = Field(default_factory=Figures)

    @model_validator(mode="after")
    def _ids_agree(self) -> Self:
        _require_unique("question", (verdict.id for verdict in self.questions))
        entries: list[Candidate | Baseline] = [*self.candidates, *self.baselines]
        _require_unique("candidate or baseline", (entry.id for entry in entries))
        known = {entry.id for entry in entries}
        for verdict in self.questions:
            _require_known(f"arms of question {verdict.id!r}", verdict.arms, known)
        if self.best is not None:
            _require_known("best", [self.best.candidate], {candidate.id for candidate in self.candidates})
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the record as strict JSON; an existing file is replaced whole or not at all."""
        target = Path(path)
        partial = target.with_name(target.name + ".partial")
        partial.write_text(self.model_dump_json(by_alias=True, indent=1) + "\n", encoding="utf-8")
        partial.replace(target)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a record that `save` wrote.

        Raises:
            SavedModelError: there is no such file, it is damaged, or a newer Lamina wrote it.
        """
        content = _read_object(Path(path))
        written = content.get("schema")
        if isinstance(written, int) and written > SCHEMA:
            raise SavedModelError(
                f"{path} has schema {written} and this Lamina reads up to {SCHEMA}. Install a newer Lamina."
            )
        if written != SCHEMA:
            raise SavedModelError(
                f"{path} must hold schema {SCHEMA} but says {written!r}. Run the study again."
            )
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            faults = "; ".join(f"{_location(fault['loc'])}: {fault['msg']}" for fault in error.errors())
            raise SavedModelError(f"{path} is damaged: {faults}. Run the study again.") from error


def _read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; NaN and Infinity are not JSON."""
    try:
        content = json.loads(path.read_bytes(), parse_constant=_refuse_constant)
    except OSError as error:
        raise SavedModelError(f"{path} cannot be read: {error.strerror}. Name a study.json.") from error
    except ValueError as error:  # covers bytes that are not UTF-8 and text that is not JSON
        raise SavedModelError(f"{path} is not strict JSON: {error}. Run the study again.") from error
    if not isinstance(content, dict):
        raise SavedModelError(f"{path} must hold one JSON object but holds a {type(content).__name__}.")
    return content


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _location(parts: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in parts) or "record"


def _require_equal_lengths(**columns: tuple[object, ...]) -> None:
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"lengths must be equal but are {lengths}")


def _require_unique(kind: str, ids: Iterable[str]) -> None:
    repeated = sorted(name for name, count in Counter(ids).items() if count > 1)
    if repeated:
        raise ValueError(f"{kind} ids must differ but {repeated} are repeated")


def _require_known(where: str, ids: Iterable[str], known: set[str]) -> None:
    unknown = sorted(set(ids) - known)
    if unknown:
        raise ValueError(f"{where} must name ids that are there but {unknown} are not among {sorted(known)}")
