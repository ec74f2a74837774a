from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from lamina.errors import ConfigError, DataError
from lamina.estimators.forecaster import Forecaster
from lamina.nn.stack import StackConfig
from lamina.streaming import forecast_session, opening, packed
from lamina.streaming.forecast_session import Forecast, ForecastSession
from lamina.streaming.session import Session
from lamina.training.optim import TrainingConfig

ROWS, KNOWN, HORIZON = 420, 400, 6


def frame(*, gaps: bool, covariates: bool, step: str = "1h", names: tuple[str, ...] = ("",)) -> pl.DataFrame:
    generator = np.random.default_rng(0)
    parts = []
    for name in names:
        time = pl.datetime_range(
            pl.datetime(2020, 1, 31),
            pl.datetime(2020, 1, 31).dt.offset_by(f"{ROWS - 1}{step[1:]}"),
            step,
            eager=True,
        )
        y = 10 + 3 * np.sin(np.arange(ROWS) * 2 * np.pi / 24) + generator.normal(size=ROWS) * 0.3
        made: dict[str, Any] = {"ds": time, "y": y}
        if covariates:
            made["plan"] = generator.normal(size=ROWS)
            made["rain"] = generator.normal(size=ROWS)
            made["wind"] = [("N", "S", None)[i % 3] if gaps else "NS"[i % 2] for i in range(ROWS)]
        part = pl.DataFrame(made)
        if name:
            part = part.with_columns(pl.lit(name).alias("unique_id"), pl.lit(float(len(name))).alias("size"))
        parts.append(part)
    whole = pl.concat(parts)
    if gaps:
        hole = pl.int_range(len(whole)) % 17 == 3
        columns = [name for name in ("y", "plan", "rain") if name in whole.columns]
        whole = whole.with_columns(pl.when(hole).then(None).otherwise(pl.col(c)).alias(c) for c in columns)
    return whole


def fitted(data: pl.DataFrame, **fields: Any) -> Forecaster:
    """A model hardly trained, its weights moved by noise so that each of them is in the forecast."""
    named = "unique_id" in data.columns
    stack = StackConfig(cell="lnlstm", hidden_sizes=(7, 5), residual="add", norm="layer")
    model = Forecaster(
        HORIZON, **{"stack": stack, "training": TrainingConfig(max_steps=1), "refit": False, **fields}
    )
    known = data.group_by("unique_id", maintain_order=True).head(KNOWN) if named else data[:KNOWN]
    model.fit(
        known, target="y", future=["plan"] if "plan" in data.columns else [], static=["size"] if named else []
    )
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.network_.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def ahead(data: pl.DataFrame, row: int) -> list[dict[str, Any]]:
    return (
        [{"plan": value} for value in data["plan"][row + 1 : row + 1 + HORIZON]]
        if "plan" in data.columns
        else []
    )


def assert_agrees(
    found: Forecast | None, model: Forecaster, seen: pl.DataFrame, future: pl.DataFrame | None
) -> None:
    offline = model.predict(df=seen, future=future, level=[80])
    assert found is not None
    scale = 1 + np.abs(offline["Forecaster"].to_numpy())
    low, high = found.interval(80)
    for name, values in (("Forecaster", found.median), ("Forecaster-lo-80", low), ("Forecaster-hi-80", high)):
        assert (np.abs(values - offline[name].to_numpy()) / scale).max() < 1e-5
    assert found.time is not None
    assert (offline["ds"].to_numpy().astype("M8[us]") == found.time).all()


@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("covariates", [False, True])
@pytest.mark.parametrize("gaps", [False, True])
def test_a_session_forecasts_what_predict_does(gaps: bool, covariates: bool, attention: bool) -> None:
    data = frame(gaps=gaps, covariates=covariates)
    model = fitted(data, attention=attention)
    session = model.stream()
    for row in range(KNOWN, KNOWN + 8):
        found = session.step(data.row(row, named=True), future=ahead(data, row))
        future = data[row + 1 : row + 1 + HORIZON].select("ds", "plan") if covariates else None
        assert_agrees(found, model, data[: row + 1], future)


@pytest.mark.parametrize("unit", packed.require_native().runnable_units())
def test_every_unit_forecasts_what_predict_does(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps of one vector and of several, and what is known ahead."""
    monkeypatch.setattr(opening, "new_model", lambda storage: packed.new_model(storage, unit))
    data = frame(gaps=True, covariates=True)
    model = fitted(data, stack=StackConfig(hidden_sizes=(70,)))
    found = model.stream().step(data.row(KNOWN, named=True), future=ahead(data, KNOWN))
    future = data[KNOWN + 1 : KNOWN + 1 + HORIZON].select("ds", "plan")
    assert_agrees(found, model, data[: KNOWN + 1], future)


@pytest.mark.parametrize("step", ["1d", "1mo"])
def test_the_calendar_of_every_step_is_read(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of steps on both sides of where one stretch of kept features ends."""
    monkeypatch.setattr(forecast_session, "STRETCH", 2)
    data = frame(gaps=False, covariates=False, step=step)
    model = fitted(data)
    session = model.stream()
    for row in range(KNOWN, KNOWN + 3):
        assert_agrees(session.step(data.row(row, named=True)), model, data[: row + 1], None)


@pytest.mark.parametrize("segment", [1, 4])
def test_windows_without_season_or_highway_are_read(segment: int) -> None:
    generator = np.random.default_rng(1)
    data = pl.DataFrame({"y": generator.normal(size=200).cumsum()})
    stack = StackConfig(hidden_sizes=(6,))
    training = TrainingConfig(max_steps=8)
    model = Forecaster(3, input_size=24, segment=segment, highway="none", stack=stack, training=training)
    session = model.fit(data[:180]).stream()
    session.clear()
    found = [session.step(value) for value in data["y"][:190]]
    assert found[:23] == [None] * 23
    offline = model.predict(df=data[:190])["Forecaster"].to_numpy()
    last = found[-1]
    assert last is not None
    np.testing.assert_allclose(last.median, offline, rtol=1e-5, atol=1e-5)
    assert last.time is None


def test_a_counted_row_without_its_number_is_the_next() -> None:
    y = np.random.default_rng(1).normal(size=60).cumsum()
    model = Forecaster(
        3, input_size=12, stack=StackConfig(hidden_sizes=(6,)), training=TrainingConfig(max_steps=8)
    )
    model.fit(pl.DataFrame({"y": y[:50]}))
    session, numbered = model.stream(), model.stream()
    for row in range(50, 60):
        found, expected = session.step(y[row]), numbered.step({"y": y[row], "ds": row})
        assert found is not None
        assert expected is not None
        np.testing.assert_array_equal(found.quantiles, expected.quantiles)
        np.testing.assert_array_equal(found.time, row + np.arange(1, 4))


def test_a_model_with_gaps_forecasts_before_its_window_is_full() -> None:
    data = frame(gaps=True, covariates=False)
    model = fitted(data)
    session = model.stream()
    found = [session.step(data.row(row, named=True), key="new") for row in range(4)]
    assert_agrees(found[-1], model, data[:4], None)


def test_left_out_rows_are_missing_ones() -> None:
    data = frame(gaps=True, covariates=True)
    model = fitted(data)
    session = model.stream()
    row = KNOWN + 4
    found = session.step(data.row(row, named=True), future=ahead(data, row))
    holes = pl.col("ds").is_between(data["ds"][KNOWN], data["ds"][row - 1])
    empty = data.with_columns(
        *(
            pl.when(holes).then(None).otherwise(pl.col(name)).alias(name)
            for name in ("y", "plan", "rain", "wind")
        )
    )
    assert_agrees(found, model, empty[: row + 1], data[row + 1 : row + 1 + HORIZON].select("ds", "plan"))


def test_every_stored_series_goes_on_under_its_name(tmp_path: Path) -> None:
    data = frame(gaps=False, covariates=False, names=("north", "south-west"))
    model = fitted(data)
    model.save(tmp_path / "model")
    session = Session.open(tmp_path / "model")
    assert isinstance(session, ForecastSession)
    assert session.keys() == ["north", "south-west"]
    for key in ("north", "south-west"):
        own = data.filter(pl.col("unique_id") == key)
        begun = session.forecast(key=key)
        assert begun is not None
        assert_agrees(begun, model, own[:KNOWN], None)
        row = own.drop("unique_id").row(KNOWN, named=True)
        assert_agrees(session.step(row, key=key), model, own[: KNOWN + 1], None)


def test_a_snapshot_holds_the_windows() -> None:
    data = frame(gaps=False, covariates=False)
    model = fitted(data)
    one, other = model.stream(), model.stream()
    one.step(data.row(KNOWN, named=True))
    other.clear()
    other.restore(one.snapshot())
    row = data.row(KNOWN + 1, named=True)
    expected, found = one.step(row), other.step(row)
    assert expected is not None
    assert found is not None
    assert np.array_equal(found.quantiles, expected.quantiles)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": "ten"}, "'y' is a number, but is 'ten'"),
        ({"y": None}, "'y' is missing in this row, and was never missing"),
        ({"rain": float("nan")}, "'rain' is missing"),
        ({"rain": float("inf")}, "'rain' is finite or missing"),
        ({"wind": 3}, "'wind' holds categories, which are text"),
        ({"rian": 1.0}, "did you mean 'rain'"),
        ({"ds": "soon"}, "'ds' is a date"),
        ({"ds": 5}, "'ds' is a date"),
        ({"ds": "2020-01-31"}, "each after the last"),
        ({"ds": "2020-02-16T16:30"}, "whole steps of 1h apart"),
        ({"ds": "2020-02-16T18:00"}, "rows are left out between"),
        ({"ds": None}, "have a time .* each or none"),
    ],
)
def test_a_bad_row_is_an_error_and_changes_nothing(change: dict[str, Any], message: str) -> None:
    data = frame(gaps=False, covariates=True)
    session = SESSIONS.setdefault("one", fitted(data).stream())
    before = session.snapshot()
    with pytest.raises(DataError, match=message):
        session.step({**data.row(KNOWN, named=True), **change}, future=ahead(data, KNOWN))
    assert session.snapshot() == before


SESSIONS: dict[str, Any] = {}


def test_what_is_known_ahead_must_be_given() -> None:
    data = frame(gaps=False, covariates=True)
    session = SESSIONS.setdefault("one", fitted(data).stream())
    row = data.row(KNOWN, named=True)
    with pytest.raises(DataError, match="one mapping for each of the next 6 rows, but has 0"):
        session.step(row)
    with pytest.raises(DataError, match="holds 'plan'"):
        session.step(row, future=[{}] * HORIZON)
    with pytest.raises(DataError, match="lacks 'rain'"):
        session.step({"y": 1.0}, future=ahead(data, KNOWN))


def test_a_session_has_room_for_the_stored_series() -> None:
    data = frame(gaps=False, covariates=False, names=("north", "south"))
    with pytest.raises(ConfigError, match="number of training series, 2, but is 1"):
        fitted(data).stream(max_keys=1)


@pytest.mark.parametrize(
    ("max_keys", "second"),
    [
        (100, [("c", 0), ("a", 1), ("a", 2), ("", 1)]),
        (2, [("c", 0), ("", 0), ("a", 0), ("a", 1)]),  # "" and "a" were forgotten before their rows
        (1, [("c", 0), ("c", 1), ("", 0)]),
    ],
)
def test_many_series_in_one_call_are_as_one_by_one(max_keys: int, second: list[tuple[str, int]]) -> None:
    """Some twice in a call, and more of them than are kept."""
    data = frame(gaps=False, covariates=True)
    model = fitted(data)
    one, many = (model.stream(adaptive=[80], max_keys=max_keys) for _ in range(2))
    for call in ([("", 0), ("a", 0)], second):
        rows = [(row_of(data, KNOWN + row), key, ahead(data, KNOWN + row)) for key, row in call]
        expected = [one.step(x, key=key, future=future) for x, key, future in rows]
        x, keys, known = zip(*rows, strict=True)
        for found, wanted in zip(many.step_many(x, keys, future=known), expected, strict=True):
            assert (found is None) == (wanted is None)
            if found is not None and wanted is not None:
                np.testing.assert_array_equal(found.quantiles, wanted.quantiles)
        assert many.snapshot() == one.snapshot()
    assert one.evicted == {100: 0, 2: 3, 1: 3}[max_keys]


def row_of(data: pl.DataFrame, row: int) -> dict[str, Any]:
    return data.row(row, named=True)


def test_where_a_row_of_many_breaks_a_rule_none_is_read() -> None:
    data = frame(gaps=False, covariates=False)
    session = fitted(data).stream()
    before = session.snapshot()
    good = row_of(data, KNOWN)
    wrong: list[tuple[list[Any], list[str]]] = [
        ([good, {**good, "y": "ten"}], ["", "a"]),
        ([good, good], ["", ""]),  # the second comes at the time of the first
        ([good, good], ["", "k" * 300]),
        ([good], ["", "a"]),
        ([good], "a"),  # type: ignore[list-item]  # wrong on purpose
    ]
    for x, keys in wrong:
        with pytest.raises(DataError):
            session.step_many(x, keys)
        assert session.snapshot() == before
    assert session.step_many([], []) == []
