"""The report, opened from disk in a headless browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from lamina.report.render import page as html_page
from lamina.report.render import render
from lamina.study.verdict import Candidate, Check, Confusion, Data, Figures, Gap, StudyRecord, Verdict

Opener = Callable[..., Page]
Visit = Callable[..., AbstractContextManager[Page]]
Marks = Callable[[Page], dict[str, int]]


@contextmanager
def opened(visit: Visit, record: StudyRecord, folder: Path, width: int, dark: bool) -> Iterator[Page]:
    """Render a record and open the file."""
    path = folder / "report.html"
    render(record, path)
    with visit(path, width=width, dark=dark) as page:
        yield page


@pytest.fixture
def open_report(visit: Visit, tmp_path: Path) -> Iterator[Opener]:
    """Opens a record's report in a page of its own."""
    with ExitStack() as pages:

        def open_(record: StudyRecord, *, width: int = 1280, dark: bool = False) -> Page:
            return pages.enter_context(opened(visit, record, tmp_path, width, dark))

        yield open_


@pytest.fixture(scope="module")
def forecast_page(
    visit: Visit, forecast_record: StudyRecord, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    """One page for the tests that look, sort and choose, none of which minds the others."""
    with opened(visit, forecast_record, tmp_path_factory.mktemp("report"), 1280, False) as page:
        yield page


def test_every_chart_of_a_forecast_study_draws_its_marks(forecast_page: Page, marks_by_chart: Marks) -> None:
    drawn = marks_by_chart(forecast_page)
    at_least = {
        "figure-scores-depth": 4 * 5 + 4,  # a dot a seed, a diamond a mean
        "figure-costs-depth": 4,
        "figure-scores-direction": 2 * 5 + 2,
        "figure-costs-direction": 2,
        "figure-scores-cell": 2 * 5 + 2,
        "figure-costs-cell": 2,
        "figure-scores-trivial": 5 + 3,
        "figure-costs-trivial": 1,
        "figure-cost": 6 + 4,  # the collapsed candidate has no test score
        "figure-curves": 2 * 3 + 2 + 1,  # a line a seed and part, a mean a part, the gap
        "figure-norms": 2 * 25,  # a cell a layer and step
        "figure-curve-data": 2 * 4 + 2,  # points, laws; the fans are areas beside
        "figure-forecasts": 2 + 2,
        "figure-steps": 1,
        "figure-histogram": 20,
    }
    assert set(drawn) == set(at_least)
    assert {name: count for name, count in drawn.items() if count < at_least[name]} == {}


def test_every_chart_of_a_classification_study_draws_its_marks(
    open_report: Opener, classify_record: StudyRecord, marks_by_chart: Marks
) -> None:
    page = open_report(classify_record)
    drawn = marks_by_chart(page)
    assert drawn["figure-confusion"] == 16
    assert min(drawn.values()) > 0
    assert page.locator("#classes tbody tr").nth(1).inner_text().split("\t") == [
        "run",
        "37",
        "83.8 %",
        "91.2 %",
    ]


@pytest.mark.parametrize("width", [390, 1280])
def test_the_report_of_a_study_of_texts_that_ran_draws(
    open_report: Opener, text_record: StudyRecord, width: int, marks_by_chart: Marks
) -> None:
    page = open_report(text_record, width=width)
    drawn = marks_by_chart(page)
    questions = ("depth", "bert", "trivial")
    arms = dict.fromkeys(questions, 2) | {"trivial": 4}
    assert {entry.id for entry in text_record.questions} == set(questions)
    trained = sum(len(entry.scores) > 0 for entry in text_record.candidates)
    at_least = {f"figure-scores-{name}": arms[name] for name in questions}
    at_least |= {f"figure-costs-{name}": arms[name] - 1 for name in questions}  # majority takes no time
    at_least |= {"figure-cost": trained + 3, "figure-curves": 3, "figure-norms": 10, "figure-confusion": 4}
    assert set(drawn) == set(at_least)
    assert {name: count for name, count in drawn.items() if count < at_least[name]} == {}
    assert page.locator(".kind").inner_text() == "Lamina study · labelled texts"
    assert "training words, 400 texts" in page.locator("body").inner_text()
    assert "By data size, in training texts: with " in page.locator("#question-bert").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    words = page.locator("body").inner_text()
    assert " rows" not in words.replace("all rows", "")


def test_the_verdict_comes_first_and_is_the_largest_text(forecast_page: Page) -> None:
    lead = forecast_page.locator("main p").first
    assert lead.inner_text() == "2 layers."
    largest = forecast_page.evaluate(
        """() => {
            const size = element => parseFloat(getComputedStyle(element).fontSize);
            return [...document.querySelectorAll('main *')].sort((a, b) => size(b) - size(a))[0].innerText;
        }"""
    )
    assert largest == "2 layers."
    assert "cars_tomorrow" in forecast_page.locator("#verdict .notice").inner_text()


def test_a_study_with_limits_opens_with_the_model_that_keeps_them(forecast_record: StudyRecord) -> None:
    limits = Verdict(
        id="limits",
        answer="lstm ×1",
        status="decided",
        sentence="lstm ×1: the smallest that keeps the limits (9 us). The limits cost 8 % against lstm ×2.",
        arms=("lstm-1", "lstm-2"),
        chosen="lstm-1",
    )
    text = html_page(forecast_record.model_copy(update={"questions": (*forecast_record.questions, limits)}))
    verdict = text[text.index('id="verdict"') : text.index("<nav")]
    assert '<p class="lead">lstm\xa0×1: the smallest that keeps the limits</p>' in verdict
    assert "The limits cost 8\xa0% against" in verdict
    assert "<strong>How many layers?</strong> 2 layers." in verdict
    assert "<strong>Is it better than something trivial?</strong>" in verdict


@pytest.mark.parametrize(("width", "dark"), [(390, False), (1280, True)])
def test_the_gaps_of_overfitting_are_drawn(
    *,
    open_report: Opener,
    forecast_record: StudyRecord,
    faults_of_axe: Callable[..., list[object]],
    marks_by_chart: Marks,
    words_cut: Callable[[Page], list[str]],
    tmp_path: Path,
    width: int,
    dark: bool,
) -> None:
    verdict = Verdict(
        id="overfitting",
        answer="grows with depth",
        status="decided",
        effect=0.2,
        sentence="Training loss lies 10 % below validation loss with 1 layer and 30 % below it with 3.",
        arms=("lstm-1", "lstm-2", "lstm-3"),
        gaps=tuple(
            Gap(arm=str(layers), train=1 - gap, validation=1.0, gap=gap, spread=0.02, seeds=5)
            for layers, gap in ((1, 0.1), (2, -0.02), (3, 0.3))
        ),
    )
    record = forecast_record.model_copy(update={"questions": (verdict,)})
    page = open_report(record, width=width, dark=dark)
    assert page.locator("dt", has_text="growth of the gap with depth").count() == 1
    assert marks_by_chart(page)["figure-gaps-overfitting"] == 3 + 3 + 1  # means, intervals, zero
    assert words_cut(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert faults_of_axe(tmp_path / "report.html", dark=dark) == []


def test_checks_bear_the_code_that_exempts_them(forecast_record: StudyRecord) -> None:
    text = html_page(forecast_record)
    assert "<b>Warning leak</b> Column" in text
    assert "<code>leak</code> Column" in text
    assert "<code>calendar</code> Time stamps" in text


def test_what_would_change_an_answer_is_said_of_decided_and_open_ones(forecast_record: StudyRecord) -> None:
    text = html_page(forecast_record).replace("\N{NO-BREAK SPACE}", " ")
    assert "What would change it: a rope below 1.1 %" in text
    assert "What would change it: about 14 more seeds, 3 min, would tell" in text
    assert "in one direction" not in text  # a gain that is ruled out is decided too


def test_columns_sort_by_figure_both_ways_with_unknown_last(forecast_page: Page) -> None:
    heading = forecast_page.locator("#leaderboard th", has_text="train (s)")
    column = heading.evaluate("cell => cell.cellIndex")

    def shown() -> list[str]:
        return forecast_page.locator(f"#leaderboard tbody tr > :nth-child({column + 1})").all_inner_texts()

    heading.locator("button").focus()
    forecast_page.keyboard.press("Enter")
    assert shown() == sorted(shown(), key=float)
    assert float(shown()[-1]) == 28.0
    assert heading.get_attribute("aria-sort") == "ascending"
    forecast_page.keyboard.press("Enter")
    assert shown() == sorted(shown(), key=float, reverse=True)
    step = forecast_page.locator("#leaderboard th", has_text="step (µs)")
    for _ in range(2):
        step.locator("button").click()
        column = step.evaluate("cell => cell.cellIndex")
        assert shown()[-7:] == ["–"] * 7
    assert heading.get_attribute("aria-sort") is None


def test_another_series_and_model_can_be_chosen(forecast_page: Page) -> None:
    line = forecast_page.locator("#figure-forecasts g.mark-line path").first
    before = line.get_attribute("d")
    forecast_page.locator("#figure-forecasts select").select_option(label="south gate")
    forecast_page.wait_for_function(
        "before => document.querySelector('#figure-forecasts g.mark-line path').getAttribute('d') !== before",
        arg=before,
    )
    cells = "document.querySelectorAll('#figure-norms g.mark-rect.role-mark path').length"
    norms = forecast_page.locator("#figure-norms select")
    norms.select_option(label="lstm ×3 (3.4 % of the steps clipped)")
    forecast_page.wait_for_function(f"() => {cells} === 3 * 25")
    norms.select_option(label="lstm ×1 (3.4 % of the steps clipped)")
    forecast_page.wait_for_function(f"() => {cells} === 25")


def test_the_chart_of_costs_shows_the_cost_chosen_and_its_limit(forecast_page: Page) -> None:
    """Networks and baselines have a training time; a streaming step have only the causal networks."""
    points = "document.querySelectorAll('#figure-cost g.mark-symbol.role-mark path').length"
    assert forecast_page.evaluate(points) == 6 + 4
    forecast_page.locator("#figure-cost select").select_option(label="one streamed answer (µs)")
    forecast_page.wait_for_function(f"() => {points} === 4")
    forecast_page.locator("#figure-cost select").select_option(label="answers, as a limit holds them (µs)")
    forecast_page.wait_for_function(f"() => {points} === 6")
    rule = forecast_page.locator("#figure-cost g.layer_0_marks line")
    assert rule.get_attribute("opacity") == "1"
    forecast_page.locator("#figure-cost select").select_option(label="training time of a seed (s)")
    forecast_page.wait_for_function(f"() => {points} === 10")


def test_arms_that_failed_to_train_stand_apart(forecast_page: Page) -> None:
    table = forecast_page.locator("#question-depth table", has_text="Failed to train")
    assert table.locator("tbody tr").inner_text().split("\t") == ["lstm ×4", "2 of 5", "lstm ×3", "0 of 5"]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("fixture", ["forecast_record", "classify_record", "empty_record"])
def test_axe_finds_no_fault(
    faults_of_axe: Callable[..., list[object]],
    tmp_path: Path,
    fixture: str,
    dark: bool,
    request: pytest.FixtureRequest,
) -> None:
    path = tmp_path / "report.html"
    render(request.getfixturevalue(fixture), path)
    assert faults_of_axe(path, dark=dark) == []


def test_one_method_alone_is_drawn_with_its_name(
    open_report: Opener, baselines_record: StudyRecord, words_cut: Callable[[Page], list[str]]
) -> None:
    alone = baselines_record.model_copy(update={"baselines": baselines_record.baselines[:1]})
    page = open_report(alone)  # which bears no warning of an empty layer
    assert page.locator("#figure-cost svg text", has_text="naive").count() == 1
    assert words_cut(page) == []


@pytest.mark.parametrize(("fixture", "charts"), [("empty_record", 0), ("baselines_record", 1)])
def test_an_interrupted_study_still_has_a_report(
    fixture: str,
    charts: int,
    open_report: Opener,
    marks_by_chart: Marks,
    request: pytest.FixtureRequest,
) -> None:
    page = open_report(request.getfixturevalue(fixture))
    assert page.locator(".lead").inner_text() == "No question has been answered."
    assert len(marks_by_chart(page)) == charts
    assert page.locator("h2", has_text="Data and settings").is_visible()


def test_no_word_of_a_chart_is_cut_on_a_phone(
    open_report: Opener, forecast_record: StudyRecord, words_cut: Callable[[Page], list[str]]
) -> None:
    assert words_cut(open_report(forecast_record, width=390)) == []


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1280, False)])
def test_the_page_fits_its_window(
    width: int, dark: bool, open_report: Opener, forecast_record: StudyRecord
) -> None:
    page = open_report(forecast_record, width=width, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = page.evaluate(
        """() => [...document.querySelectorAll('.chart svg')].filter(svg =>
            svg.getBoundingClientRect().right > svg.closest('section').getBoundingClientRect().right)
            .map(svg => svg.closest('.chart').id)"""
    )
    assert wide == []
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(18, 20, 23)" if dark else "rgb(251, 251, 250)")


def test_every_chart_says_what_it_shows(forecast_page: Page) -> None:
    labels = forecast_page.locator(".chart").evaluate_all("charts => charts.map(chart => chart.ariaLabel)")
    assert all(len(label) > 40 for label in labels)
    assert labels[1].startswith("Mean training time of a seed: lstm ×1 9 s, lstm ×2 14 s")
    texts = forecast_page.locator(".chart .role-axis-title text").all_text_contents()
    assert [title for title in texts if "(" not in title and title != "steps ahead"] == []


def test_text_from_the_data_is_never_markup(open_report: Opener, forecast_record: StudyRecord) -> None:
    evil = "</script><script>window.pwned=1</script><img src=x onerror='window.pwned=1'>\"'<!--"
    data = forecast_record.data.model_dump() | {"path": evil, "target": evil, "notes": (evil,)}
    candidates = tuple(
        Candidate.model_validate(
            candidate.model_dump() | {"label": evil, "gradient_norms": {evil: (1.0, 0.5)}, "reason": evil}
        )
        for candidate in forecast_record.candidates
    )
    questions = tuple(
        verdict.model_copy(update={"sentence": evil, "answer": evil}) for verdict in forecast_record.questions
    )
    forecasts = tuple(
        forecast.model_copy(update={"series": evil}) for forecast in forecast_record.figures.forecasts
    )
    record = forecast_record.model_copy(
        update={
            "data": Data.model_validate(data),
            "candidates": candidates,
            "questions": questions,
            "checks": (Check(code="leak", outcome="fail", evidence=evil, sentence=evil),),
            "figures": Figures(
                forecasts=forecasts, confusion=Confusion(classes=(evil, "b"), matrix=((1, 0), (0, 1)))
            ),
        }
    )
    page = open_report(record)
    assert page.evaluate("window.pwned === undefined")
    assert page.locator("img").count() == 0
    assert page.locator(".lead").inner_text() == evil
    assert page.locator("script").count() == 2 + page.locator(".chart").count()
    page.locator("#figure-cost g.mark-symbol path").first.hover(force=True)
    page.locator("#vg-tooltip-element.visible").wait_for()
    assert page.evaluate("window.pwned === undefined")
    assert page.locator("img").count() == 0


def test_a_script_that_got_in_would_not_run(
    browser: Browser, tmp_path: Path, forecast_record: StudyRecord
) -> None:
    text = html_page(forecast_record).replace("</h1>", "</h1><script>window.pwned = 1</script>", 1)
    path = tmp_path / "tampered.html"
    path.write_text(text, encoding="utf-8")
    context = browser.new_context()
    page = context.new_page()
    page.goto(path.as_uri())
    assert page.evaluate("window.pwned === undefined")
    context.close()


def test_the_file_is_small_and_written_whole(tmp_path: Path, forecast_record: StudyRecord) -> None:
    path = tmp_path / "report.html"
    path.write_text("an older report")
    render(forecast_record, path)
    assert 900_000 < path.stat().st_size < 3_000_000
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
