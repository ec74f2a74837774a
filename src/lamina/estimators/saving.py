"""A fitted model as a directory: no pickle, every file checked when it is read.

config.json           what the model is; carries the schema's version
weights.safetensors   the network
preprocessing.json    scalers, encodings, calibration
history.safetensors   the last rows of each series, where the model forecasts from stored data
manifest.json         versions, data hash, seed, scores, and the SHA-256 of every file, itself included
"""

from __future__ import annotations

import hashlib
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

SCHEMA = 1
REQUIRED = ("config.json", "preprocessing.json", "weights.safetensors", "manifest.json")
FILES = {*REQUIRED, "history.safetensors"}


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
            SavedModelError: ``path`` is a file, or a directory that holds something else.
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
        digests = {file.name: _sha256(file) for file in sorted(unfinished.iterdir())}
        manifest = {**finite(self.manifest), "versions": versions(), "sha256": digests}
        digests["manifest.json"] = _own_digest(manifest)
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
        if not (folder / "config.json").is_file():
            raise SavedModelError(
                f"a model is a directory with a config.json, and {folder} "
                f"{'has none' if folder.is_dir() else 'is no directory'}. Name a directory that save() wrote."
            )
        config = _read_json(folder / "config.json")
        schema = config.pop("schema", None)
        if not isinstance(schema, int) or "kind" not in config:
            raise SavedModelError(
                f"a model's config.json has a schema and a kind, and that in {folder} has not. "
                "Name a directory that save() wrote."
            )
        if schema > SCHEMA:
            raise SavedModelError(
                f"{folder} has schema {schema}, and this version of Lamina reads up to {SCHEMA}. "
                "Install a newer Lamina: pip install -U lamina"
            )
        manifest = _read_json(folder / "manifest.json")
        _check_digests(folder, manifest)
        return cls(
            kind=config.pop("kind"),
            config=config,
            weights=_load_tensors(folder / "weights.safetensors"),
            preprocessing=_read_json(folder / "preprocessing.json"),
            history=_load_tensors(folder / "history.safetensors")
            if "history.safetensors" in manifest["sha256"]
            else {},
            manifest=manifest,
        )


def require_free(target: Path) -> None:
    """Raise SavedModelError where something other than a model stands in the way of one.

    To be called before long work, so that its result does not end up without a place.
    """
    if not target.exists():
        return
    names = {file.name for file in target.iterdir()} if target.is_dir() else {target.name}
    is_model = names.issuperset(REQUIRED) and names <= FILES
    if names and not is_model:
        raise SavedModelError(
            f"a model is saved as a directory of its own, and {target} holds something else. Name another."
        )


def versions() -> dict[str, str]:
    """Versions of the packages that decide what a model computes."""
    return {name: version(name) for name in ("lamina", "torch", "numpy", "polars")}


def _check_digests(folder: Path, manifest: dict[str, Any]) -> None:
    """Raise SavedModelError where a file is not the one that was saved."""
    digests = manifest.get("sha256")
    complete = isinstance(digests, dict) and digests.keys() >= set(REQUIRED)
    if not complete or manifest["sha256"]["manifest.json"] != _own_digest(manifest):
        raise SavedModelError(
            f"{folder} is damaged: manifest.json differs from what was saved. Restore it, or train again."
        )
    for name in sorted(manifest["sha256"].keys() - {"manifest.json"}):
        file = folder / name
        if not file.is_file():
            raise SavedModelError(f"{folder} is damaged: {name} is missing. Restore it, or train again.")
        if manifest["sha256"][name] != _sha256(file):
            raise SavedModelError(
                f"{folder} is damaged: {name} differs from what was saved. Restore it, or train again."
            )


def _own_digest(manifest: dict[str, Any]) -> str:
    """SHA-256 of a manifest's content without this digest."""
    others = {name: digest for name, digest in manifest["sha256"].items() if name != "manifest.json"}
    return hashlib.sha256(json.dumps({**manifest, "sha256": others}).encode()).hexdigest()


def _owned(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}


def _load_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise SavedModelError(f"{path} cannot be read: {error}. Restore it, or train again.") from error


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SavedModelError(f"{path} cannot be read: {error}. Restore it, or train again.") from error
    if not isinstance(content, dict):
        raise SavedModelError(f"{path} must hold one JSON object. Restore it, or train again.")
    return content


def finite(content: dict[str, Any]) -> dict[str, Any]:
    """The same with None for NaN and infinity, which JSON cannot say."""
    plain: dict[str, Any] = json.loads(json.dumps(content), parse_constant=lambda _: None)
    return plain


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


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
