from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lamina.errors import SavedModelError
from lamina.study.ledger import FILE, ScoreBook, read_scores
from lamina.study.scores import Layout


def test_scores_are_kept_once_and_in_single_precision_where_that_loses_nothing(tmp_path: Path) -> None:
    layout = Layout(np.array([0, 0, 1]), block_windows=2, power=0.5)
    book = ScoreBook(layout, layout)
    halves, thirds = np.array([[0.5, np.nan, 1.0], [0.25, 0.5, 1.0]]), np.full((1, 3), 1 / 3)
    assert (book.validation(halves), book.validation(halves[:1]), book.test(thirds)) == ((0, 1), (0,), (0,))
    recorded = read_scores(tmp_path, book.save(tmp_path))
    np.testing.assert_array_equal(recorded.rows((1, 0)), halves[::-1])
    np.testing.assert_array_equal(recorded.test_rows((0,)), thirds)
    assert (recorded.layout.series.tolist(), recorded.layout.block_windows) == ([0, 0, 1], 2)
    assert (recorded.layout.power, recorded.test_layout.power) == (0.5, 0.5)
    with np.load(tmp_path / "scores.npz") as arrays:
        assert (arrays["validation"].dtype, arrays["test"].dtype) == (np.float32, np.float64)


def test_what_single_precision_would_change_is_kept_in_double(tmp_path: Path) -> None:
    book = ScoreBook(Layout(np.zeros(2, int), 1), Layout(np.zeros(1, int), 1))
    scores = np.array([[1 / 3, 1e300]])  # the second is beyond single precision
    places = book.validation(scores)
    recorded = read_scores(tmp_path, book.save(tmp_path))
    np.testing.assert_array_equal(recorded.rows(places), scores)
    assert recorded.test.shape == (0, 1)


def test_a_file_that_is_gone_or_changed_is_refused(tmp_path: Path) -> None:
    book = ScoreBook(Layout(np.zeros(1, int), 1), Layout(np.zeros(1, int), 1))
    scores = book.save(tmp_path)
    content = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(content[:-1])
    with pytest.raises(SavedModelError, match="is not the file that the study wrote"):
        read_scores(tmp_path, scores)
    (tmp_path / FILE).unlink()
    with pytest.raises(SavedModelError, match="Copy the study whole"):
        read_scores(tmp_path, scores)
