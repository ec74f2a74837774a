"""The page about a stream, opened from disk in a headless browser."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from playwright.sync_api import Page

from lamina.report.stream_page import render, render_file, sentences
from lamina.streaming.progressive import evaluate
from lamina.streaming.stream_file import FileEvaluation, StreamFile, evaluate_file

Visit = Callable[..., AbstractContextManager[Page]]
Marks = Callable[[Page], dict[str, int]]


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> FileEvaluation:
    """A class that follows from x, and from row 1,000 on from nothing, which the detector notices."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=2000)
    up = np.where(np.arange(2000) < 1000, x > 0, generator.random(2000) < 0.5)
    path = tmp_path_factory.mktemp("stream") / "prices.csv"
    pl.DataFrame({"x": x, "up": up, "day": ["monday"] * 2000}).write_csv(path)
    return evaluate_file(StreamFile.read(path, "up"), drift="adwin", depth=0)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> FileEvaluation:
    """A series with a season, whose intervals have a coverage."""
    rows = np.arange(600)
    y = np.sin(rows / 4) + np.random.default_rng(0).normal(0, 0.2, 600)
    path = tmp_path_factory.mktemp("stream") / "load.csv"
    pl.DataFrame({"load": y}).write_csv(path)
    return evaluate_file(StreamFile.read(path, "load"), depth=0)


@pytest.fixture(params=["classes", "numbers"])
def run(request: pytest.FixtureRequest) -> FileEvaluation:
    found: FileEvaluation = request.getfixturevalue(request.param)
    return found


def test_the_page_of_classes_says_what_was_found(
    classes: FileEvaluation, tmp_path: Path, visit: Visit, marks_by_chart: Marks
) -> None:
    found, path = classes.found, tmp_path / "page.html"
    render_file(classes, path)
    with visit(path) as page:
        assert page.locator("h1").inner_text() == "prices.csv: up"
        lead = f"Right in {found.score:.1%} of the rows. No change: {found.no_change:.1%}."
        assert page.locator(".lead").inner_text() == lead.replace("%", "\N{NO-BREAK SPACE}%")
        highlights = page.locator(".highlights").inner_text()
        assert f"{found.kappa:.3f}" in highlights
        assert f"{found.rows_per_s:,.0f} rows a second" in highlights
        facts = page.locator("#record").inner_text()
        assert "ADWIN, on the loss" in facts
        assert "day (no numbers)" in facts
        drawn = marks_by_chart(page)
        assert set(drawn) == {"figure-score", "figure-weights"}
        assert len(found.drifts) > 0
        # two lines with a point a window, and a rule a drift
        assert drawn["figure-score"] >= 2 + 2 * len(found.curve) + len(found.drifts)
        assert drawn["figure-weights"] >= 8 + len(found.drifts)
        assert page.locator("#windows tbody tr").count() == len(found.curve) == 20
        assert page.locator("#experts tbody tr").count() == len(found.weights)


def test_the_page_of_numbers_shows_coverage(
    numbers: FileEvaluation, tmp_path: Path, visit: Visit, marks_by_chart: Marks
) -> None:
    render_file(numbers, tmp_path / "page.html")
    with visit(tmp_path / "page.html") as page:
        drawn = marks_by_chart(page)
        assert set(drawn) == {"figure-score", "figure-coverage", "figure-weights"}
        assert drawn["figure-coverage"] == 1 + 1 + len(numbers.found.curve)  # a rule, a line, its points
        heading = page.locator("#windows th", has_text="inside 90")
        heading.locator("button").focus()
        page.keyboard.press("Enter")
        assert heading.get_attribute("aria-sort") == "ascending"
        assert "Dotted" not in page.locator("body").inner_text()


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_its_window(
    run: FileEvaluation, tmp_path: Path, visit: Visit, words_cut: Callable[[Page], list[str]], width: int
) -> None:
    render_file(run, tmp_path / "page.html")
    with visit(tmp_path / "page.html", width=width, dark=width == 390) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert words_cut(page) == []
        labels = page.locator(".chart").evaluate_all("charts => charts.map(chart => chart.ariaLabel)")
        assert all(len(label) > 40 for label in labels)
        titles = page.locator(".chart .role-axis-title text").all_text_contents()
        assert [title for title in titles if "(" not in title] == []


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_no_fault(
    run: FileEvaluation, tmp_path: Path, faults_of_axe: Callable[..., list[object]], dark: bool
) -> None:
    render_file(run, tmp_path / "page.html")
    assert faults_of_axe(tmp_path / "page.html", dark=dark) == []


class LastButOne:
    """Says the label before the last one: worse than no change, and without experts."""

    def __init__(self) -> None:
        self.labels: list[object] = [None, None]

    def predict_one(self, x: object) -> object:
        del x
        return self.labels[-2]

    def learn_one(self, x: object, y: object) -> None:
        del x
        self.labels.append(y)


def test_any_learner_has_a_page_and_text_is_never_markup(
    tmp_path: Path, visit: Visit, marks_by_chart: Marks
) -> None:
    evil = "</script><script>window.pwned=1</script><img src=x onerror='window.pwned=1'>"
    rows: list[tuple[dict[str, float], bool]] = [({}, n % 7 > 3) for n in range(300)]
    found = evaluate(LastButOne(), rows, window=50)
    render(found, tmp_path / "page.html", title=evil, facts={evil: evil})
    with visit(tmp_path / "page.html") as page:
        assert page.evaluate("window.pwned === undefined")
        assert page.locator("img").count() == 0
        assert page.locator("h1").inner_text() == evil
        assert set(marks_by_chart(page)) == {"figure-score"}
        assert "would have been better" in page.locator(".notice").inner_text()


def test_one_window_is_a_page_too(
    classes: FileEvaluation, tmp_path: Path, visit: Visit, marks_by_chart: Marks
) -> None:
    found = replace(classes.found, curve=classes.found.curve[:1], drifts=())
    render(found, tmp_path / "page.html", title="short")
    with visit(tmp_path / "page.html") as page:
        assert all(count > 0 for count in marks_by_chart(page).values())


def test_sentences_are_right_in_number(classes: FileEvaluation) -> None:
    found = replace(classes.found, kappa=0.5, windows_below=0.0)
    assert sentences(found)[1].endswith("It was worse in none of 20 windows of 100 rows.")
    found = replace(found, windows_below=3 / 20, metric="mae", score=2.0, no_change=4.0)
    assert sentences(found) == (
        "Mean error 2. No change: 4.",
        "50.0 % of the error of no change is avoided (kappa 0.500). "
        "It was worse in 3 of 20 windows of 100 rows.",
    )


def test_where_no_change_is_never_wrong_nothing_is_avoided(classes: FileEvaluation, tmp_path: Path) -> None:
    found = replace(classes.found, kappa=None, no_change=1.0, windows_below=0.0)
    assert sentences(found)[1].startswith(
        "No change is never wrong here, so there is nothing to avoid. It was"
    )
    render(found, tmp_path / "page.html", title="still")
