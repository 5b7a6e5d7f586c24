# Development commands; `make` alone lists them. Works with GNU make 3.81 (macOS).
# A finished step leaves a stamp file that is newer than its sources, so a second run is instant.

PYTHON ?= python3
ARGS ?=
# Most tests wait for servers most of the time, so two at once take little more than half the time, also on two cores.
TESTS_AT_ONCE ?= 2

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install -qq
RUN := $(VENV)/.run-installed
DEV := $(VENV)/.dev-installed

NPM_CI := npm ci --no-audit --no-fund --loglevel=error
WEB := web/node_modules/.installed
PEERS := $(patsubst %/package-lock.json,%/node_modules/.installed, \
	$(wildcard benchmarks/peers/package-lock.json benchmarks/peers/*/package-lock.json))
CLIENT := src/passerby/static/index.html
# Including directories: deleting a file changes only its directory.
CLIENT_SOURCES := $(shell find web/src web/public web/scripts 2>/dev/null) \
	$(wildcard web/*.html web/*.json web/*.js web/*.ts)

# Only variables on make's command line become flags: some shells export HOST.
given = $(if $(filter command line,$(origin $(1))),--$(2) $($(1)))

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help setup run dev test e2e long soak fuzz check format settings types bench screenshots lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

setup: $(DEV) $(CLIENT) ## make .venv, install everything, build the web client

run: $(RUN) $(CLIENT) ## serve on http://localhost:3001 (HOST=… PORT=… ARGS="--log-level debug")
	@exec $(VENV)/bin/passerby serve $(call given,HOST,host) $(call given,PORT,port) $(ARGS)

dev: $(DEV) $(WEB) ## serve with reload, for development (HOST=… PORT=… of the page)
	@exec $(PY) -m tools.dev $(call given,HOST,host) $(call given,PORT,port) $(ARGS)

test: $(DEV) $(CLIENT) ## run all tests, including those in a browser (ARGS="-k matching")
	@$(PY) -m tests.e2e.browser >/dev/null || true # tests that need it fail with a message
	@$(PY) -m tests.e2e.firefox >/dev/null || true
	@$(PY) -m tests.calls.turnserver >/dev/null || true
	@$(PY) -m tests.proxies.proxy >/dev/null || true
	@$(PY) -m tests.support.postgres >/dev/null || true
	@$(PY) -m tests.media.exiftool >/dev/null || true
	@$(PY) -m tests.metrics.prometheus >/dev/null || true
	$(PY) -m pytest -n $(TESTS_AT_ONCE) --dist loadfile $(ARGS)
	cd web && CI=1 npm run --silent --if-present test

e2e: $(DEV) $(CLIENT) ## run only the tests in a browser
	@$(PY) -m tests.e2e.browser >/dev/null
	@$(PY) -m tests.e2e.firefox >/dev/null || true
	@$(PY) -m tests.calls.turnserver >/dev/null || true
	$(PY) -m pytest -m e2e $(ARGS)

long: $(DEV) $(CLIENT) ## run the browser test of 10,000 messages, on a machine that does nothing else
	@$(PY) -m tests.e2e.browser >/dev/null
	MESSAGES=10000 $(PY) -m pytest tests/e2e/test_long.py

soak: $(DEV) $(CLIENT) ## kill the server and Redis again and again while guests talk, about twenty-five minutes
	ROUNDS=25 $(PY) -m pytest tests/system/test_outages.py
	EXAMPLES=500 $(PY) -m pytest tests/test_restarts_redis.py
	FAULT_SCHEDULES=20 $(PY) -m pytest tests/nodes/test_schedule.py

fuzz: $(DEV) $(CLIENT) ## send thousands of requests made from the OpenAPI document, about two minutes
	EXAMPLES=200 $(PY) -m pytest tests/http/test_schemathesis.py

check: $(DEV) $(WEB) ## check formatting, lint, types, generated files, documents; changes nothing
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(PY) -m passerby.schema --check
	$(PY) -m tools.documents --check
	cd web && npm run --silent check

format: $(DEV) ## format Python code, apply lint fixes
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

settings: $(DEV) ## write the tables of settings in README.md again
	$(PY) -m tools.settings_table

types: $(DEV) $(WEB) ## regenerate the schema and the client's types from the events
	$(PY) -m passerby.schema
	npm --prefix web run types

bench: $(DEV) $(CLIENT) $(PEERS) ## run the benchmarks, compared with other servers
	$(PY) -m benchmarks $(ARGS)

screenshots: $(DEV) $(CLIENT) ## retake the screenshots in docs/
	@$(PY) -m tests.e2e.browser >/dev/null
	$(PY) -m tests.e2e.screenshots $(ARGS)

# One resolution for all platforms and Python versions; the others contain the same versions as run.txt.
COMPILE = $(PY) -m uv pip compile --quiet --universal --generate-hashes --no-annotate \
	--extra workers --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) pyproject.toml
lock: $(DEV) ## regenerate requirements/ from pyproject.toml (UPGRADE=1: newest versions)
	$(COMPILE) --group build --output-file requirements/run.txt
	$(COMPILE) --extra postgres --constraint requirements/run.txt --output-file requirements/image.txt
	$(COMPILE) --extra postgres --extra images --group dev --constraint requirements/run.txt --output-file requirements/dev.txt

clean: ## remove everything that make created
	rm -rf $(VENV) src/passerby/static web/node_modules $(dir $(PEERS))
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .schemathesis test-results
	find src tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo 'Python 3.11 or newer is needed; name one that you have: make PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo 'Python cannot make environments: install python3-venv (apt-get install python3-venv)' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(RUN): requirements/run.txt pyproject.toml | $(PY)
	$(PIP) --require-hashes -r requirements/run.txt
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): requirements/dev.txt pyproject.toml | $(PY)
	$(PIP) --require-hashes -r requirements/dev.txt
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $(RUN) $@

%/node_modules/.installed: %/package-lock.json %/package.json
	@command -v npm >/dev/null || { echo 'npm is missing: install Node.js 20.19 or newer' >&2; exit 1; }
	cd $* && $(NPM_CI)
	@mkdir -p $(@D) && touch $@

$(CLIENT): $(WEB) $(CLIENT_SOURCES)
	cd web && npm run --silent build
	@touch $@
