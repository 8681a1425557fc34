# Everything a contributor types. `make demo` and `make test` work from a fresh checkout and set up what they need.
#
#   make demo            the search in examples/digits; again: everything is done; TRIALS=60: the difference
#   make test            every test            make quick   the fast ones
#   make lint            what CI checks        make format  mend what can be mended
#   make chaos           kill searches at random and count what was lost, of the product and of broken ones; KILLS=200: shorter
#   make crash-points    kill -9 at every kind of file operation, whatever trials are; make test leaves out what is alike
#   make bench           every measurement, into docs/benchmarks.md; PARTS="looking starting": these

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
BIN := $(VENV)/bin
# The interpreter of $(VENV): the first one that starts and is new enough. The constraints were made on 3.11.
PYTHON ?= $(shell for name in python3.11 python3 python3.12 python3.13 python3.14 python3.10 python; do \
	$$name -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$name && break; done)
# Where pip finds builds of torch for the CPU. Empty: wherever pip is configured to look, which on Linux can mean the
# CUDA build of several GB; an index of CPU builds avoids that.
TORCH_INDEX ?=
TRIALS ?=
# Tests that run at once: they wait more than they compute, so three for two CPUs.
WORKERS ?= 3
KILLS ?= 1000
PARTS ?=

PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST := $(BIN)/python -m pytest
# Where PYTHONDONTWRITEBYTECODE is set, each of the thousands of processes that the tests start would compile all of ours anew.
COMPILE := $(BIN)/python -m compileall -q src tests
SETUP := $(VENV)/.setup
SETUP_FOREIGN := $(VENV)/.setup-foreign
SETUP_SYSTEM := $(VENV)/.setup-system

.PHONY: help setup demo test quick lint format chaos crash-points bench clean

help:
	@sed -n '/^#   make/s/^#   //p' Makefile

$(SETUP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "make: no Python >= 3.10 with venv and pip found; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "setting up $(VENV) with $$($(PYTHON) --version) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@

# torch first and alone, so that an index of CPU builds is asked for this one package only.
$(SETUP_FOREIGN): $(SETUP)
	@echo "installing the training programs of others that the tests run (about 2 GB) ..."
	@$(PIP) install --constraint constraints.txt --no-deps $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch
	@$(PIP) install --constraint constraints.txt --editable '.[dev,foreign]'
	@touch $@

# SLURM, FUSE and Chromium from Debian. Made anew each time while the packages cannot be had.
$(SETUP_SYSTEM): .ci/system-packages $(SETUP)
	@.ci/system-packages $(VENV)/.without-system-packages
	@test -e $(VENV)/.without-system-packages || touch $@

setup: $(SETUP)

demo: $(SETUP)
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/outlast run examples/digits/study.yaml $(if $(TRIALS),--trials $(TRIALS))

# The slow and foreign ones in parallel as well: each works in a folder of its own. What needs the whole machine comes last.
test: $(SETUP_FOREIGN) $(SETUP_SYSTEM)
	@$(COMPILE)
	@PATH="$(abspath $(BIN)):$$PATH" $(PYTEST) -n $(WORKERS) --dist worksteal -m "not alone"
	@PATH="$(abspath $(BIN)):$$PATH" $(PYTEST) -s -m alone

quick: $(SETUP)
	@$(COMPILE)
	@PATH="$(abspath $(BIN)):$$PATH" $(PYTEST) -q -n $(WORKERS) -m "not slow and not foreign"

lint: $(SETUP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(SETUP)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

chaos: $(SETUP)
	@PATH="$(abspath $(BIN)):$$PATH" PYTHONPATH=tests $(BIN)/python -m lab.chaos --kills $(KILLS)
	@PATH="$(abspath $(BIN)):$$PATH" PYTHONPATH=tests $(BIN)/python -m lab.mutants
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python benchmarks/chaos.py

crash-points: $(SETUP)
	@PATH="$(abspath $(BIN)):$$PATH" OUTLAST_EVERY_CRASH_POINT=1 $(PYTEST) -q -n $(WORKERS) tests/survival/test_crash_points.py

bench: $(SETUP)
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python benchmarks/bench.py $(PARTS)

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
