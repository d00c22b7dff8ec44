"""Runs the blocks of a page of the docs, each command in a process of its own that knows nothing of the others.

    python -m tests.cli.page < JSON

The JSON is a list of command lines. They are forked one after the other from this process, which has imported what
they need, and has no modules of a user on its path. It prints a list of exit statuses, outputs and errors.
"""

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NamedTuple


class Ended(NamedTuple):
    """What a command gave."""

    status: int
    out: str
    err: str


def blocks(page: Path, language: str, section: str = "") -> list[str]:
    """The code blocks of a language in a section, "" for those above the first one."""
    parts = re.split(r"^## (.*)\n", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    texts = {"": parts[0]} | dict(zip(parts[1::2], parts[2::2], strict=True))
    return re.findall(rf"^```{language}\n(.*?)^```", texts[section], flags=re.MULTILINE | re.DOTALL)


def write_modules(page: Path, section: str, directory: Path) -> None:
    """Write the Python blocks of a section to the files that their first lines name."""
    for block in blocks(page, "python", section):
        name = block.splitlines()[0].removeprefix("# ")
        (directory / name).write_text(block)


def commands(page: Path, section: str) -> list[str]:
    """The commands of a section."""
    return [line for block in blocks(page, "sh", section) for line in block.splitlines()]


def run(lines: list[str], cwd: Path) -> list[Ended]:
    """Run command lines, `saev ...` or `python FILE`, in a directory; a * in them stands for one path."""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "tests.cli.page"],
        input=json.dumps([str(cwd), lines]),
        env=os.environ | {"PYTHONPATH": f"{root}:{root / 'src'}", "OMP_NUM_THREADS": "1"},
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=600,
    )
    return [Ended(*one) for one in json.loads(done.stdout)]


def _forked(line: str) -> Ended:
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        pid = os.fork()
        if pid == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            status = _run(shlex.split(line))
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        out.seek(0)
        err.seek(0)
        return Ended(status, out.read(), err.read())


def _run(argv: list[str]) -> int:
    program, *argv = [str(next(Path().glob(part))) if part.endswith("*") else part for part in argv]
    try:
        if program == "saev":
            sys.argv = ["saev", *argv]
            return main()
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_path(argv[0], run_name="__main__")
    except SystemExit as ending:
        return int(ending.code or 0)
    except BaseException:
        traceback.print_exc()
        return 99
    return 0


if __name__ == "__main__":
    import torch

    import saev.cli.downstream
    import saev.cli.evaluate
    import saev.cli.record
    import saev.cli.train
    import saev.gallery  # noqa: F401
    from saev.cli.main import main

    torch.set_num_threads(1)
    directory, lines = json.load(sys.stdin)
    sys.path = [path for path in sys.path if path and path != str(Path.cwd())]
    os.chdir(directory)
    print(json.dumps([_forked(line) for line in lines]))
