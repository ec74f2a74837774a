from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from lamina.data import sources
from lamina.data.series import SeriesTable
from lamina.data.sources import BUNDLED, SOURCES, SeriesSource, find_source, load, load_labelled, load_series
from lamina.errors import DataError


def test_the_bundled_series_is_the_published_one() -> None:
    table = load("wikipedia_views")
    assert isinstance(table, SeriesTable)
    assert (table.rows, int(np.isnan(table.y).sum())) == (2_964, 59)  # 2,905 rows and 59 left-out days
    assert table.y[0] == 9.59076113897809
    source = find_source("wikipedia_views")
    assert isinstance(source, SeriesSource)
    assert source.cuts(table).rows == {"train": 2_234, "validation": 365, "test": 365}


def test_the_bundled_sequences_are_the_published_ones() -> None:
    train, test = load_labelled("JapaneseVowels")
    assert (len(train), len(test), train.n_features) == (270, 370, 12)
    assert (int(min(train.lengths.min(), test.lengths.min())), int(test.lengths.max())) == (7, 29)
    assert train.classes == test.classes == tuple("123456789")
    assert train[0][0, 0] == np.float32(1.860936)
    assert np.bincount(train.labels).tolist() == [30] * 9
    motions = load("BasicMotions")
    assert not isinstance(motions, SeriesTable)
    assert (len(motions.train), len(motions.test), motions.train.n_features) == (40, 40, 6)


def test_every_source_has_its_checksums_and_bundled_files_their_place() -> None:
    checksums = sources._checksums()
    for source in SOURCES.values():
        assert set(source.files) <= set(checksums)
        assert all((BUNDLED / file).is_file() == source.bundled for file in source.files)
        assert source.licence


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(DataError, match="no data set is called 'ETTh'; did you mean 'ETTh1'"):
        find_source("ETTh")


def test_a_set_that_is_not_bundled_needs_its_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LAMINA_DATA", raising=False)
    with pytest.raises(DataError, match="no data folder was named"):
        load_series("ETTh1")
    monkeypatch.setenv("LAMINA_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"needs the file 'ett/ETTh1\.csv\.gz'"):
        load_series("ETTh1")


def test_another_file_under_the_name_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "ett").mkdir()
    (tmp_path / "ett" / "ETTh1.csv.gz").write_bytes(b"date,OT\n")
    with pytest.raises(DataError, match="SHA-256 differs"):
        load_series("ETTh1", tmp_path)


def test_a_damaged_bundled_file_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copytree(BUNDLED, tmp_path / "bundled")
    (file,) = (tmp_path / "bundled" / "wikipedia_views").iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    monkeypatch.setattr(sources, "BUNDLED", tmp_path / "bundled")
    with pytest.raises(DataError, match="SHA-256 differs"):
        load_series("wikipedia_views")


def test_the_kinds_are_not_mixed_up() -> None:
    with pytest.raises(DataError, match="use load_labelled"):
        load_series("JapaneseVowels")
    with pytest.raises(DataError, match="use load_series"):
        load_labelled("wikipedia_views")
