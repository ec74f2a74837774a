"""Checks before and after a study: what a code stands for, what a check found, and how one is exempted.

A check never changes a score. It passes, warns, or fails; a failure ends the study before it trains, unless
it is about a single column, which is then left out. A person who knows better names the code with
``--allow CODE``: the finding is still told, marked as allowed, and recorded in study.json.

The checks themselves are in `table_checks.py`, `labelled_checks.py` (both before) and `after_checks.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from lamina.errors import ConfigError, DataError, did_you_mean

Outcome = Literal["pass", "warn", "fail"]

CODES: dict[str, str] = {
    "LK01": "a covariate holds a later value of the target",
    "LK02": "a covariate holds the target of the same step",
    "LK03": "the target never changes in training",
    "LK04": "the test part is unlike the training part",
    "LK05": "a covariate tells of the future what only the future could",
    "LK06": "the target is constant or missing in the validation or test part",
    "SC01": "values were scaled by statistics of all rows",
    "SC02": "a scaler of the study saw rows beyond training",
    "TM01": "the order of the rows tells nothing",
    "WN01": "windows of two parts forecast the same rows",
    "WN02": "a stretch of later rows stands in training too",
    "LB01": "a sequence stands in two parts",
    "LB02": "a class has no training sequence",
    "LB03": "sequences of two parts overlap",
    "LB04": "a part holds one class only, or lacks one",
    "LB05": "a group lies in two parts",
    "LM01": "the saved model breaks a limit",
    "NC01": "a network that needs the whole sequence where it has to stream",
    "PS01": "the network loses to the simplest method",
    "ED01": "the best value lies at the edge of the search",
    "TR01": "the test part was read before",
    "ST01": "the study was interrupted",
    "ST02": "the budget is small for a verdict",
}


@dataclass(frozen=True)
class CheckResult:
    """Outcome of one check: ``code``, what was measured, and a sentence for a person.

    A finding about one covariate names it as ``evidence["column"]``.
    """

    code: str
    outcome: Outcome
    evidence: dict[str, float | int | str]
    sentence: str


def parse_allow(codes: Iterable[str]) -> tuple[str, ...]:
    """The codes to exempt, each once.

    >>> parse_allow(["lk05", "LK05"])
    ('LK05',)

    Raises:
        ConfigError: there is no check of that code.
    """
    found = tuple(dict.fromkeys(code.strip().upper() for code in codes if code.strip()))
    for code in found:
        if code not in CODES:
            raise ConfigError(
                f"--allow takes the code of a check, such as LK05, but is '{code}'"
                f"{did_you_mean(code, CODES)}."
            )
    return found


def columns_to_leave_out(results: Sequence[CheckResult], allow: Sequence[str]) -> dict[str, CheckResult]:
    """The failure behind each column that may not be read, by name; exempted codes are passed over."""
    return {
        str(result.evidence["column"]): result
        for result in results
        if result.outcome == "fail" and "column" in result.evidence and result.code not in allow
    }


def require_passed(results: Sequence[CheckResult], allow: Sequence[str]) -> None:
    """End here where a check failed and its code is not exempted.

    Raises:
        DataError: with the sentence of each failure, and how to exempt it.
    """
    failed = [result for result in results if result.outcome == "fail" and result.code not in allow]
    if failed:
        codes = ",".join(dict.fromkeys(result.code for result in failed))
        told = " ".join(f"{result.code}: {result.sentence.rstrip('.')}." for result in failed)
        raise DataError(f"{told} Mend the data, or go on all the same with --allow {codes}.")
