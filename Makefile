# Trunkline. A bare `make` lists the verbs.

# A Python compiled without optimisations, as pyenv compiles it unless told, takes a tenth more CPU for each request than
# the system's own (docs/decisions/0102). So where `python3` is such a one, the system's is taken if it will do.
PYTHON ?= $(shell exec 2>/dev/null; if ! python3 -c '$(IS_OPTIMISED)' && /usr/bin/python3 -c '$(WILL_DO)'; then echo /usr/bin/; fi)python3
IS_OPTIMISED := import sys, sysconfig; sys.exit("--enable-opt" not in (sysconfig.get_config_var("CONFIG_ARGS") or ""))
WILL_DO := import ensurepip, sys; sys.exit(sys.version_info < (3, 11))
VENV := .venv
BIN := $(VENV)/bin
CLIENTS := $(VENV)/clients/bin/python
OLDER_CLIENTS := $(VENV)/older-clients/bin/python
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CONFIG ?= $(wildcard trunkline.toml)
ARGS ?=

# Machines that forbid compiled files would have every process that a test starts compile what it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run test types suite coverage clients soak crash format bench bench-peers micro cassettes catalog docs lock clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# A .venv whose Python is gone or too old, as after an upgrade of the machine, is made anew.
IS_GOOD = $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
$(if $(wildcard $(VENV)/.run),$(shell $(IS_GOOD) || rm -f $(VENV)/.run $(VENV)/.dev $(VENV)/.clients))

# uv takes a tenth of pip's time. Where it cannot be had, or knows nothing of the index that pip is told of, pip does it.
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
LOCKED := --require-hashes --no-deps
define install
$(BIN)/uv pip install -q --python $(1) $(2) || $(PIP) --python $(1) install --no-compile $(2)
endef

$(VENV)/.run: requirements/run.txt requirements/build.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; $(PYTHON) is {}.{}. Name another: make PYTHON=python3.12".format(*sys.version_info) if sys.version_info < (3, 11) else 0)'
	@echo "Setting up $(VENV) (once; about a quarter of a minute) …"
	@$(IS_GOOD) || $(PYTHON) -m venv --clear $(VENV)
	@awk '/^uv==/ {p = 1} p {print} p && !/\\$$/ {exit}' requirements/dev.txt > $(VENV)/uv.txt
	@$(PIP) install --no-compile $(LOCKED) -r $(VENV)/uv.txt || echo "Without uv it takes a minute."
	@$(call install,$(BIN)/python,$(LOCKED) -r requirements/run.txt -r requirements/build.txt)
	@$(call install,$(BIN)/python,--no-build-isolation --no-deps --editable .)
	@$(BIN)/python -m compileall -q src/trunkline
	@$(BIN)/python -c 'import trunkline.cli.main, trunkline.store.upgrade'  # compiles what these load, and no more
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	@echo "Adding what the tests need (once) …"
	@$(call install,$(BIN)/python,$(LOCKED) -r requirements/dev.txt)
	@touch $@

# In environments of their own, since they are run as programs.
$(VENV)/.clients: $(VENV)/.dev requirements/clients.txt requirements/older-clients.txt
	@echo "Adding the clients that the tests run (once) …"
	@$(BIN)/python -m venv --clear --without-pip $(VENV)/clients
	@$(call install,$(CLIENTS),$(LOCKED) -r requirements/clients.txt)
	@$(BIN)/python -m venv --clear --without-pip $(VENV)/older-clients
	@$(call install,$(OLDER_CLIENTS),$(LOCKED) -r requirements/older-clients.txt)
	@touch $@

# Debian's packages of PostgreSQL and Valkey or Redis, unpacked here where the machine has not installed them.
$(VENV)/.servers: $(VENV)/.dev tests/servers/fetching.py
	@if $(BIN)/python -m tests.servers.fetching; then touch $@; else test -z "$$CI"; fi

setup: $(VENV)/.run ## make .venv with the command .venv/bin/trunkline

run: $(VENV)/.run ## serve on port 8080; without trunkline.toml and keys FakeProvider answers
	@$(BIN)/trunkline serve $(if $(CONFIG),--config $(CONFIG)) $(ARGS)

test: $(VENV)/.dev ## format, lint, types and all tests: what CI runs (ARGS="-k word": those tests only)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(MAKE) --no-print-directory -j 2 types suite

types: $(VENV)/.dev
	@$(BIN)/mypy

suite: $(VENV)/.clients $(VENV)/.servers
	@$(BIN)/python -m tests.npm
ifeq ($(strip $(ARGS)),)
	@$(BIN)/python -m tests.sharing 3
else
	@$(BIN)/python -m pytest $(ARGS)
endif

coverage: $(VENV)/.clients $(VENV)/.servers ## run all tests and measure what they cover; below the floor it fails (takes half as long again)
	@$(BIN)/python -m tests.npm
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m tests.sharing 3
	@$(BIN)/coverage combine --quiet
	@printf 'Lines and branches covered, in percent (%s/coverage report says where not): ' $(BIN)
	@$(BIN)/coverage report --format=total

clients: $(VENV)/.clients ## run Codex, Claude Code, opencode and SDKs, unchanged, against the gateway
	@$(BIN)/python -m tests.npm
	@$(BIN)/python -m pytest tests/clients $(ARGS)

soak: $(VENV)/.dev ## prove over minutes that resets, stuck readers, idle streams, bad TLS and hostile heads leave nothing
	@$(BIN)/python -m pytest tests/soak -o python_files='prove_*.py' -s $(ARGS)

crash: $(VENV)/.dev $(VENV)/.servers ## kill gateways, writers and servers a thousand times, and play ten thousand histories: the books stay right
	@$(BIN)/python -m pytest tests/crash -o python_files='prove_*.py' -s $(ARGS)

format: $(VENV)/.dev ## format and mend what can be mended
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.run ## measure the gateway beside a bare relay (ARGS=--quick for half a minute)
	@$(BIN)/python -m bench.run $(ARGS)
	@$(BIN)/python -m bench.planning

bench-peers: $(VENV)/.run ## the same beside other gateways, where they can be installed
	@$(BIN)/python -m bench.peers && $(BIN)/python -m bench.run --peers $(ARGS)

micro: $(VENV)/.run ## microseconds of each stage of a request
	@$(BIN)/python -m bench.micro

cassettes: $(VENV)/.dev ## record files 2, 4 and 5 of every cassette anew; review the diff
	@$(BIN)/python -m tests.record $(ARGS)

catalog: $(VENV)/.run ## merge the public lists of models and prices anew (needs the package index); review the diff
	@$(BIN)/python -m tools.catalog $(ARGS)

docs: $(VENV)/.run ## write the generated reference pages
	@$(BIN)/python -m docs.pages

lock: $(VENV)/.dev ## resolve the requirements anew, with hashes (ARGS=--upgrade takes newer versions)
	@$(BIN)/uv pip compile -q $(ARGS) --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
		--no-annotate pyproject.toml -o requirements/run.txt
	@printf 'editables\nhatchling\n' | $(BIN)/uv pip compile -q $(ARGS) --universal --python-version 3.11 --generate-hashes \
		--no-header --no-emit-index-url --no-annotate - -o requirements/build.txt
	@$(BIN)/uv pip compile -q $(ARGS) --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
		--no-annotate --group dev -c requirements/run.txt -o requirements/dev.txt
	@$(BIN)/uv pip compile -q $(ARGS) --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
		--no-annotate --group clients -o requirements/clients.txt
	@$(BIN)/uv pip compile -q $(ARGS) --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
		--no-annotate --group older-clients -o requirements/older-clients.txt

clean: ## remove what was made here
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .hypothesis .coverage .coverage.*
	@for file in *.db *.db.pepper *.db.master *.db.first-key; do if [ -e "$$file" ]; then echo "left: $$file, where the keys are"; fi; done
