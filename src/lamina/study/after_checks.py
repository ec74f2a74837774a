"""Checks of what a study found, read off its record alone: each can be repeated from study.json."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from lamina.errors import SavedModelError
from lamina.study.checks import CheckResult
from lamina.study.trials import DROPOUTS
from lamina.study.verdict import Baseline, Candidate, StudyRecord

# A value this near to an end of its range, as a share of the range, lies at the edge.
EDGE = 0.05
MOST_NEIGHBOURS = 200


def check_findings(record: StudyRecord, *, streams: bool = False) -> list[CheckResult]:
    """NC01, PS01 and ED01.

    NC01 the answer reads sequences whole where it has to stream: warn.
    PS01 the answer is no better than the simplest method on validation rows: warn.
    ED01 the answer's settings, or the depth, lie at the edge of what was tried: warn.

    Args:
        streams: whether a limit was set that only a streaming network can keep.
    """
    chosen = _chosen(record)
    if chosen is None:
        return []
    return [_needs_whole(chosen, streams=streams), _loses(record, chosen), _at_edge(record, chosen)]


def _chosen(record: StudyRecord) -> Candidate | None:
    """The candidate the answers lead to: the saved one, else that of the last answered question."""
    by_id = {candidate.id: candidate for candidate in record.candidates}
    if record.best is not None:
        return by_id[record.best.candidate]
    named = [verdict.chosen for verdict in record.questions if verdict.chosen in by_id]
    return by_id[named[-1]] if named and named[-1] is not None else None


def _needs_whole(chosen: Candidate, *, streams: bool) -> CheckResult:
    directions = chosen.config.get("directions")
    whole = directions is None or (isinstance(directions, list) and "both" in directions)
    if not whole:
        return CheckResult("NC01", "pass", {"causal": "yes"}, f"{chosen.label} can answer row by row")
    if not streams:
        sentence = f"{chosen.label} reads a window or sequence whole: it cannot answer row by row"
        return CheckResult("NC01", "pass", {"causal": "no"}, sentence)
    sentence = (
        f"{chosen.label} reads a window or sequence whole and cannot stream, as the limit on latency asks. "
        "Ask without that limit, or leave out the question of direction"
    )
    return CheckResult("NC01", "warn", {"causal": "no"}, sentence)


def _loses(record: StudyRecord, chosen: Candidate) -> CheckResult:
    simplest = next((method for method in record.baselines if method.validation is not None), None)
    score = _mean(chosen)
    if simplest is None or simplest.validation is None or score is None:
        return CheckResult("PS01", "pass", {}, "no simple method was there to compare with")
    evidence: dict[str, float | int | str] = {"network": score, simplest.id: simplest.validation}
    sign = 1.0 if record.metric.direction == "lower" else -1.0
    if sign * (score - simplest.validation) < 0:
        return CheckResult("PS01", "pass", evidence, f"{chosen.label} beats {simplest.label}")
    sentence = (
        f"{chosen.label} does not beat {simplest.label} on the validation rows ({score:.3g} against "
        f"{simplest.validation:.3g}): use {_best_method(record).label}, or give the study more time or data"
    )
    return CheckResult("PS01", "warn", evidence, sentence)


def _best_method(record: StudyRecord) -> Baseline:
    sign = 1.0 if record.metric.direction == "lower" else -1.0
    known = [method for method in record.baselines if method.validation is not None]
    return min(known, key=lambda method: sign * (method.validation or 0.0))


def _mean(candidate: Candidate) -> float | None:
    known = [score.validation for score in candidate.scores if score.validation is not None]
    return fmean(known) if known else None


def _at_edge(record: StudyRecord, chosen: Candidate) -> CheckResult:
    rate, dropout = chosen.config.get("learning_rate"), chosen.config.get("dropout")
    match rate, chosen.config.get("learning_rates"):
        case float(), [float(low), float(high)]:
            place = math.log(rate / low) / math.log(high / low)
            if not EDGE < place < 1 - EDGE:
                return _edge(chosen, "learning_rate", rate, f"the range tried, {low:.3g} to {high:.3g}")
    # No dropout at all is a choice, not an edge.
    if isinstance(dropout, float) and dropout > DROPOUTS[1] - EDGE * (DROPOUTS[1] - DROPOUTS[0]):
        return _edge(chosen, "dropout", dropout, f"the range tried, {DROPOUTS[0]:g} to {DROPOUTS[1]:g}")
    depth = next((verdict for verdict in record.questions if verdict.id == "depth"), None)
    if depth is not None and depth.chosen is not None and len(depth.arms) > 1:
        layers = {one.id: _layers(one) for one in record.candidates if one.id in depth.arms}
        if layers.get(depth.chosen, 0) == max(layers.values(), default=0) > 0:
            deepest = layers[depth.chosen]
            return _edge(
                chosen, "depth", deepest, "the depths tried; --depths with deeper ones would tell more"
            )
    return CheckResult("ED01", "pass", {}, "no chosen value lies at the edge of what was tried")


def _edge(chosen: Candidate, name: str, value: float, where: str) -> CheckResult:
    sentence = f"{chosen.label} has {name.replace('_', ' ')} {value:.3g}, at the edge of {where}"
    return CheckResult("ED01", "warn", {"setting": name, "value": value}, sentence)


def _layers(candidate: Candidate) -> int:
    sizes = candidate.config.get("hidden_sizes")
    return len(sizes) if isinstance(sizes, list) else 0


def earlier_readings(folder: Path, data_hash: str) -> CheckResult:
    """TR01: how many studies beside ``folder`` have read the test part of the same data.

    Each look at the test part, and each choice made after it, wears it out a little.
    """
    readers = [
        place.parent.name
        for place in sorted(folder.resolve().parent.glob("*/study.json"))[:MOST_NEIGHBOURS]
        if place.parent != folder.resolve() and _has_read(place, data_hash)
    ]
    evidence: dict[str, float | int | str] = {"earlier": len(readers)}
    if not readers:
        return CheckResult("TR01", "pass", evidence, "no study beside this one has read this test part")
    sentence = (
        f"the test part of these data was read before, by {_listed(readers)}: what was chosen after that "
        "knows it already. Keep newer rows aside to confirm the answer"
    )
    return CheckResult("TR01", "warn", evidence, sentence)


def _has_read(path: Path, data_hash: str) -> bool:
    try:
        record = StudyRecord.load(path)
    except SavedModelError:
        return False  # of another version, or not a study's: nothing to learn from it
    return record.data.hash == data_hash and any(
        score.test is not None for candidate in record.candidates for score in candidate.scores
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
