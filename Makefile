# Every target works from a fresh clone: what it needs is installed first, into .venv (and by tests/setup-debian.sh).
PYTHON ?= python3
CHAOS_SECONDS ?= 60
PYTEST_ARGS ?=
# One more than there are processors, as tests wait for servers, up to four.
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 3); echo $$((n < 3 ? n + 1 : 4)))
BENCH ?=
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: help install demo test check bench chaos packages clean
.DEFAULT_GOAL := help

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED)  ## .venv with cdc and everything a developer needs

demo: install  ## PostgreSQL into DuckDB before your eyes, in under a minute
	$(BIN)/cdc demo

test: install packages  ## all tests (PYTEST_ARGS='-k slot -x')
	$(BIN)/pytest --numprocesses=$(WORKERS) --dist=worksteal $(PYTEST_ARGS)

check: install  ## lint, format and types, as CI runs them
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: install  ## rates and memory beside pg_recvlogical, COPY and Debezium (BENCH='kafka sink': with Kafka)
	$(BIN)/python -m tests.bench $(BENCH)

chaos: install packages  ## tests/chaos for longer (CHAOS_SECONDS=600)
	CDC_CHAOS_SECONDS=$(CHAOS_SECONDS) $(BIN)/pytest tests/chaos --timeout=0 $(PYTEST_ARGS)

clean:  ## remove .venv and caches
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis

packages:
	@tests/setup-debian.sh

# A Debian without python3-venv has a python3 that cannot make one.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import ensurepip' || tests/setup-debian.sh python3-venv
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
