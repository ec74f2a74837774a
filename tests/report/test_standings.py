from __future__ import annotations

import pytest

from lamina.report.standings import display_names, estimate, standings
from lamina.study.verdict import Baseline, StudyRecord


def test_the_interval_is_students_t_over_seeds() -> None:
    found = estimate([0.60, 0.62, 0.61, 0.65, None])
    assert found is not None
    assert found.mean == pytest.approx(0.62)
    # s = sqrt(0.0014 / 3), t(0.975, 3) = 3.18245 from tables, half width = t s / sqrt(4)
    assert found.half_width == pytest.approx(3.18245 * (0.0014 / 3) ** 0.5 / 2, rel=1e-5)
    assert found.seeds == 4


def test_nothing_known_gives_no_estimate_and_one_seed_no_interval() -> None:
    assert estimate([None]) is None
    single = estimate([0.5, None])
    assert single is not None
    assert (single.mean, single.half_width, single.seeds) == (0.5, None, 1)


def test_the_best_test_score_comes_first_and_those_without_one_last(forecast_record: StudyRecord) -> None:
    lines = standings(forecast_record)
    scores = [line.test.mean for line in lines if line.test is not None]
    assert scores == sorted(scores)
    assert [line.id for line in lines if line.test is None] == ["lstm-4"]
    assert lines[-1].note == "collapsed: 2 of 5 seeds stayed at a constant"
    assert [line.id for line in lines if line.is_best] == ["lstm-2"]


def test_higher_is_better_turns_the_order(forecast_record: StudyRecord, classify_record: StudyRecord) -> None:
    rising = [line.id for line in standings(forecast_record) if line.test]
    falling = [line.id for line in standings(classify_record) if line.test]
    assert falling == rising[::-1]


def test_entries_that_share_a_label_show_their_id(baselines_record: StudyRecord) -> None:
    twice = (
        Baseline(id="a", label="naive"),
        Baseline(id="b", label="naive"),
        Baseline(id="c", label="theta"),
    )
    record = baselines_record.model_copy(update={"baselines": twice})
    assert display_names(record) == {"a": "naive (a)", "b": "naive (b)", "c": "theta"}
