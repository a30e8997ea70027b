#!/bin/sh
# Installs grader and what the lock file pins into a virtual environment: build.sh LOCK ENVIRONMENT, in the source's root.
set -eu
lock=$1
environment=$2
python3 -I -m venv "$environment"
"$environment/bin/pip" install --no-cache-dir --disable-pip-version-check --require-hashes -r "$lock"
"$environment/bin/pip" install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation .
"$environment/bin/grader" --version
