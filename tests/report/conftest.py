"""Studies to report on, and a headless browser to open the reports in."""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from lamina.api import study
from lamina.report.drawing import specification
from lamina.study.verdict import (
    Baseline,
    Best,
    Budget,
    Candidate,
    Check,
    Collapse,
    Confusion,
    Curve,
    Data,
    Environment,
    Figures,
    Forecast,
    LearningCurve,
    Metric,
    Residuals,
    Score,
    Settings,
    StudyRecord,
    Verdict,
)

SEEDS = 5

Visit = Callable[..., AbstractContextManager[Page]]

# Marks that carry data; axes, grids and legends are of other classes.
MARKS = (
    "g.mark-symbol:not(.role-legend-symbol) > *, g.mark-line > *, g.mark-area > *, g.mark-rect > *, "
    "g.mark-rule.role-mark > *"
)
DRAWN = "document.querySelector('.chart:not([data-drawn])') === null"


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Where Chromium is; installed with apt when it is missing."""
    if shutil.which("chromium") is None:
        subprocess.run("apt-get update && apt-get install -y chromium", shell=True, check=True, timeout=300)
    path = shutil.which("chromium")
    assert path is not None
    return path


@pytest.fixture(scope="session")
def browser(chromium_path: str) -> Iterator[Browser]:
    quiet = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium_path, args=quiet)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def visit(browser: Browser) -> Visit:
    """Opens a file and waits for its charts; at the end nothing may have gone wrong or been fetched."""

    @contextmanager
    def visited(path: Path, *, width: int = 1280, dark: bool = False) -> Iterator[Page]:
        faults: list[str] = []
        requests: list[str] = []
        with browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
        ) as context:
            page = context.new_page()
            page.on(
                "console",
                lambda said: faults.append(said.text) if said.type in {"error", "warning"} else None,
            )
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("request", lambda request: requests.append(request.url))
            page.goto(path.as_uri())
            page.wait_for_function(DRAWN)
            yield page
        assert faults == []
        assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]

    return visited


@pytest.fixture(scope="session")
def marks_by_chart() -> Callable[[Page], dict[str, int]]:
    """Element id of each chart to the number of marks it drew inside its axes."""

    def counted(page: Page) -> dict[str, int]:
        count: dict[str, int] = page.evaluate(
            """marks => Object.fromEntries([...document.querySelectorAll('.chart')].map(chart =>
                [chart.id, [...chart.querySelectorAll(marks)].filter(mark =>
                    !mark.closest('.role-legend') && mark.getBoundingClientRect().width
                        + mark.getBoundingClientRect().height > 0).length]))""",
            MARKS,
        )
        return count

    return counted


@pytest.fixture(scope="session")
def faults_of_axe(browser: Browser) -> Callable[..., list[tuple[str, Any]]]:
    """What axe-core finds in a file. The page's own policy would stop its script, so it is set aside."""

    def found(path: Path, *, dark: bool = False) -> list[tuple[str, Any]]:
        with browser.new_context(color_scheme="dark" if dark else "light", bypass_csp=True) as context:
            page = context.new_page()
            page.goto(path.as_uri())
            page.wait_for_function(DRAWN)
            violations = Axe().run(page).response["violations"]
        return [(fault["id"], fault["nodes"][0]["target"]) for fault in violations]

    return found


@pytest.fixture(scope="session")
def words_cut() -> Callable[[Page], list[str]]:
    """Words in charts that leave their frame."""

    def cut(page: Page) -> list[str]:
        found: list[str] = page.evaluate(
            """() => [...document.querySelectorAll('.chart svg')].flatMap(svg => {
                const frame = svg.getBoundingClientRect();
                return [...svg.querySelectorAll('text')].filter(text => {
                    const box = text.getBoundingClientRect();
                    const shown = box.width > 0 && getComputedStyle(text).opacity !== '0';
                    return shown && (box.left < frame.left - 1 || box.right > frame.right + 1);
                }).map(text => text.textContent);
            })"""
        )
        return found

    return cut


@pytest.fixture(scope="session")
def forecast_record() -> StudyRecord:
    """A finished study of hourly traffic, with one collapsed candidate."""
    rng = np.random.default_rng(0)
    candidates = (
        _candidate(rng, "lstm-1", "lstm ×1", score=0.66, layers=1, train_s=9, parameters=19_000),
        _candidate(rng, "lstm-2", "lstm ×2", score=0.612, layers=2, train_s=14, parameters=52_000),
        _candidate(rng, "lstm-3", "lstm ×3", score=0.611, layers=3, train_s=21, parameters=85_000),
        Candidate(
            id="lstm-4",
            label="lstm ×4",
            scores=tuple(Score(seed=i, validation=0.72 + 0.03 * i) for i in range(SEEDS)),
            train_s=28,
            parameters=118_000,
            outcome="collapsed",
            reason="2 of 5 seeds stayed at a constant",
        ),
        _candidate(
            rng, "lstm-2-both", "lstm ×2, both", score=0.613, layers=2, train_s=25, parameters=131_000
        ),
        _candidate(rng, "gru-2", "gru ×2", score=0.618, layers=2, train_s=11, parameters=39_000),
        _candidate(rng, "transformer", "transformer", score=0.63, layers=2, train_s=26, parameters=55_000),
    )
    baselines = (
        Baseline(id="naive", label="naive", validation=1.42, test=1.45, train_s=0, predict_ms=0.01),
        Baseline(
            id="seasonal",
            label="seasonal naive (168)",
            validation=0.97,
            test=0.98,
            train_s=0,
            predict_ms=0.02,
        ),
        Baseline(id="theta", label="AutoTheta", validation=0.93, test=0.95, train_s=1.4, predict_ms=11),
        Baseline(id="lightgbm", label="LightGBM", validation=0.73, test=0.74, train_s=2.1, predict_ms=4),
    )
    return StudyRecord(
        task="forecast",
        metric=Metric(name="MASE", unit="ratio", direction="lower"),
        data=Data(
            path="data/traffic.csv",
            rows=17_520,
            series=1,
            hash="9f2c61d0a7",
            splits={"train": 12_264, "validation": 2_628, "test": 2_628},
            target="cars",
            horizon=24,
            season=(24, 168),
            notes=("31 values are missing and kept as missing.", "A window of 168 rows was chosen."),
        ),
        environment=Environment(
            versions={"lamina": "0.1.0", "torch": "2.13.0"}, cpu="Zen 4", threads=2, backend="aten"
        ),
        budget=Budget(asked_s=300, used_s=287),
        settings=Settings(
            seed=0,
            questions=("depth", "direction", "cell", "trivial", "data"),
            rope=0.005,
            limits={"latency_us": 20.0},
            command="lamina study traffic.csv --time when --target cars --horizon 24",
        ),
        questions=_verdicts(),
        candidates=candidates,
        baselines=baselines,
        best=Best(candidate="lstm-2", path="best"),
        checks=(
            Check(
                code="leak",
                outcome="warn",
                evidence="correlation 0.998 at lag 24",
                sentence="Column 'cars_tomorrow' equals the target 24 rows later: it looks like a leak.",
            ),
            Check(
                code="calendar",
                outcome="pass",
                evidence="0 gaps of 17,519",
                sentence="Time stamps are regular.",
            ),
        ),
        figures=Figures(
            forecasts=(_forecast(rng, "north gate", 0), _forecast(rng, "south gate", 40)),
            residuals=Residuals(
                mae_by_step=tuple(20 + 3 * math.sqrt(step) for step in range(1, 25)),
                sample=tuple(rng.normal(2, 30, 2_000).tolist()),
            ),
        ),
    )


@pytest.fixture(scope="session")
def classify_record(forecast_record: StudyRecord) -> StudyRecord:
    """A finished study of labelled sequences: accuracy, where higher is better, and a confusion matrix."""
    return forecast_record.model_copy(
        update={
            "task": "classify",
            "metric": Metric(name="accuracy", unit="share", direction="higher"),
            "figures": Figures(
                confusion=Confusion(
                    classes=("walk", "run", "sit", "never seen"),
                    matrix=((40, 3, 0, 0), (5, 31, 1, 0), (0, 0, 22, 0), (0, 0, 0, 0)),
                )
            ),
        }
    )


@pytest.fixture(scope="session")
def text_record(tmp_path_factory: pytest.TempPathFactory) -> StudyRecord:
    """A study that has run: which of two words comes first, which no count of words tells."""
    generator = np.random.default_rng(0)
    rows = []
    for number in range(400):
        words = generator.choice(["and", "so", "it", "was"], size=6).tolist()
        words[1], words[4] = ("day", "night") if number % 2 else ("night", "day")
        rows.append((" ".join(words), ("dawn", "sunset")[number % 2]))
    folder = tmp_path_factory.mktemp("texts")
    table = pl.DataFrame(rows, schema=["review", "when"], orient="row")
    table.write_csv(folder / "reviews.csv")
    asked: dict[str, Any] = {"bert": "small", "ask": "depth,bert", "depths": (1, 2), "budget": "150s"}
    return study(folder / "reviews.csv", text="review", label="when", out=folder / "study", **asked).record


@pytest.fixture(scope="session")
def empty_record(forecast_record: StudyRecord) -> StudyRecord:
    """A study that was stopped before its first model."""
    return _cut(forecast_record, baselines=(), checks=())


@pytest.fixture(scope="session")
def baselines_record(forecast_record: StudyRecord) -> StudyRecord:
    """A study that was stopped after its baselines."""
    return _cut(forecast_record)


def _cut(record: StudyRecord, **parts: Any) -> StudyRecord:
    empty = {"questions": (), "candidates": (), "best": None, "figures": Figures()}
    return record.model_copy(update={**empty, **parts})


def _verdicts() -> tuple[Verdict, ...]:
    return (
        Verdict(
            id="depth",
            answer=2,
            status="decided",
            sentence="2 layers. 7.1 % better than 1 (95 %: 5.0 to 9.3 %, 5 seeds). A third adds 0.2 % (-0.6 "
            "to 1.1 %): no gain that matters, at 1.5 × the training time.",
            effect=0.071,
            interval=(0.05, 0.093),
            n=5,
            test="paired bootstrap over seeds and windows",
            p=0.0012,
            correction="Holm over 3 comparisons",
            cost=1.5,
            would_change="a rope below 1.1 %",
            test_effect=0.068,
            test_interval=(0.041, 0.09),
            arms=("lstm-1", "lstm-2", "lstm-3", "lstm-4"),
            chosen="lstm-2",
            collapses=(
                Collapse(
                    arm="4",
                    design="lstm-4",
                    failed=2,
                    seeds=5,
                    repaired="lstm-3",
                    repaired_failed=0,
                    repaired_seeds=5,
                ),
            ),
        ),
        Verdict(
            id="direction",
            answer="forward",
            status="tie",
            sentence="Forward is enough: both directions change 0.1 % (-0.7 to 0.9 %).",
            effect=0.001,
            interval=(-0.007, 0.009),
            n=5,
            arms=("lstm-2", "lstm-2-both"),
            chosen="lstm-2",
        ),
        Verdict(
            id="cell",
            answer=None,
            status="undecided",
            sentence="Undecided between lstm and gru after 5 seeds (gru 0.6 % worse, -0.3 to 1.5 %).",
            would_change="about 14 more seeds, 3 min, would tell",
            arms=("lstm-2", "gru-2"),
        ),
        Verdict(
            id="trivial",
            answer="yes",
            status="decided",
            sentence="Yes: 18 % better than the best trivial method (LightGBM on lags).",
            effect=0.18,
            interval=(0.15, 0.2),
            n=5,
            arms=("lstm-2", "lightgbm", "seasonal"),
            chosen="lstm-2",
        ),
        Verdict(
            id="data",
            answer="more data helps",
            status="decided",
            sentence="Twice the rows would bring about 3 % (1 to 5 %).",
            effect=0.03,
            interval=(0.01, 0.05),
            n=5,
            arms=("lstm-2",),
            curves=(
                LearningCurve(
                    label="lstm ×2",
                    shares=(0.125, 0.25, 0.5, 1.0),
                    scores=(0.81, 0.73, 0.66, 0.61),
                    law=(0.22, 0.31, 0.39),
                    gain=0.03,
                    interval=(0.01, 0.05),
                ),
                LearningCurve(
                    label="lstm ×3",
                    shares=(0.125, 0.25, 0.5, 1.0),
                    scores=(0.86, 0.76, 0.67, 0.611),
                    law=(0.26, 0.33, 0.351),
                    gain=0.04,
                    interval=(0.02, 0.06),
                    overtakes=0.7,
                ),
            ),
        ),
    )


def _candidate(
    rng: np.random.Generator,
    id: str,
    label: str,
    *,
    score: float,
    layers: int,
    train_s: float,
    parameters: int,
) -> Candidate:
    wobble = rng.normal(0, 0.012, (SEEDS, 2))
    steps = np.arange(1, 26)
    falling = 0.25 + 0.75 * np.exp(-steps / 5)
    return Candidate(
        id=id,
        label=label,
        config={"cell": label.split(maxsplit=1)[0], "layers": layers},
        parameters=parameters,
        scores=tuple(
            Score(seed=i, validation=score + wobble[i, 0], test=score + wobble[i, 1]) for i in range(SEEDS)
        ),
        train_s=train_s,
        predict_ms=train_s / 15,
        step_us=None if "both" in label or label == "transformer" else train_s / 2.5,
        latency_us=1_000 * train_s / 15 if "both" in label or label == "transformer" else train_s / 2,
        peak_mb=180 + parameters / 2_000,
        curves=tuple(
            Curve(
                seed=i,
                steps=tuple(steps.tolist()),
                train=tuple((falling - 0.003 * steps + rng.normal(0, 0.01, 25)).tolist()),
                validation=tuple((falling + 0.06 + 0.002 * steps + rng.normal(0, 0.015, 25)).tolist()),
                best_step=20,
            )
            for i in range(3)
        ),
        gradient_norms={
            f"layer {layer}": tuple((0.8 / layer * np.exp(-steps / 12)).tolist())
            for layer in range(1, layers + 1)
        },
        clip_rate=0.034,
    )


def _forecast(rng: np.random.Generator, series: str, offset: float) -> Forecast:
    start = datetime(2026, 3, 2)
    hours = np.arange(96)
    level = 800 + offset + 300 * np.sin(hours * math.tau / 24)
    truth = level + rng.normal(0, 25, 96)
    width = 30 + 6 * np.sqrt(np.arange(1, 25))
    median = level[72:] + rng.normal(0, 8, 24)
    return Forecast(
        series=series,
        time=tuple((start + timedelta(hours=int(hour))).isoformat() for hour in hours),
        history=tuple(truth[:72].tolist()),
        truth=tuple(truth[72:].tolist()),
        median=tuple(median.tolist()),
        lo_80=tuple((median - width).tolist()),
        hi_80=tuple((median + width).tolist()),
        lo_95=tuple((median - 1.6 * width).tolist()),
        hi_95=tuple((median + 1.6 * width).tolist()),
    )


@pytest.fixture(scope="session")
def rows_of() -> Callable[[Any], list[list[dict[str, Any]]]]:
    """What gives the data sets that travel in a chart, largest first."""

    def rows(chart: Any) -> list[list[dict[str, Any]]]:
        assert chart is not None
        return sorted(specification(chart)["datasets"].values(), key=len, reverse=True)

    return rows
