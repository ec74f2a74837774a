from __future__ import annotations

import re
from pathlib import Path

import pytest

from lamina.errors import ConfigError, DataError
from lamina.study.checks import CODES, CheckResult, columns_to_leave_out, parse_allow, require_passed

PAGE = Path(__file__).parents[2] / "docs" / "checks.md"
LEAK = CheckResult("LK05", "fail", {"column": "mean"}, "column 'mean' seems to be made from later rows.")
MIXED = CheckResult("LB03", "fail", {"share": 0.4}, "40% of the sequences share runs")
TOLD = CheckResult("LK04", "warn", {"distance": 0.7}, "the test part is unlike training")


def test_the_page_describes_every_code_and_no_other() -> None:
    assert set(re.findall(r"^\| ([A-Z]{2}\d\d) \|", PAGE.read_text(), flags=re.MULTILINE)) == CODES.keys()


def test_codes_to_allow_are_known_ones() -> None:
    assert parse_allow(["wn02", " LK05", "WN02", ""]) == ("WN02", "LK05")
    with pytest.raises(ConfigError, match=r"is 'LK5'.*LK05"):
        parse_allow(["LK5"])


def test_a_failure_ends_the_study_unless_allowed() -> None:
    with pytest.raises(DataError, match=r"LK05: column .* LB03: 40% .* --allow LK05,LB03"):
        require_passed([TOLD, LEAK, MIXED], allow=())
    require_passed([TOLD, LEAK, MIXED], allow=("LK05", "LB03"))
    require_passed([TOLD], allow=())


def test_a_column_is_left_out_unless_allowed() -> None:
    assert columns_to_leave_out([TOLD, LEAK, MIXED], allow=()) == {"mean": LEAK}
    assert columns_to_leave_out([LEAK], allow=("LK05",)) == {}
