# Every target makes .venv by itself, with the dependency group that it needs. After a change of
# pyproject.toml it installs that group again and removes nothing: `make clean` does.
# .venv/.with-GROUP says that a dependency group is installed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WITH := $(VENV)/.with

# About, with pip and on CPython 3.11.
SIZE_matrix := 110 MB, half a minute; the published package in .cache takes 80 MB more
SIZE_test := 120 MB, half a minute
SIZE_browser := 170 MB, a quarter of a minute
SIZE_types := 500 MB, a minute

.DEFAULT_GOAL := help
.PHONY: help interop test coverage lint types bench tox clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

interop: $(WITH)-matrix  ## run the compatibility matrix on local processes (ARGS="--server python …")
	$(BIN)/python -m interop run $(ARGS)

test: $(WITH)-test $(WITH)-browser  ## run the tests (ARGS="-k name …")
	$(BIN)/python -m pytest -n auto $(ARGS)

coverage: $(WITH)-test  ## run the library's tests and fail unless they reach its branches
	$(BIN)/python -m pytest -n auto --ignore tests/interop --cov $(ARGS)

lint: $(WITH)-lint  ## check style, spelling and the files of GitHub and compose: .pre-commit-config.yaml
	$(BIN)/pre-commit run --all-files

types: $(WITH)-types  ## check types
	$(BIN)/mypy
	$(BIN)/basedpyright --pythonpath $(BIN)/python

bench: $(WITH)-bench  ## measure speed
	$(BIN)/python -m bench $(ARGS)

tox: $(WITH)-tox  ## run the tests on every Python at hand
	$(BIN)/tox run $(ARGS)

clean:  ## remove what was made
	rm -rf $(VENV) .cache .tox results .mypy_cache .ruff_cache .pytest_cache

$(VENV)/.new:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "zaptools needs Python 3.11 or later; $(PYTHON) is %d.%d. Try: make PYTHON=python3.12" % sys.version_info[:2])'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo '$(PYTHON) has no venv module. On Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@touch $@

$(WITH)-%: $(VENV)/.new pyproject.toml
	@echo 'installing the dependency group "$*" into $(VENV)$(if $(SIZE_$*), (about $(SIZE_$*)))'
	$(BIN)/python -m pip install --quiet --editable . --group $*
	@touch $@
