from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from lamina.study.bench import Run, Settings
from lamina.study.space import Design
from lamina.study.trials import DROPOUTS, FIRST, RATES, Trials


def a_run(settings: Settings, folder: Path | None = None, *, collapsed: bool = False) -> Run:
    outcome: Literal["complete", "collapsed"] = "collapsed" if collapsed else "complete"
    return Run(
        design="lstm-1-forward",
        settings=settings,
        seed=3,
        score=float("nan") if collapsed else 0.5,
        errors=np.zeros(0) if collapsed else np.array([0.25, np.nan, 0.75]),
        seconds=1.5,
        parameters=7,
        peak_mb=2.0,
        history={"steps": [10], "validation": [float("nan")]},
        outcome=outcome,
        reason="loss is NaN" if collapsed else "",
        folder=folder,
    )


def opened(folder: Path) -> Trials:
    return Trials(folder, seed=0, higher_is_better=False)


def never(settings: object) -> Run:
    raise AssertionError("a finished run was repeated")


def killed(settings: object) -> Run:
    raise KeyboardInterrupt


def searched(folder: Path, design: Design, numbers: range, *, seed: int = 0) -> list[Settings]:
    trials = Trials(folder, seed=seed, higher_is_better=False)
    return [trials.search(design, number, a_run).settings for number in numbers]


def test_the_first_trial_has_the_defaults_and_the_others_are_within_range(tmp_path: Path) -> None:
    first, *others = searched(tmp_path, Design(), range(5))
    assert first == Settings(**FIRST)
    assert len({settings.learning_rate for settings in others}) == 4
    for settings in others:
        assert RATES[0] <= settings.learning_rate <= RATES[1]
        assert DROPOUTS[0] <= settings.dropout <= DROPOUTS[1]


def test_every_design_tries_the_same_settings(tmp_path: Path) -> None:
    """Other things equal: no arm is luckier in what its search draws."""
    one = searched(tmp_path, Design(layers=1), range(4))
    assert searched(tmp_path, Design(layers=2), range(4)) == one


def test_settings_depend_on_the_seed_alone(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    assert searched(tmp_path / "a", Design(), range(3)) == searched(tmp_path / "b", Design(), range(3))
    assert searched(tmp_path / "a", Design(), range(3)) != searched(
        tmp_path / "c", Design(), range(3), seed=1
    )


def test_a_finished_run_is_read_and_not_repeated(tmp_path: Path) -> None:
    model = opened(tmp_path).repeat(Design(), 3, lambda folder: a_run(Settings(0.01, 0.2), folder))
    opened(tmp_path).search(Design(), 0, a_run)
    again = opened(tmp_path).repeat(Design(), 3, never)
    assert again.settings == Settings(0.01, 0.2)
    assert (again.seconds, again.parameters, again.outcome) == (1.5, 7, "complete")
    assert again.folder == model.folder == tmp_path / "runs" / "lstm-1-forward.seed-3.model"
    np.testing.assert_array_equal(again.errors, [0.25, np.nan, 0.75])
    assert opened(tmp_path).search(Design(), 0, never).settings == Settings(**FIRST)


def test_a_study_folder_may_be_moved(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    opened(old).repeat(Design(), 3, lambda folder: a_run(Settings(0.01, 0.2), folder))
    new = old.rename(tmp_path / "new")
    folder = opened(new).repeat(Design(), 3, never).folder
    assert folder is not None
    assert folder.parent == new / "runs"


@pytest.mark.parametrize("number", [0, 2])
def test_a_killed_trial_is_tried_again_with_the_same_settings(tmp_path: Path, number: int) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    expected = searched(whole, Design(), range(4))
    searched(cut, Design(), range(number))
    with pytest.raises(KeyboardInterrupt):
        opened(cut).search(Design(), number, killed)
    assert searched(cut, Design(), range(4)) == expected


def test_a_collapsed_trial_is_kept_with_its_reason(tmp_path: Path) -> None:
    train: Callable[[Settings], Run] = lambda settings: a_run(settings, collapsed=True)  # noqa: E731
    opened(tmp_path).search(Design(), 0, train)
    known = opened(tmp_path).search(Design(), 0, never)
    assert (known.outcome, known.reason, len(known.errors)) == ("collapsed", "loss is NaN", 0)
    assert np.isnan(known.score)
    opened(tmp_path).search(Design(), 1, a_run)


def test_what_trials_showed_moves_no_later_trial(tmp_path: Path) -> None:
    """Settings are drawn at random, however many there were and whatever they gave."""
    settled = searched(tmp_path, Design(), range(14))
    scores: Callable[[Settings], Run] = lambda settings: replace(a_run(settings), score=settings.dropout)  # noqa: E731
    trials = opened(tmp_path)
    assert [trials.search(Design(layers=2), number, scores).settings for number in range(14)] == settled
