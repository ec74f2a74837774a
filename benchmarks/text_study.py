"""A study of texts within its budget: `python benchmarks/text_study.py --data-folder DIR [--json FILE]`.

Six kinds of questions (TREC, its test part as published): one to three layers, one direction or two, LSTM or
GRU, attention, and a small BERT trained from nothing. The study has to end within its budget with every
question compared, and every chart of its report has to draw marks in headless Chromium, without a fault.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from language import labelled_lines
from rich.console import Console
from rich.table import Table

from lamina import Study, study
from lamina.data.sources import FOLDER_VARIABLE
from lamina.errors import ConfigError, LaminaError
from lamina.study.budget import parse_duration

QUESTIONS = ("depth", "direction", "cell", "attention", "bert")
MARKS = "g.role-mark > *"
DRAWN = "document.querySelector('.chart:not([data-drawn])') === null"


def write_texts(folder: Path, part: str, target: Path) -> Path:
    """A part of TREC as a table with the columns text and label."""
    texts, labels = labelled_lines(folder / "trec" / f"TREC.{part}.txt.gz", "latin-1")
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        writer.writerows(zip(texts, labels, strict=True))
    return target


def find_chromium() -> str:
    """Where it is.

    Raises:
        ConfigError: it is not installed.
    """
    found = shutil.which("chromium")
    if found is None:
        raise ConfigError("the report is looked at in Chromium, which is not installed: apt install chromium")
    return found


def look(page: Path, chromium: str) -> tuple[dict[str, int], list[str]]:
    """Marks that each chart of a report drew, by element id, and what Chromium complained of."""
    from playwright.sync_api import sync_playwright

    faults: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page()
        opened.on("pageerror", lambda error: faults.append(str(error)))
        opened.on(
            "console", lambda said: faults.append(said.text) if said.type in {"error", "warning"} else None
        )
        opened.goto(page.resolve().as_uri())
        opened.wait_for_function(DRAWN)
        charts = {
            chart.get_attribute("id") or "": chart.locator(MARKS).count()
            for chart in opened.locator(".chart").all()
        }
        browser.close()
    return charts, faults


def run(folder: Path, work: Path, budget: str, workers: int, seed: int) -> tuple[Study, float]:
    """The study, and the seconds it took."""
    train, test = (write_texts(folder, part, work / f"trec-{part}.csv") for part in ("train", "test"))
    began = time.perf_counter()
    made = study(
        train,
        text="text",
        label="label",
        test=test,
        bert="small",
        ask=",".join(QUESTIONS),
        depths=(1, 2, 3),
        budget=budget,
        workers=workers,
        seed=seed,
        out=work / "study",
    )
    return made, time.perf_counter() - began


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data-folder", type=Path, default=os.environ.get(FOLDER_VARIABLE))
    parser.add_argument("--budget", default="15m")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="runs at the same time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--work", type=Path, help="an empty folder that keeps the study; default: none is kept"
    )
    parser.add_argument("--json", type=Path, help="write everything to this file")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    said = parse(arguments)
    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            if said.data_folder is None:
                raise ConfigError(f"a data folder is needed; name it with --data-folder or {FOLDER_VARIABLE}")
            chromium = find_chromium()  # before the quarter of an hour
            work = said.work or Path(scratch)
            work.mkdir(parents=True, exist_ok=True)
            made, seconds = run(Path(said.data_folder), work, said.budget, said.workers, said.seed)
            charts, faults = look(work / "study" / "report.html", chromium)
        except LaminaError as error:
            console.print(f"error: {error}")
            return 2
    table = Table("question", "status", "answer")
    for verdict in made.record.questions:
        table.add_row(verdict.id, verdict.status, verdict.sentence)
    console.print(table)
    console.print(made.leaderboard())
    allowed = parse_duration(said.budget)
    compared = [verdict.id for verdict in made.record.questions if not verdict.unanswered]
    reached = {
        "within the budget": seconds <= allowed,
        "every question compared": set(QUESTIONS) <= set(compared),
        "every chart drew": bool(charts) and min(charts.values()) > 0 and not faults,
    }
    console.print(f"{seconds:.0f} s of {allowed:.0f} s; {len(charts)} charts; faults: {faults or 'none'}")
    console.print(reached)
    if said.json is not None:
        found = {
            "seconds": seconds,
            "budget_s": allowed,
            "workers": said.workers,
            "seed": said.seed,
            "sentences": {verdict.id: verdict.sentence for verdict in made.record.questions},
            "leaderboard": made.leaderboard().to_dicts(),
            "charts": charts,
            "faults": faults,
            "reached": reached,
        }
        said.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0 if all(reached.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
