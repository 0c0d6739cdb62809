# Every target makes .venv by itself, and makes it again only when pyproject.toml changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.made

.DEFAULT_GOAL := help
.PHONY: help interop test coverage lint types bench tox clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

interop: $(STAMP)  ## run the compatibility matrix on local processes (ARGS="--server python …")
	$(BIN)/python -m interop run $(ARGS)

test: $(STAMP)  ## run the tests (ARGS="-k name …")
	$(BIN)/python -m pytest -n auto $(ARGS)

coverage: $(STAMP)  ## run the library's tests and fail unless they reach its branches
	$(BIN)/python -m pytest -n auto --ignore tests/interop --cov $(ARGS)

lint: $(STAMP)  ## check style, and compose file and workflow against their schemas
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/ci.yml

types: $(STAMP)  ## check types
	$(BIN)/mypy
	$(BIN)/mypy tests/typing
	$(BIN)/basedpyright --pythonpath $(BIN)/python

bench: $(STAMP)  ## measure speed
	$(BIN)/python -m bench $(ARGS)

tox: $(STAMP)  ## run the tests on every Python at hand
	$(BIN)/tox run $(ARGS)

clean:  ## remove what was made
	rm -rf $(VENV) .cache .tox results .mypy_cache .ruff_cache .pytest_cache

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "zaptools needs Python 3.11 or later; $(PYTHON) is %d.%d. Try: make PYTHON=python3.12" % sys.version_info[:2])'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo '$(PYTHON) has no venv module. On Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@
