"""Where each of two networks wins: at which data size, latency and cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lamina.report.formats import NAMING, count, duration, significant
from lamina.report.standings import Standing, standings
from lamina.report.tables import Cell, Row, Table
from lamina.study.learning_curve import SURE
from lamina.study.verdict import LearningCurve, StudyRecord, Verdict

OPEN, TIE = "not told apart", "no difference that matters"
SIDES = {OPEN: "the two are not told apart", TIE: "they differ by nothing that matters"}
LEAST_RATIO = 1.05  # of two costs, below which neither is ahead
COSTS = (
    ("predict one (ms)", "predict_ms"),
    ("predict 256 (ms)", "predict_256_ms"),
    ("train a seed (s)", "train_s"),
    ("energy of a seed (J)", "train_j"),
    ("memory (MB)", "peak_mb"),
    ("parameters", "parameters"),
)


class Size(NamedTuple):
    """Both networks with a number of training cases: the metric of each, and which is ahead."""

    cases: int
    scores: tuple[float | None, float | None]
    ahead: str


class Sides(NamedTuple):
    """Where each wins, in a sentence and as a table."""

    sentence: str
    table: Table


def sides(record: StudyRecord, verdict: Verdict) -> Sides | None:
    """Where each of the two networks of a question wins; None where they are not both known."""
    known = {line.id: line for line in standings(record)}
    pair = [known[arm] for arm in verdict.arms if arm in known]
    if len(pair) != 2 or any(line.validation is None for line in pair):
        return None
    a, b = pair
    sizes = list(_sizes(record, verdict, a, b))
    rows = [
        Row(
            (
                Cell(f"{count(size.cases)} training {NAMING[record.task].cases}"),
                *(Cell(significant(score), score) for score in size.scores),
                Cell(size.ahead),
            )
        )
        for size in sizes
    ]
    rows += [row for title, name in COSTS if (row := _cost_row(title, name, a, b)) is not None]
    columns = (f"where ({record.metric.name}, or a cost)", a.name, b.name, "ahead")
    words = " ".join((_by_size(record, sizes), _by_latency(a, b), _by_cost(a, b)))
    return Sides(words.strip(), Table("Where each side wins", columns, tuple(rows)))


def _sizes(record: StudyRecord, verdict: Verdict, a: Standing, b: Standing) -> Iterator[Size]:
    """Shares of the training cases, from the question after more data; then all of them, from the verdict."""
    cases = record.data.splits.get("train", 0)
    curves = {curve.label: curve for one in record.questions for curve in one.curves}
    if a.name in curves and b.name in curves:
        first, second = (
            dict(zip(curves[line.name].shares, curves[line.name].scores, strict=True)) for line in (a, b)
        )
        for share in first:
            if share is not None and share < 1 and share in second:
                ahead = _ahead_at(share, curves[a.name], curves[b.name])
                yield Size(round(share * cases), (first[share], second[share]), ahead)
    assert a.validation is not None
    assert b.validation is not None
    chosen = {a.id: a.name, b.id: b.name}.get(verdict.chosen or "", OPEN)
    ahead = {"decided": chosen, "tie": TIE, "undecided": OPEN}[verdict.status]
    yield Size(cases, (a.validation.mean, b.validation.mean), ahead)


def _ahead_at(share: float, *pair: LearningCurve) -> str:
    """Which of two curves is ahead, where one of them is what the other was set beside."""
    (reference, other) = sorted(pair, key=lambda curve: len(curve.ahead))
    if reference.ahead or not other.ahead:
        return OPEN
    place = other.shares.index(share)
    if (other.ahead[place] or 0) >= SURE:
        return other.label
    return reference.label if (other.behind[place] or 0) >= SURE else OPEN


def _cost_row(title: str, name: str, a: Standing, b: Standing) -> Row | None:
    costs = getattr(a, name), getattr(b, name)
    if None in costs or 0 in costs:
        return None
    cheaper, ratio = (a, costs[1] / costs[0]) if costs[0] <= costs[1] else (b, costs[0] / costs[1])
    ahead = f"{cheaper.name}, {significant(ratio, 2)} ×" if ratio >= LEAST_RATIO else OPEN
    texts = [count(cost) if name == "parameters" else significant(cost) for cost in costs]
    cells = (Cell(text, cost) for text, cost in zip(texts, costs, strict=True))
    return Row((Cell(title), *cells, Cell(ahead)))


def _by_size(record: StudyRecord, sizes: list[Size]) -> str:
    cases = NAMING[record.task].cases
    by_side: dict[str, list[str]] = {}
    for size in sizes:
        by_side.setdefault(size.ahead, []).append(count(size.cases))
    told = "; ".join(
        f"with {_listed(found)} {SIDES.get(side, f'{side} is ahead')}" for side, found in by_side.items()
    )
    words = f"By data size, in training {cases}: {told}."
    if len(sizes) == 1:
        words += " With fewer they were not compared; --ask bert,data does, where the budget has room."
    return words


def _by_latency(a: Standing, b: Standing) -> str:
    if a.predict_ms is None or b.predict_ms is None:
        return ""
    fast, slow = (a, b) if a.predict_ms <= b.predict_ms else (b, a)
    assert slow.predict_ms is not None
    return (
        f"By latency: {fast.name} answers in {_ms(fast)}, {slow.name} in {_ms(slow)}; where an answer may "
        f"take less than {_ms(slow)}, {fast.name} alone will do."
    )


def _by_cost(a: Standing, b: Standing) -> str:
    if a.train_s is None or b.train_s is None:
        return ""
    return (
        f"By cost: {a.name} trains a seed in {duration(a.train_s)} with {count(a.parameters)} parameters, "
        f"{b.name} in {duration(b.train_s)} with {count(b.parameters)}."
    )


def _ms(line: Standing) -> str:
    return f"{significant(line.predict_ms, 2)} ms"


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]
