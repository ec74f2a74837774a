"""Learn a series one value at a time, with intervals that keep their coverage where the series changes.

Run: python examples/online.py [rows]
"""

from __future__ import annotations

import math
import random
import sys

from lamina.streaming.adaptive import AdaptiveIntervals
from lamina.streaming.online import OnlineForecaster

ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 2000


def main() -> None:
    noise = random.Random(0)
    learner, intervals = OnlineForecaster(), AdaptiveIntervals(level=0.9)
    errors = no_change = covered = 0.0
    last = 0.0
    for hour in range(ROWS):
        swing = 10 if hour < ROWS // 2 else 25  # the daily swing grows halfway
        load = 50 + swing * math.sin(2 * math.pi * hour / 24) + noise.gauss(0, 1)
        expected = learner.forecast(1)[0]
        low, high = intervals.around(expected)
        covered += low <= load <= high
        errors += abs(load - expected)
        no_change += abs(load - last)
        intervals.learn(expected, load)
        learner.learn_one(load)
        last = load
    print(f"mean error {errors / ROWS:.2f}, no change {no_change / ROWS:.2f}; 90 % held {covered / ROWS:.1%}")
    print("next day:", [round(value) for value in learner.forecast(24)])
    best = max(learner.weights, key=learner.weights.__getitem__)
    print(f"most trusted expert now: {best} ({learner.weights[best]:.0%})")


if __name__ == "__main__":
    main()
