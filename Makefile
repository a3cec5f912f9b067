# `make demo` and `make test` work on a fresh machine with Python 3.11 or newer: they create .venv and install into it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
PIP := $(BIN)/python -m pip install --disable-pip-version-check -q

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow test-all lint lock

help:
	@echo "make demo      train a small network on the data that ship with the project"
	@echo "make test      the quick tests"
	@echo "make test-slow the others, which may take an hour"
	@echo "make test-all  every test, the slow ones included"
	@echo "make lint      ruff and mypy"
	@echo "make lock      write requirements.lock anew from constraints.txt (needs uv)"
	@echo "make install   only create $(VENV); another Python with make install PYTHON=python3.12"

install: $(READY)

demo: $(READY)
	$(BIN)/python -m forecast train experiment=demo

test: $(READY)
	$(BIN)/python -m pytest -n auto -m "not slow"

test-slow: $(READY)
	$(BIN)/python -m pytest -n auto -m slow

test-all: $(READY)
	$(BIN)/python -m pytest -n auto

# Every file of every pinned release by its sha256. torch is left out: its builds for CPU and CUDA differ.
lock:
	uv pip compile constraints.txt --no-deps --universal --generate-hashes --no-annotate --no-header \
		--python-version 3.11 --no-emit-package torch --upgrade -o requirements.lock

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(READY): pyproject.toml constraints.txt requirements.lock
	@test -x $(BIN)/pip || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "forecast needs Python 3.11 or newer; '$(PYTHON)' is older, or missing." \
		"Name another one: make $(or $(MAKECMDGOALS),install) PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "installing forecast and its dependencies into $(VENV) (first time only, a few minutes)"
	@$(PIP) --require-hashes --no-deps -r requirements.lock
	@$(PIP) --no-build-isolation -c constraints.txt -e ".[test]"
	@touch $@
