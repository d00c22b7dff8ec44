"""Processes of one machine that divide the files of `saev.encode`."""

import multiprocessing
import os
import pickle
import signal
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Any, cast

import torch

from saev.errors import InputError, one_line
from saev.latents.encode_plan import Plan, Report


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
            link, far = context.Pipe(duplex=False)
            process = context.Process(
                target=_work, args=(sent, numbers[number::n_processes], number, n_processes, far), daemon=True
            )
            process.start()
            far.close()
            processes.append(process)
            links[link] = number
        while links:
            for link in cast("list[Connection]", wait(list(links))):
                if not _heard(link, report):
                    number = links.pop(link)
                    processes[number].join()
                    _check_ending(processes[number], number)
    finally:
        for one in processes:
            one.kill()
            one.join()


def _heard(link: Connection, report: Report) -> bool:
    """Take one message; whether others may come."""
    try:
        message: int | str = link.recv()
    except EOFError:
        return False
    if isinstance(message, str):
        raise InputError(message)
    report(message)
    return True


def _check_ending(process: BaseProcess, number: int) -> None:
    status = process.exitcode or 0
    if status < 0:
        hint = " (is memory short?)" if -status == signal.SIGKILL else ""
        raise InputError(f"process {number} was ended by {signal.Signals(-status).name}{hint}: run the command again")
    if status:
        raise InputError(f"process {number} has failed: what it said stands above")


def _work(sent: bytes, numbers: list[int], number: int, n_processes: int, link: Any) -> None:
    """What one process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process hears it, too, and ends this one
    Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(max(1, torch.get_num_threads() // n_processes))
    plan: Plan = pickle.loads(sent)
    device = plan.encoding.sae.mean_d.device
    if device.type == "cuda" and torch.cuda.device_count() > 1:
        plan.encoding.sae.to(torch.device("cuda", number % torch.cuda.device_count()))
    try:
        plan.write(numbers, link.send)
    except InputError as error:
        link.send(one_line(error))
    link.close()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
