# The two commands of the README: `make demo` and `make test`. Each does its own set-up.
.DEFAULT_GOAL := help
.PHONY: help demo demo-down test e2e lint bench crds lock docs

BIN := .venv/bin

help: ## all targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## see one good and one bad release, 90 s, no cluster needed
	@tools/setup.sh sandbox
	@$(BIN)/flagger demo

demo-down: ## stop what the demo left running
	@if [ -x $(BIN)/flagger ]; then $(BIN)/flagger sandbox down; else echo "nothing is running"; fi

test: ## run every check this machine can run
	@tools/setup.sh dev
	@$(BIN)/python tools/tiers.py

e2e: ## the slow end-to-end matrices
	@tools/setup.sh dev
	@$(BIN)/python tools/tiers.py --slow

lint: ## formatting, lint, strict types, import contracts
	@tools/setup.sh dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: ## measure; results go to docs/performance.md
	@tools/setup.sh dev
	@$(BIN)/python -m bench

crds: ## write deploy/crds from the models
	@tools/setup.sh dev
	@$(BIN)/python -m flagger.api.crds deploy/crds

lock: ## resolve the dependencies anew
	@tools/lock.sh
