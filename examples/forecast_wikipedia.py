"""Forecast the daily page views of one Wikipedia article for 30 days, and see how good that has been.

python examples/forecast_wikipedia.py [STEPS]
"""

from __future__ import annotations

import sys

from lamina import Forecaster, StackConfig, TrainingConfig, load
from lamina.data.sources import source_files

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 300
(file,) = source_files("wikipedia_views", None)

model = Forecaster(
    horizon=30,
    stack=StackConfig(cell="gru", hidden_sizes=(64,), dropout=0.1),
    training=TrainingConfig(max_steps=steps, batch_size=128, learning_rate=4e-3),
)
model.fit(file, gaps="missing")  # 59 days are left out of the file; they stay missing
print(*model.notes_, sep="\n")
print(f"each forecast sees {model.config_.input_size} days, in segments of {model.config_.segment}")

print(model.predict(level=[80, 95]))

past = model.cross_validation(file, n_windows=6, step_size=30).drop_nulls("y").drop_nans("y")
error = (past["y"] - past["Forecaster"]).abs().mean()
print(f"mean absolute error over the last 6 months, a month ahead each time: {error:.3f} (log views)")

model.save("wikipedia-model")
assert load("wikipedia-model").predict().equals(model.predict())
