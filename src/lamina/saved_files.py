"""The files of a saved model, read and checked without torch; ``lamina/estimators/saving.py`` writes them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamina.errors import SavedModelError

SCHEMA = 1
REQUIRED = ("config.json", "preprocessing.json", "weights.safetensors", "manifest.json")
FILES = {*REQUIRED, "history.safetensors"}


@dataclass(frozen=True)
class SavedFiles:
    """What a model's directory says, its tensors left where they are.

    Attributes:
        kind: name of the estimator's class.
        config: its parameters and its network's form.
        preprocessing: what was fitted besides weights.
        manifest: where the model comes from.
    """

    kind: str
    config: dict[str, Any]
    preprocessing: dict[str, Any]
    manifest: dict[str, Any]

    @property
    def has_history(self) -> bool:
        """Whether rows are stored beside the weights."""
        return "history.safetensors" in self.manifest["sha256"]


def read_saved(folder: Path) -> SavedFiles:
    """Read a model's directory and check that every file is the one that was saved.

    Raises:
        SavedModelError: it is not a model, is damaged, or was written by a newer version.
    """
    if not (folder / "config.json").is_file():
        raise SavedModelError(
            f"a model is a directory with a config.json, and {folder} "
            f"{'has none' if folder.is_dir() else 'is no directory'}. Name a directory that save() wrote."
        )
    config = read_json(folder / "config.json")
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
    manifest = read_json(folder / "manifest.json")
    check_digests(folder, manifest)
    return SavedFiles(
        kind=config.pop("kind"),
        config=config,
        preprocessing=read_json(folder / "preprocessing.json"),
        manifest=manifest,
    )


def check_digests(folder: Path, manifest: dict[str, Any]) -> None:
    """Raise SavedModelError where a file is not the one that was saved."""
    digests = manifest.get("sha256")
    complete = isinstance(digests, dict) and digests.keys() >= set(REQUIRED)
    if not complete or manifest["sha256"]["manifest.json"] != own_digest(manifest):
        raise SavedModelError(
            f"{folder} is damaged: manifest.json differs from what was saved. Restore it, or train again."
        )
    for name in sorted(manifest["sha256"].keys() - {"manifest.json"}):
        file = folder / name
        if not file.is_file():
            raise SavedModelError(f"{folder} is damaged: {name} is missing. Restore it, or train again.")
        if manifest["sha256"][name] != file_digest(file):
            raise SavedModelError(
                f"{folder} is damaged: {name} differs from what was saved. Restore it, or train again."
            )


def own_digest(manifest: dict[str, Any]) -> str:
    """SHA-256 of a manifest's content without this digest."""
    others = {name: digest for name, digest in manifest["sha256"].items() if name != "manifest.json"}
    return hashlib.sha256(json.dumps({**manifest, "sha256": others}).encode()).hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """A file's one JSON object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SavedModelError(f"{path} cannot be read: {error}. Restore it, or train again.") from error
    if not isinstance(content, dict):
        raise SavedModelError(f"{path} must hold one JSON object. Restore it, or train again.")
    return content


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
