"""Lint the scripts of each page with oxlint, as what they are: classic scripts that share their names.

    python scripts/lint_page.py

A folder with scripts is a page, and scripts of `saev.pages` may be part of any. What a script declares at its top is
known to all others of its page; a name that none declares, and one that none uses, is a fault.
"""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1] / "src" / "saev"
SHARED = ROOT / "pages" / "assets"
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
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.js"))}
    folders = {path.parent for path in texts}
    return max(lint(folder, texts) for folder in sorted(folders))


def lint(folder: Path, texts: dict[Path, str]) -> int:
    """Run the linter on the scripts of a page; its exit status, or 1 where a name stands twice or is never used.

    Args:
        folder: Where they are.
        texts: Those of all pages: one of them must use what the shared ones declare.
    """
    scripts = {path: text for path, text in texts.items() if path.parent in (folder, SHARED)}
    declared = Counter(name for text in scripts.values() for name in DECLARED.findall(text))
    own = {name for path, text in texts.items() if path.parent == folder for name in DECLARED.findall(text)}
    users = texts if folder == SHARED else scripts
    everything = "\n".join([*users.values(), *map(Path.read_text, folder.glob("*.html"))])
    faults = [f"{name} is declared twice" for name, n in declared.items() if n > 1]
    faults += [f"{name} is never used" for name in sorted(own) if len(re.findall(rf"\b{name}\b", everything)) == 1]
    for fault in faults:
        print(f"{folder}: {fault}", file=sys.stderr)
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
