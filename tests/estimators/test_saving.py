from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from lamina.errors import SavedModelError
from lamina.estimators.saving import SavedModel, load_weights, require_free, versions

NAN = float("nan")
NAMES = ["config.json", "history.safetensors", "manifest.json", "preprocessing.json", "weights.safetensors"]


def model(**changes: object) -> SavedModel:
    fields: dict[str, object] = {
        "kind": "Toy",
        "config": {"size": 3, "rates": [0.1, 1 / 3]},
        "weights": {"w": torch.arange(6.0).view(2, 3), "none": torch.zeros(0, 2)},
        "preprocessing": {"mean": [1e-300, 2.0]},
        "history": {"y": torch.tensor([1.0, NAN], dtype=torch.float64)},
        "manifest": {"seed": 3, "training": {"train_loss": [1.0, NAN, float("inf")]}},
    }
    return SavedModel(**(fields | changes))  # type: ignore[arg-type]


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(bytes(content))


def test_a_model_comes_back_exactly(tmp_path: Path) -> None:
    ours = model()
    ours.write(tmp_path / "m")
    assert sorted(file.name for file in (tmp_path / "m").iterdir()) == NAMES
    read = SavedModel.read(tmp_path / "m")
    assert (read.kind, read.config, read.preprocessing) == (ours.kind, ours.config, ours.preprocessing)
    for mine, theirs in ((ours.weights, read.weights), (ours.history, read.history)):
        assert mine.keys() == theirs.keys()
        for name, value in mine.items():
            torch.testing.assert_close(theirs[name], value, rtol=0, atol=0, equal_nan=True)


def test_the_manifest_says_where_a_model_comes_from(tmp_path: Path) -> None:
    model().write(tmp_path / "m")
    manifest = json.loads((tmp_path / "m" / "manifest.json").read_text())
    assert manifest["versions"] == versions()
    assert manifest["versions"].keys() == {"lamina", "torch", "numpy", "polars"}
    assert manifest["seed"] == 3
    weights = (tmp_path / "m" / "weights.safetensors").read_bytes()
    assert manifest["sha256"]["weights.safetensors"] == hashlib.sha256(weights).hexdigest()


def test_nan_in_the_manifest_is_written_as_null(tmp_path: Path) -> None:
    model().write(tmp_path / "m")
    assert SavedModel.read(tmp_path / "m").manifest["training"] == {"train_loss": [1.0, None, None]}


def test_nothing_is_pickled(tmp_path: Path) -> None:
    model().write(tmp_path / "m")
    for file in (tmp_path / "m").iterdir():
        assert file.suffix in (".json", ".safetensors")


def test_tensors_that_share_memory_can_be_saved(tmp_path: Path) -> None:
    shared = torch.arange(4.0)
    model(weights={"a": shared, "b": shared, "c": shared.view(2, 2).t()}).write(tmp_path / "m")
    read = SavedModel.read(tmp_path / "m").weights
    assert read["c"].tolist() == [[0.0, 2.0], [1.0, 3.0]]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def first_byte(path: Path) -> None:
    flip(path, 0)


def middle_byte(path: Path) -> None:
    flip(path, path.stat().st_size // 2)


def last_byte(path: Path) -> None:
    flip(path, path.stat().st_size - 1)


@pytest.mark.parametrize("damage", [truncate, empty, first_byte, middle_byte, last_byte, Path.unlink])
@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, damage: Callable[[Path], None]) -> None:
    model().write(tmp_path / "m")
    damage(tmp_path / "m" / name)
    with pytest.raises(SavedModelError, match=name.replace(".", r"\.")):
        SavedModel.read(tmp_path / "m")


def test_no_byte_of_the_manifest_may_change(tmp_path: Path) -> None:
    model().write(tmp_path / "m")
    manifest = tmp_path / "m" / "manifest.json"
    whole = manifest.read_bytes()
    for position in range(0, len(whole), 5):
        flip(manifest, position)
        with pytest.raises(SavedModelError):
            SavedModel.read(tmp_path / "m")
        manifest.write_bytes(whole)
    SavedModel.read(tmp_path / "m")


def test_a_newer_schema_says_how_to_read_it(tmp_path: Path) -> None:
    model().write(tmp_path / "m")
    path = tmp_path / "m" / "config.json"
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(SavedModelError, match=r"has schema 2, .* reads up to 1\. Install a newer Lamina"):
        SavedModel.read(tmp_path / "m")


@pytest.mark.parametrize(
    "content", ['{"schema": "one", "kind": "Toy"}', '{"model_type": "bert"}', '{"schema": 1}']
)
def test_the_config_of_something_else_is_no_model(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(SavedModelError, match=r"has a schema and a kind, and that in .* has not"):
        SavedModel.read(tmp_path)


def test_a_folder_that_is_no_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(SavedModelError, match=r"has none\. Name a directory that save\(\) wrote"):
        SavedModel.read(tmp_path)
    with pytest.raises(SavedModelError, match="nowhere is no directory"):
        SavedModel.read(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(SavedModelError, match="file is no directory"):
        SavedModel.read(tmp_path / "file")


@pytest.mark.parametrize("name", ["notes.txt", "manifest.json", "config.json"])
def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(SavedModelError, match=r"holds something else\. Name another"):
        model().write(tmp_path)
    assert (tmp_path / name).read_text() == "{}"


def test_a_model_with_a_file_of_someone_else_is_left_alone(tmp_path: Path) -> None:
    model().write(tmp_path / "m")
    (tmp_path / "m" / "notes.txt").write_text("mine")
    with pytest.raises(SavedModelError, match="holds something else"):
        model().write(tmp_path / "m")
    assert (tmp_path / "m" / "notes.txt").read_text() == "mine"


def test_a_file_is_not_replaced_by_a_model(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("mine")
    with pytest.raises(SavedModelError, match="holds something else"):
        model().write(tmp_path / "m")
    assert (tmp_path / "m").read_text() == "mine"


@pytest.mark.parametrize("place", ["/proc/m", "/proc/1/none/m", "file/m", "file/deeper/m"])
def test_a_place_that_cannot_be_made_is_told_before_any_work(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("something")
    for act in (require_free, model().write):
        with pytest.raises(SavedModelError, match=r"/m cannot be made: .+\. Name another"):
            act(tmp_path / place)
    require_free(tmp_path / "new" / "deeper" / "m")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_free_place_is_nothing_an_empty_folder_or_a_model(tmp_path: Path) -> None:
    require_free(tmp_path / "new")
    require_free(tmp_path)
    model().write(tmp_path / "deep" / "m")
    require_free(tmp_path / "deep" / "m")


def test_an_older_model_is_replaced_and_nothing_is_left_behind(tmp_path: Path) -> None:
    model().write(tmp_path / "m")
    model(kind="Newer", history={}).write(tmp_path / "m")
    assert SavedModel.read(tmp_path / "m").kind == "Newer"
    assert SavedModel.read(tmp_path / "m").history == {}
    assert [file.name for file in tmp_path.iterdir()] == ["m"]
    assert not (tmp_path / "m" / "history.safetensors").exists()


def test_an_older_model_survives_a_write_that_fails(tmp_path: Path) -> None:
    model().write(tmp_path / "m")
    with pytest.raises(TypeError):
        model(preprocessing={"not": object()}).write(tmp_path / "m")
    assert SavedModel.read(tmp_path / "m").kind == "Toy"
    model(kind="Newer").write(tmp_path / "m")  # the unfinished one is no obstacle
    assert SavedModel.read(tmp_path / "m").kind == "Newer"


def test_a_model_can_be_saved_into_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    model().write("m")
    assert SavedModel.read("m").kind == "Toy"


def test_weights_of_another_form_are_an_error() -> None:
    with pytest.raises(SavedModelError, match=r"the weights in m/ do not fit its config\.json"):
        load_weights(nn.Linear(2, 1), nn.Linear(3, 1).state_dict(), "m/")


def test_loaded_weights_are_ready_to_predict() -> None:
    source, target = nn.Linear(2, 1), nn.Linear(2, 1)
    load_weights(target, source.state_dict(), "m/")
    assert torch.equal(target.weight, source.weight)
    assert not target.training
