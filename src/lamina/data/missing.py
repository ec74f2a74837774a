"""What is missing, and for how long."""

from __future__ import annotations

import numpy as np


def elapsed_since_observed(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Steps since each value was last observed, and whether it is observed now.

    0 where observed, 1 one step later, and so on. Before the first observation the count runs
    from the step before the sequence, as if that had been observed.

    Args:
        values: (..., time), NaN where missing.

    Returns:
        (elapsed int64, observed bool), both (..., time).

    >>> elapsed, observed = elapsed_since_observed(np.array([np.nan, 5.0, np.nan, np.nan, 7.0]))
    >>> elapsed.tolist(), observed.tolist()
    ([1, 0, 1, 2, 0], [False, True, False, False, True])

    Source: Che et al. 2018, doi:10.1038/s41598-018-24271-9, equation 2, whose delta at t is our
    elapsed at t-1, plus one: ours tells the age of the value that is carried to t.
    """
    observed = ~np.isnan(values)
    step = np.arange(values.shape[-1])
    last = np.maximum.accumulate(np.where(observed, step, -1), axis=-1)
    return step - last, observed
