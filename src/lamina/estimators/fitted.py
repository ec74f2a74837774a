"""What every estimator keeps of its training, and what it asks before it predicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from lamina.errors import NotFittedError
from lamina.training.history import History


class Fitted(Protocol):
    """An estimator that was fitted.

    Attributes:
        seed: of its training.
        data_hash_: of what it was trained on.
        history_: what happened in training.
    """

    seed: int
    data_hash_: str
    history_: History


def require_fitted(model: object, *, does: str, call: str) -> None:
    """Raise NotFittedError where there is no network yet.

    Args:
        model: the estimator.
        does: what was asked of it, such as "predicts".
        call: what to call first, such as "fit(X, y)".
    """
    if not hasattr(model, "network_"):
        raise NotFittedError(
            f"a {type(model).__name__} {does} after it was fitted, and this one was not. Call {call} first."
        )


def dump_origin(model: Fitted, metric: str) -> dict[str, Any]:
    """Where a model comes from, for its manifest; ``metric`` is that of its history."""
    return {
        "data_hash": model.data_hash_,
        "seed": model.seed,
        "metric": metric,
        "training": model.history_.to_dict(),
    }


def load_origin(model: Fitted, manifest: Mapping[str, Any]) -> None:
    """Give a model what ``dump_origin`` wrote."""
    model.data_hash_ = manifest["data_hash"]
    model.history_ = History.from_dict(manifest["training"])
