# Everything happens in .venv; a fresh machine needs Python 3.11 or later and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Three processes, because tests wait a third of their time on two processors. Those that are marked
# `serial` all run in one of them, and so do those marked `screen`.
PYTEST := $(BIN)/python -m pytest -n 3 --dist loadgroup
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-all fuzz check bench cover picture settings servers clean

demo: $(VENV)/.base
	$(BIN)/chatstream ask --provider demo --tool time,calculate "What can you do?"

# A seeded sample of every matrix: a quarter of an hour on two slow processors, less on others.
# tests/support/sampling.py says of what.
test: $(VENV)/.dev
	$(PYTEST)

# Every matrix at its full size, and a random seed for what has no end.
test-all: $(VENV)/.dev
	TEST_SIZE=all $(PYTEST)

# 100,000 damaged recordings against a reader that shares no code with the client.
fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.fuzz

check: $(VENV)/.dev
	$(BIN)/ruff format --check chatstream tests
	$(BIN)/ruff check chatstream tests
	$(BIN)/mypy

bench: $(VENV)/.bench
	$(BIN)/python -m tests.bench

cover: $(VENV)/.dev
	$(BIN)/python -m pytest --cov=chatstream --cov-report=term-missing:skip-covered

# The README's picture: runs the program, kills it, resumes.
picture: $(VENV)/.dev
	$(BIN)/python -m tests.support.picture

# What the README and the Python API say about the settings, written from their declaration.
settings: $(VENV)/.dev
	$(BIN)/python -m tests.support.declared

# Real servers for the tests marked `real`: llama.cpp, aimock, nginx, MCP, and bubblewrap. Needs apt
# and npm.
servers: $(VENV)/.dev
	$(BIN)/python -m tests.support.real.install

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
	find chatstream tests -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: $(BIN)/python pyproject.toml
	$(PIP) --editable .
	$(BIN)/python -m compileall -q chatstream
	touch $@

$(VENV)/.dev: $(VENV)/.base
	$(PIP) --editable '.[dev]'
	$(PIP) --upgrade --target $(VENV)/pysocks PySocks  # beside the rest: most tests are without it
	touch $@

$(VENV)/.bench: $(VENV)/.dev
	$(PIP) --editable '.[dev,bench]'
	touch $@
