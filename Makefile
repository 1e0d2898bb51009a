# Everything a newcomer runs. `make demo` and `make test` set up what they need.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
CONSOLE := src/hostward/http/console
ASSETS := $(CONSOLE)/assets/patternfly.css
NODE_MODULES := web/node_modules/.installed

.PHONY: setup assets demo test check unit contract cluster netns browser pictures terminals faults fence bench lock clean

setup: $(STAMP) $(ASSETS)

$(STAMP): requirements.lock pyproject.toml scripts/setup
	PYTHON="$(PYTHON)" sh scripts/setup
	touch $(STAMP)

# What the console takes from other projects, by web/package-lock.json, cut down to what its pages use.
assets: $(ASSETS)

$(NODE_MODULES): web/package-lock.json web/.npmrc | $(STAMP)
	sh scripts/node npm ci
	touch $(NODE_MODULES)

$(ASSETS): $(NODE_MODULES) web/build.mjs $(wildcard $(CONSOLE)/templates/*.html $(CONSOLE)/templates/*/*.html $(CONSOLE)/static/*)
	sh scripts/node node build.mjs

demo: setup
	$(VENV)/bin/hostward demo

check: setup
	$(VENV)/bin/ruff check src tests bench
	$(VENV)/bin/ruff format --check src tests bench
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/python scripts/features.py --check

unit: setup
	$(VENV)/bin/python -m pytest tests/unit -n 2 --dist worksteal

contract: setup
	$(VENV)/bin/python -m pytest tests/contract

cluster: setup
	$(VENV)/bin/python -m pytest tests/cluster -n 2

# Three hosts in network namespaces; needs root.
netns: setup
	$(VENV)/bin/python -m pytest tests/netns

# The console in a real browser.
browser: setup
	$(VENV)/bin/python -m pytest tests/browser -n 2 --dist worksteal

# Real emulators, started with the files that Hostward makes, against real hosts.
terminals: setup
	$(VENV)/bin/python -m pytest tests/terminals

# The guide's pictures, from the browser tests.
pictures: setup
	mkdir -p docs/pictures
	HOSTWARD_PICTURES=$(CURDIR)/docs/pictures $(VENV)/bin/python -m pytest tests/browser tests/cluster/test_console.py -k 'not axe'

test: check unit terminals browser contract cluster netns

faults: setup
	$(VENV)/bin/python -m tests.faults --seeds $(or $(SEEDS),10)

# Random removals and returns of a removed server: ROUNDS of them.
fence: setup
	$(VENV)/bin/python -m tests.faults.fence --rounds $(or $(ROUNDS),10)

bench: setup
	$(VENV)/bin/python -m bench

# Resolve the newest versions that pyproject.toml admits, with hashes and without any registry's address.
lock: setup
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --group dev \
	  --no-emit-index-url --no-header pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) build dist web/node_modules $(CONSOLE)/assets
