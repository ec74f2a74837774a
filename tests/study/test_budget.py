from __future__ import annotations

import pytest

from lamina.errors import ConfigError
from lamina.study import budget as budget_module
from lamina.study.budget import Budget, Settled, parse_duration


class Clock:
    now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(budget_module, "time", clock)
    return clock


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("1.5h", 5400), ("20", 20), (0.5, 0.5), (" 2 m ", 120)]
)
def test_durations_in_seconds_minutes_and_hours(text: str | float, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-5m", "5 minutes", "1h30m", "five", "nan", "inf", 0.0, -1])
def test_a_duration_that_is_none_is_an_error_that_shows_how(text: str | float) -> None:
    with pytest.raises(ConfigError, match=r"a budget is a time such as 90s, 5m or 1.5h, but is"):
        parse_duration(text)


def test_stages_share_what_is_left_by_weight(time: Clock) -> None:
    budget = Budget(100, shares={"a": 1, "b": 1, "c": 2})
    first = budget.begin("a")
    assert first.seconds == 25
    time.now_s += 5  # 20 s less than its share, which go to the others
    assert budget.begin("b").seconds == pytest.approx(95 / 3)
    time.now_s += 55  # more than its share, which the last pays for
    assert budget.begin("c").seconds == pytest.approx(40)


def test_time_left_never_falls_below_zero(time: Clock) -> None:
    budget = Budget(10, shares={"a": 1})
    stage = budget.begin("a")
    time.now_s += 4
    assert (stage.left_s, budget.left_s, budget.used_s) == (6, 6, 4)
    time.now_s += 40
    assert (stage.left_s, budget.left_s, budget.used_s) == (0, 0, 44)


def test_time_kept_for_the_end_is_not_left_for_the_work(time: Clock) -> None:
    budget = Budget(100, shares={"a": 1, "b": 1})
    budget.keep(40)
    assert budget.begin("a").seconds == 30
    time.now_s += 10
    budget.keep(50)
    assert (budget.left_s, budget.used_s) == (40, 10)
    budget.keep(0)
    assert budget.left_s == 90


def test_a_stage_pays_for_what_is_kept_besides(time: Clock) -> None:
    budget = Budget(100, shares={"a": 1, "b": 1})
    stage = budget.begin("a")
    time.now_s += 10
    budget.keep_more(15)
    assert (stage.left_s, budget.left_s) == (25, 75)


def test_a_resumed_study_counts_its_earlier_sittings(time: Clock) -> None:
    budget = Budget(100, used_before_s=70, shares={"a": 1, "b": 2})
    assert budget.left_s == 30
    assert budget.begin("a").seconds == 10


def test_what_time_has_decided_stands_in_later_sittings(time: Clock) -> None:
    known: dict[str, object] = {}
    stage = Budget(100, shares={"a": 1, "b": 1}, settled=Settled(known)).begin("a")
    assert (stage.pays("five runs", 50), stage.pays("six runs", 60)) == (True, False)
    later = Budget(100, used_before_s=40, shares={"a": 1, "b": 1}, settled=Settled(known)).begin("a")
    assert (later.seconds, later.left_s) == (50, 10)
    assert (later.pays("five runs", 50), later.pays("six runs", 0)) == (True, False)
    assert not later.pays("another", 20)
