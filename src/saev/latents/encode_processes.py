"""Processes of one machine that divide the files of `saev.encode`."""

import multiprocessing
import os
import pickle
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from threading import RLock, Thread
from typing import Any, cast

import torch
from tqdm import tqdm

from saev.errors import InputError
from saev.latents.encode_plan import Plan, Report
from saev.stopping import SIGNALS, ending


def write_divided(plan: Plan, numbers: list[int], n_processes: int, report: Report) -> None:
    """Let new processes encode some files, each every n-th of them; none outlives the call.

    Raises:
        InputError: What the first one that fails says, or how it ended.
    """
    context = multiprocessing.get_context("spawn")  # a fork would inherit torch's threads half-way
    processes: list[BaseProcess] = []
    links: dict[Connection, int] = {}
    sent = pickle.dumps(plan)  # by torch's own way the tensors would go through /dev/shm, which may be small
    try:
        for number in range(n_processes):
            link, far = context.Pipe()
            process = context.Process(
                target=_work, args=(numbers[number::n_processes], number, n_processes, far), daemon=True
            )
            with _signals_wait():
                process.start()
            far.close()
            processes.append(process)
            links[link] = number
        for link in links:
            with suppress(OSError):  # where the process has ended already, which is said below
                link.send_bytes(sent)
        while links:
            for link in cast("list[Connection]", wait(list(links))):
                if not _heard(link, report):
                    number = links.pop(link)
                    processes[number].join()
                    if status := processes[number].exitcode:
                        advice = ": run the command again" if status < 0 else ""
                        raise InputError(f"process {number} {ending(status)}{advice}")
    finally:
        for one in processes:
            one.kill()
            one.join()


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Signals come after the block, and to a process that is started in it when it lets them: none comes half-way."""
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)


def _heard(link: Connection, report: Report) -> bool:
    """Take one message; whether others may come."""
    try:
        message: int | str = link.recv()
    except (EOFError, OSError):
        return False
    if isinstance(message, str):
        raise InputError(message)
    report(message)
    return True


def _work(numbers: list[int], number: int, n_processes: int, link: Any) -> None:
    """What one process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process hears it, too, and ends this one
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    tqdm.set_lock(RLock())  # its own one for processes would be missed, loudly, where this one is killed
    Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(max(1, torch.get_num_threads() // n_processes))
    plan: Plan = pickle.loads(link.recv_bytes())
    device = plan.encoding.sae.mean_d.device
    if device.type == "cuda" and torch.cuda.device_count() > 1:
        plan.encoding.sae.to(torch.device("cuda", number % torch.cuda.device_count()))
    try:
        plan.write(numbers, link.send)
    except InputError as error:
        link.send(str(error))
    link.close()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
