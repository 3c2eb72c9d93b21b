# Two commands do everything on a fresh machine: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUNS ?= runs
DEMO_ARGS ?=
BENCH_ARGS ?=
PYTEST_ARGS ?=

CPP := $(sort $(shell find cuda tests/shim -name '*.cpp' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh'))
PINS := requirements/constraints.txt
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --constraint $(PINS)

# Stamps: repeated calls are quick, and a changed pin, C++ source or CMake file builds again.
ENVIRONMENT := $(VENV)/.environment
EXTENSION := $(VENV)/.extension

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(EXTENSION) ## install, then reconstruct the toy drive: pictures, video, PLY and report in runs/demo
	$(BIN)/gsrecon demo $(DEMO_ARGS)

.PHONY: test
test: $(EXTENSION) ## install, then the tests (minutes)
	$(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

.PHONY: test-all
test-all: $(EXTENSION) ## the tests and the long ones (kill loop, quality on real drives)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

.PHONY: check check-format check-lint check-types check-layers
check: check-format check-lint check-layers check-types ## formatting, lint, import layers, types

check-format: $(EXTENSION)
	$(BIN)/ruff format --check --quiet .
	$(BIN)/clang-format --dry-run -Werror $(CPP)

check-lint: $(EXTENSION)
	$(BIN)/ruff check .

check-layers: $(EXTENSION)
	$(BIN)/lint-imports --no-logo

check-types: $(EXTENSION)
	$(BIN)/pyright --pythonpath $(BIN)/python

.PHONY: format
format: $(EXTENSION) ## rewrite Python and C++ sources in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/clang-format -i $(CPP)

# ThreadSanitizer needs memory laid out as it expects, which address randomisation can spoil.
FIXED_LAYOUT := $(shell setarch -R true 2>/dev/null && echo setarch -R)

.PHONY: sanitize
sanitize: $(EXTENSION) ## the CUDA kernels on the processor under thread, address and undefined sanitizers (minutes)
	@for kind in thread address,undefined; do \
	  PATH="$(abspath $(BIN)):$$PATH" cmake -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DSANITIZE=$$kind \
	    -S tests/shim -B build/sanitize-$$kind >/dev/null && \
	  PATH="$(abspath $(BIN)):$$PATH" ninja --quiet -C build/sanitize-$$kind && \
	  echo "sanitizer: $$kind" && $(FIXED_LAYOUT) build/sanitize-$$kind/check_kernels || exit 1; \
	done

.PHONY: bench
bench: $(EXTENSION) ## time the rasterizer on the street scenes, write docs/benchmarks.md
	$(BIN)/python scripts/bench/run.py $(BENCH_ARGS)

.PHONY: bench-gpu
bench-gpu: $(EXTENSION) ## time gsrecon beside gsplat on a GPU, write docs/benchmarks-gpu.md
	$(BIN)/python scripts/bench_gpu/run.py $(BENCH_ARGS)

.PHONY: nvcc
nvcc: | $(BIN)/python ## install a CUDA compiler from pip, where there is no toolkit; then make build
	$(PIP) install --quiet -r requirements/cuda-compiler.txt
	@touch -c CMakeLists.txt

.PHONY: build
build: $(EXTENSION) ## only install and compile

.PHONY: clean
clean: ## remove the environment, builds and caches; runs/ stays
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find gsrecon tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is not installed; install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $$($(PYTHON) --version) is too old; gsrecon needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "error: $(PYTHON) has no venv module; install it (Debian, Ubuntu: apt-get install python3-venv) and run make again" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(ENVIRONMENT): pyproject.toml $(PINS) | $(BIN)/python
	@command -v c++ >/dev/null || command -v $${CXX:-g++} >/dev/null || { echo "error: no C++ compiler; install one (Debian, Ubuntu: apt-get install g++) or set CXX, and run make again" >&2; exit 1; }
	@echo "installing into $(VENV) (torch is about 200 MB; the first time takes a few minutes)"
	$(INSTALL) scikit-build-core nanobind cmake ninja
	$(INSTALL) --no-build-isolation --editable '.[dev]'
	@touch $@

$(EXTENSION): $(ENVIRONMENT) CMakeLists.txt cmake/cuda.cmake $(CPP)
	$(INSTALL) --no-build-isolation --no-deps --editable .
	@touch $@
