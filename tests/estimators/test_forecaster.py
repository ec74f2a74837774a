from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from sklearn.base import clone

from lamina.data.series import read_series
from lamina.data.splits import split_in_time
from lamina.data.windows import evaluation_windows
from lamina.errors import ConfigError, DataError, NotFittedError, SavedModelError
from lamina.estimators.forecaster import Forecaster
from lamina.estimators.load import load
from lamina.estimators.saving import SavedModel
from lamina.metrics import mase_scale
from lamina.nn.stack import StackConfig
from lamina.nn.transformer import TransformerConfig
from lamina.tasks.base import BodyConfig
from lamina.training.callbacks import Callback
from lamina.training.loop import Run
from lamina.training.optim import TrainingConfig

QUICK = TrainingConfig(max_steps=12, batch_size=16, validations=3, learning_rate=0.01)
SMALL = StackConfig(hidden_sizes=(4,), dropout=0.2)
START = np.datetime64("2024-01-01", "us")
DAY = np.timedelta64(1, "D")
HORIZON = 3


def quick(**changes: Any) -> Forecaster:
    fields: dict[str, Any] = {"horizon": HORIZON, "input_size": 8, "stack": SMALL, "training": QUICK}
    return Forecaster(**(fields | changes))


def waves(rows: int = 80, *, seed: int = 0) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    y = 5 + np.sin(np.arange(rows) / 2) + 0.2 * generator.normal(size=rows)
    return pl.DataFrame({"ds": START + np.arange(rows) * DAY, "y": y})


def before(frame: pl.DataFrame, row: int) -> pl.DataFrame:
    """The rows before the given day of every series."""
    return frame.filter(pl.col("ds") < pl.lit(START + row * DAY))


def rich(rows: int = 70) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Three series with gaps and covariates of every kind, and what is known of the days after them."""
    generator = np.random.default_rng(0)
    frames = []
    for name, level in (("a", 10.0), ("b", -3.0), ("c", 500.0)):
        y = level * (1 + 0.1 * generator.normal(size=rows))
        y[generator.random(rows) < 0.1] = np.nan
        rain = generator.normal(size=rows)
        rain[generator.random(rows) < 0.2] = np.nan
        frames.append(
            pl.DataFrame(
                {
                    "unique_id": name,
                    "ds": START + np.arange(rows) * DAY,
                    "y": y,
                    "promo": generator.normal(size=rows),
                    "weather": generator.choice(["sun", "rain", "snow"], size=rows),
                    "rain": rain,
                    "wind": generator.choice(["N", "S"], size=rows),
                    "size": level,
                    "kind": "big" if level > 100 else "small",
                }
            )
        )
    table = pl.concat(frames)
    past = before(table, rows - HORIZON)
    later = table.join(past, on=["unique_id", "ds"], how="anti", maintain_order="left")
    return past, later.drop("y", "rain", "wind", "size", "kind")


def fit_rich(**changes: Any) -> tuple[Forecaster, pl.DataFrame]:
    past, later = rich()
    model = quick(**changes)
    return model.fit(past, future=["promo", "weather"], static=["size", "kind"]), later


def values(frame: pl.DataFrame) -> np.ndarray:
    return frame.drop("unique_id", "ds").to_numpy()


BODIES: list[BodyConfig] = [
    SMALL,
    StackConfig(cell="gru", hidden_sizes=(4,), directions=("both",)),
    TransformerConfig(size=4, heads=2, layers=1),
]


@pytest.mark.parametrize("body", BODIES)
def test_predictions_after_loading_are_equal_bit_for_bit(tmp_path: Path, body: BodyConfig) -> None:
    model, later = fit_rich(stack=body, attention=True)
    model.save(tmp_path / "m")
    again = load(tmp_path / "m")
    assert isinstance(again, Forecaster)
    ours = model.predict(future=later, level=[50, 95])
    assert again.predict(future=later, level=[50, 95]).equals(ours)
    assert np.isfinite(values(ours)).all()
    past, _ = rich()
    shorter, known = before(past, 40), past
    theirs = again.predict(df=shorter, future=known)
    assert theirs.equals(model.predict(df=shorter, future=known))
    assert again.get_params() == model.get_params()
    assert again.history_ == model.history_
    assert again.config_ == model.config_


def test_saving_what_was_loaded_writes_the_same_model(tmp_path: Path) -> None:
    model, _ = fit_rich()
    model.save(tmp_path / "one")
    load(tmp_path / "one").save(tmp_path / "two")
    for name in ("config.json", "preprocessing.json", "weights.safetensors", "history.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_a_collapsed_run_can_be_saved_and_loaded(tmp_path: Path) -> None:
    wild = TrainingConfig(max_steps=20, learning_rate=1e30, schedule="constant", validations=20)
    model = quick(training=wild).fit(waves())
    assert model.history_.outcome == "collapsed"
    model.history_.validation.append(float("nan"))
    model.save(tmp_path / "m")
    json.loads((tmp_path / "m" / "manifest.json").read_text(), parse_constant=pytest.fail)
    again = load(tmp_path / "m")
    assert again.history_.outcome == "collapsed"
    assert again.history_.reason == model.history_.reason
    np.testing.assert_array_equal(again.history_.validation, model.history_.validation)


def test_the_same_seed_gives_the_same_numbers_again() -> None:
    frames = [quick(seed=seed).fit(waves()).predict(level=[80]) for seed in (1, 1, 2)]
    assert frames[0].equals(frames[1])
    assert not frames[0].equals(frames[2])


def test_fit_and_predict_leave_the_users_random_state_alone() -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    quick().fit(waves()).predict()
    assert torch.equal(torch.get_rng_state(), state)


def test_clone_and_parameters_follow_scikit_learn() -> None:
    model = quick(seed=5, attention=True)
    twin = clone(model)
    assert twin.get_params() == model.get_params()
    assert {"horizon", "input_size", "stack", "training", "seed"} <= set(model.get_params())
    assert model.set_params(horizon=9).horizon == 9
    with pytest.raises(ValueError, match="Invalid parameter 'horizn'"):
        model.set_params(horizn=1)
    fitted = quick().fit(waves())
    assert not hasattr(clone(fitted), "network_")


@pytest.mark.parametrize("kind", [pl.DataFrame, pd.DataFrame, pa.Table])
def test_the_answer_is_a_frame_of_the_kind_that_came_in(kind: type) -> None:
    frame: Any = waves()
    given: Any = {pl.DataFrame: frame, pd.DataFrame: frame.to_pandas(), pa.Table: frame.to_arrow()}[kind]
    model = quick().fit(given)
    answer = model.predict()
    assert type(answer).__name__ == kind.__name__
    assert isinstance(model.predict(df=waves()), pl.DataFrame)
    expected = quick().fit(frame).predict()["Forecaster"].to_list()
    assert answer["Forecaster"].to_numpy().tolist() == expected


def test_a_forecast_continues_every_series() -> None:
    model, later = fit_rich()
    frame = model.predict(future=later, level=[80])
    assert frame.columns == ["unique_id", "ds", "Forecaster", "Forecaster-lo-80", "Forecaster-hi-80"]
    assert frame["unique_id"].to_list() == ["a"] * 3 + ["b"] * 3 + ["c"] * 3
    assert frame["ds"].to_list() == later["ds"].to_list()
    assert (frame["Forecaster-lo-80"] <= frame["Forecaster"]).all()
    assert (frame["Forecaster"] <= frame["Forecaster-hi-80"]).all()
    assert frame.filter(pl.col("unique_id") == "c")["Forecaster"].is_between(300, 700).all()


def test_fewer_steps_are_the_first_of_all_steps() -> None:
    model = quick().fit(waves())
    assert model.predict(2, level=[80]).equals(model.predict(level=[80]).head(2))
    assert len(model.predict(1)) == 1


def test_wider_levels_hold_narrower_ones() -> None:
    frame = quick().fit(waves()).predict(level=[40, 80, 95])
    edges = [f"Forecaster-lo-{p}" for p in (95, 80, 40)] + [f"Forecaster-hi-{p}" for p in (40, 80, 95)]
    assert (np.diff(frame.select(edges).to_numpy(), axis=1) >= 0).all()


def test_calibrated_intervals_cover_what_they_say() -> None:
    """White noise around a level: later truths lie in the 80 % interval 80 % of the time."""
    generator = np.random.default_rng(0)
    frame = pl.DataFrame({"y": generator.normal(50, 4, size=1500)})
    model = quick(horizon=2, refit=False).fit(frame.head(1000))
    found = model.cross_validation(frame, n_windows=200, step_size=2, level=[80])
    inside = (found["y"] >= found["Forecaster-lo-80"]) & (found["y"] <= found["Forecaster-hi-80"])
    assert len(found) == 400
    assert inside.mean() == pytest.approx(0.8, abs=0.07)


def test_cross_validation_has_the_columns_and_cutoffs_of_nixtla() -> None:
    frame = waves(60)
    found = quick().fit(frame).cross_validation(frame, n_windows=3, step_size=2, level=[80])
    assert found.columns == [
        "unique_id", "ds", "cutoff", "y", "Forecaster", "Forecaster-lo-80", "Forecaster-hi-80",
    ]  # fmt: skip
    # The last window ends with the table; the others end 2 and 4 days earlier.
    cutoffs = [START + (60 - 1 - 3 - back) * DAY for back in (4, 2, 0)]
    assert found["cutoff"].to_numpy().tolist() == np.repeat(cutoffs, 3).tolist()
    assert ((found["ds"] - found["cutoff"]).dt.total_days().to_numpy().reshape(3, 3) == [1, 2, 3]).all()
    truth = dict(zip(frame["ds"], frame["y"], strict=True))
    assert found["y"].to_list() == [truth[ds] for ds in found["ds"]]


@pytest.mark.parametrize("refit", [False, True])
def test_rows_after_a_cutoff_do_not_change_the_forecast_before(refit: bool) -> None:
    frame = waves(60)
    model = quick().fit(frame)
    unspoilt = model.cross_validation(frame, n_windows=2, refit=refit)
    for cutoff in unspoilt["cutoff"].unique():
        spoilt = frame.with_columns(y=pl.when(pl.col("ds") > cutoff).then(1e6).otherwise(pl.col("y")))
        after = model.cross_validation(spoilt, n_windows=2, refit=refit)
        seen = pl.col("cutoff") <= cutoff
        ours, theirs = (part.filter(seen)["Forecaster"].to_list() for part in (unspoilt, after))
        assert ours == theirs


def test_cross_validation_does_not_change_the_estimator() -> None:
    frame = waves(60)
    model = quick().fit(frame)
    forecast = model.predict()
    model.cross_validation(frame.with_columns(pl.col("y") * 3), n_windows=2)
    assert model.predict().equals(forecast)


def test_changing_the_future_of_a_table_leaves_all_fitted_state() -> None:
    past, _ = rich()
    table = read_series(past, future=["promo", "weather"], static=["size", "kind"])
    cuts = split_in_time(table, horizon=HORIZON)
    place = np.arange(table.rows) - np.repeat(table.starts[:-1], table.lengths)
    later = place >= np.repeat(cuts.validation_end, table.lengths)
    other = replace(
        table,
        y=np.where(later, -1e9, table.y),
        past=np.where(later[:, None], np.float32(7e7), table.past),
        future=np.where(later[:, None], np.float32(-1e6), table.future),
    )
    first, second = (quick().fit_table(t, cuts) for t in (table, other))
    for ours, theirs in zip(first.network_.parameters(), second.network_.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert json.dumps(first.inputs_.to_dict()) == json.dumps(second.inputs_.to_dict())
    np.testing.assert_array_equal(first.calibration_, second.calibration_)
    np.testing.assert_array_equal(first.scales_, second.scales_)
    np.testing.assert_array_equal(first.table_.y, second.table_.y)
    assert first.data_hash_ == second.data_hash_
    assert first.history_.validation == second.history_.validation


def test_a_checkpointed_fit_goes_on_where_it_was(tmp_path: Path) -> None:
    table = read_series(waves())
    cuts = split_in_time(table, horizon=HORIZON)
    training = QUICK.replace(average=0.9)
    whole = quick(training=training).fit_table(table, cuts)

    class Kill(Exception):
        pass

    class AfterFirst(Callback):
        def on_validation(self, run: Run) -> None:
            if len(run.history.steps) == 1:
                raise Kill

    with pytest.raises(Kill):
        quick(training=training).fit_table(
            table, cuts, callbacks=[AfterFirst()], checkpoint=tmp_path / "run.pt"
        )
    resumed = quick(training=training).fit_table(table, cuts, checkpoint=tmp_path / "run.pt")
    assert resumed.predict(level=[80]).equals(whole.predict(level=[80]))
    assert resumed.history_.validation == whole.history_.validation
    assert resumed.history_.train_loss == whole.history_.train_loss


def test_values_behind_the_mask_do_not_matter() -> None:
    """A missing value is read as missing whatever stood there; NaN and null are the same."""
    frame = waves().with_columns(y=pl.when(pl.int_range(pl.len()) % 9 == 4).then(None).otherwise(pl.col("y")))
    as_nan = frame.with_columns(pl.col("y").fill_null(float("nan")))
    assert quick().fit(frame).predict().equals(quick().fit(as_nan).predict())


def test_missing_values_in_the_held_out_end_only_do_not_stop_a_fit() -> None:
    frame = waves()
    gappy = frame.with_columns(y=pl.when(pl.int_range(pl.len()) == 76).then(None).otherwise(pl.col("y")))
    forecast = quick().fit(gappy).predict()
    assert np.isfinite(values(forecast)).all()


def test_a_series_that_was_not_trained_on_can_be_forecast() -> None:
    model = quick().fit(waves())
    other = waves(30, seed=9).with_columns(pl.col("y") * 1000)
    forecast = model.predict(df=other)
    assert forecast["ds"].to_list() == [
        value.item() for value in (START + np.arange(30, 33) * DAY).astype("M8[us]")
    ]
    assert forecast["Forecaster"].is_between(2000, 9000).all()


def test_short_series_beside_long_ones_are_trained_and_forecast() -> None:
    lengths = {"a": 60, "b": 12, "c": 4}
    frame = pl.concat(waves(n).with_columns(unique_id=pl.lit(name)) for name, n in lengths.items())
    forecast = quick().fit(frame).predict()
    assert len(forecast) == 9
    assert np.isfinite(values(forecast)).all()


def test_several_targets_are_a_series_each() -> None:
    frame = waves().with_columns(second=pl.col("y") * -2)
    forecast = quick().fit(frame, target=["y", "second"]).predict()
    assert forecast["unique_id"].unique(maintain_order=True).to_list() == ["y", "second"]


def test_the_score_is_minus_the_metric_over_the_held_out_end() -> None:
    frame = waves()
    model = quick(metric="mae", refit=False).fit(frame)
    table = read_series(frame)
    rows = round(0.15 * 80)
    cuts = split_in_time(table, horizon=HORIZON, test=rows)
    windows = evaluation_windows(table, cuts, part="test", input_size=8, horizon=HORIZON)
    median = model.predict_windows(windows)[..., 3]
    expected = np.abs(windows.batch(slice(None)).target - median).mean()
    assert model.score(frame) == pytest.approx(-expected, rel=1e-6)


def test_errors_are_scaled_by_each_series_own_training_part() -> None:
    model, _ = fit_rich()
    past, _ = rich()
    table = read_series(past, future=["promo", "weather"], static=["size", "kind"])
    cuts = split_in_time(table, horizon=HORIZON)
    windows = evaluation_windows(table, cuts, part="test", input_size=8, horizon=HORIZON)
    scales = mase_scale(table, cuts, 7)
    mae, mase = (model.errors(windows, scales=scales, metric=metric) for metric in ("mae", "mase"))
    np.testing.assert_allclose(mase, mae / scales[windows.series])


def test_every_automatic_choice_can_be_read_off() -> None:
    model = quick(input_size=None).fit(waves())
    assert model.config_.input_size % model.config_.segment == 0
    assert model.config_.horizon == HORIZON
    assert quick(input_size=12, segment=4).fit(waves()).config_.segment == 4


def test_notes_tell_what_was_chosen() -> None:
    model = quick().fit(waves().reverse())
    assert any("sorted" in note for note in model.notes_)


def test_wrong_input_says_what_is_wrong(tmp_path: Path) -> None:
    frame = waves()
    unfitted = quick()
    with pytest.raises(NotFittedError, match=r"was not\. Call fit\(df\) first"):
        unfitted.predict()
    with pytest.raises(NotFittedError, match="Call fit"):
        unfitted.save(tmp_path / "m")
    with pytest.raises(ConfigError, match=r"'maee'; did you mean 'mae'\?"):
        quick(metric="maee").fit(frame)
    with pytest.raises(ConfigError, match="highway: "):
        quick(highway="lienar").fit(frame)
    with pytest.raises(ConfigError, match="input_size 9 must be a multiple of segment 4"):
        quick(input_size=9, segment=4).fit(frame)
    with pytest.raises(DataError, match="sales"):
        quick().fit(frame, target="sales")
    model = quick().fit(frame)
    for steps in (0, 4):
        with pytest.raises(ConfigError, match=f"from 1 to the horizon 3 that was trained, but is {steps}"):
            model.predict(steps)
    with pytest.raises(ConfigError, match=r"level must lie between 0 and 95, .* but is 99\."):
        model.predict(level=[99])


@pytest.mark.parametrize("refit", [False, True])
def test_no_window_to_validate_on_is_an_error(refit: bool) -> None:
    with pytest.raises(ConfigError, match="n_windows"):
        quick().cross_validation(waves(), n_windows=0, refit=refit)


def test_a_stack_that_is_none_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"stack is a StackConfig .* but is 'lstm'"):
        quick(stack="lstm").fit(waves())


def test_a_forecast_without_what_is_known_ahead_names_the_columns() -> None:
    model, later = fit_rich()
    with pytest.raises(DataError, match=r"known ahead \(promo, .*\) are needed for the next 3 rows\. Pass"):
        model.predict()
    with pytest.raises(DataError, match="has no row for 2024-03-10"):
        model.predict(future=later.filter(pl.col("ds") < pl.col("ds").max()))


def test_a_damaged_or_newer_directory_is_an_error(tmp_path: Path) -> None:
    quick().fit(waves()).save(tmp_path / "m")
    assert SavedModel.read(tmp_path / "m").kind == "Forecaster"
    weights = tmp_path / "m" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(SavedModelError, match=r"damaged: weights\.safetensors differs"):
        load(tmp_path / "m")
