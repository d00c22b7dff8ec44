"""Runs that are killed on their way."""

import signal
from pathlib import Path

from tests.cli.fitting import steps_done
from tests.cli.processes import family, is_alive, send, wait_until
from tests.cli.zygote import start


def kill_after(argv: list[str], run_dir: Path, n_steps: int, n_all: int) -> None:
    """Kill -9 all processes of a real run of n_all steps as soon as it has a checkpoint of n_steps."""
    process = start(argv)
    wait_until(lambda: steps_done(run_dir) >= n_steps, process)
    pids = family(process.pid)
    send(pids, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    wait_until(lambda: not any(map(is_alive, pids)))
    assert n_steps <= steps_done(run_dir) < n_all
