# Everything a person or CI runs. `make` alone prints the list.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
BUILD  := .cache/build
STACK  ?= dev
# The folder of a Pulumi project: this one, or one whose program imports the installed package, `astra_istio`.
PROJECT ?= .
OUT    ?= rendered/$(if $(filter-out .,$(PROJECT)),$(notdir $(patsubst %/,%,$(PROJECT)))-)$(STACK)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo demo-serve screenshots test test-all test-mesh bench fuzz render verify lint format lock clean docs review wheel

help: ## Print this list
	@echo "Usage: make TARGET [STACK=dev] [PROJECT=DIR] [OUT=DIR] [ARGS='...']"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-14s%s\n", $$1, $$2}'

demo: $(VENV)/.test ## Capture real traffic through a real Envoy and show the spans
	@$(BIN)/python -m lab.demo --stack $(STACK) $(ARGS)

demo-serve: $(VENV)/.test ## The demo's Envoy, left running for your own requests
	@$(BIN)/python -m lab.demo --stack $(STACK) --serve $(ARGS)

screenshots: $(VENV)/.test ## Take the pictures of the demo's page in docs/ anew, with Chromium
	@$(BIN)/python -m tools.screenshots $(ARGS)

test: $(VENV)/.test ## Unit, Lua and Envoy tests
	@$(BIN)/python -m pytest $(ARGS)

test-all: $(VENV)/.test ## The same, with the Envoy tests once per supported minor of Envoy
	@$(BIN)/python -m pytest tests/unit tests/lua tests/policy tests/package tests/engine $(ARGS)
	@versions=$$($(BIN)/python -m lab.versions) && for version in $$versions; do \
	  ENVOY_VERSION=$$version $(BIN)/python -m pytest tests/envoy $(ARGS) || exit 1; done

test-mesh: $(VENV)/.test ## Scenarios in a real mesh; the first time it builds the control plane, with Go
	@$(BIN)/python -m lab.cluster
	@$(BIN)/python -m pytest tests/mesh $(ARGS)

bench: $(VENV)/.bench ## What capturing costs, against the guide's script and Envoy's own tracer
	@$(BIN)/python -m lab.bench $(ARGS)

fuzz: $(VENV)/.test ## Hostile requests and floods for ten minutes; names those that take most time and memory
	@$(BIN)/python -m lab.fuzz $(ARGS)

review: $(VENV)/.runtime ## What a change does to STACK: the working tree against BASE, a revision of git
	@$(BIN)/python -m components.review --stack $(STACK) $(if $(BASE),--base $(BASE)) \
	  $(if $(filter-out file,$(origin OUT)),--out $(OUT)) $(ARGS)

render: $(VENV)/$(if $(filter-out .,$(PROJECT)),.package,.runtime) ## Write the manifests of STACK in PROJECT to OUT, without the Pulumi engine
	@$(BIN)/python -m $(if $(filter-out .,$(PROJECT)),astra_istio,components).render --project $(PROJECT) --stack $(STACK) --out $(OUT) $(ARGS)

wheel: $(BUILD)/.stamp ## Build the package, to dist/
	@$(BUILD)/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

verify: $(VENV)/.runtime ## Check in the cluster that STACK captures and that its spans leave
	@$(BIN)/python -m components.verify --stack $(STACK) $(ARGS)

docs: $(VENV)/.runtime ## Write docs/settings.md and components/args.py anew, from the settings and their tests
	@$(BIN)/python -m tools.arguments
	@$(BIN)/python -m tools.settings_reference

lint: $(VENV)/.lint ## Check style, types and Lua
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh tools/lint.sh check

format: $(VENV)/.lint ## Format Python and Lua in place
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh tools/lint.sh format

lock: ## Pin the dependencies of pyproject.toml anew (needs uv)
	@uv pip compile -q --universal --upgrade --no-header --no-annotate --no-emit-index-url pyproject.toml -o requirements.txt
	@uv pip compile -q --universal --upgrade --no-header --no-annotate --no-emit-index-url --group test -c requirements.txt pyproject.toml -o requirements-test.txt
	@uv pip compile -q --universal --upgrade --no-header --no-annotate --no-emit-index-url --group build -c requirements-test.txt -o requirements-build.txt
	@uv pip compile -q --universal --upgrade --no-header --no-annotate --no-emit-index-url --group test --group lint -c requirements-test.txt pyproject.toml -o requirements-lint.txt
	@uv pip compile -q --universal --upgrade --no-header --no-annotate --no-emit-index-url --group test --group bench -c requirements-test.txt pyproject.toml -o requirements-bench.txt
	@uv pip compile -q --universal --upgrade --no-header --no-annotate --no-emit-index-url --group policy -c requirements-test.txt pyproject.toml -o policy/requirements.txt

clean: ## Remove everything that was installed or written
	rm -rf $(VENV) .cache rendered dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

# One virtual environment, filled as far as a command needs it.
INSTALL = command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is missing: install Python 3.11 or later, or say PYTHON=..." >&2; exit 1; }; \
  $(PYTHON) tools/install.py

$(VENV)/.runtime: requirements.txt
	@$(INSTALL) $(VENV) $< $@

# The package of this source, built and installed, for programs that import it.
$(VENV)/.package: $(VENV)/.runtime pyproject.toml $(wildcard components/*.py components/*/*.py lua/*.lua)
	@echo "Installing the package into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall .
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
