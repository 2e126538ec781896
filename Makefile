# Everything that a fresh machine with Python >= 3.11, git and make needs: `make demo`, `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.PHONY: help demo test test-all test-floor check lint types imports bench schemas format clean

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$python; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
FLOOR := .venv-floor

help:  ## Show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 14

demo: $(INSTALLED)  ## Run the main job on an example project, from init to a rebuilt index
	@OSIRIS="$(abspath $(BIN))/osiris" bash scripts/demo.sh

test: check  ## Lint, types, import contracts and the tests
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

test-all: check  ## The same with the slow tests
	@$(BIN)/python -m pytest -n 2 --dist worksteal

test-floor: $(FLOOR)/.installed  ## The engine's tests on the oldest supported DuckDB
	@$(FLOOR)/bin/python -m pytest -n 2 --dist worksteal -m "not slow" tests/components tests/runner tests/cli

check: lint types imports

lint: $(INSTALLED)  ## ruff, as linter and formatter
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(INSTALLED)  ## mypy --strict
	@$(BIN)/mypy

imports: $(INSTALLED)  ## The import contracts of pyproject.toml
	@$(BIN)/lint-imports

bench: $(INSTALLED)  ## Speed, each figure beside its floor in the same run
	@$(BIN)/python -m compileall -q osiris && $(BIN)/python -m pytest bench --benchmark-only --benchmark-columns=min,median,mean,max,rounds --benchmark-sort=name -q -p no:xdist --timeout=1200

schemas: $(INSTALLED)  ## Write docs/schemas anew from the code
	@$(BIN)/python -m scripts.write_schemas

format: $(INSTALLED)  ## Let ruff rewrite what it can
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

clean:  ## Remove what make made
	rm -rf $(VENV) $(FLOOR) demo

$(INSTALLED): pyproject.toml
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or newer is needed; name one with make PYTHON=..." >&2; exit 2; fi
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

$(FLOOR)/.installed: pyproject.toml
	$(PYTHON) -m venv $(FLOOR)
	$(FLOOR)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' 'duckdb<2'
	@touch $@
