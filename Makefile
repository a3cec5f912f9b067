# `make demo` and `make test` work on a fresh machine with Python 3.11 or newer: they create .venv and install into it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all lint

help:
	@echo "make demo      train a small network on the data that ship with the project"
	@echo "make test      the quick tests"
	@echo "make test-all  every test, the slow ones included"
	@echo "make lint      ruff and mypy"
	@echo "make install   only create $(VENV); another Python with make install PYTHON=python3.12"

install: $(READY)

demo: $(READY)
	$(BIN)/forecast train experiment=demo

test: $(READY)
	$(BIN)/python -m pytest -m "not slow"

test-all: $(READY)
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(READY): pyproject.toml constraints.txt
	@test -x $(BIN)/pip || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "forecast needs Python 3.11 or newer; '$(PYTHON)' is older, or missing." \
		"Name another one: make $(or $(MAKECMDGOALS),install) PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "installing forecast and its dependencies into $(VENV) (first time only, a few minutes)"
	@$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e ".[test]"
	@touch $@
