"""A module imports only from rows below its own, by the full name of the defining file."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "lamina"
ROWS = (  # lowest first; names on one row may not import one another
    {"errors"},
    {"_optional", "_config"},
    {"data", "ops", "metrics", "saved_files", "places"},
    {"nn"},
    {"tasks"},
    {"training"},
    {"streaming"},
    {"estimators"},
    {"study", "export"},
    {"report", "serve"},
    {"api"},
    {"terminal", "options"},
    {"cli"},
)
ROW_OF = {name: row for row, names in enumerate(ROWS) for name in names}
# They are read at every start of the command line, so they may cost next to nothing.
LIGHT = ("__init__.py", "nn/__init__.py", "cli.py", "errors.py", "_optional.py")
LIGHT_PACKAGES = {"typer", "lamina"}
# Needed by few calls and slow to load: never at the top of any file.
LATE = {
    "pandas",
    "statsforecast",
    "lightgbm",
    "altair",
    "vl_convert",
    "aeon",
    "jinja2",
    "matplotlib",
    "transformers",
}
FILES = sorted(ROOT.rglob("*.py"))


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[tuple[str, ast.Import | ast.ImportFrom]]:
    """Every module that a file imports, at any depth of nesting."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node


def at_load(file: Path) -> Iterator[str]:
    """Top packages that are imported when ``file`` is, those for type checkers left out."""
    tree = tree_of(file)
    late = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        for child in ast.walk(node)
    }
    for module, node in imported(tree):
        if node not in late:
            yield module.partition(".")[0]


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_imports_point_down(file: Path) -> None:
    own = file.relative_to(ROOT).with_suffix("").parts[0]
    if own == "__init__":
        return  # the public names may come from anywhere
    for module, _ in imported(tree_of(file)):
        package, _, rest = module.partition(".")
        other = rest.partition(".")[0]
        if package == "lamina" and other != own:
            assert ROW_OF[other] < ROW_OF[own], f"{name_of(file)} must not import {module}"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_imports_name_the_defining_file(file: Path) -> None:
    for module, node in imported(tree_of(file)):
        assert not getattr(node, "level", 0), f"{name_of(file)} has a relative import"
        if module.partition(".")[0] != "lamina":
            continue
        assert module != "lamina", f"{name_of(file)}: import lamina.<module> by its full name"
        if not isinstance(node, ast.ImportFrom):
            continue
        found = ROOT.joinpath(*module.split(".")[1:])
        names = {alias.name for alias in node.names}
        compiled = {path.name.partition(".")[0] for path in found.glob("*.so")} | {"_native"}
        modules = {path.stem for path in found.glob("*.py")} | compiled
        assert found.with_suffix(".py").is_file() or names <= modules, (
            f"{name_of(file)} imports {', '.join(names)} from the package {module}"
        )


def test_every_file_has_a_row() -> None:
    unknown = {path.relative_to(ROOT).with_suffix("").parts[0] for path in FILES} - ROW_OF.keys()
    assert unknown == {"__init__"}


# lamina.nn has public names, which it loads when they are first used; it is held to LIGHT instead.
SILENT = sorted(set(ROOT.glob("*/**/__init__.py")) - {ROOT / "nn" / "__init__.py"})


@pytest.mark.parametrize("file", SILENT, ids=name_of)
def test_packages_hold_one_docstring(file: Path) -> None:
    body = tree_of(file).body
    assert len(body) == 1, f"{name_of(file)} holds more, or less, than a docstring"
    assert ast.get_docstring(ast.Module(body, [])), f"{name_of(file)} has no docstring"


@pytest.mark.parametrize("name", LIGHT)
def test_what_every_start_loads_is_light(name: str) -> None:
    heavy = set(at_load(ROOT / name)) - LIGHT_PACKAGES - sys.stdlib_module_names
    assert not heavy, f"{name} loads {', '.join(sorted(heavy))}"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_packages_that_few_need_load_late(file: Path) -> None:
    assert not set(at_load(file)) & LATE


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_annotations_are_not_evaluated(file: Path) -> None:
    imports = [node for module, node in imported(tree_of(file)) if module == "__future__"]
    empty = len(tree_of(file).body) <= 1
    assert imports or empty, f"{name_of(file)} lacks 'from __future__ import annotations'"


@pytest.mark.parametrize(
    "start",
    [
        "import lamina",
        "import lamina; lamina.nn",
        "import lamina.cli",
        "import sys; sys.argv = ['lamina', '--help']; import lamina.cli\n"
        "try: lamina.cli.main()\n"
        "except SystemExit: pass",
    ],
    ids=["import", "nn", "cli", "help"],
)
def test_starting_loads_no_torch(start: str) -> None:
    heavy = "{'torch', 'polars', 'pandas', 'numpy', 'sklearn', 'scipy', 'altair', 'lightgbm', 'pydantic'}"
    code = f"{start}\nimport sys; print(sorted({heavy} & set(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
