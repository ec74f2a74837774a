"""Sequences of unequal length side by side, with little padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lamina.errors import ConfigError


def length_buckets(
    lengths: np.ndarray,
    *,
    rows_per_batch: int | None = None,
    token_budget: int | None = None,
    generator: np.random.Generator | None = None,
) -> list[np.ndarray]:
    """Batches of sequences of like length.

    Args:
        lengths: (n,) steps of each sequence.
        rows_per_batch: most sequences in a batch, or
        token_budget: most steps in a batch with its padding; a longer sequence stands alone.
        generator: mixes sequences of equal length and the order of the batches; None for neither.

    Returns:
        Positions of the sequences, (batch,) int64 each; every sequence once.

    Raises:
        ConfigError: not exactly one of the two limits, or one below 1.

    >>> [batch.tolist() for batch in length_buckets(np.array([3, 9, 3, 8]), rows_per_batch=2)]
    [[0, 2], [3, 1]]
    """
    if (rows_per_batch is None) == (token_budget is None):
        raise ConfigError(
            "a batch has one limit but none or both were given; give rows_per_batch or token_budget"
        )
    limit = rows_per_batch if token_budget is None else token_budget
    if limit is None or limit < 1:
        raise ConfigError(f"the limit of a batch is at least 1 but is {limit}; use a positive number")
    mixed = np.arange(len(lengths)) if generator is None else generator.permutation(len(lengths))
    order = mixed[np.argsort(lengths[mixed], kind="stable")]
    if token_budget is None:
        batches = [order[begin : begin + limit] for begin in range(0, len(order), limit)]
    else:
        batches = _within_budget(order, lengths, limit)
    if generator is not None:
        return [batches[position] for position in generator.permutation(len(batches))]
    return batches


def pad_sequences(sequences: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Sequences (T_i, F) below each other, zeros behind their ends.

    Returns:
        (x (batch, longest, F) of their dtype, lengths (batch,) int64).

    >>> x, lengths = pad_sequences([np.ones((1, 2)), np.ones((3, 2))])
    >>> x.shape, lengths.tolist(), x[0].sum()
    ((2, 3, 2), [1, 3], np.float64(2.0))
    """
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    x = np.zeros((len(sequences), lengths.max(), sequences[0].shape[1]), dtype=sequences[0].dtype)
    for row, sequence in zip(x, sequences, strict=True):
        row[: len(sequence)] = sequence
    return x, lengths


def _within_budget(order: np.ndarray, lengths: np.ndarray, token_budget: int) -> list[np.ndarray]:
    """Cut sequences, shortest first, where the next would pad the batch beyond its budget."""
    batches, begin = [], 0
    for position in range(1, len(order) + 1):
        full = position == len(order) or (position + 1 - begin) * lengths[order[position]] > token_budget
        if full:
            batches.append(order[begin:position])
            begin = position
    return batches
