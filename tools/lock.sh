#!/bin/sh
# Resolve the dependencies anew and write the lock files. Hashes pin every file; no index is named.
set -eu
cd "$(dirname "$0")/.."
compile() {
  .venv/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet "$@"
}
compile requirements/installer.in -o requirements/installer.lock
compile --extra sandbox --extra speed pyproject.toml -o requirements/sandbox.lock
compile --all-extras --group dev pyproject.toml -o requirements/dev.lock
