#!/usr/bin/env bash
# Installs what the tests need, then checks style and types and runs tests.
# Usage: scripts/test.sh [TIER] [options for pytest]
# TIER: fast   what is quick, before each commit: at most 3 minutes
#       all    (default) all tests but for exhaustive variants: at most 12 minutes
#       daily  all
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in
fast) tier='not slow and not browser and not daily' ;;
daily) tier='' ;;
*) tier='not daily' ;;
esac
case "${1:-}" in fast | all | daily) shift ;; esac
scripts/install.sh '.[dev]'
.venv/bin/ruff check
.venv/bin/ruff format --check
.venv/bin/python scripts/lint_page.py
# Types take one core for a minute or more where nothing is cached: beside the tests, whose processes often wait.
said=$(mktemp)
.venv/bin/mypy >"$said" 2>&1 &
types=$!
trap 'kill %1 2>/dev/null || true; rm -f "$said"' EXIT
# One thread a process: the tests start processes of their own. Two workers: many tests wait for those. In the order of
# their files the quick ones come last, and no worker is left alone with long ones.
status=0
OMP_NUM_THREADS=1 .venv/bin/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m "$tier" "$@" ||
    status=$?
[ "$status" != 2 ] || exit 2 # interrupted
wait "$types" || status=1
cat "$said"
exit "$status"
