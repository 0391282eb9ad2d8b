# `make run` and `make test` work on a fresh machine with git, make, python3 (3.11 or newer) and python3-venv; either may be first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export DAGSTER_DISABLE_TELEMETRY := 1
export OPENBLAS_NUM_THREADS := 1

.PHONY: all run test lint ui sample clean

all: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "python3 -m venv failed: install python3-venv (apt-get install python3-venv)."; exit 1; }
	@echo "Installing hrrp and what it needs into $(VENV) (a few minutes, once) ..."
	@$(BIN)/pip install --quiet --no-input --constraint constraints.txt --editable '.[dev]'
	@touch $@

run: $(STAMP)
	@$(BIN)/hrrp run

ui: $(STAMP)
	@$(BIN)/hrrp ui

test: $(STAMP)
	$(BIN)/pytest -n 2 --dist loadfile

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint sql

clean:
	rm -rf $(VENV) data/out data/state
