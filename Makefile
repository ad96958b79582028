# The habits of the house. `make demo` and `make test` are all a newcomer needs.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# pip resolves against these pins; torch 2.13.0 is the one with a CPU build everywhere.
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt
EXAMPLE ?= examples/readings

.DEFAULT_GOAL := help
.PHONY: help demo picture test test-all lint format bench bench-repair vsix editors-test clean distclean

help:
	@echo "make demo      everything it needs, then the main job on $(EXAMPLE)"
	@echo "make test      everything it needs, then the tests"
	@echo "make test-all  the long ones too"
	@echo "make lint      ruff, mypy, import rules"
	@echo "make bench     the figures of the documentation, measured here"
	@echo "make vsix      the VS Code extension as a package"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Backtrail needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

# One stamp a set of extras, so that what is there is not installed twice.
$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing Backtrail with its model extra (torch is about 200 MB)"
	@$(PIP) --editable '.[model]' pytest && touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing Backtrail with its model, study, tune and dev extras (torch is about 200 MB)"
	@$(PIP) --editable '.[model,study,tune,dev]' && touch $@ $(VENV)/.demo

$(VENV)/.bench: $(VENV)/.test
	@$(PIP) --editable '.[bench]' && touch $@

demo: $(VENV)/.demo
	@VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/backtrail fix $(EXAMPLE)

# Two at a time: much of what the tests do is waiting for programs to end. Three took no less on two cores.
test: $(VENV)/.test
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 40

test-all: $(VENV)/.test editors-test
	$(BIN)/python -m pytest -m "long or not long" --hypothesis-profile=thorough

# mypy reads the types of what the model host imports, so the checks need the same install as the tests.
lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.test
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

bench: $(VENV)/.bench
	$(BIN)/python -m bench

# DATA names the files of items, as described in bench/README.md.
bench-repair: $(VENV)/.bench
	$(BIN)/python -m bench.repair $(DATA)

editors/vscode/node_modules: editors/vscode/package-lock.json
	cd editors/vscode && npm ci --no-audit --no-fund && touch node_modules

editors-test: editors/vscode/node_modules
	cd editors/vscode && npm test

vsix: editors/vscode/node_modules
	cd editors/vscode && npm run package

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis editors/vscode/out editors/vscode/*.vsix

distclean: clean
	rm -rf $(VENV) editors/vscode/node_modules

picture: $(VENV)/.demo
	$(BIN)/python docs/picture.py
