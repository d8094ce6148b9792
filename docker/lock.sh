#!/usr/bin/env bash
# Makes the image's lock files anew from pyproject.toml and constraints.txt: every package with version and hashes.
# Needs pip-tools (pip install pip-tools) and the image's Python version.
set -euo pipefail
cd "$(dirname "$0")/.."
options=(--quiet --generate-hashes --no-header --no-annotate --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host)
pip-compile "${options[@]}" --extra duckdb --extra kafka --extra postgres --extra snowflake --extra sqlalchemy \
    --constraint constraints.txt --output-file docker/requirements.txt pyproject.toml
pip-compile "${options[@]}" --allow-unsafe --only-build-deps --build-deps-for wheel --output-file docker/requirements-build.txt pyproject.toml
