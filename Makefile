# Two commands on a fresh machine: `make demo` and `make test`.
# Prerequisite on Debian or Ubuntu: apt-get install make python3-venv

PYTHON ?= python3
DEMO_VENV := .venv-demo
DEV_VENV := .venv-dev
DEMO_BUNDLE := demo/mobilenet-0.5-160-on-lungs
PORT ?= 8080
# Side by side; a folder's tests stay together.
WORKERS ?= 2
CONVERT ?= mobilenet-0.25-128
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
# The browser of the page test; everything else comes with pip.
SYSTEM_PACKAGES := make python3-venv chromium

.PHONY: help demo test test-slow test-arm arm-deps check docs bench convert-demo system-deps clean

help: ## what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

demo: $(DEMO_VENV)/.installed ## serve the demo bundle on http://127.0.0.1:8080 (FILM=path for your own film)
	$(DEMO_VENV)/bin/clinicedge verify $(DEMO_BUNDLE)
	$(DEMO_VENV)/bin/clinicedge serve $(DEMO_BUNDLE) --port $(PORT) $(if $(FILM),--film "$(FILM)") || [ $$? -eq 130 ] # Ctrl+C

test: $(DEV_VENV)/.installed ## install what the tests need and run them
	$(DEV_VENV)/bin/python -m pytest --numprocesses $(WORKERS) --dist loadgroup $(PYTEST_ARGS)

test-slow: $(DEV_VENV)/.installed ## the long matrices
	$(DEV_VENV)/bin/python -m pytest -m slow $(PYTEST_ARGS)

test-arm: $(DEV_VENV)/.installed ## on a Haswell, a Cortex-A72 and an A76 under qemu (MINUTES=25: more MobileNets, ALL=1: all 16)
	CLINICEDGE_ARM_ALL=$(ALL) CLINICEDGE_ARM_MINUTES=$(MINUTES) $(DEV_VENV)/bin/python -m pytest -m emulated -s tests/arm $(PYTEST_ARGS)

check: $(DEV_VENV)/.installed ## ruff, mypy, import-linter
	$(DEV_VENV)/bin/ruff check .
	$(DEV_VENV)/bin/ruff format --check .
	$(DEV_VENV)/bin/mypy
	PYTHONPATH=.dev $(DEV_VENV)/bin/lint-imports

docs: $(DEV_VENV)/.installed ## write the command and schema reference and the cards anew
	$(DEV_VENV)/bin/python docs/generate.py
	$(DEV_VENV)/bin/python docs/cards.py

bench: $(DEV_VENV)/.installed ## every benchmark, side by side on this machine
	$(DEV_VENV)/bin/python benchmarks/run_all.py

convert-demo: $(DEV_VENV)/.installed ## weights -> three formats x FP32/FP16/INT8 -> proof table (CONVERT=name)
	$(DEV_VENV)/bin/clinicedge convert $(CONVERT) --out bundles

system-deps: ## Debian packages that some tests need (root)
	$(SUDO) apt-get update
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(SYSTEM_PACKAGES)

arm-deps: ## Debian packages of test-arm (root)
	$(SUDO) apt-get update
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends qemu-user-static

clean: ## remove the virtual environments and what was built
	rm -rf $(DEMO_VENV) $(DEV_VENV) build *.egg-info bundles report

# The device side alone: neither torch nor tensorflow.
$(DEMO_VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(DEMO_VENV)
	$(DEMO_VENV)/bin/pip install --quiet --disable-pip-version-check --editable '.[onnx,tflite,openvino,server,dicom]'
	touch $@

# torch first and pinned: another version brings gigabytes of CUDA.
$(DEV_VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(DEV_VENV)
	$(DEV_VENV)/bin/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(DEV_VENV)/bin/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@
