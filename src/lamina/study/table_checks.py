"""Checks of a table before training: columns that give the future away, and targets nobody can learn from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lamina.data.series import SeriesTable
from lamina.data.splits import Cuts
from lamina.study.checks import CheckResult

Array = NDArray[np.float64]

# A column that is a later target is one to the last digit of float32, or nearly.
COPY = 0.999
# A covariate may follow today's target closely; what it tells beyond that has to stand out against noise.
BEYOND_TODAY = 0.99
LEAST_PAIRS = 20
# Kolmogorov-Smirnov distance, test against training, from which forecasts may not carry over.
UNLIKE = 0.5


def check_table(table: SeriesTable, cuts: Cuts, *, horizon: int) -> list[CheckResult]:
    """Every check, in the order of their codes.

    LK01 a covariate is the target of a later step: fail, with the column and the lag.
    LK02 a covariate is the target of the same step: fail if known ahead, else harmless and told.
    LK03 the target is constant in training: fail.
    LK04 the test part is much unlike the training part: warn.

    Args:
        horizon: steps ahead that a leak is looked for.
    """
    return [
        *future_leaks(table, horizon=horizon),
        *copies_of_target(table),
        constant_target(table, cuts),
        changed_level(table, cuts),
    ]


def future_leaks(table: SeriesTable, *, horizon: int) -> list[CheckResult]:
    """LK01: one failure for each covariate at t that equals the target at t+k, for some k up to the horizon.

    A column must match y[t+k] with a correlation above 0.999 and better than it matches y[t]. Since any two
    smooth series correlate, their changes must match too: column[t] - y[t] with y[t+k] - y[t].
    """
    found = []
    for name, kind, column in _covariates(table):
        best_lag, best, today = 0, 0.0, abs(_correlation(column, table.y))
        for lag in range(1, horizon + 1):
            later = _shifted(table, lag)
            match = abs(_correlation(column, later))
            if match > max(COPY, today, best) and _tells_more_than_today(column, table.y, later):
                best_lag, best = lag, match
        if best_lag:
            found.append(
                CheckResult(
                    "LK01",
                    "fail",
                    {"column": name, "lag": best_lag, "correlation": best, "correlation_today": today},
                    f"column '{name}' ({kind}) holds {table.target} of {best_lag} step"
                    f"{'s' if best_lag > 1 else ''} later (correlation {best:.4f}): it gives the future "
                    f"away. Leave it out, or shift it by {best_lag}.",
                )
            )
    return found or [
        CheckResult("LK01", "pass", {"horizon": horizon}, "no covariate holds a later value of the target")
    ]


def copies_of_target(table: SeriesTable) -> list[CheckResult]:
    """LK02: one result for each covariate that equals the target at the same step."""
    found = []
    for name, kind, column in _covariates(table):
        match = abs(_correlation(column, table.y))
        changes = abs(_correlation(_changes(table, column), _changes(table, table.y)))
        if match <= COPY or changes <= COPY:
            continue
        evidence: dict[str, float | int | str] = {"column": name, "correlation": match}
        if name in table.future_names:
            sentence = (
                f"column '{name}' ({kind}) equals {table.target} at the same step (correlation {match:.4f}): "
                f"it would be known before the target is. Leave it out, or give it as past only."
            )
            found.append(CheckResult("LK02", "fail", evidence, sentence))
        else:
            sentence = (
                f"column '{name}' ({kind}) equals {table.target} at the same step (correlation {match:.4f}); "
                f"as only its past is used this is harmless, and it adds nothing"
            )
            found.append(CheckResult("LK02", "warn", evidence, sentence))
    return found or [CheckResult("LK02", "pass", {}, "no covariate copies the target")]


def constant_target(table: SeriesTable, cuts: Cuts) -> CheckResult:
    """LK03: whether the target varies within the training part of any series."""
    train = np.where(cuts.train_mask(table), table.y, np.nan)
    constant = []
    for i in range(table.n_series):
        part = train[table.starts[i] : table.starts[i + 1]]
        part = part[~np.isnan(part)]
        if not len(part) or part.min() == part.max():
            constant.append(table.ids[i])
    evidence: dict[str, float | int | str] = {"constant": len(constant), "series": table.n_series}
    if not constant:
        return CheckResult("LK03", "pass", evidence, "the target varies in every series")
    if len(constant) == table.n_series:
        sentence = (
            f"{table.target} is constant in training: there is nothing to learn. Choose another target."
        )
        return CheckResult("LK03", "fail", evidence, sentence)
    sentence = (
        f"{table.target} is constant in the training part of {len(constant)} of {table.n_series} series, "
        f"the first is '{constant[0]}'"
    )
    return CheckResult("LK03", "warn", evidence, sentence)


def changed_level(table: SeriesTable, cuts: Cuts) -> CheckResult:
    """LK04: the largest gap between the distribution functions of test and training, over all series pooled.

    Each series is measured in its own training mean and deviation.
    """
    train, test = [], []
    for i in range(table.n_series):
        y = table.y[table.starts[i] : table.starts[i + 1]]
        before, after = y[: cuts.train_end[i]], y[cuts.validation_end[i] : cuts.end[i]]
        before, after = before[~np.isnan(before)], after[~np.isnan(after)]
        if len(before) and len(after):
            scale = before.std() or 1.0
            train.append((before - before.mean()) / scale)
            test.append((after - before.mean()) / scale)
    if not train:
        return CheckResult("LK04", "pass", {}, "no series has observed values in both training and test")
    pooled = np.concatenate(test)
    gap = float(stats.ks_2samp(np.concatenate(train), pooled, method="asymp").statistic)
    evidence: dict[str, float | int | str] = {"distance": gap, "shift": float(pooled.mean())}
    if gap <= UNLIKE:
        return CheckResult("LK04", "pass", evidence, "test and training values are alike")
    sentence = (
        f"the test part is much unlike training: {table.target} is {abs(pooled.mean()):.1f} standard "
        f"deviations {'higher' if pooled.mean() > 0 else 'lower'} on average (Kolmogorov-Smirnov "
        f"distance {gap:.2f}), so scores may not carry over"
    )
    return CheckResult("LK04", "warn", evidence, sentence)


def _covariates(table: SeriesTable) -> list[tuple[str, str, Array]]:
    """(name, kind, values (rows,)) of every covariate that changes with time."""
    ahead = [(n, "known ahead", table.future[:, i]) for i, n in enumerate(table.future_names)]
    past = [(n, "past only", table.past[:, i]) for i, n in enumerate(table.past_names)]
    return [(name, kind, np.asarray(values, np.float64)) for name, kind, values in [*ahead, *past]]


def _tells_more_than_today(column: Array, today: Array, later: Array) -> bool:
    """Whether the column follows the change that is still to come, in units fitted to the target."""
    known = ~np.isnan(column) & ~np.isnan(later) & ~np.isnan(today)
    slope, intercept = np.polyfit(column[known], later[known], 1)
    return _correlation(intercept + slope * column - today, later - today) > BEYOND_TODAY


def _shifted(table: SeriesTable, lag: int) -> Array:
    """(rows,) the target ``lag`` steps later in the same series, NaN beyond its end."""
    later = np.full(table.rows, np.nan)
    later[: max(0, table.rows - lag)] = table.y[lag:]
    ends = np.repeat(table.starts[1:], table.lengths)
    later[np.arange(table.rows) + lag >= ends] = np.nan
    return later


def _changes(table: SeriesTable, column: Array) -> Array:
    """(rows,) change since the row before; NaN at the first row of a series."""
    changes = np.diff(column, prepend=np.nan)
    changes[table.starts[:-1]] = np.nan
    return changes


def _correlation(a: Array, b: Array) -> float:
    """Pearson's correlation over rows where both are known; 0 with too few of them or without variation."""
    known = ~np.isnan(a) & ~np.isnan(b)
    if known.sum() < LEAST_PAIRS:
        return 0.0
    x, y = a[known] - a[known].mean(), b[known] - b[known].mean()
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size > 0 else 0.0
