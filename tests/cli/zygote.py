"""One warm process that forks for every command of the tests: imports take seconds, a fork takes none.

`start` asks it for a `python -m saev ARGV`. What runs is a real process, with variables, signals, pipes and an end of
its own. Where a command starts further processes of itself, these are forked, too: from spare children that it has
from its beginning, when it has no thread yet.
"""

import atexit
import faulthandler
import functools
import json
import os
import re
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from tests.cli.forked import Command, Companion
from tests.cli.processes import family, send
from tests.cli.warm import warm_up

__all__ = ["Command", "environment", "finish", "start", "start_interpreter"]
MOST = 2**17
"""Bytes of a job in JSON."""
Job = dict[str, Any]


def environment() -> dict[str, str]:
    """The variables of a process that imports what this one does."""
    paths = os.pathsep.join(str(Path(path).absolute()) for path in sys.path if path)
    return os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}


def start(
    argv: list[str], before: str = "", cwd: Path | None = None, module: str = "saev", **variables: str
) -> Command:
    """A process of `python -m saev`.

    Args:
        argv: Its arguments.
        before: Python that it executes first: faults, limits.
        module: Another module to run.
        cwd: Its directory, where it is not that of this process.
        variables: Environment variables, beside those of this process.
    """
    job = _job(argv, cwd, environment() | variables) | {"before": before, "module": module}
    told, tells = _pair()
    (out, to_out), (err, to_err) = os.pipe(), os.pipe()
    with tells:
        socket.send_fds(_zygote(), [json.dumps(job).encode()], [to_out, to_err, tells.fileno()])
    os.close(to_out)
    os.close(to_err)
    return Command(told, out, err)


def start_interpreter(argv: list[str], module: str = "saev", cwd: Path | None = None) -> "subprocess.Popen[str]":
    """A new interpreter with `-m saev`, as users start it."""
    command = [sys.executable, "-m", module, *argv]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=cwd, env=environment(), stdout=pipe, stderr=pipe, text=True)


def finish(process: "Command | subprocess.Popen[str]", timeout: float = 120) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a process that must end by itself."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        pids = family(process.pid)
        send(pids, signal.SIGUSR1)  # they print where they are
        time.sleep(1)
        send(pids, signal.SIGKILL)
        raise AssertionError(
            f"processes {pids} have not ended after {timeout} s: {process.communicate(timeout=10)}"
        ) from None
    finally:
        process.kill()
    assert process.returncode is not None
    return process.returncode, out, err


def _job(argv: list[str], cwd: str | Path | None, env: Mapping[str, str]) -> Job:
    return {"argv": argv, "cwd": str(cwd or Path.cwd()), "env": dict(env), "before": "", "module": "saev"}


def _pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


@functools.cache
def _zygote() -> socket.socket:
    """Where the zygote of this process is asked; it lives as long."""
    ours, theirs = _pair()
    with theirs:
        command = [sys.executable, "-m", "tests.cli.zygote", str(theirs.fileno())]
        process = subprocess.Popen(
            command, env=environment(), stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def forked_for_a_job(requests: socket.socket) -> Job:
    """Fork for each request, and say how those end who were forked. Returns in these."""
    running: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(requests, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.data is not None:
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    _, status = os.waitpid(key.data, 0)
                    with running.pop(key.data) as tells:
                        tells.send(str(os.waitstatus_to_exitcode(status)).encode())
                    continue
                message, descriptors, _, _ = socket.recv_fds(requests, MOST, 3)
                if not message:  # there are no tests any more
                    for pid in running:
                        os.kill(pid, signal.SIGKILL)
                    os._exit(0)
                assert len(list(Path("/proc/self/task").iterdir())) == 1, "a fork would lose threads"
                pid = os.fork()
                if pid == 0:
                    for other in (*selector.get_map(), *(tells.detach() for tells in running.values())):
                        os.close(other)
                    return _taken(message, *descriptors)
                *streams, tells = descriptors
                for stream in streams:
                    os.close(stream)
                running[pid] = socket.socket(fileno=tells)
                running[pid].send(str(pid).encode())
                selector.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)


def _taken(message: bytes, out: int, err: int, tells: int) -> Job:
    os.dup2(out, 1)
    os.dup2(err, 2)
    for descriptor in (out, err, tells):
        os.close(descriptor)
    job: Job = json.loads(message)
    return job


class ForkingPopen(subprocess.Popen):  # type: ignore[type-arg]
    """Gives a `python -m saev` to a spare process, where there is one."""

    spares: list[tuple[int, socket.socket]]

    def __new__(cls, command: Any, *args: Any, env: Any = None, cwd: Any = None, **more: Any) -> Any:
        if not cls.spares or args or more or list(command[:3]) != [sys.executable, "-m", "saev.__main__"]:
            return super().__new__(cls)
        pid, tells = cls.spares.pop(0)
        with tells:
            tells.send(json.dumps(_job(command[3:], cwd, env or os.environ)).encode())
        return Companion(pid)


def with_spares(n: int) -> Job | None:
    """Fork n processes for what this one may start. Returns a job in those that get one."""
    spares: list[tuple[int, socket.socket]] = []
    for _ in range(n):
        tells, told = _pair()
        pid = os.fork()
        if pid == 0:
            tells.close()
            for _, other in spares:
                other.close()
            with told:
                message = told.recv(MOST)
            if not message:
                os._exit(0)  # the command has ended without it
            job: Job = json.loads(message)
            Path("/proc/self/comm").write_text(f"LOCAL_RANK={job['env'].get('LOCAL_RANK')}")
            return job
        told.close()
        spares.append((pid, tells))
    ForkingPopen.spares = spares
    subprocess.Popen = ForkingPopen  # type: ignore[misc]
    return None


def n_companions(job: Job) -> int:
    """How many processes a command may start, by its options."""
    asked = re.findall(r"--trainer\.devices=(\d)\b", " ".join(job["argv"]))
    return int(asked[-1]) - 1 if asked and "LOCAL_RANK" not in job["env"] else 0


def run(job: Job) -> NoReturn:
    """What `python -m saev` does."""
    job = with_spares(n_companions(job)) or job
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["env"])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # however the tests were started
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    faulthandler.register(signal.SIGUSR1)
    for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined]
        finalizer.atexit = False  # of the warm process: libraries of torch, which take their operators back one by one
    exec(job["before"], {})
    sys.argv[1:] = job["argv"]
    status: Any = 0
    try:
        runpy.run_module(job["module"], run_name="__main__", alter_sys=True)
    except SystemExit as ending:
        status = ending.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    # The end of an interpreter, but for half a second that it takes to take all modules apart.
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warm_up()
    run(forked_for_a_job(socket.socket(fileno=int(sys.argv[1]))))
