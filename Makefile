# make demo    the main job on a sample image, from nothing; SHOW=--show opens it in napari
# make test    all tests, the viewer's on a virtual screen
# make lint    style, types, layers, manifest
# make test-stardist   StarDist itself, trained and run on the images of its wheel, in an environment of its own
# make test-cellpose3, make test-cellpose4   the same with Cellpose itself, each in its own environment
# make test-torch   networks of PyTorch and models of BioImage.IO, likewise
# make test-s3   images in a bucket, of an S3 server on loopback
# make clean   remove the virtual environments
#
# VENV says where the virtual environment is; PYTHON which Python (3.11 or newer) makes it.

VENV ?= .venv
PYTHON ?=
BIN := $(VENV)/bin
STARDIST_VENV ?= .venv-stardist
PACKAGES := xvfb xauth libgl1 libegl1 libgl1-mesa-dri libglib2.0-0 libdbus-1-3 libfontconfig1 \
	libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 \
	libxcb-render-util0 libxcb-shape0 libxcb-xkb1 libx11-xcb1 fonts-dejavu-core
PYTEST_ARGS ?= -n auto --dist worksteal
SHOW ?=

.PHONY: demo test test-s3 test-stardist test-cellpose3 test-cellpose4 test-torch lint clean

demo: $(VENV)/installed
	$(BIN)/seamlabel demo $(SHOW)

test: $(VENV)/installed-dev $(VENV)/screen
	@settings=$$(mktemp -d) && trap 'rm -rf "$$settings"' EXIT && \
	export QT_API=pyqt6 LIBGL_ALWAYS_SOFTWARE=1 NAPARI_CONFIG="$$settings/settings.yaml" && \
	$(BIN)/pytest $(PYTEST_ARGS)

# -s: what was measured is shown.
test-stardist: $(STARDIST_VENV)/installed-stardist
	TF_CPP_MIN_LOG_LEVEL=2 OMP_NUM_THREADS=1 $(STARDIST_VENV)/bin/pytest -s -p no:cacheprovider --timeout 1200 \
	  tests/backends/test_stardist_models.py tests/backends/test_stardist_network.py

test-s3: $(VENV)/installed-dev
	$(BIN)/python -m pip install --quiet --group s3
	$(BIN)/pytest tests/io/test_remote_buckets.py

lint: $(VENV)/installed-dev
	$(BIN)/ruff check src tests
	$(BIN)/ruff format --check src tests
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/npe2 validate seamlabel

# Cellpose 3 needs an older numpy, Cellpose 4 a torch of several gigabytes: environments of their own.
# Their pip takes the torch that it finds; CELLPOSE_TORCH asks for another one.
CELLPOSE_TORCH ?= torch
test-cellpose3: $(VENV)-cellpose3/installed
	$(VENV)-cellpose3/bin/pytest -s -o faulthandler_timeout=0 tests/with_cellpose tests/backends/test_cellpose_params.py

test-cellpose4: $(VENV)-cellpose4/installed
	$(VENV)-cellpose4/bin/pytest -s -o faulthandler_timeout=0 tests/with_cellpose tests/backends/test_cellpose_params.py

TORCH ?= torch
test-torch: $(VENV)-torch/installed
	OMP_NUM_THREADS=1 $(VENV)-torch/bin/pytest -s -o faulthandler_timeout=0 tests/with_torch

$(VENV)-torch/installed: pyproject.toml
	@$(MAKE) --no-print-directory VENV=$(@D) $(@D)/bin/python
	$(@D)/bin/python -m pip install --quiet --editable ".[bioimageio]" $(TORCH) hypothesis pytest pytest-timeout
	@touch $@

$(VENV)-cellpose3/installed: PACKAGE = "cellpose>=3.1,<4" "numpy<2.1"
$(VENV)-cellpose4/installed: PACKAGE = "cellpose>=4" torchvision
$(VENV)-cellpose3/installed $(VENV)-cellpose4/installed: pyproject.toml
	@$(MAKE) --no-print-directory VENV=$(@D) $(@D)/bin/python
	$(@D)/bin/python -m pip install --quiet --editable . $(PACKAGE) $(CELLPOSE_TORCH) hypothesis pytest pytest-timeout
	@touch $@

clean:
	rm -rf $(VENV) $(STARDIST_VENV) $(VENV)-cellpose3 $(VENV)-cellpose4 $(VENV)-torch

# A venv without pip gets it from the pip outside: Debian's Python may lack the part that brings it.
$(BIN)/python:
	@found=; for python in $(PYTHON) python3.13 python3.12 python3.11 python3; do \
	  if command -v $$python >/dev/null && \
	    $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "seamlabel needs Python 3.11 or newer, and none was found." >&2; \
	  echo "Install one, or say where it is: make PYTHON=/path/to/python3.12" >&2; exit 1; \
	fi; \
	echo "$$($$found --version) in $(VENV)"; \
	$$found -m venv $(VENV) >/dev/null 2>&1 || { \
	  rm -rf $(VENV) && $$found -m venv --without-pip $(VENV) && \
	  $$found -m pip --python $(BIN)/python install --quiet pip; }

$(VENV)/installed: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable ".[all]"
	@touch $@

$(VENV)/installed-dev: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"  # knows --group
	$(BIN)/python -m pip install --quiet --editable ".[all]" --group dev
	@touch $@ $(VENV)/installed

$(STARDIST_VENV)/installed-stardist: pyproject.toml
	@$(MAKE) --no-print-directory VENV=$(STARDIST_VENV) $(STARDIST_VENV)/bin/python
	$(STARDIST_VENV)/bin/python -m pip install --quiet --editable ".[stardist]" pytest pytest-timeout hypothesis
	@touch $@

# What Qt and a virtual screen need of the system.
$(VENV)/screen: $(BIN)/python
	@if [ "$$(uname)" = Darwin ]; then :; \
	elif command -v dpkg >/dev/null && dpkg --status $(PACKAGES) >/dev/null 2>&1; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  export DEBIAN_FRONTEND=noninteractive; \
	  apt-get update -qq && apt-get install -qq -y --no-install-recommends $(PACKAGES) >/dev/null; \
	elif command -v xvfb-run >/dev/null; then \
	  echo "If Qt does not start, install what these Debian packages hold: $(PACKAGES)"; \
	else \
	  echo "The viewer's tests need a virtual screen. Install: $(PACKAGES)" >&2; exit 1; \
	fi
	@touch $@
