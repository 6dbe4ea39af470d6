# The main job is two targets: `make up` and `make test`. Each sets up what it needs.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CEREBRO := $(BIN)/cerebro
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
TEST_JOBS ?= 2

.PHONY: up down status test check fmt bench bench-cause bench-detection chaos simulate drill reference agent lock clean help

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s "$$(printf '\t')"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Cerebro needs Python 3.11 or newer; this is $$($(PYTHON) -V). Say which: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(RUNTIME): requirements.lock pyproject.toml | $(BIN)/python
	@echo "Setting up Cerebro in $(VENV) (once; about a minute) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(DEV): requirements-dev.lock $(RUNTIME)
	@echo "Setting up the tools for tests and checks …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements-dev.lock
	@touch $@

up: $(RUNTIME) ## start Cerebro on this machine; prints the address and the first login
	@$(CEREBRO) up --detach

down: $(RUNTIME) ## stop it
	@$(CEREBRO) down

status: $(RUNTIME) ## what runs, and how it is
	@$(CEREBRO) status

check: $(DEV) ## format, types, imports, house rules, docs: everything but the tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest tests/house

fmt: $(DEV) ## bring the code into the house's form
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

test: check ## what CI runs
	@$(BIN)/pytest tests -m "not long" --ignore tests/house -n $(TEST_JOBS) --dist loadfile

bench: $(RUNTIME) ## every figure of docs/reference/performance.md, measured here
	@$(CEREBRO) bench all

bench-cause: $(RUNTIME) ## the causes of public incidents under CEREBRO_DATASETS; PART=name for one half
	@nice $(BIN)/python -m cerebro.cli.bench.cause $(if $(PART),--part $(PART))

bench-detection: $(RUNTIME) ## the detectors on the public labelled sets under CEREBRO_DATASETS; PART=name for one half
	@nice $(BIN)/python -m cerebro.cli.bench.detection.bench $(if $(PART),--part $(PART))
	@nice $(BIN)/python -c "from cerebro.cli.bench import sequences, templates; templates.run('$(PART)'); sequences.run('$(PART)')"
	@nice $(BIN)/python -m cerebro.cli.bench.promise $(if $(PART),--part $(PART))

chaos: $(DEV) ## kill every process 20 times in random order under load
	@$(BIN)/pytest tests/chaos -m long -s --timeout 3600

simulate: export SEEDS := $(or $(SEEDS),200)
simulate: $(DEV) ## the laws of the platform under foul weather, 200 seeds; SEED=17 replays one
	@$(BIN)/pytest tests/simulation -n 2

drill: $(RUNTIME) ## break a small real shop and watch what Cerebro makes of it
	@$(CEREBRO) drill

reference: $(DEV) ## write docs/reference from the code
	@$(BIN)/python -m cerebro.cli.reference

agent: $(RUNTIME) ## make agent NAME=x: a new agent's rooms
	@test -n "$(NAME)" || { echo "Which? make agent NAME=x"; exit 1; }
	@$(CEREBRO) new-agent $(NAME)

lock: | $(BIN)/python ## choose the versions anew
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --extra dev pyproject.toml -c requirements.lock -o requirements-dev.lock

clean: ## forget the virtual environment and the caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
