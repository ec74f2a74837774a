from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
import torch


def test_a_bar_is_reached_on_its_side_and_in_its_time(language: ModuleType) -> None:
    result = language.Result
    assert result("a", "nats", 1.5, 1.5, False).reached
    assert not result("a", "nats", 1.6, 1.5, False).reached
    assert result("a", "accuracy", 0.9, 0.9, True, train_s=10, limit_s=10).reached
    assert not result("a", "accuracy", 0.9, 0.9, True, train_s=11, limit_s=10).reached
    assert not result("a", "nats", float("nan"), 1.5, False).reached


def test_labelled_lines_have_coarse_labels(language: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(
        gzip.compress("DESC:manner How did it go ?\n1 fine ñ\n\n".encode("latin-1"))
    )
    assert language.labelled_lines(tmp_path / "a.gz", "latin-1") == (
        ["How did it go ?", "fine ñ"],
        ["DESC", "1"],
    )


def write_reviews(folder: Path) -> None:
    """Four, each of which tells its own name."""
    (folder / "movie_reviews").mkdir()
    with zipfile.ZipFile(folder / "movie_reviews" / "movie_reviews.zip", "w") as archive:
        for name in ("neg/cv000_1.txt", "pos/cv899_2.txt", "pos/cv900_3.txt", "neg/cv999_4.txt", "README"):
            archive.writestr(f"movie_reviews/{name}", name)


def test_the_last_hundred_reviews_are_the_test(language: ModuleType, tmp_path: Path) -> None:
    write_reviews(tmp_path)
    train, test = language.movie_texts(tmp_path)
    assert train == (["neg/cv000_1.txt", "pos/cv899_2.txt"], ["negative", "positive"])
    assert test == (["neg/cv999_4.txt", "pos/cv900_3.txt"], ["negative", "positive"])


def test_speeds_are_of_the_median_step(language: ModuleType) -> None:
    model = torch.nn.Linear(2, 1)

    def loss() -> torch.Tensor:
        found: torch.Tensor = model(torch.ones(1, 2)).sum()
        return found

    rates = language.steps_per_second({"a": (model, loss), "b": (model, loss)}, seconds=0.05)
    assert rates.keys() == {"a", "b"}
    assert 0.2 < rates["a"] / rates["b"] < 5


def test_a_quick_run_writes_its_figures(
    language: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "trec").mkdir()
    lines = "".join(f"HUM:ind Who was number {i} ?\nLOC:city Where is place {i} ?\n" for i in range(40))
    for name in ("train", "test"):
        (tmp_path / "trec" / f"TREC.{name}.txt.gz").write_bytes(gzip.compress(lines.encode()))
    out = tmp_path / "out.json"
    out.write_text(json.dumps({"results": [{"part": "ewt"}, {"part": "trec"}, {"part": "jsb"}]}))
    arguments = ["--data-folder", str(tmp_path), "--only", "trec", "--quick", "--threads", "1"]
    assert language.main([*arguments, "--json", str(out)]) == 0
    jsb, result, ewt = json.loads(out.read_text())["results"]
    assert (jsb, ewt) == ({"part": "jsb"}, {"part": "ewt"})
    assert (result["machine"]["threads"], result["machine"]["quick"]) == (1, True)
    assert result["part"] == "trec"
    assert result["score"] == 1.0
    assert result["notes"].keys() == {"majority", "TF-IDF", "naive Bayes", "processor s, all in all"}
    assert result["notes"]["majority"] == 0.5
    assert language.main(["--data-folder", str(tmp_path), "--only", "trek"]) == 2
    assert "did you mean 'trec'" in capsys.readouterr().out


def test_pre_training_is_set_beside_the_same_network_without(language: ModuleType, tmp_path: Path) -> None:
    write_reviews(tmp_path)
    (tmp_path / "sst").mkdir()
    lines = "".join(f"1 a good film number {i}\n0 a bad film number {i}\n" for i in range(40))
    for name in ("train", "test"):
        (tmp_path / "sst" / f"stsa.binary.{name}.gz").write_bytes(gzip.compress(lines.encode()))
    options = language.Options(tmp_path, seed=0, quick=True, checkpoints=None)
    result = language.sst2_pretrained(options)
    notes = result.notes
    assert result.score == pytest.approx(notes["accuracy with"] - notes["accuracy without"])
    assert 0 < notes["pre-training, nats a token"] < 10
    assert result.bar == 1 / 80


def test_a_quick_translation_is_scored_on_the_test_part(
    language: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "multi30k"
    folder.mkdir()
    for part in ("train", "val", "test_2016_flickr"):
        for side, word in (("en", "number"), ("de", "Nummer")):
            lines = "".join(f"{word} {i} {i + 1}\n" for i in range(30))
            (folder / f"{part}.{side}.gz").write_bytes(gzip.compress(lines.encode()))
    out = tmp_path / "out.json"
    arguments = [
        "--data-folder",
        str(tmp_path),
        "--only",
        "multi30k,attention_gain",
        "--quick",
        "--threads",
        "1",
    ]
    assert language.main([*arguments, "--json", str(out)]) == 0
    whole, gain = json.loads(out.read_text())["results"]
    assert whole["bar"] == 33
    assert whole["notes"]["signature"].startswith("nrefs:1|case:mixed|")
    assert whole["notes"]["steps"] == language.QUICK_STEPS
    assert gain["score"] == gain["notes"]["multiplicative"] - gain["notes"]["None"]
