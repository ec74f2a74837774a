"""torch.nn's layers rebuilt in other packages, with the same weights, for layers.py."""

from __future__ import annotations

import importlib.util
import io
import os
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Run = Callable[[], np.ndarray[Any, Any]]
"""Gives y, (batch, time, hidden), from the input that it was built with."""


def onnx_runtime(module: nn.RNNBase, x: Tensor, *, threads: int) -> Run | None:
    """The module exported to ONNX and run there; None where ONNX Runtime is not installed."""
    if importlib.util.find_spec("onnxruntime") is None or importlib.util.find_spec("onnx") is None:
        return None
    import onnxruntime

    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that knows LSTM and GRU is the old one
        torch.onnx.export(module.eval(), (x,), file, dynamo=False, input_names=["x"], output_names=["y"])
    module.train()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    given = {"x": x.numpy()}
    return lambda: session.run(["y"], given)[0]


def update_first(matrix: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Swap the first two of three blocks of rows."""
    reset, update, new = np.split(matrix, 3)
    return np.concatenate([update, reset, new])


def keras_on_jax(module: nn.RNNBase, x: Tensor, *, threads: int) -> Run | None:  # noqa: ARG001  # XLA has its own
    """The module as Keras layers, compiled by JAX; None where the two are not installed."""
    if importlib.util.find_spec("keras") is None or importlib.util.find_spec("jax") is None:
        return None
    os.environ["KERAS_BACKEND"] = "jax"
    import jax
    import keras

    kind = {"LSTM": keras.layers.LSTM, "GRU": keras.layers.GRU}[module.mode]
    model = keras.Sequential(
        [
            keras.Input(x.shape[1:]),
            *(kind(module.hidden_size, return_sequences=True) for _ in range(module.num_layers)),
        ]
    )
    for layer, names in zip(model.layers, module._all_weights, strict=True):
        w, r, b, c = (module.get_parameter(name).detach().numpy() for name in names)
        if module.mode == "GRU":  # Keras has the update gate first
            w, r, b, c = map(update_first, (w, r, b, c))
        layer.set_weights([w.T, r.T, np.stack([b, c]) if module.mode == "GRU" else b + c])
    weights, others = (
        [v.value for v in model.trainable_variables],
        [v.value for v in model.non_trainable_variables],
    )
    run = jax.jit(lambda weights, given: model.stateless_call(weights, others, given)[0])
    given = jax.numpy.asarray(x.numpy())
    return lambda: np.asarray(run(weights, given).block_until_ready())


PEERS: Mapping[str, Callable[..., Run | None]] = MappingProxyType(
    {"ONNX Runtime": onnx_runtime, "Keras on JAX": keras_on_jax}
)
