# The two commands a newcomer needs:  make study   make test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
SOURCES := pyproject.toml constraints.txt CMakeLists.txt $(wildcard src/lamina/*/csrc/*)

.PHONY: study test lint types tests sanitize install clean

# Study the bundled daily page views of one Wikipedia article and write wikipedia-study/report.html.
study: install
	@n=2; out=wikipedia-study; while [ -e $$out ]; do out=wikipedia-study-$$n; n=$$((n+1)); done; \
	$(BIN)/lamina study wikipedia_views --budget 3m --out $$out

test: install lint types tests

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

tests:
	$(BIN)/python -m pytest

# The tests of the kernels on a build that checks every address and every operation.
SANITIZED := build/sanitize
RUNTIME = $(shell $(CXX) -print-file-name=libasan.so) $(shell $(CXX) -print-file-name=libubsan.so)
sanitize: install
	$(BIN)/cmake -S . -B $(SANITIZED) -G Ninja -DCMAKE_BUILD_TYPE=Debug -DLAMINA_SANITIZE=address,undefined \
		-DCMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja) -DPython_EXECUTABLE=$(abspath $(BIN)/python) \
		-Dnanobind_DIR=$$($(BIN)/python -m nanobind --cmake_dir)
	$(BIN)/cmake --build $(SANITIZED) --target _native streaming_native _learning
	LD_PRELOAD="$(RUNTIME)" ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		$(BIN)/python tests/sanitized.py $(SANITIZED) -q -p no:cacheprovider -k "not memory" \
		$(addprefix tests/ops/test_,native.py dropout.py softmax.py) \
		$(addprefix tests/streaming/test_,$(addsuffix .py,packed session forecast_session token_session \
		adaptive_quantiles linear inputs feedback aggregate))

install: $(INSTALLED)

$(INSTALLED): $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	# seqeval comes as source alone, and only an isolated build has what it builds with
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt scikit-build-core nanobind cmake ninja seqeval
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[test]'
	touch $(INSTALLED)

clean:
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache
