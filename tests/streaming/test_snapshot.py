from __future__ import annotations

from pathlib import Path

import pytest

from lamina.errors import SavedModelError
from lamina.streaming.snapshot import pack_snapshot, read_snapshot, unpack_snapshot, write_durably


def test_any_cut_and_any_changed_byte_is_seen() -> None:
    whole = pack_snapshot({"rows": 7, "model": "ab"}, b"\x00\xff" * 20)
    assert unpack_snapshot(whole) == ({"rows": 7, "model": "ab"}, b"\x00\xff" * 20)
    for length in range(len(whole)):
        with pytest.raises(SavedModelError):
            unpack_snapshot(whole[:length])
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1
        with pytest.raises(SavedModelError):
            unpack_snapshot(bytes(changed))


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "state.bin"
    write_durably(target, b"old")
    write_durably(target, b"newer")
    assert target.read_bytes() == b"newer"
    assert [file.name for file in tmp_path.iterdir()] == ["state.bin"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SavedModelError, match=r"none\.bin cannot be read"):
        read_snapshot(tmp_path / "none.bin")
