#!/usr/bin/env bash
# Makes the virtual environment .venv, once, and installs the project into it, again where its requirements changed.
# Usage: scripts/install.sh REQUIREMENT, for example . or '.[dev]'
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] || python3 -m venv --clear .venv
wanted="$PWD $1 $(.venv/bin/python -VV) $(cat pyproject.toml)"
[ "$(cat .venv/installed 2>/dev/null)" = "$wanted" ] && exit
rm -f .venv/installed # an installation that is stopped is begun again
.venv/bin/python -m pip install --quiet --editable "$1"
printf '%s\n' "$wanted" >.venv/installed
