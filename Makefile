# One command to know: `make check`. `make help` lists the rest.
#
# Needs Python 3.11 or newer with its venv module, git and make. Everything else is
# installed into .venv, from requirements/*.txt, with every file's hash checked.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Wheels only: building from source would fetch build tools that nobody hashed.
INSTALL := $(PIP) install --require-hashes --only-binary=:all:
COMPILE := env -u UV_FIND_LINKS -u UV_INDEX -u UV_DEFAULT_INDEX $(BIN)/uv pip compile \
	--quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--exclude-newer "1 week" --custom-compile-command "make lock" $(LOCK_ARGS)
# Most tests wait for something, so two at a time are quicker and still quiet enough.
JOBS ?= 2
# In CI, or with STRICT=1, a skipped test is a failed test.
STRICT_ARGS := $(if $(STRICT)$(filter true 1,$(CI)),--no-skips)

.DEFAULT_GOAL := help
.PHONY: help run test test-setup check format unit mutants bench lock clean

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

run: $(VENV)/.run ## Run the demonstration (FOLDER=path, ARGS="...")
	@$(BIN)/python -m service demo $(if $(FOLDER),"$(FOLDER)") $(ARGS)

test: $(VENV)/.dev test-setup ## Run every test (STRICT=1: a skip is a failure; JOBS=N)
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(STRICT_ARGS) $(ARGS)

test-setup: # What the tests need from the system: a browser, its driver, Node.js
	@scripts/test_setup

check: $(VENV)/.dev ## Format, lint, types, import contracts, unit tests; a minute
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache > $(VENV)/imports.txt || { cat $(VENV)/imports.txt; exit 1; }
	@$(BIN)/python -m pytest --quiet -n auto --timeout=30 tests/unit tests/test_repository.py

format: $(VENV)/.dev ## Rewrite the code in the project's format
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

unit: $(VENV)/.dev ## Unit tests, with the coverage of service/core (must be 100 %)
	@$(BIN)/python -m pytest --quiet tests/unit \
		--cov=service.core --cov-report=term --cov-fail-under=100

mutants: $(VENV)/.dev ## Break the code, rule by rule, and see that the tests notice
	@$(BIN)/python -m tests.simulation.mutants

bench: $(VENV)/.dev ## Measure; results go to bench/results/
	@$(BIN)/python -m bench.confirm_latency $(ARGS)
	@$(BIN)/python -m bench.saturation $(ARGS)
	@$(BIN)/python -m bench.two_nodes $(ARGS)
	@$(BIN)/python -m bench.rolling_restart
	@$(BIN)/python -m bench.resume_tail
	@$(BIN)/python -m bench.slow_reader

lock: $(VENV)/.dev ## Resolve the dependencies again, without releases of the last week
	@$(COMPILE) pyproject.toml --extra embedded --group dev -o requirements/dev.txt
	@$(COMPILE) pyproject.toml --extra embedded -c requirements/dev.txt -o requirements/run.txt
	@$(COMPILE) pyproject.toml -c requirements/dev.txt -o requirements/service.txt

clean: ## Remove what the other verbs made
	@rm -rf $(VENV) .ruff_cache .mypy_cache .pytest_cache .import_linter_cache .coverage
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name one with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "Python's venv module is needed (Debian: python3-venv)." >&2; exit 1; }

$(VENV)/.run: requirements/run.txt | $(BIN)/python
	@echo "Installing what the service needs into $(VENV) ..."
	@$(INSTALL) -r requirements/run.txt
	@touch $@

# The editable install is one .pth line; its build tool is in the lock, so nothing
# is fetched for it.
$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo "Installing what development needs into $(VENV) ..."
	@$(INSTALL) -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@touch $@ $(VENV)/.run
