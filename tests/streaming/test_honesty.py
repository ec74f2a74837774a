"""No learner sees a label before it has said what it expects."""

from __future__ import annotations

import numpy as np
import pytest
from river import evaluate as river_evaluate
from river import metrics

from lamina.streaming.inputs import Row
from lamina.streaming.online import OnlineClassifier
from lamina.streaming.progressive import evaluate
from lamina.streaming.river_models import RiverClassifier

ROWS = 4000


def rows_of(kind: str) -> list[tuple[Row, int]]:
    """Coin flips with inputs that say nothing, or classes by the change of an input."""
    random = np.random.default_rng(11)
    noise = random.normal(size=(ROWS, 3))
    coins = random.integers(2, size=ROWS)
    change = (np.diff(noise[:, 0], prepend=0.0) > 0).astype(int)
    labels = {"no inputs": coins, "noise": coins, "change": change}[kind]
    return [
        ({} if kind == "no inputs" else dict(zip("abc", x.tolist(), strict=True)), int(y))
        for x, y in zip(noise, labels, strict=True)
    ]


@pytest.mark.parametrize("kind", ["no inputs", "noise"])
def test_coin_flips_cannot_be_told(kind: str) -> None:
    found = evaluate(OnlineClassifier(), rows_of(kind))
    assert found.score == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(ROWS))  # four standard errors


def test_the_same_score_from_a_plain_loop_and_from_rivers() -> None:
    rows = rows_of("change")[:1500]
    found = evaluate(OnlineClassifier(), rows)
    learner, right = OnlineClassifier(), 0
    for number, (x, y) in enumerate(rows):
        said = learner.predict_one(dict(x))
        right += number > 0 and said == y
        learner.learn_one(dict(x), y)
    theirs = river_evaluate.progressive_val_score(
        [(dict(x), y) for x, y in rows],
        RiverClassifier(),
        metrics.Accuracy(),  # type: ignore[no-untyped-call]  # river's own
    ).get()
    assert found.score == right / (len(rows) - 1)
    assert found.score > 0.9
    assert abs(theirs - found.score) <= 1 / 1000  # river also counts the first row


def test_a_prediction_does_not_depend_on_its_rows_label() -> None:
    """Two streams that differ in one label: all that is said up to that row is the same."""
    rows = rows_of("change")[:700]
    said = []
    for flipped in (False, True):
        learner = OnlineClassifier()
        chances = []
        for number, (x, y) in enumerate(rows[:602]):
            chances.append(learner.predict_proba_one(x))
            learner.learn_one(x, 1 - y if flipped and number == 600 else y)
        said.append(chances)
    assert said[0][:601] == said[1][:601]
    assert said[0][601] != said[1][601]
