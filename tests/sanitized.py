"""Run tests on another build of the kernels: `python tests/sanitized.py MODULE.so [pytest's arguments]`.

`make sanitize` builds the kernels with AddressSanitizer and UndefinedBehaviorSanitizer and runs the tests of
the kernels on them. The installed extension stays as it is.
"""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location

import pytest


def main(extension: str, arguments: list[str]) -> int:
    spec = spec_from_file_location("lamina.ops._native", extension)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules["lamina.ops._native"] = module
    return int(pytest.main(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
