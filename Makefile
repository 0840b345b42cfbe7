# The commands of this project; `make help` lists them.
PYTHON ?= python3
PORT ?= 8080
VENV := .venv
BIN := $(VENV)/bin
IS_NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install

.DEFAULT_GOAL := help
.PHONY: help install compiled run test check format bench bench-peers clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

install: compiled ## Make .venv with everything that serving needs

# An environment of an older Python, or one that was only half made, would stay as it is: it is made anew.
$(VENV)/.installed: pyproject.toml
	@$(BIN)/python -c "import pip; $(IS_NEW_ENOUGH)" 2>/dev/null || { \
		$(PYTHON) -c "$(IS_NEW_ENOUGH)" 2>/dev/null || { echo "$(PYTHON) is no Python 3.11 or newer; name one: make PYTHON=python3.13 …" >&2; exit 1; }; \
		echo "Making $(VENV) …"; \
		$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }; }
	@echo "Installing scim-seats …"
	@$(PIP) -e .
	@touch $@

# pip compiles what it copies, and an installation that is edited in place it does not.
compiled: $(VENV)/.installed
	@$(BIN)/python -m compileall -q scim_server seat_policy

$(VENV)/.tested: $(VENV)/.installed
	@echo "Installing what the tests need …"
	@$(PIP) -e '.[test]'
	@touch $@

$(VENV)/.developed: $(VENV)/.tested
	@echo "Installing what the checks need …"
	@$(PIP) -e '.[test,dev]'
	@touch $@

run: install ## Serve a demo organization on http://127.0.0.1:8080; PORT=8081 for another port
	@mkdir -p var
	@SCIM_DATABASE_URL=$${SCIM_DATABASE_URL:-sqlite:///var/scim-seats.sqlite3} $(BIN)/scim-server demo --port $(PORT)

test: $(VENV)/.tested ## Run all tests, on SQLite and PostgreSQL
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile

check: $(VENV)/.developed ## Format, lint, types and all tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile

format: $(VENV)/.developed ## Bring the code into its format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: compiled $(VENV)/.tested ## Measure the speed on SQLite and PostgreSQL; OPTIONS=--quick for a short run
	@$(BIN)/python -m benchmarks.bench $(OPTIONS)

bench-peers: compiled $(VENV)/.tested ## Measure other SCIM servers in the same run; they are installed in a cache
	@$(BIN)/python -m benchmarks.peers $(OPTIONS)

clean: ## Remove what can be made again; data under var/ stays
	@rm -rf $(VENV) *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
