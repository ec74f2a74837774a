from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

from lamina.errors import ConfigError, DataError
from lamina.estimators.forecaster import Forecaster
from lamina.nn.stack import Stack, StackConfig
from lamina.streaming.session import Session
from lamina.streaming.storage_error import storage_error
from lamina.training.optim import TrainingConfig


def test_the_error_is_that_of_the_answers() -> None:
    torch.manual_seed(0)
    stack = Stack(StackConfig(input_size=3, hidden_sizes=(8,))).eval()
    rows = np.random.default_rng(0).normal(size=(20, 3))
    coarse, exact = (Session.of(stack, storage=storage) for storage in ("int8", "float32"))
    found, truth = (np.stack([s.step(row, key="a") for row in rows]) for s in (coarse, exact))
    gaps = np.abs(found.astype(np.float64) - truth)
    error = storage_error(coarse, exact, rows, key="b")
    assert error.rows == 20
    assert error.largest == gaps.max() > 1e-5
    assert error.mean == pytest.approx(gaps.mean(), rel=1e-12)
    assert error.size == pytest.approx(np.abs(truth).mean(), rel=1e-6)
    assert storage_error(Session.of(stack), Session.of(stack), rows)[1:3] == (0.0, 0.0)
    with pytest.raises(DataError, match="no row was answered"):
        storage_error(coarse, exact, [])


def test_forecasts_are_compared_by_their_quantiles() -> None:
    y = np.random.default_rng(1).normal(size=60).cumsum()
    model = Forecaster(
        3, input_size=12, stack=StackConfig(hidden_sizes=(6,)), training=TrainingConfig(max_steps=8)
    ).fit(pl.DataFrame({"y": y[:50]}))
    coarse, exact = model.stream(storage="bfloat16"), model.stream()
    error = storage_error(coarse, exact, y[50:])
    assert error.rows == 10
    assert 0 < error.largest < 0.1 * error.size
    # a new key answers once its window is full
    assert storage_error(coarse, exact, y[:20], key="new").rows == 9
    other = Session.of(Stack(StackConfig(input_size=1, hidden_sizes=(2,))))
    with pytest.raises(ConfigError, match="ForecastSession and RowSession"):
        storage_error(exact, other, y)
