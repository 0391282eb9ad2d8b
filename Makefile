# make          the environment, in .venv
# make run      the whole pipeline on the shipped synthetic system, and the penalty table
# make test     every test
# make lint     style, types, import rules, SQL
#
# Needs make, python3 (3.11 or newer) and python3-venv. Only the first target reaches the network, and only through pip.

VENV ?= .venv
PYTHON ?= $(shell test -x /usr/bin/python3 && echo /usr/bin/python3 || command -v python3)
STAMP := $(VENV)/.installed
BIN := $(VENV)/bin

export DAGSTER_DISABLE_TELEMETRY := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := environment
.PHONY: environment run test lint format clean

environment: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "hrrp needs Python 3.11 or newer. Name one: make PYTHON=/path/to/python3"; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is missing. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	"$(PYTHON)" -m venv "$(VENV)"
	"$(BIN)/pip" install --no-input --quiet --progress-bar off --constraint constraints.txt --editable '.[dev]'
	@touch "$@"

run: $(STAMP)
	@"$(BIN)/hrrp" run

test: $(STAMP)
	"$(BIN)/pytest" $(PYTEST_OPTIONS)

lint: $(STAMP)
	"$(BIN)/ruff" check .
	"$(BIN)/ruff" format --check .
	"$(BIN)/mypy"
	"$(BIN)/lint-imports" --no-cache
	"$(BIN)/sqlfluff" lint --processes 0 --disable-progress-bar sql

format: $(STAMP)
	"$(BIN)/ruff" check --fix .
	"$(BIN)/ruff" format .

clean:
	rm -rf "$(VENV)" build dist
