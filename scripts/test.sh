#!/usr/bin/env bash
# Installs what the tests need, then checks style and types and runs all tests.
# Usage: scripts/test.sh [options for pytest, for example -m 'not slow']
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install.sh '.[dev]'
.venv/bin/ruff check
.venv/bin/ruff format --check
.venv/bin/mypy
.venv/bin/python scripts/lint_page.py
# One thread a process: the tests start processes of their own. Two workers: many tests wait for those.
OMP_NUM_THREADS=1 .venv/bin/python -m pytest --numprocesses 2 --dist loadfile "$@"
