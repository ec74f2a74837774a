"""Sessions of fitted models: from a saved directory without torch, or from an estimator's parts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamina.data.scaling import Standardizer
from lamina.errors import ConfigError, SavedModelError
from lamina.saved_files import read_saved
from lamina.streaming.forecast_session import ForecastSession
from lamina.streaming.packed import Storage, Weights, new_model, pack_reader, plain
from lamina.streaming.session import RowSession, Session, digest_of
from lamina.streaming.token_session import RollSession, TokenSession

WHOLE: dict[str, str] = {
    "SequenceTagger": "it labels a word by the words after it too, and by the best path through the sentence",
    "TextClassifier": "it weighs the counts of all words of a text beside what the network has read",
    "BertClassifier": "it attends to the whole text at once",
    "Translator": "it reads a whole sentence before it writes the first word",
}
"""Kinds of models that have to see a whole sequence, and why."""


def open_saved(
    path: str | os.PathLike[str], *, storage: Storage, max_keys: int, adaptive: Sequence[float] = ()
) -> Session:
    """A session of the model in a directory; see ``Session.open``."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    folder = Path(path)
    files = read_saved(folder)
    try:
        weights = load_file(folder / "weights.safetensors")
        history = load_file(folder / "history.safetensors") if files.has_history else {}
    except (OSError, SafetensorError) as error:
        raise SavedModelError(f"{path} cannot be read: {error}. Restore it, or train again.") from error
    return open_parts(
        files.kind,
        files.config,
        weights,
        files.preprocessing,
        history,
        storage=storage,
        max_keys=max_keys,
        adaptive=adaptive,
    )


def open_parts(
    kind: str,
    config: Mapping[str, Any],
    weights: Weights,
    preprocessing: Mapping[str, Any],
    history: Mapping[str, NDArray[Any]],
    *,
    storage: Storage,
    max_keys: int,
    adaptive: Sequence[float] = (),
) -> Session:
    """A session of a fitted model, from the parts that its directory has.

    Raises:
        ConfigError: models of this kind, or with such a body, do not stream.
    """
    if kind == "Forecaster":
        return open_forecaster(
            config, weights, preprocessing, history, storage=storage, max_keys=max_keys, adaptive=adaptive
        )
    if adaptive:
        raise ConfigError(
            f"adaptive intervals are those of forecasts, and a {kind} gives none. Leave it out."
        )
    if kind == "SequenceClassifier":
        return open_classifier(config, weights, preprocessing, storage=storage, max_keys=max_keys)
    if kind in ("LanguageModel", "MusicModel"):
        body = _body(config)
        if kind == "MusicModel":
            return RollSession.over(body, weights, storage=storage, max_keys=max_keys)
        vocabulary = preprocessing["vocabulary"]
        return TokenSession.over(body, weights, vocabulary, storage=storage, max_keys=max_keys)
    why = WHOLE.get(kind, "this version has no session for it")
    raise ConfigError(
        f"a {kind} cannot stream: {why}. Forecaster, SequenceClassifier, LanguageModel and MusicModel can."
    )


def open_forecaster(
    config: Mapping[str, Any],
    weights: Weights,
    preprocessing: Mapping[str, Any],
    history: Mapping[str, NDArray[Any]],
    *,
    storage: Storage,
    max_keys: int,
    adaptive: Sequence[float] = (),
) -> ForecastSession:
    """A session of a Forecaster, which begins with its stored series."""
    body, digest = _checked("Forecaster", config, weights, preprocessing, storage)
    model = new_model(storage)
    attention = config["form"]["attention"]
    model.finish(pack_reader(model, body, weights, pooling="last", attention=attention))
    return ForecastSession.over(
        model,
        config,
        weights,
        preprocessing,
        history,
        max_keys=max_keys,
        digest=digest,
        adaptive=adaptive,
    )


def open_classifier(
    config: Mapping[str, Any],
    weights: Weights,
    preprocessing: Mapping[str, Any],
    *,
    storage: Storage,
    max_keys: int,
) -> RowSession:
    """A session of a SequenceClassifier."""
    body, digest = _checked("SequenceClassifier", config, weights, preprocessing, storage)
    model, form, inputs = new_model(storage), config["form"], preprocessing["inputs"]
    read = pack_reader(model, body, weights, pooling=form["pooling"], attention=form["attention"])
    model.head(plain(weights, "head.weight"), plain(weights, "head.bias"))
    model.finish(read)
    scaler = Standardizer.from_dict(inputs["scaler"])
    return RowSession.over(
        model,
        max_keys=max_keys,
        digest=digest,
        mean=scaler.mean.tolist(),
        scale=np.asarray(scaler.scale).tolist(),
        gaps=inputs["gaps"],
        classes=tuple(inputs["classes"]),
    )


def _checked(
    kind: str,
    config: Mapping[str, Any],
    weights: Weights,
    preprocessing: Mapping[str, Any],
    storage: Storage,
) -> tuple[Mapping[str, Any], str]:
    """The configuration of a model's body, and the digest of what decides its answers."""
    body = _body(config)
    form = {"kind": kind, "config": config, "preprocessing": preprocessing["inputs"], "storage": storage}
    return body, digest_of(form, weights)


def _body(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The configuration of a model's body."""
    if "body" not in config:
        raise SavedModelError(
            "this model was saved before models could stream, so its stack is not written down. Load it and "
            "save it again: lamina.load(path).save(path)"
        )
    body: Mapping[str, Any] = config["body"]
    return body
