"""Run tests on another build of the kernels: `python tests/sanitized.py FOLDER [pytest's arguments]`.

`make sanitize` builds the kernels with AddressSanitizer and UndefinedBehaviorSanitizer and runs the tests of
the kernels on them. The installed extensions stay as they are.
"""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

# Where a build puts each extension.
BUILT = {
    "lamina.ops._native": "_native.*.so",
    "lamina.streaming._native": "streaming/_native.*.so",
    "lamina.streaming._learning": "streaming/_learning.*.so",
}


def main(folder: Path, arguments: list[str]) -> int:
    for name, pattern in BUILT.items():
        (extension,) = folder.glob(pattern)
        spec = spec_from_file_location(name, extension)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    return int(pytest.main(arguments))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
