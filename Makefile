# qobs: `make` lists what can be done. Everything is installed by hash, as wheels, into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCKED := install --require-hashes --only-binary :all: --no-deps
WORKERS ?= auto
KILLS ?= 1000
QOBS_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run test lint contract bench crash lock docs clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: $(VENV)/.run ## the whole product on emulated clouds, on this machine (QOBS_ARGS="--port 0")
	$(BIN)/qobs demo $(QOBS_ARGS)

test: lint ## lint, types and the whole test suite
	$(BIN)/python -m pytest -n $(WORKERS)

lint: $(VENV)/.dev ## style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict

contract: $(VENV)/.dev ## the providers' own clients, unmodified, against the lab (downloads them)
	PYTHON="$(PYTHON)" .ci/contract $(BIN)/python

bench: $(VENV)/.dev ## measure: jobs per second, scrapes, idle cost, burn rates
	@set -e; for file in benchmarks/*.py; do case "$$file" in */_*) ;; *) echo "== $$file"; $(BIN)/python "$$file" ;; esac; done

crash: $(VENV)/.dev ## kill the daemon KILLS times and check the store after each
	$(BIN)/python -m tests.crash.run --kills $(KILLS)

lock: $(VENV)/.lock ## resolve requirements/*.txt again from pyproject.toml
	@set -e; compile() { name=$$1; shift; $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
		--no-emit-index-url --no-emit-find-links --only-binary :all: --custom-compile-command "make lock" --upgrade \
		--output-file requirements/$$name.txt "$$@"; }; \
	compile run pyproject.toml; compile dev pyproject.toml --group dev; compile build --group build; \
	compile lock --group lock

docs: $(VENV)/.dev ## write the tables of README.md and docs/ again from the code
	$(BIN)/python -m tests.refresh

clean: ## remove environments and caches
	rm -rf $(VENV) .venvs .mypy_cache .ruff_cache .hypothesis .pytest_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- environments: one stamp for each set of packages, newer than its lock file -------------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "qobs needs Python 3.11 or newer; \`$(PYTHON)\` is `$(PYTHON) --version 2>&1`. Try: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
		echo "\`$(PYTHON)\` cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python requirements/build.txt requirements/run.txt pyproject.toml
	$(PIP) $(LOCKED) -r requirements/build.txt -r requirements/run.txt
	$(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@touch $@

$(VENV)/.dev: $(BIN)/python requirements/dev.txt pyproject.toml
	$(PIP) $(LOCKED) -r requirements/dev.txt
	$(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@touch $@ $(VENV)/.run

$(VENV)/.lock: $(BIN)/python requirements/lock.txt
	$(PIP) $(LOCKED) -r requirements/lock.txt
	@touch $@
