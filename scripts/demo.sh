#!/usr/bin/env bash
# The main job: export, resample, run and measure on real data. Arguments go to benchmarks/demo.py.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
# MindSpore's launcher and the worker look for `python` on the path.
export PATH="$PWD/.venv/bin:$PATH"
exec python -m benchmarks.demo "$@"
