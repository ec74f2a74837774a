from __future__ import annotations

from pathlib import Path

import pytest

from lamina.errors import SavedModelError
from lamina.streaming.journal import Journal
from lamina.streaming.snapshot import unpack_snapshot

ROWS = [(1, b'{"x": [1]}'), (2, b""), (3, b'{"key": "a b", "x": [2]}')]


def test_rows_are_there_after_a_crash(tmp_path: Path) -> None:
    with Journal(tmp_path / "state") as journal:
        assert (journal.rows, journal.recovered, journal.position) == ([], None, 0)
        journal.append(ROWS[:1])
        journal.append(ROWS[1:])
    with Journal(tmp_path / "state") as journal:
        assert journal.rows == ROWS


def test_a_row_that_was_cut_off_is_dropped_and_the_next_takes_its_place(tmp_path: Path) -> None:
    file = tmp_path / "state.journal"
    with Journal(tmp_path / "state") as journal:
        journal.append(ROWS)
    whole = file.read_bytes()
    last = len(whole.splitlines(keepends=True)[-1])
    for cut in range(1, last + 1):  # the shortest leaves only the end of the line out
        file.write_bytes(whole[: len(whole) - cut])
        with Journal(tmp_path / "state") as journal:
            assert journal.rows == ROWS[:2]
            journal.append([(3, b"other")])
        with Journal(tmp_path / "state") as journal:
            assert journal.rows == [*ROWS[:2], (3, b"other")]


def test_a_checkpoint_empties_the_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "state") as journal:
        journal.append(ROWS)
        journal.checkpoint(3, b"states")
        assert journal.size == 0
        journal.append([(4, b"next")])
    with Journal(tmp_path / "state") as journal:
        assert (journal.position, journal.recovered, journal.rows) == (3, b"states", [(4, b"next")])


def test_rows_that_the_snapshot_holds_are_not_read_again(tmp_path: Path) -> None:
    """A crash between writing the snapshot and emptying the journal."""
    with Journal(tmp_path / "state") as journal:
        journal.append(ROWS)
        before = (tmp_path / "state.journal").read_bytes()
        journal.checkpoint(2, b"states")
    (tmp_path / "state.journal").write_bytes(before)
    with Journal(tmp_path / "state") as journal:
        assert journal.rows == ROWS[2:]


def test_rows_that_could_not_be_read_may_come_again_after_a_checkpoint(tmp_path: Path) -> None:
    with Journal(tmp_path / "state") as journal:
        journal.checkpoint(4, b"states", unread=2)
        journal.append([(3, b"other"), (4, b"next")])
    with Journal(tmp_path / "state") as journal:
        assert (journal.position, journal.unread) == (4, 2)
        assert journal.rows == [(3, b"other"), (4, b"next")]


def test_a_folder_is_no_snapshot(tmp_path: Path) -> None:
    for snapshot in (tmp_path, Path()):
        with pytest.raises(SavedModelError, match="--snapshot names a file"):
            Journal(snapshot)
    assert not tmp_path.with_name(f"{tmp_path.name}.journal").exists()


def test_two_processes_do_not_share_a_journal(tmp_path: Path) -> None:
    with (
        Journal(tmp_path / "state"),
        pytest.raises(SavedModelError, match="another process streams"),
    ):
        Journal(tmp_path / "state")


def test_a_damaged_snapshot_is_an_error_and_stays_where_it_is(tmp_path: Path) -> None:
    with Journal(tmp_path / "state") as journal:
        journal.checkpoint(2, b"states")
    whole = (tmp_path / "state").read_bytes()
    (tmp_path / "state").write_bytes(whole[:-3])
    with pytest.raises(SavedModelError, match="cut off or damaged"):
        Journal(tmp_path / "state")
    (tmp_path / "state").write_bytes(whole)
    assert unpack_snapshot(whole) == ({"rows": 2, "unread": 0}, b"states")


@pytest.mark.parametrize("damage", [b"notes of mine\n", b"0" * 40 + b"\n"])
def test_a_damaged_journal_is_an_error_and_stays_as_it_is(tmp_path: Path, damage: bytes) -> None:
    """Rows behind the damage were answered, so they may not be dropped in silence."""
    with Journal(tmp_path / "state") as journal:
        journal.append(ROWS)
    file = tmp_path / "state.journal"
    first, rest = file.read_bytes().split(b"\n", maxsplit=1)
    for content in (damage + rest, first + b"\n" + damage, damage):
        file.write_bytes(content)
        with pytest.raises(
            SavedModelError, match=r"line [12] of the journal .* is damaged or of another file"
        ):
            Journal(tmp_path / "state")
        assert file.read_bytes() == content


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SavedModelError, match=r"cannot be written: .* No such file or directory"):
        Journal(tmp_path / "none" / "state")
