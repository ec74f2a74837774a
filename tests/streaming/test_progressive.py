"""Progressive evaluation against sums by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from lamina.errors import ConfigError, DataError
from lamina.streaming.online import OnlineClassifier
from lamina.streaming.progressive import evaluate, evaluate_file


class Constant:
    """Always says the same, and notes what it is taught and when."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.seen: list[tuple[str, object]] = []

    def predict_one(self, x: dict[str, float]) -> object:
        self.seen.append(("predict", x["n"]))
        return self.answer

    def learn_one(self, x: dict[str, float], y: object) -> None:
        del y
        self.seen.append(("learn", x["n"]))


def test_accuracy_no_change_and_kappa_by_hand() -> None:
    rows = [({"n": n}, y) for n, y in enumerate([1, 1, 0, 1, 1])]
    found = evaluate(Constant(1), rows, window=2)
    assert (found.rows, found.score, found.no_change) == (4, 0.75, 0.5)
    assert found.kappa == pytest.approx((0.75 - 0.5) / (1 - 0.5))
    assert [(p.row, p.score, p.no_change) for p in found.curve] == [(2, 0.5, 0.5), (4, 1.0, 0.5)]
    assert found.windows_below == 0.0


def test_absolute_error_by_hand_without_missing_values() -> None:
    rows = [({"n": n}, y) for n, y in enumerate([1.0, 3.0, math.nan, 2.0])]
    found = evaluate(Constant(2.0), rows, metric="mae")
    assert (found.rows, found.score, found.no_change) == (2, 0.5, 1.5)
    assert found.kappa == pytest.approx(2 / 3)
    assert found.windows_below == 0.0


def test_each_row_is_predicted_before_it_is_learned_and_labels_come_late() -> None:
    learner = Constant(1)
    evaluate(learner, [({"n": n}, 1) for n in range(5)], delay=2)
    assert learner.seen == [
        ("predict", 0), ("predict", 1), ("predict", 2), ("learn", 0),
        ("predict", 3), ("learn", 1), ("predict", 4), ("learn", 2),
    ]  # fmt: skip


def test_result_is_strict_json() -> None:
    rows = [({"n": n}, n % 2) for n in range(50)]
    text = json.dumps(evaluate(OnlineClassifier(depth=0), rows).to_dict(), allow_nan=False)
    assert json.loads(text)["rows"] == 49


def test_file_of_classes_and_of_numbers(tmp_path: Path) -> None:
    path = tmp_path / "stream.csv"
    lines = [f"2024-01-{n % 28 + 1:02d},{n % 6},{'up' if n % 6 > 2 else 'down'}" for n in range(300)]
    path.write_text("\n".join(["day,load,move", *lines]) + "\n", encoding="utf-8")
    task, left_out, found = evaluate_file(path, "move", depth=0)
    assert (task, left_out) == ("classify", ["day"])
    assert found.score > 0.9
    task, _, found = evaluate_file(path, "load", task="forecast", depth=0)
    assert found.kappa > 0.8
    assert found.coverage == pytest.approx(0.9, abs=0.1)


def test_wrong_file_column_and_options_are_told(tmp_path: Path) -> None:
    path = tmp_path / "stream.csv"
    path.write_text("load,move\n1,up\n", encoding="utf-8")
    with pytest.raises(DataError, match="did you mean 'load'"):
        evaluate_file(path, "laod")
    with pytest.raises(DataError, match="cannot be read"):
        evaluate_file(tmp_path / "none.csv", "load")
    with pytest.raises(DataError, match="at least two labels"):
        evaluate_file(path, "load", depth=0)
    with pytest.raises(ConfigError, match="delay"):
        evaluate(Constant(1), [], delay=-1)
