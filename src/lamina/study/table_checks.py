"""Checks of a table before training: columns that give the future away, and targets nobody can learn from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lamina.data.series import SeriesTable
from lamina.data.splits import Cuts
from lamina.study.checks import CheckResult, Outcome

Array = NDArray[np.float64]

# A column that is a later target is one to the last digit of float32, or nearly.
COPY = 0.999
# A covariate may follow today's target closely; what it tells beyond that has to stand out against noise.
BEYOND_TODAY = 0.99
LEAST_PAIRS = 20
# Share of the error left by the past that a column takes away: half is odd, nine tenths are no coincidence.
HALF_TOLD, NEARLY_TOLD = 0.5, 0.9
LEAST_VARYING = 3  # one or two equal values are no sign of a constant
SOME_SERIES = 0.2
# Kolmogorov-Smirnov distance, test against training, from which forecasts may not carry over.
UNLIKE = 0.5


def check_table(table: SeriesTable, cuts: Cuts, *, horizon: int) -> list[CheckResult]:
    """Every check of values, in the order of their codes.

    LK01 a covariate is the target of a later step: fail, with the column and the lag.
    LK02 a covariate is the target of the same step: fail if known ahead, else harmless and told.
    LK03 the target is constant in training: fail.
    LK04 the test part is much unlike the training part: warn.
    LK05 a covariate tells of the future what only the future could: fail, or warn where it tells only half.
    LK06 the target is constant or missing in the validation or test part: fail, or warn for some series.

    What rows and windows give away is checked in `row_checks.py`.

    Args:
        horizon: steps ahead that a leak is looked for.
    """
    return [
        *column_leaks(table, horizon=horizon),
        constant_target(table, cuts),
        changed_level(table, cuts),
        lacking_parts(table, cuts),
    ]


def column_leaks(table: SeriesTable, *, horizon: int) -> list[CheckResult]:
    """LK01, LK02 and LK05: what single covariates give away. A column with one failure is told once."""
    found = future_leaks(table, horizon=horizon)
    copies = copies_of_target(table)
    named = {result.evidence.get("column") for result in (*found, *copies)}
    return [*found, *copies, *foresight(table, horizon=horizon, passed_over=named)]


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


def lacking_parts(table: SeriesTable, cuts: Cuts) -> CheckResult:
    """LK06: whether the target varies within the validation and the test part of the series."""
    bounds = {"validation": (cuts.train_end, cuts.validation_end), "test": (cuts.validation_end, cuts.end)}
    for name, (first, stop) in bounds.items():
        missing = constant = 0
        for i in range(table.n_series):
            part = table.y[table.starts[i] + first[i] : table.starts[i] + stop[i]]
            part = part[~np.isnan(part)]
            missing += not len(part)
            constant += len(part) >= LEAST_VARYING and bool(part.min() == part.max())
        evidence: dict[str, float | int | str] = {"part": name, "missing": missing, "constant": constant}
        if missing + constant == table.n_series:
            what = "missing" if missing else "constant"
            sentence = f"{table.target} is {what} in the whole {name} part, so nothing can be compared there"
            return CheckResult("LK06", "fail", evidence, sentence)
        if missing + constant > SOME_SERIES * table.n_series:
            sentence = (
                f"{table.target} is constant or missing in the {name} part of {missing + constant} of "
                f"{table.n_series} series, which then say nothing"
            )
            return CheckResult("LK06", "warn", evidence, sentence)
    return CheckResult("LK06", "pass", {}, "the target varies in the validation and test parts")


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


def foresight(
    table: SeriesTable, *, horizon: int, passed_over: set[float | int | str | None]
) -> list[CheckResult]:
    """LK05: one result for each covariate that explains what the past of the target leaves unexplained.

    For each lead k up to the horizon, y[t+k] is regressed on the target's past alone and on that past beside
    the column's newest values, on the first half of the rows; the second half tells how much of the error the
    column takes away. A column known ahead is tried at lead 0, where it should know no more than others do.
    Averages centred on today, noisy copies of the future and changes still to come all show here.
    """
    found = []
    leads = sorted({1, 2, 3, (horizon + 1) // 2, horizon} & set(range(1, horizon + 1)))
    for name, kind, column in _covariates(table):
        if name in passed_over:
            continue
        ahead = name in table.future_names
        told = {lead: _told_beyond_past(table, column, lead) for lead in ([0] if ahead else leads)}
        lead = max(told, key=lambda k: told[k])
        if told[lead] <= HALF_TOLD:
            continue
        evidence: dict[str, float | int | str] = {"column": name, "lead": lead, "explained": told[lead]}
        if ahead:
            sentence = (
                f"column '{name}' ({kind}) explains {told[lead]:.0%} of what the past leaves open of "
                f"{table.target} at the same step. If it is not known before "
                "the target is, give it as past only"
            )
            found.append(CheckResult("LK05", "warn", evidence, sentence))
            continue
        sentence = (
            f"column '{name}' ({kind}) explains {told[lead]:.0%} of what the past leaves open of "
            f"{table.target} {lead} step{'s' if lead > 1 else ''} later: it seems to be made from "
            "later rows, as a centred average is. Leave it out, or compute it from the past alone"
        )
        outcome: Outcome = "fail" if told[lead] > NEARLY_TOLD else "warn"
        found.append(CheckResult("LK05", outcome, evidence, sentence))
    return found or [CheckResult("LK05", "pass", {"leads": len(leads)}, "no covariate foresees the target")]


def _told_beyond_past(table: SeriesTable, column: Array, lead: int) -> float:
    """Share of the squared error of the target's past that the column takes away, on rows not fitted."""
    y, later = table.y, _shifted(table, lead)
    season = table.frequency.season
    past = [_shifted(table, -lag) for lag in {1, 2, 3, max(1, season - lead), season} - {0}]
    today = [] if lead == 0 else [y]
    own = np.stack([np.ones(table.rows), *today, *past], axis=1)
    beside = np.stack([column, *(_lagged(table, column, lag) for lag in (1, 2))], axis=1)
    whole = np.hstack([own, beside])
    known = np.isfinite(whole).all(axis=1) & np.isfinite(later)
    scale = _series_scale(table)
    weight = 1 / scale[known]  # so that series of all sizes count alike
    first = _first_half(table)[known]
    if min(first.sum(), (~first).sum()) < LEAST_PAIRS + whole.shape[1]:
        return 0.0
    errors = []
    for inputs in (own, whole):
        x, target = inputs[known] * weight[:, None], later[known] * weight
        spread = np.abs(x[first]).max(axis=0)
        x = x / np.where(spread > 0, spread, 1.0)
        weights, *_ = np.linalg.lstsq(x[first], target[first], rcond=1e-10)
        errors.append(float(np.square(target[~first] - x[~first] @ weights).sum()))
    return max(0.0, 1 - errors[1] / errors[0]) if errors[0] > 0 else 0.0


def _first_half(table: SeriesTable) -> NDArray[np.bool_]:
    """(rows,) bool: the row lies in the first half of its series."""
    place = np.arange(table.rows) - np.repeat(table.starts[:-1], table.lengths)
    half: NDArray[np.bool_] = place < np.repeat(table.lengths // 2, table.lengths)
    return half


def _series_scale(table: SeriesTable) -> Array:
    """(rows,) standard deviation of the changes of a row's series; 1 where it does not change."""
    changes = _changes(table, table.y)
    scales = np.ones(table.n_series)
    for i in range(table.n_series):
        part = changes[table.starts[i] : table.starts[i + 1]]
        part = part[~np.isnan(part)]
        scales[i] = part.std() if len(part) > 1 and part.std() > 0 else 1.0
    return np.repeat(scales, table.lengths)


def _lagged(table: SeriesTable, column: Array, lag: int) -> Array:
    """(rows,) the column ``lag`` rows before in the same series, NaN before its start."""
    earlier = np.full(table.rows, np.nan)
    earlier[lag:] = column[: table.rows - lag]
    begins = np.repeat(table.starts[:-1], table.lengths)
    earlier[np.arange(table.rows) - lag < begins] = np.nan
    return earlier


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
    """(rows,) the target ``lag`` steps later in the same series, NaN beyond its ends; below 0 looks back."""
    if lag <= 0:
        return _lagged(table, table.y, -lag)
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
    # Sums, not dot products: threads of the BLAS that meet for so little wait longer than they work.
    size = float(np.sqrt(np.square(x).sum() * np.square(y).sum()))
    return float((x * y).sum()) / size if size > 0 else 0.0
