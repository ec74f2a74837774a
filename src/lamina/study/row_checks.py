"""Checks of rows and windows of a table: scaling that saw the test, shuffled time, parts that overlap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lamina.data.scaling import Standardizer
from lamina.data.series import SeriesTable
from lamina.data.splits import Cuts
from lamina.data.windows import Windows
from lamina.study.checks import CheckResult
from lamina.study.stretches import shared_runs

Array = NDArray[np.float64]

# Scaled values have mean 0 and deviation 1 to EXACT; their training rows alone are further off than UNLIKE.
EXACT, UNLIKE = 1e-4, 5e-3
LEAST_VALUES = 20  # different values below which a column from 0 to 1 is no sign of scaling
MOST_SERIES = 0.8
# Order tells nothing where a test for any autocorrelation has a p-value above this in most series.
NO_ORDER = 0.001
LEAST_ROWS = 50
LAGS = 10
RUN_ROWS = 24
PASTED = 0.05


def check_rows(table: SeriesTable, cuts: Cuts) -> list[CheckResult]:
    """SC01, TM01 and WN02.

    SC01 values were scaled by statistics of all rows, those of the test included: warn.
    TM01 the rows were shuffled, or are noise: warn.
    WN02 a stretch of rows after training stands in training too: warn.
    """
    return [scaled_with_test(table, cuts), without_order(table), pasted_rows(table, cuts)]


def scaled_with_test(table: SeriesTable, cuts: Cuts) -> CheckResult:
    """SC01: whether the target or a covariate has mean 0 and deviation 1, or ends at 0 and 1, over all rows.

    Only where the training rows alone do not, so that a scaler fitted on them passes.
    """
    training = cuts.train_mask(table)
    columns = {table.target: table.y}
    columns |= {name: table.past[:, i] for i, name in enumerate(table.past_names)}
    columns |= {name: table.future[:, i] for i, name in enumerate(table.future_names)}
    for name, values in columns.items():
        how = _scaled(values, training)
        if how is None:
            each = [
                _scaled(values[begin:end], training[begin:end])
                for begin, end in zip(table.starts[:-1], table.starts[1:], strict=True)
            ]
            how = (
                next((one for one in each if one), None)
                if np.mean([e is not None for e in each]) >= MOST_SERIES
                else None
            )
        if how is not None:
            sentence = (
                f"column '{name}' has {how} over all rows but not over the training rows: it was scaled with "
                "the test part in sight. Give the values as measured; each model scales by its training rows"
            )
            return CheckResult("SC01", "warn", {"name": name, "found": how}, sentence)
    return CheckResult(
        "SC01", "pass", {"columns": len(columns)}, "no column was scaled with the test part in sight"
    )


def _scaled(values: Array, training: NDArray[np.bool_]) -> str | None:
    """What betrays a scaler fitted on all rows, or None."""
    known = ~np.isnan(values)
    whole = np.asarray(values[known], np.float64)
    part = np.asarray(values[known & training], np.float64)
    if len(part) < 2 or len(np.unique(whole[: 50 * LEAST_VALUES])) < LEAST_VALUES or not whole.std():
        return None
    if _is_standard(whole, EXACT):
        return None if _is_standard(part, UNLIKE) else "mean 0 and deviation 1"
    for low in (0.0, -1.0):
        ends = abs(whole.min() - low) < EXACT and abs(whole.max() - 1) < EXACT
        if ends and (abs(part.min() - low) > UNLIKE or abs(part.max() - 1) > UNLIKE):
            return f"least value {low:g} and greatest value 1"
    return None


def _is_standard(values: Array, tolerance: float) -> bool:
    deviations = (values.std(), values.std(ddof=1))
    return abs(values.mean()) < tolerance and any(abs(one - 1) < tolerance for one in deviations)


def fitted_on_training(
    scaler: Standardizer, values: NDArray[np.floating], training: NDArray[np.bool_]
) -> CheckResult:
    """SC02: whether a fitted scaler has the statistics of the training rows.

    Args:
        scaler: as the study's models have it.
        values: (rows, columns), all rows.
        training: (rows,) bool.
    """
    right = Standardizer.fit(values[training])
    off = [
        not np.allclose(getattr(scaler, part), getattr(right, part), rtol=1e-6, atol=1e-9, equal_nan=True)
        for part in ("count", "mean", "m2")
    ]
    if any(off):
        sentence = "a scaler of the study has statistics of other rows than those of training: scores flatter"
        return CheckResult("SC02", "fail", {"rows": int(training.sum())}, sentence)
    return CheckResult(
        "SC02", "pass", {"rows": int(training.sum())}, "scalers have the statistics of the training rows"
    )


def without_order(table: SeriesTable) -> CheckResult:
    """TM01: whether any value tells of a later one, by the test of Ljung and Box.

    Lags are 1 to 10 and the season. Source: Ljung & Box 1978, doi:10.1093/biomet/65.2.297.
    """
    season = table.frequency.season
    p_values = []
    for begin, end in zip(table.starts[:-1], table.starts[1:], strict=True):
        y = table.y[begin:end]
        if (~np.isnan(y)).sum() >= LEAST_ROWS and np.nanstd(y) > 0:
            p_values.append(_order_p(y, sorted({*range(1, LAGS + 1), season} - {0})))
    if not p_values:
        return CheckResult(
            "TM01", "pass", {"series": 0}, "the series are too short to tell whether order matters"
        )
    without = float(np.mean([p > NO_ORDER for p in p_values]))
    evidence: dict[str, float | int | str] = {"series": len(p_values), "without_order": without}
    if without < MOST_SERIES:
        return CheckResult("TM01", "pass", evidence, "values tell of later ones")
    sentence = (
        f"no value of {table.target} tells of a later one: the rows were shuffled, or the series is noise. "
        "Sort them by time, or name the time column"
    )
    return CheckResult("TM01", "warn", evidence, sentence)


def _order_p(y: Array, lags: list[int]) -> float:
    centred = y - np.nanmean(y)
    known = ~np.isnan(centred)
    filled = np.where(known, centred, 0.0)
    total = float(filled @ filled)
    statistic, used = 0.0, 0
    for lag in lags:
        pairs = int((known[lag:] & known[:-lag]).sum()) if lag < len(y) else 0
        if pairs >= LEAST_ROWS // 2:
            statistic += float(filled[lag:] @ filled[:-lag] / total) ** 2 / pairs
            used += 1
    n = int(known.sum())
    return float(stats.chi2.sf(n * (n + 2) * statistic, used)) if used else 1.0


def pasted_rows(table: SeriesTable, cuts: Cuts) -> CheckResult:
    """WN02: whether runs of 24 rows after training stand, value for value, in training, in any series."""
    before, after = [], []
    for i in range(table.n_series):
        y = table.y[table.starts[i] : table.starts[i + 1], None]
        before.append(y[: cuts.train_end[i]])
        after.append(y[cuts.train_end[i] :])
    runs = np.array([max(0, len(y) - RUN_ROWS + 1) for y in after])
    found = shared_runs(before, after, length=RUN_ROWS)
    share = float(found @ runs / runs.sum()) if runs.any() else 0.0
    evidence: dict[str, float | int | str] = {"share": share, "run": RUN_ROWS}
    if share < PASTED:
        return CheckResult("WN02", "pass", evidence, "no stretch of later rows stands in training")
    sentence = (
        f"{share:.0%} of the later runs of {RUN_ROWS} rows stand in training too, value for value: rows were "
        "pasted twice, or one series is another one shifted. Leave the copies out"
    )
    return CheckResult("WN02", "warn", evidence, sentence)


def windows_apart(training: Windows, validation: Windows, test: Windows) -> CheckResult:
    """WN01: whether no row is forecast by windows of two parts."""
    rows = [_forecast_rows(windows) for windows in (training, validation, test)]
    common = sum(
        len(np.intersect1d(rows[i], rows[j], assume_unique=True)) for i, j in ((0, 1), (0, 2), (1, 2))
    )
    evidence: dict[str, float | int | str] = {"rows": common}
    if common:
        sentence = (
            f"windows of two parts forecast the same {common} rows, so that scores count what was learnt"
        )
        return CheckResult("WN01", "fail", evidence, sentence)
    return CheckResult("WN01", "pass", evidence, "windows of different parts forecast different rows")


def _forecast_rows(windows: Windows) -> NDArray[np.int64]:
    """Table rows that some window of the part forecasts, in order."""
    change = np.zeros(windows.table.rows + 1, np.int64)
    np.add.at(change, windows.origins, 1)
    np.add.at(change, np.minimum(windows.origins + windows.horizon, windows.table.rows), -1)
    return np.flatnonzero(np.cumsum(change[:-1]) > 0)
