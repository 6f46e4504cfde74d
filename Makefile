# Everything a person or CI runs. `make` alone prints the list.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
BUILD  := .cache/build
STACK  ?= dev
# The folder of a Pulumi project: this one, or one whose program imports the installed package, `astra_istio`.
PROJECT ?= .

# Others may have chosen a value, such as the name of a branch. It is text: make expands nothing in it, and the shell gets it
# from the environment, where it is no part of a command.
override STACK   := $(value STACK)
override PROJECT := $(value PROJECT)
override BASE    := $(value BASE)
override ARGS    := $(value ARGS)
ifeq ($(origin OUT),undefined)
OUT := rendered/$(if $(filter-out .,$(PROJECT)),$(notdir $(patsubst %/,%,$(PROJECT)))-)$(STACK)
else
override OUT := $(value OUT)
OUT_IS_GIVEN := yes
endif
export ASTRA_STACK := $(STACK)
export ASTRA_PROJECT := $(PROJECT)
export ASTRA_BASE := $(BASE)
export ASTRA_OUT := $(OUT)
export ASTRA_ARGS := $(ARGS)
unexport STACK PROJECT BASE OUT ARGS

PYTEST = PYTEST_ADDOPTS="$$PYTEST_ADDOPTS $$ASTRA_ARGS" $(BIN)/python -m pytest
# Words of ARGS are arguments; no sign in them is the shell's. (pytest takes quotes in them too.)
RUN = set -f; $(BIN)/python -m

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo demo-serve screenshots test test-all test-mesh bench fuzz render verify lint format lock clean docs review wheel

help: ## Print this list
	@echo "Usage: make TARGET [STACK=dev] [PROJECT=DIR] [OUT=DIR] [BASE=REVISION] [ARGS='...']"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-14s%s\n", $$1, $$2}'

demo: $(VENV)/.test ## Capture real traffic through a real Envoy and show the spans
	@$(RUN) lab.demo --stack="$$ASTRA_STACK" $$ASTRA_ARGS

demo-serve: $(VENV)/.test ## The demo's Envoy, left running for your own requests
	@$(RUN) lab.demo --stack="$$ASTRA_STACK" --serve $$ASTRA_ARGS

screenshots: $(VENV)/.test ## Take the pictures of the demo's page in docs/ anew, with Chromium
	@$(BIN)/python -m tools.screenshots $(ARGS)

test: $(VENV)/.test ## All tests but those in a mesh: units, Lua, policies, the package, Pulumi's engine, Envoy
	@$(PYTEST)

test-all: $(VENV)/.test ## The same, with the Envoy tests once per supported minor of Envoy
	@$(PYTEST) tests/unit tests/lua tests/policy tests/package tests/engine tests/envoy/test_lab_*.py tests/envoy/test_fuzz.py
	@versions=$$($(BIN)/python -m lab.versions) && for version in $$versions; do \
	  ENVOY_VERSION=$$version $(PYTEST) tests/envoy --ignore-glob='*/test_lab_*' --ignore-glob='*/test_fuzz.py' || exit 1; done

test-mesh: $(VENV)/.test ## Scenarios in a real mesh; the first time it builds the control plane, with Go
	@$(BIN)/python -m lab.cluster
	@$(PYTEST) tests/mesh

bench: $(VENV)/.bench ## What capturing costs, against the guide's script and Envoy's own tracer
	@$(RUN) lab.bench $$ASTRA_ARGS

fuzz: $(VENV)/.test ## Hostile requests and floods for ten minutes; names those that take most time and memory
	@$(BIN)/python -m lab.fuzz $(ARGS)

review: $(VENV)/.runtime ## What a change does to STACK: the working tree against BASE, a revision of git
	@$(RUN) components.review --stack="$$ASTRA_STACK" $(if $(BASE),--base="$$ASTRA_BASE") $(if $(OUT_IS_GIVEN),--out="$$ASTRA_OUT") $$ASTRA_ARGS

render: $(VENV)/$(if $(filter-out .,$(PROJECT)),.package,.runtime) ## Write the manifests of STACK in PROJECT to OUT, without the Pulumi engine
	@$(RUN) $(if $(filter-out .,$(PROJECT)),astra_istio,components).render --project="$$ASTRA_PROJECT" --stack="$$ASTRA_STACK" --out="$$ASTRA_OUT" $$ASTRA_ARGS

wheel: $(BUILD)/.stamp ## Build the package, to dist/
	@$(BUILD)/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

verify: $(VENV)/.runtime ## Check in the cluster that STACK captures and that its spans leave
	@$(RUN) components.verify --stack="$$ASTRA_STACK" $$ASTRA_ARGS

docs: $(VENV)/.runtime ## Write docs/settings.md and components/args.py anew, from the settings and their tests
	@$(BIN)/python -m tools.arguments
	@$(BIN)/python -m tools.settings_reference

lint: $(VENV)/.lint ## Check style, types and Lua
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh tools/lint.sh check

format: $(VENV)/.lint ## Format Python and Lua in place
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh tools/lint.sh format

COMPILE = $(BIN)/uv pip compile -q --universal --generate-hashes --upgrade --no-header --no-annotate --no-emit-index-url

lock: $(VENV)/.runtime ## Pin the dependencies of pyproject.toml, and uv, anew
	@echo uv | $(COMPILE) - -o tools/uv.txt
	@$(COMPILE) pyproject.toml -o requirements.txt
	@$(COMPILE) --group test -c requirements.txt pyproject.toml -o requirements-test.txt
	@$(COMPILE) --group build -c requirements-test.txt -o requirements-build.txt
	@$(COMPILE) --group test --group lint -c requirements-test.txt pyproject.toml -o requirements-lint.txt
	@$(COMPILE) --group test --group bench -c requirements-test.txt pyproject.toml -o requirements-bench.txt
	@$(COMPILE) --group policy -c requirements-test.txt pyproject.toml -o policy/requirements.txt

clean: ## Remove everything that was installed or written
	rm -rf $(VENV) .cache rendered dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

# One virtual environment, filled as far as a command needs it.
INSTALL = command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is missing: install Python 3.11 or later, or say PYTHON=..." >&2; exit 1; }; \
  $(PYTHON) tools/install.py

$(VENV)/.runtime: requirements.txt
	@$(INSTALL) $(VENV) $< $@

# The package of this source, built and installed, for programs that import it.
$(VENV)/.package: $(VENV)/.runtime $(BUILD)/.stamp pyproject.toml $(wildcard components/*.py components/*/*.py lua/*.lua)
	@echo "Installing the package into $(VENV) ..."
	@rm -rf $(BUILD)/wheel
	@$(BUILD)/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir $(BUILD)/wheel .
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --force-reinstall $(BUILD)/wheel/*.whl
	@touch $@

# What builds the wheel has an environment of its own: `pulumi` takes the other one for filled if it is there.
$(BUILD)/.stamp: requirements-build.txt
	@$(INSTALL) $(BUILD) $< $@

$(VENV)/.test: requirements-test.txt
	@$(INSTALL) $(VENV) $< $@

$(VENV)/.bench: requirements-bench.txt
	@$(INSTALL) $(VENV) $< $@

$(VENV)/.lint: requirements-lint.txt
	@$(INSTALL) $(VENV) $< $@
