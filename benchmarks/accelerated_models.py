"""What lamina.accelerate does for neuralforecast's models: `python benchmarks/accelerated_models.py`.

Its LSTM and GRU train twice from one seed on the same synthetic series: on torch's layers and accelerated.
Nothing is reported where the loss curves or the forecasts part.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from neuralforecast import NeuralForecast
from neuralforecast.models import GRU, LSTM

from lamina.nn.accelerate import accelerate, report

TOLERANCE = 1e-2
"""Of losses and forecasts, relative to the largest: rounding grows along the steps of the optimiser."""


def series() -> pd.DataFrame:
    """Four noisy waves of 500 hours."""
    generator, hours = np.random.default_rng(0), np.arange(500)
    waves = [np.sin(2 * np.pi * hours / 24 + k) + 0.1 * generator.standard_normal(500) for k in range(4)]
    frame = {"unique_id": np.repeat(list("abcd"), 500), "ds": np.tile(hours, 4), "y": np.concatenate(waves)}
    return pd.DataFrame(frame)


def train(kind: Any, *, steps: int, faster: bool) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the loss curve, the forecasts and the seconds."""
    quiet = {
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "accelerator": "cpu",
    }
    model = kind(
        h=24, input_size=72, encoder_hidden_size=64, max_steps=steps, random_seed=1,
        enable_checkpointing=False, **quiet,
    )  # fmt: skip
    if faster and not report(accelerate(model)).replaced:
        raise SystemExit(f"nothing was replaced in {kind.__name__}")
    forecaster, start = NeuralForecast(models=[model], freq=1), time.perf_counter()
    forecaster.fit(series())
    seconds = time.perf_counter() - start
    curve = np.array([loss for _, loss in forecaster.models[0].train_trajectories])
    return curve, forecaster.predict()[kind.__name__].to_numpy(), seconds


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", type=int, default=200, help="of the optimiser (default 200)")
    parser.add_argument("--threads", type=int, default=2, help="of torch, for both (default 2)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")  # Lightning's advice
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    for kind in (LSTM, GRU):
        (curve, forecast, theirs), (our_curve, our_forecast, ours) = (
            train(kind, steps=options.steps, faster=faster) for faster in (False, True)
        )
        apart = [
            float(np.abs(a - b).max() / np.abs(a).max())
            for a, b in ((curve, our_curve), (forecast, our_forecast))
        ]
        name, losses = kind.__name__, len(curve)
        if not max(apart) <= TOLERANCE:
            print(f"{name}: losses part by {apart[0]:.1e}, forecasts by {apart[1]:.1e}: nothing is reported")
            return 1
        print(
            f"{name}: {theirs:.1f} s on torch, {ours:.1f} s accelerated, {theirs / ours:.2f} x; "
            f"over {losses} losses they part by at most {apart[0]:.1e}, forecasts by {apart[1]:.1e}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
