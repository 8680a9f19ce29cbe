# The pip door: everything lives in .venv; nothing is installed on the machine itself.
# Needs: Python 3.10 or newer with venv and headers, a C++ compiler, make.
#        Debian and Ubuntu: apt install python3-venv python3-dev g++ make

PYTHON ?= python3
# cpu or gpu: which ONNX Runtime make setup installs
ENGINE ?= cpu
# A recording to run the demo on, instead of the synthetic one
BAG ?=
# More options for pytest: make test ARGS="-k scale -x"
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --constraint constraints.txt
REQUIREMENTS := $(addprefix requirements/,ros.txt build.txt dev.txt)
MESSAGES := $(shell find gam_depth_msgs -type f)

# The environment's commands come first, and a sourced ROS 2 of the machine stays out of the way.
export PATH := $(CURDIR)/$(BIN):$(PATH)
ifdef AMENT_PREFIX_PATH
unexport LD_LIBRARY_PATH
endif
unexport AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH PYTHONPATH PYTHONHOME
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format bench clean distclean
.DELETE_ON_ERROR:

help:  ## Print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo '  Options: BAG=path (demo), ARGS="..." (pytest), ENGINE=cpu|gpu, PYTHON=python3.x (setup)'

setup: $(STAMPS)/packages-$(ENGINE) $(STAMPS)/messages  ## Make .venv with everything in it

demo: setup  ## Run the node on a recording (BAG=path, or a synthetic one); report in out/demo
	$(BIN)/gam-depth demo $(if $(BAG),--bag "$(BAG)")

test: setup  ## Run the tests (ARGS="..." goes to pytest)
	$(BIN)/python -m pytest $(ARGS)

lint: setup  ## Check style, types and import directions
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: setup  ## Sort imports and apply ruff's safe fixes
	$(BIN)/ruff check --fix

bench: setup  ## Measure engine, each stage, memory, node and live graph
	@set -e; for script in engine_vs_eager pipeline_stages node_latency; do \
	  echo "== $$script"; $(BIN)/python "benchmarks/$$script.py"; done

clean:  ## Remove what builds, tests and the demo wrote (.venv stays)
	rm -rf out build install log dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf .import_linter_cache lightning_logs
	find . -path ./$(VENV) -prune -o \( -name __pycache__ -o -name '*.egg-info' \) \
	  -type d -prune -exec rm -rf {} +

distclean: clean  ## Remove .venv too
	rm -rf $(VENV)

# Set-up, in steps that run again only when what they read has changed.

$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "got $$($(PYTHON) --version 2>&1), expected Python 3.10 or newer; say make PYTHON=python3.11"; \
	  exit 1; }
	@echo "Setting up $(VENV): a few minutes, once"
	$(PYTHON) -m venv $(VENV)
	mkdir -p $(STAMPS)
	touch $@

# torch comes first and alone, so that the build that pip's own configuration offers is the one used.
$(STAMPS)/torch: constraints.txt | $(STAMPS)/venv
	$(INSTALL) torch==2.13.0
	touch $@

$(STAMPS)/requirements: $(REQUIREMENTS) constraints.txt $(STAMPS)/torch
	$(INSTALL) $(addprefix --requirement ,$(REQUIREMENTS))
	touch $@

$(STAMPS)/packages-$(ENGINE): gam_depth_ros/setup.cfg training/pyproject.toml $(STAMPS)/requirements
	rm -f $(STAMPS)/packages-*
	$(if $(filter gpu,$(ENGINE)),$(PIP) uninstall --quiet --yes onnxruntime)
	$(if $(filter cpu,$(ENGINE)),$(PIP) uninstall --quiet --yes onnxruntime-gpu)
	$(INSTALL) --no-build-isolation --editable 'gam_depth_ros[$(ENGINE)]' --editable training
	touch $@

# Messages need a compiler and the Python headers. Without them the node still runs, says that
# ~/scale and ~/status are off, and the next make tries again.
$(STAMPS)/messages: $(MESSAGES) $(STAMPS)/requirements
	@if ! command -v c++ >/dev/null; then \
	  echo "gam_depth_msgs left out: got no C++ compiler, expected c++; apt install g++, then make setup"; \
	elif ! $(BIN)/python -c 'import pathlib, sysconfig as s; exit(not pathlib.Path(s.get_paths()["include"], "Python.h").is_file())'; then \
	  echo "gam_depth_msgs left out: got no Python.h, expected the Python headers; apt install python3-dev, then make setup"; \
	else \
	  set -e; echo "Building gam_depth_msgs"; $(PIP) install --quiet --no-deps --no-build-isolation --force-reinstall ./gam_depth_msgs; touch $@; \
	fi
