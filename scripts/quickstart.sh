#!/usr/bin/env bash
# Runs the whole way on generated scenes: record a tiny CLIP, train an SAE, look, propose, freeze, build, test, intervene,
# and compares what was found with the truth. An interrupted run goes on where it was.
# Usage: scripts/quickstart.sh [DIRECTORY FOR THE RESULTS, default quickstart]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install.sh .
.venv/bin/saev demo --out "${1:-quickstart}"
