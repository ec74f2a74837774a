"""A network's weights, packed for native steps: from a module in memory or a saved model, without torch."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lamina.errors import BackendError, ConfigError, did_you_mean

Weights = Mapping[str, NDArray[np.float32]]
Storage = Literal["float32", "bfloat16", "int8"]
STORAGES: tuple[Storage, ...] = get_args(Storage)

# Names and order are those of lamina.ops.cells and its native Cell; tests compare the two.
CELLS = ("tanh", "relu", "lstm", "gru", "lnlstm", "lngru")
EXTRAS: dict[str, tuple[str, ...]] = {
    "lnlstm": ("gain_x", "gain_h", "shift", "gain_c", "shift_c"),
    "lngru": ("gain_x", "gain_h", "shift"),
}
RESIDUALS = ("none", "add", "dense", "gated")
POOLS = ("last", "mean", "max")
REPLACE, ADD, CONCATENATE = range(3)


@dataclass(frozen=True)
class StackForm:
    """What a stack is made of, as its configuration says; only what a step needs.

    Attributes:
        cell: a name in ``lamina.ops.cells.CELLS``.
        layers: how many.
        residual, norm: as in ``StackConfig``.
        zoneout: share of the old state that stays.
    """

    cell: str
    layers: int
    residual: str
    norm: str
    zoneout: float

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> StackForm:
        """The form in a configuration's JSON.

        Raises:
            ConfigError: it reads both directions, or has something native steps do not know.
        """
        sizes, directions = config["hidden_sizes"], config["directions"]
        for number in range(len(sizes)):
            if directions[number if len(directions) > 1 else 0] == "both":
                raise ConfigError(
                    f"layer {number + 1} reads both directions, so this stack cannot stream: the future is "
                    "not known there. Train with directions=('forward',)."
                )
        form = cls(config["cell"], len(sizes), config["residual"], config["norm"], config["zoneout"])
        for name, value, known in (
            ("cell", form.cell, CELLS),
            ("residual", form.residual, RESIDUALS),
            ("norm", form.norm, ("none", "layer")),
        ):
            if value not in known:
                raise ConfigError(
                    f"native steps know the {name}s {', '.join(known)}, but this stack has {value!r}"
                    f"{did_you_mean(str(value), known)}. Step through Stack.step instead."
                )
        return form


def require_native() -> Any:
    """The extension with the native steps.

    Raises:
        BackendError: it was not built on this machine.
    """
    return require_extension("_native")


def require_extension(name: str) -> Any:
    """One of the native extensions of this package.

    Raises:
        BackendError: it was not built on this machine.
    """
    full_name = f"lamina.streaming.{name}"
    try:
        return importlib.import_module(full_name)
    except ImportError as error:
        raise BackendError(
            f"streaming needs the native extension {full_name}, which did not load: {error}. "
            "Install a C++ compiler and run: pip install --force-reinstall lamina"
        ) from error


def new_model(storage: str, unit: str = "") -> Any:
    """A native model without layers.

    Args:
        storage: how recurrent weights are kept; sums, gates and states are float32 throughout. bfloat16
            halves the bytes read in a step and int8, with a scale for each row, quarters them. Maps before
            and after the stack stay float32.
        unit: instruction set, for tests; "" is the fastest this machine can run.
    """
    if storage not in STORAGES:
        raise ConfigError(
            f"storage is one of {', '.join(STORAGES)}, but is {storage!r}{did_you_mean(storage, STORAGES)}"
        )
    return require_native().Model(STORAGES.index(storage), unit)


def pack_stack(model: Any, config: Mapping[str, Any], weights: Weights, *, prefix: str = "") -> int:
    """Add a stack's layers to a native model, and say how many numbers a row has that it reads.

    Args:
        model: from ``new_model``.
        config: fields of a ``StackConfig``.
        weights: by the names of ``Stack.state_dict()``, behind ``prefix``.
    """
    form = StackForm.of(config)
    for layer in range(form.layers):
        at = f"{prefix}layers.{layer}."
        norm = f"{prefix}norms.{layer}."
        project = f"{prefix}joints.{layer}.project.weight"
        joint = REPLACE
        if form.residual in ("add", "gated") and layer > 0:
            joint = ADD
        elif form.residual == "dense" and layer < form.layers - 1:
            joint = CONCATENATE
        model.layer(
            cell=CELLS.index(form.cell),
            w=plain(weights, f"{at}weight_ih_l0"),
            r=plain(weights, f"{at}weight_hh_l0"),
            b=optional(weights, f"{at}bias_ih_l0"),
            c=optional(weights, f"{at}bias_hh_l0"),
            extra=[plain(weights, f"{at}{name}_l0") for name in EXTRAS.get(form.cell, ())],
            zoneout=form.zoneout,
            gain=optional(weights, f"{norm}weight"),
            shift=optional(weights, f"{norm}bias"),
            joint=joint,
            project=optional(weights, project),
            gate=optional(weights, f"{prefix}joints.{layer}.gate"),
        )
    if form.norm == "layer":
        model.final_norm(
            plain(weights, f"{prefix}final_norm.weight"), plain(weights, f"{prefix}final_norm.bias")
        )
    return int(weights[f"{prefix}layers.0.weight_ih_l0"].shape[1])


def pack_reader(
    model: Any, body: Mapping[str, Any], weights: Weights, *, pooling: str, attention: bool
) -> int:
    """Add a task's reader to a native model: a linear map, the stack, and how its outputs become one vector.

    Returns how many numbers a row has that it reads.

    Args:
        body: a body's configuration with its ``kind``, as ``dump_body`` writes it.
        weights: by the names of the task network's ``state_dict()``.
    """
    if body["kind"] != "stack":
        raise ConfigError(
            f"this model reads with a {body['kind']}, which has no state to carry from one row to the next, "
            "so it cannot stream. Train with a StackConfig."
        )
    inputs = 0
    if "reader.embed.weight" in weights:
        embed = plain(weights, "reader.embed.weight")
        model.embed(embed, plain(weights, "reader.embed.bias"))
        inputs = int(embed.shape[1])
    read = pack_stack(model, body, weights, prefix="reader.body.")
    at = "reader.attend."
    model.read(
        pool=POOLS.index(pooling),
        key=plain(weights, f"{at}key.weight") if attention else None,
        bias=plain(weights, f"{at}key.bias") if attention else None,
        query=plain(weights, f"{at}query.weight") if attention else None,
    )
    return inputs or read


def plain(weights: Weights, name: str) -> NDArray[np.float32]:
    """A weight in C order."""
    return np.ascontiguousarray(weights[name], dtype=np.float32)


def optional(weights: Weights, name: str) -> NDArray[np.float32] | None:
    """A weight, or None where the network has none of that name."""
    return plain(weights, name) if name in weights else None
