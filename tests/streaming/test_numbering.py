"""Which lines are new: those a sender numbers, those it does not, and those that cannot be read."""

from __future__ import annotations

import pytest

from lamina.streaming.numbering import Numbering

UNREAD, PLAIN = "unread", "plain"
Line = int | str


def places(numbers: Numbering, *lines: Line) -> list[tuple[int, str]]:
    """A line is the number it bears, or PLAIN where it bears none, or UNREAD."""
    return [numbers.place(line if isinstance(line, int) else None, readable=line != UNREAD) for line in lines]


def test_lines_without_numbers_follow_one_another() -> None:
    assert places(Numbering(), PLAIN, UNREAD, PLAIN) == [(1, "new"), (2, "new"), (3, "new")]
    assert places(Numbering(7), PLAIN, UNREAD) == [(8, "new"), (9, "new")]


def test_a_line_that_cannot_be_read_follows_the_senders_last() -> None:
    """Rows 1, 2 and 3 are known, and are sent again with a fourth."""
    found = places(Numbering(3), 1, UNREAD, 3, 4)
    assert found == [(1, "known"), (2, "known"), (3, "known"), (4, "new")]
    assert places(Numbering(3), 1, PLAIN, PLAIN, PLAIN)[1:] == [(2, "known"), (3, "known"), (4, "new")]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # of rows 1 to 3, the second is sent again first
        ([UNREAD, 3, 4, 5], [(4, "new"), (3, "known"), (4, "new"), (5, "new")]),
        ([UNREAD, UNREAD, 3, UNREAD, 5], [(4, "new"), (5, "new"), (3, "known"), (4, "new"), (5, "new")]),
        # two rows that come next, or one known and one new
        ([UNREAD, UNREAD, 6], [(4, "new"), (5, "new"), (6, "new")]),
        ([UNREAD, UNREAD, 5, 6], [(4, "new"), (5, "new"), (5, "new"), (6, "new")]),
    ],
)
def test_the_next_number_tells_which_unreadable_line_it_was(
    lines: list[Line], expected: list[tuple[int, str]]
) -> None:
    assert places(Numbering(3), *lines) == expected


def test_a_line_sent_twice_takes_no_number_from_the_next() -> None:
    assert places(Numbering(), 1, UNREAD, UNREAD, 3, 4)[-2:] == [(3, "new"), (4, "new")]


def test_a_hole_is_early_and_changes_nothing() -> None:
    numbers = Numbering(3)
    assert places(numbers, 6, PLAIN, 99, 5) == [(6, "early"), (4, "new"), (99, "early"), (5, "new")]
    assert numbers.position == 5


@pytest.mark.parametrize("first", [3, 4, 5])
def test_unreadable_rows_at_the_end_are_known_so_after_a_restart(first: int) -> None:
    numbers = Numbering()
    places(numbers, 1, 2, 3, UNREAD, UNREAD)
    assert (numbers.position, numbers.unread) == (5, 2)
    found = places(Numbering(numbers.position, numbers.unread), first)
    assert found == [(first, "known" if first == 3 else "new")]
