"""The table of where each of two networks is ahead: at which data size, latency and cost."""

from __future__ import annotations

from lamina.report.formats import NAMING, count, significant
from lamina.report.tables import Cell, Row, Table
from lamina.study.sides import LEAST_RATIO, OPEN, pair, sizes
from lamina.study.verdict import Candidate, StudyRecord, Verdict

COSTS = (
    ("predict one (ms)", "predict_ms"),
    ("predict 256 (ms)", "predict_256_ms"),
    ("train a seed (s)", "train_s"),
    ("energy of a seed (J)", "train_j"),
    ("memory (MB)", "peak_mb"),
    ("parameters", "parameters"),
)


def sides(record: StudyRecord, verdict: Verdict) -> Table | None:
    """Both networks of a question at each size and by each cost; None where they are not both known."""
    both = pair(record, verdict)
    if both is None:
        return None
    rows = [
        Row(
            (
                Cell(f"{count(size.cases)} training {NAMING[record.task].cases}"),
                *(Cell(significant(score), score) for score in size.scores),
                Cell(size.ahead),
            )
        )
        for size in sizes(record, verdict)
    ]
    rows += [row for title, name in COSTS if (row := _cost_row(title, name, *both)) is not None]
    columns = (f"where ({record.metric.name}, or a cost)", both[0].label, both[1].label, "ahead")
    return Table("Where each side wins", columns, tuple(rows))


def _cost_row(title: str, name: str, a: Candidate, b: Candidate) -> Row | None:
    costs = getattr(a, name), getattr(b, name)
    if None in costs or 0 in costs:
        return None
    cheaper, ratio = (a, costs[1] / costs[0]) if costs[0] <= costs[1] else (b, costs[0] / costs[1])
    ahead = f"{cheaper.label}, {significant(ratio, 2)} ×" if ratio >= LEAST_RATIO else OPEN
    texts = [count(cost) if name == "parameters" else significant(cost) for cost in costs]
    cells = (Cell(text, cost) for text, cost in zip(texts, costs, strict=True))
    return Row((Cell(title), *cells, Cell(ahead)))
