"""Lint the scripts of each page with oxlint, as what they are: classic scripts that share their names.

    python scripts/lint_page.py

What a script declares at its top is known to all others of its page; a name that none declares, and one that none uses,
is a fault.
"""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1] / "src" / "saev"
PAGES = (ROOT / "gallery" / "assets" / "index.html", ROOT / "probing" / "sets" / "assets" / "label.html")
DECLARED = re.compile(r"^(?:const|let|class|(?:async )?function) (\w+)", re.MULTILINE)
UNUSED = {"ignoreRestSiblings": True}  # const { left_out, ...rest }
RULES = {
    "no-undef": "error",
    "no-var": "error",
    "prefer-const": "error",
    "eqeqeq": "error",
    "no-shadow": "error",
    "no-redeclare": ["error", {"builtinGlobals": False}],
}


def main() -> int:
    """Lint each page; 0 where none has a fault."""
    return max(map(lint, PAGES))


def lint(page: Path) -> int:
    """Run the linter on the scripts beside a page; its exit status, or 1 where a name stands twice or is never used."""
    scripts = {path: path.read_text(encoding="utf-8") for path in sorted(page.parent.glob("*.js"))}
    declared = Counter(name for text in scripts.values() for name in DECLARED.findall(text))
    everything = "\n".join((*scripts.values(), page.read_text(encoding="utf-8")))
    faults = [f"{name} is declared twice" for name, n in declared.items() if n > 1]
    faults += [f"{name} is never used" for name in declared if len(re.findall(rf"\b{name}\b", everything)) == 1]
    for fault in faults:
        print(f"{page}: {fault}", file=sys.stderr)
    config = {
        "env": {"browser": True, "es2024": True},
        "globals": dict.fromkeys(declared, "readonly"),
        "categories": {"correctness": "error"},
        "rules": RULES | {"no-unused-vars": ["error", UNUSED | {"varsIgnorePattern": f"^({'|'.join(declared)})$"}]},
    }
    with TemporaryDirectory() as directory:
        path = Path(directory, "oxlintrc.json")
        path.write_text(json.dumps(config), encoding="utf-8")
        oxlint = Path(sys.executable).with_name("oxlint")
        done = subprocess.run([oxlint, "--config", path, "--deny-warnings", *scripts], check=False)
    return done.returncode or int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
