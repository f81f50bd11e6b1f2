# The one list of tasks; CI runs these and nothing else. `make` prints it.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# pip compiles what it installs, but not a checkout; with PYTHONDONTWRITEBYTECODE set nobody else would.
COMPILE = $(BIN)/python -m compileall -q mmcicd_jenkins
# A person sees pip's own bars; a log is spared them.
INSTALL = quiet=--quiet; test -t 1 && quiet=; $(BIN)/python -m pip install $$quiet --disable-pip-version-check
FAILED = { echo "pip failed, it says why above. When that is mended (often: network, proxy, disk), the same command goes on." >&2; exit 2; }

.DEFAULT_GOAL := help
.PHONY: help demo test check test-real cluster cluster-down bench docs dist clean need

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

need:
	@command -v git >/dev/null || { echo "needed: git (Debian: apt-get install git)" >&2; exit 2; }
	@command -v $(PYTHON) >/dev/null || { echo "needed: Python 3.11 to 3.13 as $(PYTHON), or: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { echo "needed: Python 3.11 to 3.13; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "needed: Python's venv and pip (Debian: apt-get install python3-venv)" >&2; exit 2; }

$(VENV)/demo: setup.cfg pyproject.toml | need
	@echo "Making $(VENV) with TensorFlow: about 600 MB to fetch, 5 GB on disk with the model's own environment, a few minutes once."
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(INSTALL) -e '.[tensorflow]' || $(FAILED)
	@$(COMPILE)
	@touch $@

$(VENV)/dev: $(VENV)/demo
	@echo "Adding the test and check tools to $(VENV)."
	@$(INSTALL) -e '.[tensorflow,test,check]' || $(FAILED)
	@$(COMPILE)
	@touch $@

demo: $(VENV)/demo ## the guided tour: commit to production, refuse, promote, roll back (no root, no service)
	@$(BIN)/mmcicd-jenkins demo

test: $(VENV)/dev ## all tests that need no root and no service, with real TensorFlow, git and sockets
	@$(BIN)/python -m pytest -m 'not real' -n 2 --dist loadfile --no-loadscope-reorder

check: $(VENV)/dev ## ruff, mypy, lint of what templates give, generated pages and schema up to date
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/mmcicd-jenkins lint --no-groovy jenkins tests/golden
	@$(BIN)/python -m pytest tests/architecture

test-real: $(VENV)/dev ## the real parts (Docker, a registry, skopeo, Groovy, git servers): installed when root on Debian, else told
	@sh tests/real/prepare.sh
	@$(BIN)/python -m pytest -m real -rs

cluster: | need ## a real Kubernetes to work against: KUBECONFIG if set, else kind, else a node of our own (root)
	@$(PYTHON) tests/cluster up

cluster-down: | need ## stop that cluster and remove all that it made
	@$(PYTHON) tests/cluster down

bench: $(VENV)/dev ## every benchmark against its named peer; SMOKE=1 only shows that they run
	@$(BIN)/python -m benchmarks $(if $(SMOKE),--smoke)

docs: $(VENV)/dev ## write the generated reference pages anew
	@$(BIN)/python -m mmcicd_jenkins.cli.reference docs/reference

dist: $(VENV)/dev ## the wheel, in dist/
	@rm -rf build # what was renamed since the last wheel would be in this one
	@$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

clean: ## back to the checkout
	@rm -rf $(VENV) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
