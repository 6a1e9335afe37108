# Two commands do all set-up on a machine that has Python 3.11+ and make: `make demo`, `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PACKAGES := -e ./shared -e ./services/api -e ./services/worker -e ./services/metrics

# Modules are compiled once, not by every process anew: torch alone has two thousand of them.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo up test check chaos conformance mutants minio lock clean

help:  ## Show this list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/uv: requirements/bootstrap.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"ReplicaLab needs Python 3.11 or later, this is {v.major}.{v.minor}; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/bootstrap.txt

$(VENV)/.demo: $(BIN)/uv requirements/demo.txt shared/pyproject.toml $(wildcard services/*/pyproject.toml)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/demo.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(PACKAGES)
	@touch $@

$(VENV)/.dev: $(VENV)/.demo requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@

# In a new environment one process compiles what the tests import, while another is linting: else
# every process that runs tests would compile the same. What fails here fails there, and is shown.
$(VENV)/.compiled: $(VENV)/.dev
	-@$(BIN)/pytest --collect-only --quiet > /dev/null
	@touch $@

demo: $(VENV)/.demo  ## Run the demo study: install, start everything, submit, watch, report.
	$(BIN)/replicalab demo

up: $(VENV)/.demo  ## Start the embedded stack and keep it running until Ctrl-C.
	$(BIN)/replicalab up

test: $(VENV)/.dev  ## Everything: static checks and all tests on real servers.
	$(MAKE) --no-print-directory -j2 lint $(VENV)/.compiled
	$(PYTEST)

check: $(VENV)/.dev  ## What must be green before each commit.
	$(MAKE) --no-print-directory lint
	$(PYTEST) -m "not slow and not integration"

.PHONY: lint
lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH= $(BIN)/lint-imports --no-cache

# One thread each: threads of two processes that wait for each other cost tenfold on two cores.
PYTEST = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder
SEEDS := 20

chaos: $(VENV)/.dev  ## Break everything at random, SEEDS times, and check that nothing is lost.
	$(BIN)/python -m tests.chaos.run --seeds $(SEEDS)

EXAMPLES := 20

conformance: $(VENV)/.dev  ## Ask a live gateway whatever its description allows and forbids, EXAMPLES times each.
	$(BIN)/python -m tests.conformance.run --examples $(EXAMPLES)

mutants: $(VENV)/.dev  ## Take out the engine's guards one by one; each must turn a test red.
	$(BIN)/python -m tests.mutants.run

MINIO := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/replicalab/bin/minio

minio:  ## Build a real MinIO for the S3 tests (needs Go; about five minutes, once).
	@test -x $(MINIO) || ! command -v go >/dev/null || GOBIN=$(dir $(MINIO)) \
	    go install github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c

lock: $(BIN)/uv  ## Pin every dependency with hashes.
	$(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-annotate --universal \
	    --upgrade requirements/bootstrap.in --output-file requirements/bootstrap.txt
	$(BIN)/uv lock --upgrade
	for set in demo:--no-dev dev:--all-groups; do \
	    $(BIN)/uv export --quiet --frozen --no-emit-workspace --no-header \
	        $${set#*:} --output-file requirements/$${set%%:*}.txt; done
	for service in api worker metrics; do \
	    $(BIN)/uv export --quiet --frozen --no-emit-workspace --no-header --no-dev \
	        --package replicalab-$$service --output-file requirements/$$service.txt; done

clean:  ## Remove the environment and everything the stack stored here.
	rm -rf $(VENV) var demo-output
