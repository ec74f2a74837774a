"""Each benchmark as a module, in a fixture of its name."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


def _benchmark(name: str) -> Callable[[], ModuleType]:
    @pytest.fixture(scope="session", name=name)
    def module() -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = loaded  # dataclasses look their module up
        sys.path.insert(0, str(FOLDER))  # as for a script, since some take a function of another
        spec.loader.exec_module(loaded)
        sys.path.remove(str(FOLDER))
        return loaded

    return module


accuracy = _benchmark("accuracy")
faults = _benchmark("faults")
language = _benchmark("language")
online = _benchmark("online")
planted = _benchmark("planted")
streaming = _benchmark("streaming")
text_study = _benchmark("text_study")
verdict = _benchmark("verdict")
