# make          the environment, in .venv
# make run      the whole pipeline on the shipped synthetic system, and the penalty table
# make test     every test
# make lint     style, types, import rules, SQL
# make ui       the assets, their lineage and their checks, in the browser
#
# Either may be first on a fresh machine with make, python3 (3.11 or newer) and python3-venv; pip is the only one to use the network.

PYTHON ?= $(shell test -x /usr/bin/python3 && echo /usr/bin/python3 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST_OPTIONS ?= -n 2 --dist loadfile

export DAGSTER_DISABLE_TELEMETRY := 1
export OPENBLAS_NUM_THREADS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := environment
.PHONY: environment run test lint format ui clean

environment: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "hrrp needs Python 3.11 or newer. Name one: make PYTHON=/path/to/python3"; exit 1; }
	@test -x $(BIN)/pip || "$(PYTHON)" -m venv $(VENV) || \
	  { echo "Python's venv module is missing. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Installing hrrp and what it needs into $(VENV) (a minute or two, once) ..."
	@$(BIN)/pip install --no-input --quiet --progress-bar off --constraint constraints.txt --editable '.[dev]'
	@touch $@

run: $(STAMP)
	@$(BIN)/hrrp run

test: $(STAMP)
	$(BIN)/pytest $(PYTEST_OPTIONS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/sqlfluff lint --processes 0 --disable-progress-bar sql

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

ui: $(STAMP)
	@$(BIN)/hrrp ui

clean:
	rm -rf $(VENV) build dist
