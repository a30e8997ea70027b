# make demo                 set up what grading needs, then grade a real submission by retraining it
# make test                 set up the development tools as well, then run the fast tests
# make test T=tests/judge   one part of them
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
TOOLS := .venv/.tools
T ?=

.PHONY: demo test slow fuzz bench lint lock schema compatibility examples screenshots docs image clean

demo: $(INSTALLED)
	@echo "Grading submission 3 by retraining it: 2 to 5 minutes on a CPU."
	$(BIN)/grader check submissions/3-bn-dropout-schedule --rubric rubrics/assignment4.toml

test: $(TOOLS)
	$(BIN)/pytest $(T)

# Real retraining to 99.4 %: about an hour on two cores.
slow: $(TOOLS)
	$(BIN)/pytest -m slow $(T)

# Coverage-guided fuzzing of everything that parses, SECONDS for each target.
SECONDS ?= 360
fuzz: $(TOOLS)
	$(BIN)/python tests/fuzz/run.py all --seconds $(SECONDS)

bench: $(TOOLS)
	$(BIN)/python benchmarks/describe_class.py
	$(BIN)/python benchmarks/train_epoch.py

lint: $(TOOLS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info < (3, 14); sys.exit(0 if ok else "grader needs Python 3.11 to 3.13: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	# compat: an absolute path. The other way leaves a relative entry on the path of every Python, which looks for
	# sitecustomize.py there: in the current folder, which may be a student's.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		--config-settings editable_mode=compat --editable .
	touch $(INSTALLED)

$(TOOLS): $(INSTALLED) requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	touch $(TOOLS)

# Pin the newest versions that pyproject.toml allows, for every Python it allows: the same for all three files.
COMPILE = $(BIN)/uv pip compile pyproject.toml --extra libraries --universal --generate-hashes --python-version 3.11 \
	--no-header --quiet
lock:
	$(BIN)/python -m pip install --quiet uv
	$(COMPILE) --extra dev --upgrade --output-file requirements-dev.lock
	$(COMPILE) --constraint requirements-dev.lock --output-file requirements.lock
	$(COMPILE) --extra gpu --constraint requirements-dev.lock --output-file docker/requirements-gpu.lock
	$(BIN)/python scripts/autograder_lock.py

# The documented JSON Schemas; a test fails when they are out of date.
schema: $(INSTALLED)
	$(BIN)/grader schema > docs/report-schema.json
	$(BIN)/grader schema --class > docs/results-schema.json
	$(BIN)/grader rubric schema > docs/rubric-schema.json

# examples/reports, one file of every format; and the pictures of the documentation.
examples: $(TOOLS)
	$(BIN)/python scripts/make_examples.py

screenshots: $(TOOLS)
	$(BIN)/python scripts/make_screenshots.py

# The documentation, in site/; warnings are errors.
docs: $(TOOLS)
	$(BIN)/python scripts/make_docs.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# The table of old names; a test fails when it is out of date.
compatibility: $(INSTALLED)
	$(BIN)/python scripts/compatibility.py > docs/compatibility.md

# The box for machines without bubblewrap, in Docker or Podman.
ENGINE ?= docker
image: $(INSTALLED)
	$(ENGINE) build --tag grader:$$($(BIN)/python -c 'import grader; print(grader.__version__)') .

clean:
	rm -rf .venv build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache
