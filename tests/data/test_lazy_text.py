from __future__ import annotations

import gzip
import hashlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lamina.data import lazy_text
from lamina.data.lazy_text import TextPart, read_blocks
from lamina.data.text import read_text
from lamina.data.vocabulary import Unit, Vocabulary
from lamina.errors import DataError

TEXT = "\ufeffGrüße an 東京\r\n\n one  two\tthree 🎵\nthe end " * 40 + "\nno line end"


@pytest.fixture(params=["plain", "gzipped"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    content = TEXT.encode()
    if request.param == "plain":
        (tmp_path / "a.txt").write_bytes(content)
        return tmp_path / "a.txt"
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(content))
    return tmp_path / "a.txt.gz"


@pytest.mark.parametrize("size", [1, 7, 100, 1 << 18])
def test_blocks_are_the_text_cut_at_line_ends(file: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazy_text, "BLOCK_BYTES", size)
    blocks = list(read_blocks(file))
    assert "".join(blocks) == read_text(file)
    assert all(block.endswith("\n") for block in blocks[:-1])


@pytest.mark.parametrize("unit", ["character", "word", "spaced", "subword"])
def test_a_file_has_the_tokens_of_its_text(file: Path, unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazy_text, "BLOCK_BYTES", 64)
    text = read_text(file)
    vocabulary = Vocabulary.fit([text], unit=unit, size=300)
    assert Vocabulary.fit(TextPart(file), unit=unit, size=300).to_dict() == vocabulary.to_dict()
    for begin, end in ((0, None), (0, 500), (500, None), (37, 38)):
        part, same = TextPart(file, begin, end), text[begin:end]
        assert "".join(part) == same
        assert part.length() == len(same)
        assert part.digest() == hashlib.sha256(same.encode()).hexdigest() == TextPart(same).digest()
        np.testing.assert_array_equal(part.tokens(vocabulary), vocabulary.encode(same))


def test_no_word_lies_across_its_end(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = read_text(file)
    for size in (16, 1 << 18):
        monkeypatch.setattr(lazy_text, "BLOCK_BYTES", size)
        for place in range(40, 120):
            expected = max(found.end() for found in re.finditer("[ \\n]", text[:place]))
            assert TextPart(file).word_end(place) == TextPart(text).word_end(place) == expected


def test_faults_of_a_file_are_those_of_reading_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lazy_text, "BLOCK_BYTES", 5)
    bad, blank = tmp_path / "bad.txt", tmp_path / "blank.txt"
    bad.write_bytes(b"one line\nand two\nGr\xfcn\n")
    blank.write_text(" \n\n ")
    with pytest.raises(DataError) as whole:
        read_text(bad)
    with pytest.raises(DataError, match=r"line 3 of .* has the byte 0xfc") as lazy:
        list(TextPart(bad))
    assert str(lazy.value) == str(whole.value)
    bad.write_bytes(b"one line\nand an \xe2\x82")
    with pytest.raises(DataError, match=r"line 2 of .* has the byte 0xe2"):
        list(TextPart(bad))
    with pytest.raises(DataError, match="this one is empty"):
        TextPart.of(blank)
    with pytest.raises(DataError, match="there is no file"):
        TextPart.of(tmp_path / "none.txt")


MEMORY = """
import resource, sys
from pathlib import Path
import torch
from lamina.estimators.language_model import LanguageModel
from lamina.nn.stack import StackConfig
from lamina.training.optim import TrainingConfig
import lamina.training.loop, lightning_fabric

def fit(path):
    training = TrainingConfig(max_steps=2, batch_size=4, validations=1)
    small = StackConfig(hidden_sizes=(8,))
    LanguageModel(unit="spaced", stack=small, training=training, validation_fraction=0.002).fit(path)

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

torch.set_num_threads(1)
fit(Path(sys.argv[1]))
before = peak_mb()
fit(Path(sys.argv[2]))
print(peak_mb() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory has another unit elsewhere")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    words = " ".join(f"word{n % 97:02d}" for n in range(2000)) + "\n"
    for name, megabytes in (("short", 1), ("long", 24)):
        (tmp_path / name).write_text(words * (megabytes * 1_000_000 // len(words)))
    said = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "short"), str(tmp_path / "long")],
        capture_output=True,
        text=True,
        check=True,
    )
    # the text alone is 23 MB more, and its tokens 13 MB on disk, of which the system may keep pages in memory
    assert float(said.stdout) < 20
