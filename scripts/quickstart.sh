#!/usr/bin/env bash
# Runs the whole way on generated pictures: draw, record a small ViT, train an SAE, render its features.
# Usage: scripts/quickstart.sh [DIRECTORY FOR THE RESULTS, default quickstart]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install.sh .
.venv/bin/saev demo --out "${1:-quickstart}"
