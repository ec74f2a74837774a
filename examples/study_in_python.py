"""Ask whether a second layer helps on a series of your own.

python examples/study_in_python.py [BUDGET]
"""

from __future__ import annotations

import sys
from datetime import datetime

import numpy as np
import polars as pl

import lamina


def traffic() -> pl.DataFrame:
    """Two months of hourly counts that follow the day and the rain."""
    hours = pl.datetime_range(datetime(2025, 1, 1), datetime(2025, 3, 1), "1h", eager=True)
    n = len(hours)
    rng = np.random.default_rng(0)
    rain = (rng.random(n) < 0.1).astype(float)
    cars = 400 + 200 * np.sin(2 * np.pi * np.arange(n) / 24) - 80 * rain + 20 * rng.normal(size=n)
    return pl.DataFrame({"when": hours, "cars": cars, "rain": rain})


def main(budget: str) -> None:
    study = lamina.study(
        traffic(),
        target="cars",
        time="when",
        past=["rain"],
        horizon=12,
        budget=budget,
        ask="depth",
        depths=(1, 2),
        out="traffic-study",
    )
    for name, verdict in study.verdicts.items():
        print(f"{name}: {verdict.status}. {verdict.sentence}")
    print(study.leaderboard().select("label", "validation", "test", "train_s", "parameters"))
    print(study.best.predict(level=[80]).head())
    print(lamina.open_study("traffic-study").report())  # later, from its folder


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "2m")
