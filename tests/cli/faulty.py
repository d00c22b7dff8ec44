"""Runs `saev` again and again in forked processes, each with a fault at another call to the operating system.

    python -m tests.cli.faulty FAULT AT STEP OUT... -- ARGV

runs ARGV once for each directory OUT, which takes the place of {out} in ARGV. The n-th run (from 0) meets the fault at
its call AT + n STEP; FAULT `none` disturbs nothing. It prints, for each run, its exit status (negative: the signal) and
the number of calls, and leaves what a run printed in OUT.log.
"""

import errno
import fcntl
import os
import signal
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

import saev.cli.record  # noqa: F401 - imported once, not in every run
from saev.cli.main import main

CALLS = ("open", "write", "fsync", "rename", "unlink", "mkdir", "chmod")
ERRORS = {"EIO": ("write", "fsync", "rename"), "ENOSPC": ("write",)}


class Fault:
    """Stands in front of the calls that change files, counts them, and strikes at one of them."""

    def __init__(self, kind: str, at: int) -> None:
        self.kind = kind
        self.at = at
        self.n = 0
        self._lock = threading.Lock()
        for name in CALLS:
            setattr(os, name, self._watched(name, getattr(os, name)))

    def _watched(self, name: str, call: Any) -> Any:
        def watched(*args: Any, **kwargs: Any) -> Any:
            counts = name in ERRORS.get(self.kind, CALLS)
            if name == "open" and not (len(args) > 1 and args[1] & os.O_CREAT):
                counts = False
            with self._lock:
                strikes = counts and self.n == self.at and self.kind != "none"
                self.n += counts
            if strikes:
                self._strike(name, call, args)
            return call(*args, **kwargs)

        return watched

    def _strike(self, name: str, call: Any, args: Any) -> None:
        if name == "write" and len(args[1]) > 1:
            call(args[0], args[1][: len(args[1]) // 2])  # half of it has got to the disk
        if self.kind in ERRORS:
            code = getattr(errno, self.kind)
            raise OSError(code, os.strerror(code))
        os.kill(os.getpid(), getattr(signal, self.kind))


def child(kind: str, at: int, argv: list[str], log: Path) -> None:
    """A run with one fault, in a process of its own."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(out, 1)
    os.dup2(out, 2)
    count = os.open(f"{log}.n", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    fcntl.fcntl(count, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    write = os.write
    fault = Fault(kind, at)
    status = 99
    try:
        status = main(argv)
    except BaseException:
        traceback.print_exc()  # as the interpreter would, which does not get to it
    finally:
        write(count, str(fault.n).encode())
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def run(kind: str, at: int, out: str, argv: list[str]) -> tuple[int, int]:
    """Exit status (negative: the signal) and number of calls of a run."""
    log = Path(f"{out}.log")
    pid = os.fork()
    if pid == 0:
        child(kind, at, [part.replace("{out}", out) for part in argv], log)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status, int(Path(f"{log}.n").read_text() or 0)


if __name__ == "__main__":
    torch.set_num_threads(1)
    split = sys.argv.index("--")
    kind, at, step, *outs = sys.argv[1:split]
    numbers = range(int(at), int(at) + len(outs) * int(step), int(step))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for result in pool.map(lambda number, out: run(kind, number, out, sys.argv[split + 1 :]), numbers, outs):
            print(*result)
