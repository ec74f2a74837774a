"""Numbers of the lines that a sender sends: which are new, which known already, and which leave a hole."""

from __future__ import annotations

from typing import Literal

Place = Literal["new", "known", "early"]


class Numbering:
    """Gives each line its number, and says whether it is new.

    A sender numbers its lines from 1 without a hole, and may send some again. A line that bears no number, or
    cannot be read, follows the sender's last, and where it has told none yet, the last row known. The next
    number that is told may show that a line that could not be read was another; its number is free then.

    Args:
        position: the last row known.
        unread: how many rows up to there could not be read, after the last that could.
    """

    def __init__(self, position: int = 0, unread: int = 0) -> None:
        self.position = position
        self._firm = position - unread  # the last row that could be read
        self._following = position + 1

    @property
    def unread(self) -> int:
        """Rows that could not be read after the last that could."""
        return self.position - self._firm

    def place(self, told: int | None, *, readable: bool) -> tuple[int, Place]:
        """The number of the next line; "early" where rows before it are not known, so that it is not taken.

        Args:
            told: the number that the line bears.
            readable: whether it could be read.
        """
        number = self._following
        if told is not None:
            number = told
            self.position = max(self._firm, min(self.position, told - 1))
        if number > self.position + 1:
            return number, "early"
        self._following = number + 1
        if number <= self.position:
            return number, "known"
        self.position = number
        if readable:
            self._firm = number
        return number, "new"

    def restart(self) -> None:
        """Another sender begins, which has told no number yet."""
        self._following = self.position + 1
