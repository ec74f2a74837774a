"""A fitted model as a directory: no pickle, every file checked when it is read.

config.json           what the model is; carries the schema's version
weights.safetensors   the network
preprocessing.json    scalers, encodings, calibration
history.safetensors   the last rows of each series, where the model forecasts from stored data
manifest.json         versions, data hash, seed, scores, and the SHA-256 of every file, itself included
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from lamina.errors import SavedModelError
from lamina.places import why_no_folder
from lamina.saved_files import FILES, REQUIRED, SCHEMA, file_digest, own_digest, read_saved


@dataclass(frozen=True)
class SavedModel:
    """The content of a model's directory.

    Attributes:
        kind: name of the estimator's class.
        config: its parameters and its network's form.
        weights: the network's state.
        preprocessing: what was fitted besides weights.
        history: stored rows; empty where the estimator needs none.
        manifest: where the model comes from.
    """

    kind: str
    config: dict[str, Any]
    weights: dict[str, Tensor]
    preprocessing: dict[str, Any]
    history: dict[str, Tensor] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the directory; an older model there is replaced only once the new one is complete.

        Raises:
            SavedModelError: ``path`` is a file, a directory that holds something else, or cannot be made.
        """
        target = Path(path).absolute()
        require_free(target)
        unfinished = target.with_name(f".{target.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        _write_json(unfinished / "config.json", {"schema": SCHEMA, "kind": self.kind, **self.config})
        _write_json(unfinished / "preprocessing.json", self.preprocessing)
        save_file(_owned(self.weights), unfinished / "weights.safetensors")
        if self.history:
            save_file(_owned(self.history), unfinished / "history.safetensors")
        digests = {file.name: file_digest(file) for file in sorted(unfinished.iterdir())}
        manifest = {**finite(self.manifest), "versions": versions(), "sha256": digests}
        digests["manifest.json"] = own_digest(manifest)
        _write_json(unfinished / "manifest.json", manifest)
        older = target.with_name(f".{target.name}.older")
        shutil.rmtree(older, ignore_errors=True)
        if target.exists():
            target.replace(older)
        unfinished.replace(target)
        shutil.rmtree(older, ignore_errors=True)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> SavedModel:
        """Read and check a directory that ``write`` made.

        Raises:
            SavedModelError: it is not a model, is damaged, or was written by a newer version.
        """
        folder = Path(path)
        files = read_saved(folder)
        return cls(
            kind=files.kind,
            config=files.config,
            weights=_load_tensors(folder / "weights.safetensors"),
            preprocessing=files.preprocessing,
            history=_load_tensors(folder / "history.safetensors") if files.has_history else {},
            manifest=files.manifest,
        )


def require_free(target: Path) -> None:
    """Raise SavedModelError where something other than a model stands in the way of one, or none can be made.

    To be called before long work, so that its result does not end up without a place.
    """
    try:
        if target.exists():
            names = {file.name for file in target.iterdir()} if target.is_dir() else {target.name}
            is_model = names.issuperset(REQUIRED) and names <= FILES
            if names and not is_model:
                raise SavedModelError(
                    f"a model is saved as a directory of its own, and {target} holds something else. "
                    "Name another."
                )
        reason = why_no_folder(target.absolute().parent)
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        raise SavedModelError(
            f"a model is saved as a directory, but {target} cannot be made: {reason}. Name another."
        )


def versions() -> dict[str, str]:
    """Versions of the packages that decide what a model computes."""
    return {name: version(name) for name in ("lamina", "torch", "numpy", "polars")}


def _owned(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}


def _load_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise SavedModelError(f"{path} cannot be read: {error}. Restore it, or train again.") from error


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def finite(content: dict[str, Any]) -> dict[str, Any]:
    """The same with None for NaN and infinity, which JSON cannot say."""
    plain: dict[str, Any] = json.loads(json.dumps(content), parse_constant=lambda _: None)
    return plain


def load_weights(network: torch.nn.Module, weights: dict[str, Tensor], where: object) -> None:
    """Put saved weights into a network of the same form.

    Raises:
        SavedModelError: names and shapes do not fit.
    """
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise SavedModelError(f"the weights in {where} do not fit its config.json: {error}") from error
    network.eval()
