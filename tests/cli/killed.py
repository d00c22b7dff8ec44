"""Runs `saev` in forked processes, each killed (SIGKILL) where a file that it has written would take its place.

    python -m tests.cli.killed [[NAME, ARGV], ...]

takes JSON: the file's name and a command line. It prints the exit status of each run, -9 where it was killed.
"""

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import torch

import saev.cli.evaluate
import saev.cli.train  # noqa: F401 - imported once, not in every run
from saev.cli.main import main


def kill_at(name: str) -> None:
    """Let this process be killed when a file or directory of this name is put in its place."""
    for call in ("rename", "replace"):
        setattr(os, call, _watched(getattr(os, call), name))


def _watched(call: Any, name: str) -> Any:
    def watched(src: Any, dst: Any, **kwargs: Any) -> None:
        if Path(dst).name == name:
            os.kill(os.getpid(), signal.SIGKILL)
        call(src, dst, **kwargs)

    return watched


def run(name: str, argv: list[str]) -> int:
    """Exit status of a run (negative: the signal)."""
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            kill_at(name)
            os.dup2(2, 1)
            status = main(argv)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, argv in json.loads(sys.argv[1]):
        print(run(name, argv))
