"""What the benchmark of online learners compares, and which bars it tells."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from rich.console import Console

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(name="module")
def found(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)  # where it finds its peers
    module: ModuleType = request.getfixturevalue("online")
    return module


def test_a_coverage_that_falls_to_nothing_is_a_bar_that_is_not_met(module: ModuleType) -> None:
    shares = {"coverage": 0.9, "coverage_lowest": 0.0, "coverage_highest": 0.91}
    line = module.Line("taylor", "lamina", 4000, "mae", 1.0, 1.0, 1.0, **shares)
    bar = next(bar for bar in module.bars([line], []) if bar.name.startswith("coverage of 90 % on taylor"))
    assert not bar.met


def test_ours_is_scored_on_the_rows_of_the_peers(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    values = [100.0 + row + 10 * (row % 12 == 3) for row in range(144)]
    stream = module.Stream("airline-passengers", values, [{}] * 144)
    monkeypatch.setattr(module, "series", lambda *_, **__: iter([stream]))
    plan = module.Plan(tmp_path, ("airline",), False, True, 0, None)
    lines, _ = module.measure(plan, Console(quiet=True))
    rows = {line.learner: line.rows for line in lines}
    assert rows["lamina"] == 143
    assert rows["lamina, as peers"] == rows["river SNARIMAX"] == rows["river Holt-Winters"] == 118
