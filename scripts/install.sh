#!/usr/bin/env bash
# Makes the virtual environment .venv, once, and installs the project into it.
# Usage: scripts/install.sh REQUIREMENT, for example . or '.[dev]'
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --editable "$1"
