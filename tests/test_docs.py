"""The documents say what the code does: examples, code and commands run, fields and rows agree."""

from __future__ import annotations

import ast
import inspect
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from pydantic import BaseModel

from lamina.study import ladder, pace, verdict
from lamina.study.classify_bench import ClassifyBench
from lamina.study.forecast_bench import MOST_WINDOWS, ForecastBench
from lamina.study.questions import FURTHER, MAIN
from lamina.study.trials import DROPOUTS, FIRST, RATES

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
# Each example takes its size as an argument, so that it is short here.
EXAMPLES = {
    "forecast_wikipedia.py": "10",
    "classify_japanese_vowels.py": "10",
    "study_in_python.py": "20s",
    "own_stack_in_pytorch.py": "10",
    "faster_pytorch.py": "2",
    "speak_shakespeare.py": "10",
    "tag_names.py": "10",
    "classify_texts.py": "10",
    "few_labels.py": "10",
    "tune_bert.py": "10",
    "play_a_round.py": "10",
    "translate.py": "10",
    "stream.py": "10",
    "online.py": "300",
}
LONGEST_EXAMPLE = 60  # lines
STAGES = ("baselines", *MAIN, "finish")
SHORT = {'budget="5m"': 'budget="20s", depths=(1, 2)', "max_steps=100": "max_steps=10"}


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(page), flags=re.MULTILINE | re.DOTALL)


def with_blocks(language: str) -> list[Path]:
    return [page for page in PAGES if blocks(page, language)]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a newcomer writes lands in a folder of the test, and one thread is enough."""
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_every_example_is_run_here() -> None:
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == EXAMPLES.keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_runs_and_is_short(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = ROOT / "examples" / name
    assert len(text_of(path).splitlines()) < LONGEST_EXAMPLE
    monkeypatch.setattr(sys, "argv", [str(path), EXAMPLES[name]])
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("page", with_blocks("python"), ids=named)
def test_code_in_page_runs(page: Path) -> None:
    """Blocks of one page share their names, as a reader who types them in would have it."""
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        code = block
        for long, short in SHORT.items():
            code = code.replace(long, short)
        exec(compile(code, named(page), "exec"), names)


@pytest.mark.parametrize("page", with_blocks("sh"), ids=named)
def test_commands_in_page_run(page: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}
    for block in blocks(page, "sh"):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{named(page)} links to {link}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", text_of(target), flags=re.MULTILINE)
            assert anchor in {heading.lower().replace(" ", "-") for heading in headings}


def documented_fields() -> dict[str, set[str]]:
    """Heading -> names in the first column of its table in docs/study-json.md."""
    parts = re.split(r"^## (.*)$", text_of(ROOT / "docs" / "study-json.md"), flags=re.MULTILINE)[1:]
    return {
        heading: set(re.findall(r"^\| `([^`]+)` \|", body, flags=re.MULTILINE))
        for heading, body in zip(parts[::2], parts[1::2], strict=True)
    }


def test_schema_page_names_every_field_of_the_record_and_no_other() -> None:
    models = {
        name: {field.alias or key for key, field in model.model_fields.items()}
        for name, model in inspect.getmembers(verdict, inspect.isclass)
        if issubclass(model, BaseModel) and model.__module__ == verdict.__name__ and model.model_fields
    }
    assert documented_fields() == models


def test_protocol_page_states_the_constants_of_the_code() -> None:
    page = " ".join(text_of(ROOT / "docs" / "protocol.md").split())
    best, *others = pace.PLANS
    stated = [
        *(", ".join(f"{name} {ladder.SHARES[name]:g}" for name in names) for names in (STAGES, FURTHER)),
        f"{best[0]} trials and {best[1]} seeds, " + ", ".join(f"{t} and {s}" for t, s in others),
        f"each run at least {pace.ENOUGH_STEPS} steps",
        f"at least {pace.LEAST_STEPS} and at most {ForecastBench.most_steps:,} (forecasts) "
        f"or {ClassifyBench.most_steps:,} (classes)",
        f"learning rate ({RATES[0]:g} to {RATES[1]:g}, log-uniform)",
        f"dropout ({DROPOUTS[0]:g} to {DROPOUTS[1]:g})",
        f"the defaults ({FIRST['learning_rate']:g}, {FIRST['dropout']:g}) always first",
        f"thinned to at most {MOST_WINDOWS:,}",
    ]
    assert not [words for words in stated if words not in page]


def rows_of_the_test() -> list[set[str]]:
    """ROWS of test_architecture.py, read from its source."""
    tree = ast.parse(text_of(ROOT / "tests" / "test_architecture.py"))
    (value,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ROWS"
    )
    return [set(row) for row in ast.literal_eval(value)]


def test_architecture_page_has_the_rows_that_are_enforced() -> None:
    table = re.findall(r"^\| \d+ \| (.*) \|$", text_of(ROOT / "ARCHITECTURE.md"), flags=re.MULTILINE)
    told = [set(re.findall(r"`(\w+)`", row)) for row in table]
    first, second, *others = rows_of_the_test()
    assert told == [first | second, *others]


def test_architecture_page_names_every_file() -> None:
    page = text_of(ROOT / "ARCHITECTURE.md")
    source = ROOT / "src" / "lamina"
    files = {path.name for path in source.rglob("*.py") if path.name != "__init__.py"}
    assert not {file for file in files if file not in page}


def test_set_up_is_two_commands() -> None:
    """The README names `make study` and `make test`, both are targets, and it asks for nothing else."""
    assert blocks(ROOT / "README.md", "console") == ["make study\nmake test\n"]
    targets = re.findall(r"^(\w+):", text_of(ROOT / "Makefile"), flags=re.MULTILINE)
    assert {"study", "test"} <= set(targets)
