from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from lamina.data.scaling import Identity, Standardizer, scaler_from_dict
from lamina.errors import DataError, SavedModelError


@pytest.fixture
def values() -> np.ndarray:
    generator = np.random.default_rng(0)
    values = generator.normal([5.0, -300.0, 1e6], [1.0, 40.0, 1e-3], (200, 3))
    values[::7, 1] = np.nan
    return np.asarray(values)


def test_statistics_are_those_of_scikit_learn(values: np.ndarray) -> None:
    ours, theirs = Standardizer.fit(values), StandardScaler().fit(values)
    np.testing.assert_allclose(ours.mean, theirs.mean_, rtol=1e-12)
    np.testing.assert_allclose(ours.scale, theirs.scale_, rtol=1e-6)
    np.testing.assert_array_equal(np.isnan(ours.transform(values)), np.isnan(values))


def test_inverse_gives_the_values_back(values: np.ndarray) -> None:
    scaler = Standardizer.fit(values)
    np.testing.assert_allclose(scaler.inverse(scaler.transform(values)), values, rtol=1e-12)


def test_updating_row_by_row_equals_fitting_at_once(values: np.ndarray) -> None:
    scaler = Standardizer.fit(values[:50])
    for row in values[50:]:
        scaler = scaler.update(row)
    whole = Standardizer.fit(values)
    np.testing.assert_array_equal(scaler.count, whole.count)
    np.testing.assert_allclose(scaler.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(scaler.scale, whole.scale, rtol=1e-6)


def test_saving_is_exact(values: np.ndarray) -> None:
    scaler = Standardizer.fit(values)
    loaded = scaler_from_dict(json.loads(json.dumps(scaler.to_dict())))
    np.testing.assert_array_equal(loaded.transform(values), scaler.transform(values))
    assert isinstance(scaler_from_dict(Identity().to_dict()), Identity)
    with pytest.raises(SavedModelError, match="the saved one is 'minmax'"):
        scaler_from_dict({"kind": "minmax"})


def test_columns_that_do_not_vary_or_are_missing_are_not_blown_up() -> None:
    values = np.array([[0.1, np.nan], [0.1, np.nan], [0.1, np.nan]])
    scaler = Standardizer.fit(values)
    assert scaler.scale.tolist() == [1.0, 1.0]
    np.testing.assert_allclose(scaler.transform(values)[:, 0], 0.0, atol=1e-15)
    assert scaler.transform(np.array([[0.1, 7.0]]))[0, 1] == 7.0


def test_no_rows_and_no_columns_are_accepted() -> None:
    assert Standardizer.fit(np.empty((0, 2))).scale.tolist() == [1.0, 1.0]
    assert Standardizer.fit(np.empty((5, 0), np.float32)).transform(np.empty((3, 0))).shape == (3, 0)


def test_dtype_is_kept() -> None:
    values = np.array([[1.0], [2.0]], dtype=np.float32)
    assert Standardizer.fit(values).transform(values).dtype == np.float32


def test_one_axis_is_an_error() -> None:
    with pytest.raises(DataError, match=r"must be \(rows, columns\) but are \(3,\)"):
        Standardizer.fit(np.zeros(3))


def test_identity_changes_nothing() -> None:
    row = np.array([1.0, np.nan])
    np.testing.assert_array_equal(Identity().update(row).inverse(Identity().transform(row)), row)
