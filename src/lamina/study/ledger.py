"""The scores by window that the answers follow from, in one file beside study.json."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lamina.errors import SavedModelError
from lamina.study.scores import Array, Layout
from lamina.study.verdict import Scores

FILE = "scores.npz"


class _Rows:
    """Rows of equal length, each kept once however many questions took it."""

    def __init__(self, windows: int) -> None:
        self._windows = windows
        self._rows: list[Array] = []
        self._places: dict[bytes, int] = {}

    def add(self, scores: Iterable[Array]) -> tuple[int, ...]:
        """Places of the scores among the rows."""
        return tuple(self._place(np.ascontiguousarray(row, np.float64)) for row in scores)

    def _place(self, row: Array) -> int:
        key = hashlib.sha256(row.tobytes()).digest()
        if key not in self._places:
            self._places[key] = len(self._rows)
            self._rows.append(row)
        return self._places[key]

    @property
    def matrix(self) -> NDArray[np.floating]:
        """(rows, windows), in single precision where that loses nothing."""
        rows = np.stack(self._rows) if self._rows else np.zeros((0, self._windows))
        with np.errstate(over="ignore"):  # what overflows is not equal, and stays as it is
            single = rows.astype(np.float32)
        return single if np.array_equal(single.astype(np.float64), rows, equal_nan=True) else rows


class ScoreBook:
    """Takes scores while the record is made, and writes them."""

    def __init__(self, layout: Layout, test_layout: Layout) -> None:
        self._layouts = (layout, test_layout)
        self._validation, self._test = (_Rows(len(one.series)) for one in self._layouts)

    def validation(self, scores: Iterable[Array]) -> tuple[int, ...]:
        """Keep scores of the validation part; the rows at which they lie."""
        return self._validation.add(scores)

    def test(self, scores: Iterable[Array]) -> tuple[int, ...]:
        """Keep scores of the test part; the rows at which they lie."""
        return self._test.add(scores)

    def save(self, folder: Path) -> Scores:
        """Write the file, whole or not at all."""
        content = io.BytesIO()
        layout, test_layout = self._layouts
        np.savez_compressed(
            content,
            validation=self._validation.matrix,
            test=self._test.matrix,
            series=layout.series,
            test_series=test_layout.series,
        )
        unfinished = folder / f"{FILE}.tmp"
        unfinished.write_bytes(content.getvalue())
        unfinished.replace(folder / FILE)
        return Scores(
            path=FILE,
            sha256=hashlib.sha256(content.getvalue()).hexdigest(),
            blocks=(layout.block_windows, test_layout.block_windows),
            power=layout.power,
        )


@dataclass(frozen=True, eq=False)
class Recorded:
    """The scores of a finished study, (rows, windows), and how windows hang together."""

    validation: Array
    test: Array
    layout: Layout
    test_layout: Layout

    def rows(self, places: Sequence[int]) -> Array:
        """Validation scores of some rows, (rows, windows)."""
        return self.validation[list(places)]

    def test_rows(self, places: Sequence[int]) -> Array:
        """Test scores of some rows, (rows, windows)."""
        return self.test[list(places)]


def read_scores(folder: Path, scores: Scores) -> Recorded:
    """The scores that a study wrote.

    Raises:
        SavedModelError: the file cannot be read, or is not the one that the study wrote.
    """
    path = folder / scores.path
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SavedModelError(f"{path} cannot be read: {error.strerror}. Copy the study whole.") from error
    if hashlib.sha256(content).hexdigest() != scores.sha256:
        raise SavedModelError(
            f"{path} is not the file that the study wrote: its SHA-256 is not the one in study.json. "
            "Copy it again, or run the study again."
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return Recorded(
            validation=arrays["validation"].astype(np.float64),
            test=arrays["test"].astype(np.float64),
            layout=Layout(arrays["series"], scores.blocks[0], scores.power),
            test_layout=Layout(arrays["test_series"], scores.blocks[1], scores.power),
        )
