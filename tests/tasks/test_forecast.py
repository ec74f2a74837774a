from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import mean_absolute_error, mean_squared_error
from utilsforecast import losses

from lamina.data.series import SeriesTable, read_series
from lamina.data.splits import split_in_time
from lamina.data.windows import Windows, evaluation_windows
from lamina.errors import ConfigError
from lamina.metrics import mase_scale
from lamina.nn.stack import StackConfig
from lamina.nn.transformer import TransformerConfig
from lamina.tasks.forecast import (
    ForecastBatches,
    ForecastConfig,
    ForecastNetwork,
    ForecastObjective,
    PointMetric,
    descale,
    mean_error,
    pinball,
    predict_windows,
    window_errors,
)
from lamina.tasks.forecast_inputs import ForecastBatch, ForecastInputs

NAN = float("nan")
HORIZON = 3


def table_of(rows: int = 60) -> SeriesTable:
    """A noisy counted series with a covariate known ahead."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=rows)
    y = np.sin(np.arange(rows) / 3) + 0.1 * generator.normal(size=rows)
    return read_series(pl.DataFrame({"y": y, "x": x}), future=["x"])


TABLE = table_of()
CUTS = split_in_time(TABLE, horizon=HORIZON)
INPUTS = ForecastInputs.fit(TABLE, CUTS, padded=False)
WINDOWS = Windows(TABLE, 8, HORIZON, np.arange(8, 40), np.zeros(32, dtype=np.int64))


def network(body: StackConfig | TransformerConfig | None = None, **fields: object) -> ForecastNetwork:
    torch.manual_seed(0)
    config = ForecastConfig.parse({"horizon": HORIZON, "input_size": 8, "width": 5, **fields})
    return ForecastNetwork(config, INPUTS, body or StackConfig(hidden_sizes=(4,))).eval()


def shaken(model: ForecastNetwork) -> ForecastNetwork:
    """The network away from its start, where it only repeats the naive forecast."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def test_pinball_is_the_hand_sum() -> None:
    """Errors +2 and -4 at levels 0.1, 0.5, 0.9; the missing step does not count."""
    batch = INPUTS.collate(WINDOWS.batch(np.array([0])))
    batch = batch._replace(target=torch.tensor([[2.0, -4.0, 100.0]]), weight=torch.tensor([[1.0, 1.0, 0.0]]))
    quantiles = torch.tensor([0.1, 0.5, 0.9])
    loss = pinball(torch.zeros(1, 3, 3), batch, quantiles)
    above = (0.1 * 2 + 0.5 * 2 + 0.9 * 2) / 3
    below = (0.9 * 4 + 0.5 * 4 + 0.1 * 4) / 3
    assert loss.item() == pytest.approx((above + below) / 2)


def test_pinball_of_a_batch_without_targets_is_zero() -> None:
    batch = INPUTS.collate(WINDOWS.batch(np.array([0])))
    empty = batch._replace(weight=torch.zeros(1, 3))
    assert pinball(torch.ones(1, 3, 1), empty, torch.tensor([0.5])).item() == 0.0


@pytest.mark.parametrize("metric", get_args(PointMetric))
def test_the_errors_of_windows_are_those_of_utilsforecast(metric: PointMetric) -> None:
    generator = np.random.default_rng(0)
    target, forecast = generator.normal(2, 1, size=(2, 5, 4))
    train = generator.normal(size=(5, 30))
    scale = np.abs(train[:, 2:] - train[:, :-2]).mean(axis=1)
    ids = [f"w{i}" for i in range(5)]
    frame = pl.DataFrame(
        {
            "unique_id": np.repeat(ids, 4),
            "ds": np.tile(np.arange(4), 5),
            "y": target.ravel(),
            "m": forecast.ravel(),
        }
    )
    past = pl.DataFrame(
        {"unique_id": np.repeat(ids, 30), "ds": np.tile(np.arange(30), 5), "y": train.ravel()}
    )
    ours = window_errors(metric, target, forecast, scale)
    official = {
        "mae": losses.mae(frame, ["m"]),
        "mse": losses.mse(frame, ["m"]),
        "rmse": losses.mse(frame, ["m"]),  # the root is taken of the mean over windows
        "smape": losses.smape(frame, ["m"]).with_columns(pl.col("m") * 200),  # theirs is 0 to 1
        "mase": losses.mase(frame, ["m"], seasonality=2, train_df=past),
    }
    np.testing.assert_allclose(ours, official[metric]["m"].to_numpy(), rtol=1e-10)


def test_the_mean_error_is_the_metric_over_all_windows() -> None:
    target, forecast = np.random.default_rng(1).normal(size=(2, 6, 4))
    one = np.ones(6)
    mae, rmse = (mean_error(m, window_errors(m, target, forecast, one)) for m in ("mae", "rmse"))
    assert mae == pytest.approx(mean_absolute_error(target, forecast))
    assert rmse == pytest.approx(np.sqrt(mean_squared_error(target, forecast)))


def test_missing_targets_do_not_count() -> None:
    target = np.array([[1.0, NAN], [NAN, NAN]])
    errors = window_errors("mae", target, np.array([[4.0, 9.0], [0.0, 0.0]]), np.ones(2))
    assert errors[0] == 3.0
    assert np.isnan(errors[1])
    assert mean_error("mae", errors) == 3.0
    assert np.isnan(mean_error("mae", errors[1:]))


def test_zero_against_zero_is_no_error() -> None:
    assert window_errors("smape", np.zeros((1, 2)), np.zeros((1, 2)), np.ones(1)).tolist() == [0.0]


def test_batches_depend_on_seed_and_epoch_alone_and_start_skips() -> None:
    def targets(epoch: int, *, start: int = 0, seed: int = 1) -> list[list[float]]:
        batches = ForecastBatches(WINDOWS, INPUTS, batch_size=6, seed=seed)
        return [batch.offset[:, 0].tolist() for batch in batches.epoch(epoch, start=start)]

    whole = targets(4)
    assert len(whole) == len(ForecastBatches(WINDOWS, INPUTS, batch_size=6, seed=1)) == 5
    assert targets(4) == whole
    assert targets(4, start=2) == whole[2:]
    assert targets(5) != whole
    assert targets(4, seed=2) != whole
    assert all(len(batch) == 6 for batch in whole)
    assert len({offset for batch in whole for offset in batch}) == 30  # no window twice


def test_fewer_windows_than_a_batch_are_one_batch() -> None:
    batches = ForecastBatches(WINDOWS, INPUTS, batch_size=1000, seed=0)
    assert len(batches) == 1
    assert [len(batch.past) for batch in batches.epoch(0)] == [32]


def test_an_untrained_network_forecasts_the_seasonal_naive_rule() -> None:
    frame = pl.DataFrame({"y": np.arange(40.0) ** 1.5})
    table = read_series(frame)
    table = replace(table, frequency=type(table.frequency)("1", (4,)))
    cuts = split_in_time(table, horizon=6)
    inputs = ForecastInputs.fit(table, cuts, padded=False)
    config = ForecastConfig(horizon=6, input_size=8)
    model = ForecastNetwork(config, inputs, StackConfig(hidden_sizes=(4,)))
    windows = evaluation_windows(table, cuts, part="test", input_size=8, horizon=6)
    forecast = predict_windows(model, inputs, windows)
    origin = int(windows.origins[0])
    expected = table.y[[origin - 4, origin - 3, origin - 2, origin - 1, origin - 4, origin - 3]]
    np.testing.assert_allclose(forecast[0], np.repeat(expected[:, None], 7, axis=1), rtol=1e-5)


def test_forecasts_follow_the_scale_of_the_window() -> None:
    """The same window in another unit gives the same forecast in that unit."""
    model = shaken(network())
    other = replace(TABLE, y=1000.0 + 50 * TABLE.y)
    ours = predict_windows(model, INPUTS, WINDOWS)
    theirs = predict_windows(model, INPUTS, replace(WINDOWS, table=other))
    np.testing.assert_allclose(theirs, 1000 + 50 * ours, rtol=1e-4)


def test_quantiles_ascend_and_do_not_depend_on_the_batch_size() -> None:
    model = shaken(network())
    whole = predict_windows(model, INPUTS, WINDOWS)
    assert whole.shape == (32, HORIZON, 7)
    assert (np.diff(whole, axis=-1) >= 0).all()
    np.testing.assert_allclose(
        predict_windows(model, INPUTS, WINDOWS, batch_size=5), whole, rtol=1e-5, atol=1e-6
    )


def test_values_behind_the_mask_do_not_matter() -> None:
    """The target and what is known ahead count; what stands in missing targets does not."""
    model = shaken(network())
    batch = INPUTS.collate(WINDOWS.batch(slice(None)))
    weight = batch.weight.clone()
    weight[:, 1] = 0
    objective = ForecastObjective(model.config, INPUTS, WINDOWS, metric="mae", scale=np.ones(1))

    def loss_and_gradient(target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        model.zero_grad()
        loss = objective.loss(model, batch._replace(target=target, weight=weight))
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own gap
        assert model.head.weight.grad is not None
        return loss.detach(), model.head.weight.grad.clone()

    spoilt = batch.target.clone()
    spoilt[:, 1] = 1e6
    for ours, theirs in zip(loss_and_gradient(batch.target), loss_and_gradient(spoilt), strict=True):
        assert torch.equal(ours, theirs)


def test_what_is_known_ahead_reaches_its_own_step_only() -> None:
    model = shaken(network())
    batch = INPUTS.collate(WINDOWS.batch(np.array([0])))
    future = batch.future.clone()
    future[:, 1] += 1
    changed = (model(batch._replace(future=future)) - model(batch)).abs().amax(-1)[0]
    assert (changed > 1e-4).tolist() == [False, True, False]


@pytest.mark.parametrize(
    "body",
    [
        StackConfig(cell="gru", hidden_sizes=(4, 3), directions=("both", "forward")),
        StackConfig(hidden_sizes=(4,), directions=("both",)),
        TransformerConfig(size=4, heads=2, layers=1),
    ],
)
@pytest.mark.parametrize("segment", [1, 4])
def test_every_body_reads_steps_and_segments(body: StackConfig | TransformerConfig, segment: int) -> None:
    model = network(body, segment=segment, attention=True, highway="none")
    batch = INPUTS.collate(WINDOWS.batch(slice(None)))
    out = shaken(model)(batch)
    assert out.shape == (32, HORIZON, 7)
    out.sum().backward()
    assert all(
        p.grad is not None and p.grad.abs().sum() > 0 for p in model.reader.body.parameters() if p.ndim > 1
    )


def test_a_segment_holds_its_steps_in_order() -> None:
    model = network(segment=4)
    seen: list[torch.Tensor] = []
    model.reader.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    batch = INPUTS.collate(WINDOWS.batch(np.array([0])))
    model(batch)
    assert seen[0].shape == (1, 2, 8)  # 4 steps of the target and one covariate
    assert seen[0][0, 1, ::2].tolist() == batch.past[0, 4:].tolist()
    assert seen[0][0, 1, 1::2].tolist() == batch.steps[0, 4:, 0].tolist()


@pytest.mark.parametrize("metric", get_args(PointMetric))
def test_the_score_is_the_metric_of_the_median_on_validation(metric: PointMetric) -> None:
    model = shaken(network())
    scale = mase_scale(TABLE, CUTS, 1)
    objective = ForecastObjective(model.config, INPUTS, WINDOWS, metric=metric, scale=scale)
    target = WINDOWS.batch(slice(None)).target
    batch = INPUTS.collate(WINDOWS.batch(slice(None)))
    with torch.no_grad():
        median = descale(model(batch)[..., 3], batch)
    expected = mean_error(metric, window_errors(metric, target, median, np.repeat(scale, 32)))
    score, loss = objective.validate(model)
    assert score == pytest.approx(expected, rel=1e-5)
    with torch.no_grad():
        assert loss == pytest.approx(float(objective.loss(model, batch)), rel=1e-5)


def test_many_validation_windows_are_thinned_evenly() -> None:
    model = shaken(network())
    few = replace(WINDOWS, origins=WINDOWS.origins[[0, 15, 31]], series=np.zeros(3, dtype=np.int64))
    thinned, chosen = (
        ForecastObjective(model.config, INPUTS, windows, metric="mae", scale=np.ones(1), most_windows=3)
        for windows in (WINDOWS, few)
    )
    assert thinned.validate(model) == pytest.approx(chosen.validate(model))


def test_a_recurrence_that_died_is_evidence_of_collapse() -> None:
    model = network()
    objective = ForecastObjective(model.config, INPUTS, WINDOWS, metric="mae", scale=np.ones(1))
    assert objective.constant_output(model) is None
    with torch.no_grad():
        for parameter in model.reader.parameters():
            parameter.zero_()
    evidence = objective.constant_output(model)
    assert evidence is not None
    assert "the same for every window" in evidence


def test_descaling_is_the_inverse_of_scaling() -> None:
    raw = WINDOWS.batch(slice(None))
    batch: ForecastBatch = INPUTS.collate(raw)
    np.testing.assert_allclose(descale(batch.target, batch), raw.target, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"input_size": 7, "segment": 2}, "input_size 7 must be a multiple of segment 2"),
        ({"input_size": 4, "quantiles": (0.1, 0.9)}, r"quantiles must ascend .*hold 0\.5"),
        ({"input_size": 4, "quantiles": (0.5, 0.1)}, r"quantiles must ascend .*hold 0\.5"),
        ({"input_size": 4, "segmnt": 2}, "unknown key 'segmnt'; did you mean 'segment'"),
        ({"input_size": 0}, "input_size: "),
        ({"input_size": 4, "highway": "lienar"}, "highway: .*'lienar'"),
    ],
)
def test_a_form_that_cannot_be_says_why(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ForecastConfig.parse({"horizon": 2, **fields})


@pytest.mark.parametrize("quantiles", [(0.0, 0.5, 0.9), (0.5, 1.0), (-0.1, 0.5)])
def test_quantiles_lie_between_0_and_1(quantiles: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match=r"quantiles must ascend .*hold 0\.5"):
        ForecastConfig(horizon=2, input_size=4, quantiles=quantiles)


def test_an_unknown_metric_is_an_error_that_guesses() -> None:
    with pytest.raises(ConfigError, match=r"'smap'; did you mean 'smape'\?"):
        ForecastObjective(network().config, INPUTS, WINDOWS, metric="smap", scale=np.ones(1))  # type: ignore[arg-type]
