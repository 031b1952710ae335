# The front door: `make` alone prints what there is. The work is done by `ml-stevedore` and noxfile.py.

NAME ?= $(patsubst compositions/%/,%,$(dir $(firstword $(sort $(wildcard compositions/*/composition.toml)))))
MODEL ?=
HOST ?= 127.0.0.1
PORT ?= 8000
PYTHON ?= python3
WITH ?= $(PYTHON)
UPGRADE ?=
SINCE ?= HEAD
PART ?=
REGISTRY ?=
ENGINE ?=
ARCH ?=
IMAGE ?=
FRAMEWORK ?=
FROM ?=
TASK ?=
TRUST ?=
MODELS ?=
JOBS ?= 2
TAGS ?= test
export ENGINE ARCH

SHELL := /bin/sh
.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
STEVEDORE := .venv/bin/ml-stevedore
NOX := .venv/bin/nox
# For what is made new: the name that was given, not the one that other targets take without one.
GIVEN = $(if $(filter-out file,$(origin NAME)),$(NAME))
UV_PIP = .venv/bin/uv pip install --quiet --python .venv/bin/python
# Core, api and build are in packages/, or they are pinned, and then their wheels may lie beside the pins.
PINNED := $(wildcard requirements/stevedore.txt)
WHEELS := $(wildcard requirements/wheels)
COMPILE = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header $(if $(UPGRADE),--upgrade) $(if $(WHEELS),--find-links $(WHEELS))
COMPILE_OTHERS = $(COMPILE) $(foreach own,core api build,--no-emit-package ml-py-stevedore-$(own))

.PHONY: help
help: ## Print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Knobs: NAME=$(NAME) MODEL=$(MODEL) PORT=$(PORT) ENGINE=$(ENGINE) ARCH=$(ARCH) UPGRADE=$(UPGRADE)"

.PHONY: serve
serve: tools ## Serve composition NAME, or one model with MODEL=iris, on 127.0.0.1:PORT
	@exec $(STEVEDORE) serve $(if $(MODEL),--model "$(MODEL)","$(NAME)") --host "$(HOST)" --port "$(PORT)"

.PHONY: test
test: tools ## Run all tests, JOBS of them at a time: packages, every model alone, compositions, images
	@$(NOX) -t $(TAGS) --parallel "$(JOBS)"

.PHONY: lint
lint: tools ## Check style and types
	@$(NOX) -s lint types

.PHONY: docs
docs: tools ## Build the documentation into site/, which needs no server to be read
	@$(NOX) -s site

.PHONY: hooks
hooks: tools ## Install git hooks: style at each commit, types and locks at each push
	@.venv/bin/pre-commit install

.PHONY: lock
lock: tools ## Resolve composition NAME and write its lock; UPGRADE=1 takes the newest
	@$(STEVEDORE) lock "$(NAME)" $(if $(UPGRADE),--upgrade)

.PHONY: schemas
schemas: tools ## Write the schema files of model NAME from the types that it declares; CHECK=1 only looks
	@$(STEVEDORE) schemas "$(NAME)" $(if $(CHECK),--check)

.PHONY: doctor
doctor: tools ## Say what is missing on this machine or here, and how to mend it; JSON=1
	@$(STEVEDORE) doctor $(if $(JSON),--json)

.PHONY: affected
affected: tools ## Print what changed since the commit SINCE, and which compositions ship it; JSON=1
	@$(STEVEDORE) affected --since "$(SINCE)" $(if $(JSON),--json)

.PHONY: compose
compose: tools ## Test composition NAME, each model alone and all together, and build its tested image
	@$(STEVEDORE) check "$(NAME)"
	@$(STEVEDORE) passed "$(NAME)" || { \
		$(NOX) -s test_model test_composition test_image -- --composition="$(NAME)" && \
		$(STEVEDORE) image "$(NAME)"; }

.PHONY: run
run: tools ## Run the image of composition NAME in the background, on 127.0.0.1:PORT
	@$(STEVEDORE) run "$(NAME)" --port "$(PORT)"

.PHONY: stop
stop: tools ## Stop what `make run` started
	@$(STEVEDORE) stop "$(NAME)"

.PHONY: import-model
import-model: tools ## Make packages of the predictors in FROM=path/model.py, which Python WITH= runs, and test them
	@names=$$($(STEVEDORE) import-model "$(FROM)" --python "$(WITH)" --trust "$(TRUST)" $(if $(GIVEN),--name "$(GIVEN)")) && \
		$(NOX) -s test_model -- $$names

.PHONY: new-model
new-model: tools ## Make model package NAME with FRAMEWORK=sklearn, or FROM=file of a fitted model
	@$(STEVEDORE) new-model "$(GIVEN)" $(if $(FRAMEWORK),--framework "$(FRAMEWORK)") \
		$(if $(FROM),--from "$(FROM)") $(if $(TASK),--task "$(TASK)") $(if $(TRUST),--trust "$(TRUST)")

.PHONY: train-model
train-model: tools ## Run the train.py of model NAME; FROM=file where its weights are trained elsewhere
	@$(STEVEDORE) train-model "$(GIVEN)" $(if $(FROM),--from "$(FROM)")

.PHONY: update-model
update-model: tools ## Merge a newer template into model NAME, which new-model made; conflicts are marked
	@$(STEVEDORE) update-model "$(GIVEN)"

.PHONY: test-model
test-model: tools ## Test model NAME alone, with every set of pins that ships it
	@$(NOX) -s test_model -- "$(GIVEN)"

.PHONY: new-composition
new-composition: tools ## Make and lock composition NAME of the workspace's MODELS="a b"
	@$(STEVEDORE) new-composition "$(GIVEN)" --models "$(MODELS)"

.PHONY: release-model
release-model: tools ## Release model NAME as it declares, or its next PART=patch|minor|major: wheel and tag
	@$(NOX) -s release_model -- "$(NAME)" $(if $(PART),--part "$(PART)")

.PHONY: release
release: tools ## Test, build and tag composition NAME; PART=minor raises it first, REGISTRY= pushes
	@$(NOX) -s release -- "$(NAME)" $(if $(PART),--part "$(PART)") $(if $(REGISTRY),--registry "$(REGISTRY)")

.PHONY: diff
diff: tools ## Print what moved from release FROM of composition NAME to release TO, or to here; JSON=1
	@$(STEVEDORE) diff "$(NAME)" "$(FROM)" $(if $(TO),"$(TO)") $(if $(JSON),--json)

.PHONY: push
push: tools ## Push the image of released composition NAME to REGISTRY, print its digest
	@$(STEVEDORE) push "$(NAME)" --registry "$(REGISTRY)"

.PHONY: verify
verify: tools ## Prove that the image of NAME, or IMAGE, is what its lock gives
	@$(STEVEDORE) verify "$(or $(IMAGE),$(NAME))"

.PHONY: base
base: tools ## Make the base image of composition NAME anew
	@$(STEVEDORE) base "$(NAME)"

.PHONY: lock-tools
lock-tools: tools ## Resolve the tools' requirements anew; UPGRADE=1 takes the newest
	@$(COMPILE) requirements/uv.in -o requirements/uv.txt
	@$(if $(PINNED),$(COMPILE) --no-deps requirements/stevedore.in -o $(PINNED))
	@for file in $$(git ls-files '*requirements/*.in' ':!*/templates/*/tools.in'); do case "$$file" in */uv.in | */stevedore.in) ;; *) \
		$(COMPILE_OTHERS) -c requirements/uv.txt "$$file" -o "$${file%.in}.txt" ;; esac; done

.PHONY: clean
clean: ## Remove everything generated, the tools too
	@rm -rf site .stevedore .nox .venv .mypy_cache .ruff_cache .pytest_cache

.PHONY: tools
tools: .venv/.made ## Install the tools into .venv, hash-checked; the other targets do so themselves

.venv/.made: requirements/uv.txt requirements/tools.txt $(wildcard packages/*/pyproject.toml) $(PINNED)
	@command -v git >/dev/null || { echo "Install git (Debian: apt-get install git) and run this again." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "Install Python 3.11 or newer with venv (Debian: apt-get install python3 python3-venv) and run this again." >&2; exit 1; }
	@echo "Installing the tools into .venv …" >&2
	@$(PYTHON) -m venv --clear .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(UV_PIP) --require-hashes -r requirements/tools.txt
	@$(UV_PIP) --no-deps $(if $(PINNED),$(if $(WHEELS),--no-index --find-links $(WHEELS)) --require-hashes -r $(PINNED),\
		--no-build-isolation -e packages/core -e packages/build)
	@touch $@
