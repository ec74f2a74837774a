"""The Arm kernels give what the reference gives: cross-compiled, and run under an emulator."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lamina.ops.backends.reference import Reference
from lamina.ops.call import Call, Weights
from lamina.ops.cells import CELLS
from lamina.ops.lengths import valid_steps

KERNELS = Path(__file__).parents[2] / "src/lamina/ops/csrc"
SOURCES = (
    "scan.cpp",
    "team.cpp",
    "processor.cpp",
    "units.cpp",
    "unit_neon.cpp",
    "unit_generic.cpp",
    "no_x86.cpp",
)
COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64-static"
PACKAGES = "g++-aarch64-linux-gnu qemu-user-static"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tests/ops/arm/calls.cpp for Arm; the compiler and emulator are installed with apt when missing."""
    if shutil.which(COMPILER) is None or shutil.which(EMULATOR) is None:
        install = f"apt-get update && apt-get install -y {PACKAGES}"
        subprocess.run(install, shell=True, check=True, timeout=300)
    built = tmp_path_factory.mktemp("arm") / "calls"
    sources = [str(KERNELS / name) for name in SOURCES]
    program = str(Path(__file__).parent / "arm" / "calls.cpp")
    command = [COMPILER, "-std=gnu++17", "-O1", "-static", "-pthread", "-Wno-psabi", f"-I{KERNELS}", program]
    subprocess.run([*command, *sources, "-ldl", "-o", str(built)], check=True, timeout=300)
    return built


def make_call(cell: str, outputs: int | None) -> Call:
    """Ragged, in reverse, with sizes that no vector divides."""
    torch.manual_seed(0)
    kind = CELLS[cell]
    batch, time, features, hidden = 13, 6, 5, 18
    width = hidden if outputs is None else outputs
    rows = len(kind.gates) * hidden

    def draw(*size: int, scale: float = 1.0) -> Tensor:
        return (torch.randn(size) * scale).double().requires_grad_()

    lengths = torch.randint(0, time + 1, (batch,))
    x = torch.randn(batch, time, features).double()
    x[~valid_steps(lengths, time)] = torch.nan
    weights = Weights(
        draw(rows, features, scale=features**-0.5),
        draw(rows, width, scale=0.5 * width**-0.5),
        draw(rows),
        draw(rows),
        {name: draw(extra.rows, hidden) for name, extra in kind.extra.items()},
        None if outputs is None else draw(outputs, hidden, scale=hidden**-0.5),
    )
    widths = (width, hidden)[: len(kind.states)]
    state = tuple(draw(batch, w) for w in widths)
    return Call(kind, x.requires_grad_(), state, weights, lengths, reverse=True)


@pytest.mark.parametrize("unit", ["neon", "generic"])
@pytest.mark.parametrize(("cell", "outputs"), [*((name, None) for name in CELLS), ("lstm", 7)])
def test_arm_unit_equals_reference(program: Path, cell: str, outputs: int | None, unit: str) -> None:
    call = make_call(cell, outputs)
    y, state = Reference().run(call)
    upstream = [torch.randn(t.shape).double() for t in (y, *state)]
    weights = call.weights
    slots = [call.x, *call.state, weights.w, weights.r, weights.b, weights.c]
    tensors = [t for t in (*slots, weights.projection, *weights.extra.values()) if t is not None]
    expected = [y, *state, *torch.autograd.grad((y, *state), tensors, upstream)]

    assert call.lengths is not None
    batch, time, features = call.x.shape
    head = [list(CELLS).index(cell), batch, time, features, weights.hidden, weights.outputs, 1]
    integers = np.array([*head, outputs is not None, *call.lengths.tolist()], np.int64)
    numbers = np.concatenate([t.detach().float().numpy().ravel() for t in (*tensors, *upstream)])
    command = [EMULATOR, str(program), unit]
    ran = subprocess.run(
        command, input=integers.tobytes() + numbers.tobytes(), capture_output=True, check=True, timeout=60
    )
    found = torch.from_numpy(np.frombuffer(ran.stdout, np.float32).copy()).double()
    assert found.numel() == sum(t.numel() for t in expected)
    for i, (actual, right) in enumerate(
        zip(torch.split(found, [t.numel() for t in expected]), expected, strict=True)
    ):
        scale = right.detach().abs().max().clamp(min=1)
        difference = (actual.view(right.shape) - right.detach()).abs().max() / scale
        assert difference <= (2e-5 if i <= len(state) else 1e-4), i
