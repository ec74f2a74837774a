from __future__ import annotations

import subprocess
import sys

import pytest

HIDE_AND_IMPORT = "import sys; sys.modules['lamina.streaming.{name}'] = None; {use}"


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("_learning", "import lamina.streaming.online"),
        ("_learning", "import lamina.streaming.aggregate"),
        ("_native", "from lamina.streaming.online import OnlineForecaster; OnlineForecaster(depth=1)"),
        ("_native", "import lamina.streaming.packed as packed; packed.new_model('float32')"),
    ],
)
def test_a_missing_native_build_says_what_to_do(name: str, use: str) -> None:
    code = HIDE_AND_IMPORT.format(name=name, use=use)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("lamina.errors.BackendError: streaming needs the native extension")
    assert f"lamina.streaming.{name}, which did not load" in last
    assert last.endswith("run: pip install --force-reinstall lamina")


def test_linear_experts_alone_need_no_native_steps() -> None:
    use = "from lamina.streaming.online import OnlineForecaster; OnlineForecaster(depth=0).learn_one(1.0)"
    code = HIDE_AND_IMPORT.format(name="_native", use=use)
    subprocess.run([sys.executable, "-c", code], check=True)
