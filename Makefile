.DEFAULT_GOAL := help
.PHONY: help setup servers migrate demo up down status env check fix test test-switch bench faults clean

PYTHON := .venv/bin/python
LOCAL := $(PYTHON) -m deploy.local

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make .venv, or find it up to date
	@deploy/local/setup.sh venv

servers: setup
	@deploy/local/setup.sh servers

migrate: setup ## Bring the tables of VOICE_DATABASE_URL (else of the local database) up to date
	@$(LOCAL) migrate

demo: servers ## Set everything up, make one call, show it, and stop
	@$(LOCAL) demo

up: servers ## Run the whole product on this machine
	@$(LOCAL) up

down: ## Stop what `up` started; data stay
	@[ ! -x $(PYTHON) ] || $(LOCAL) down

status: setup ## Tell what runs; exit 0 if all is ready
	@$(LOCAL) status

env: ## Make .env with random secrets, for docker-compose; one that is there stays
	@deploy/compose/make-env.sh

check: setup ## Format, lint and types
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy

fix: setup ## Format, and mend what can be mended
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

# Two processes, each with servers of its own: more would make two cores late for the tests' clocks.
test: servers ## Run all tests on real servers; some of them: make test ARGS=tests/local
	$(PYTHON) -m pytest -n 2 --dist loadscope $(ARGS)

# A real switch is named by where it is: a binary that the tests start, or one that runs (docs/switch.md).
test-switch: servers ## Run the tests that a real switch can take, on the one that VOICE_FREESWITCH_BIN or VOICE_SWITCHES names
	@if [ -z "$(VOICE_FREESWITCH_BIN)$(VOICE_SWITCHES)" ]; then \
	    echo "test-switch: skipped, neither VOICE_FREESWITCH_BIN nor VOICE_SWITCHES names a real switch (docs/switch.md)"; \
	elif ! command -v sipp >/dev/null; then \
	    echo "test-switch: skipped, there is no sipp to play the phones (apt install sip-tester)"; \
	else \
	    $(PYTHON) -m pytest tests/switch tests/simulator/test_contract.py tests/e2e $(ARGS); \
	fi

bench: servers ## Measure beside limits and peers, into docs/benchmarks.md (an hour)
	$(PYTHON) -m bench $(or $(ARGS),--write)

faults: servers ## Kill each part under load, and hold what was told against the truth (half an hour)
	$(PYTHON) -m faults $(ARGS)

clean: down ## Stop, and forget data, settings and secrets of `up`
	@[ ! -x $(PYTHON) ] || $(LOCAL) forget
