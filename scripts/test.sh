#!/usr/bin/env bash
# Linters, type checks and all tests. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh --tests
export PATH="$PWD/.venv/bin:$PATH"
ruff check .
ruff format --check .
mypy
# MindSpore, which the exporter's tests load, cannot share a process with MindSpore Lite.
python -m pytest --durations=20 tests/test_*.py tests/runtime tests/device tests/android "$@"
exec python -m pytest --durations=20 tests/exporter tests/golden tests/benchmarks "$@"
