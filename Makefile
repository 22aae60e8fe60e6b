# The two commands of a newcomer are `make start` and `make test`; `make help` lists the rest.

VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SEED ?= 0
RUNS ?= runs
# Markers of the tests that take long, or need a browser or a server.
LONGER := slow or bench or browser or chaos or postgres or ray or reference

# Where it is set, each of the many processes that tests start compiles all of its modules anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help start demo readme test test-all chaos check lint types contracts format clean

help: ## What can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

start: $(INSTALLED) ## Search baseline_constrained and export the best configuration
	$(BIN)/cifar-search start --space baseline_constrained --data auto

# The whole way once, small: the images are those that `start` finds, and its results are in DEMO.
DEMO := runs/demo
BEST := $(DEMO)/exports/demo/best-1

demo: $(INSTALLED) ## Search, confirm, report, test, export and train the export: some minutes
	@echo "This takes nine minutes of processor time without a GPU, or about six minutes on two idle cores."
	@echo "1. Search 8 trials of 3 epochs on 4,000 images, confirm the best, and write a report"
	$(BIN)/cifar-search start --space baseline_constrained --study demo --home $(DEMO) --data auto --scale quick \
		--trials 8 --epochs 3 --train-images 4000 --confirm 1
	@echo "2. Train the best on all 50,000 images, then open the test images, once"
	$(BIN)/cifar-search train $(BEST).toml --final --no-plots
	@echo "3. Export its network as ONNX, compared with PyTorch's, and as a program that needs PyTorch alone"
	$(BIN)/cifar-search export demo --home $(DEMO) --format onnx
	$(BIN)/cifar-search export demo --home $(DEMO) --format python
	@echo "4. Measure the exported network with that program, then train it anew"
	$(BIN)/python $(BEST).py --data "$${CIFAR_SEARCH_DATA:-data}" --weights $(BEST).pt
	$(BIN)/python $(BEST).py --data "$${CIFAR_SEARCH_DATA:-data}"
	@echo "The report: $(DEMO)/exports/demo/report.html"

readme: $(INSTALLED) ## Draw docs/terminal.svg and print the table of results from the search STUDY in RUNS
	$(BIN)/python -m bench.readme $(STUDY) --home $(RUNS)

test: check ## Lint, types, import contracts, then the tests
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not ($(LONGER))"

test-all: test ## The same, then whole searches and trainings, benchmarks, published figures, a browser, and PostgreSQL
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "$(LONGER)"

chaos: $(INSTALLED) ## Inject 200 random faults into small searches, and check that nothing is lost
	$(BIN)/python -m tests.chaos --kills 200 --seed $(SEED)

check: lint types contracts ## Everything that needs no test to run

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

contracts: $(INSTALLED)
	$(BIN)/lint-imports

format: $(INSTALLED) ## Put the code into the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove the virtual environment and all caches; results in runs/ stay
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# Made again whenever what must be installed has changed.
$(INSTALLED): setup.cfg pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or later is needed, as $(PYTHON)."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; $$($(PYTHON) --version) is too old. Try PYTHON=python3.12."; exit 1; }
	@echo "Installing into $(VENV): PyTorch and the rest take some minutes and about 6 GB, once."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@
