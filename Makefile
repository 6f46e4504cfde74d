# Everything a person or CI runs. `make` alone prints the list.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STACK  ?= dev
# The folder of a Pulumi project: this one, or one whose program imports the installed package, `astra_istio`.
PROJECT ?= .
OUT    ?= rendered/$(if $(filter-out .,$(PROJECT)),$(notdir $(patsubst %/,%,$(PROJECT)))-)$(STACK)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo demo-serve screenshots test test-all test-mesh bench render verify lint format lock clean docs review wheel

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

test-all: $(VENV)/.test ## The same, with the Envoy tests once per Envoy minor, 1.36 to 1.40
	@$(BIN)/python -m pytest tests/unit tests/lua tests/policy tests/package tests/engine $(ARGS)
	@versions=$$($(BIN)/python -m lab.versions) && for version in $$versions; do \
	  ENVOY_VERSION=$$version $(BIN)/python -m pytest tests/envoy $(ARGS) || exit 1; done

test-mesh: $(VENV)/.test ## Scenarios in a real mesh; the first time it builds the control plane, with Go
	@$(BIN)/python -m lab.cluster
	@$(BIN)/python -m pytest tests/mesh $(ARGS)

bench: $(VENV)/.bench ## What capturing costs, against the guide's script and Envoy's own tracer
	@$(BIN)/python -m lab.bench $(ARGS)

review: $(VENV)/.runtime ## What a change does to STACK: the working tree against BASE, a revision of git
	@$(BIN)/python -m components.review --stack $(STACK) $(if $(BASE),--base $(BASE)) \
	  $(if $(filter-out file,$(origin OUT)),--out $(OUT)) $(ARGS)

render: $(VENV)/$(if $(filter-out .,$(PROJECT)),.package,.runtime) ## Write the manifests of STACK in PROJECT to OUT, without the Pulumi engine
	@$(BIN)/python -m $(if $(filter-out .,$(PROJECT)),astra_istio,components).render --project $(PROJECT) --stack $(STACK) --out $(OUT) $(ARGS)

wheel: $(VENV)/.build ## Build the package, to dist/
	@$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

verify: $(VENV)/.runtime ## Check in the cluster that STACK captures and that its spans leave
	@$(BIN)/python -m components.verify --stack $(STACK) $(ARGS)

docs: $(VENV)/.runtime ## Write docs/settings.md anew, from the settings and the tests that show them
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
  $(PYTHON) tools/install.py $(VENV)

$(VENV)/.runtime: requirements.txt
	@$(INSTALL) $< $@

# The package of this source, built and installed, for programs that import it.
$(VENV)/.package: $(VENV)/.runtime pyproject.toml $(wildcard components/*.py components/*/*.py lua/*.lua)
	@echo "Installing the package into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall .
	@touch $@

# No more than a wheel is built with: a build of its own takes seconds, not the minute of all test pins.
$(VENV)/.build: requirements-build.txt
	@$(INSTALL) $< $@

$(VENV)/.test: requirements-test.txt
	@$(INSTALL) $< $@

$(VENV)/.bench: requirements-bench.txt
	@$(INSTALL) $< $@

$(VENV)/.lint: requirements-lint.txt
	@$(INSTALL) $< $@
