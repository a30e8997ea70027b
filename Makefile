# make demo   set up, then grade a real submission by retraining it
# make test   set up, then run the fast tests
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: demo test slow fuzz bench lint lock schema compatibility examples screenshots docs image clean

demo: $(INSTALLED)
	@echo "Grading submission 3 by retraining it: 2 to 5 minutes on a CPU."
	$(BIN)/grader check submissions/3-bn-dropout-schedule --rubric rubrics/assignment4.toml

test: $(INSTALLED)
	$(BIN)/pytest

# Real retraining to 99.4 %: about an hour on two cores.
slow: $(INSTALLED)
	$(BIN)/pytest -m slow

# Coverage-guided fuzzing of everything that parses, SECONDS for each target.
SECONDS ?= 360
fuzz: $(INSTALLED)
	$(BIN)/python tests/fuzz/run.py all --seconds $(SECONDS)

bench: $(INSTALLED)
	$(BIN)/python benchmarks/describe_class.py
	$(BIN)/python benchmarks/train_epoch.py

lint: $(INSTALLED)
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

# Pin the newest versions that pyproject.toml allows, for every Python it allows.
lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra libraries --universal --generate-hashes --python-version 3.11 \
		--no-header --quiet --upgrade --output-file requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra gpu --extra libraries --constraint requirements.lock --universal \
		--generate-hashes --python-version 3.11 --no-header --quiet --output-file docker/requirements-gpu.lock
	$(BIN)/python scripts/autograder_lock.py

# The documented JSON Schemas; a test fails when they are out of date.
schema: $(INSTALLED)
	$(BIN)/grader schema > docs/report-schema.json
	$(BIN)/grader schema --class > docs/results-schema.json
	$(BIN)/grader rubric schema > docs/rubric-schema.json

# examples/reports, one file of every format; and the pictures of the documentation.
examples: $(INSTALLED)
	$(BIN)/python scripts/make_examples.py

screenshots: $(INSTALLED)
	$(BIN)/python scripts/make_screenshots.py

# The documentation, in site/; warnings are errors.
docs: $(INSTALLED)
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
