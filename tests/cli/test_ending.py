"""The exit status and the last line of whatever ends a command."""

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.multiprocessing.reductions import rebuild_storage_fd

from saev.cli.ending import Stopped, ended, stopping_on_signals
from saev.errors import InputError

Capture = pytest.CaptureFixture[str]


def failing(error: BaseException) -> Callable[[], int]:
    def work() -> int:
        raise error

    return work


def interrupted() -> int:
    signal.raise_signal(signal.SIGINT)
    return 0


class Gone:
    """The descriptor of a tensor whose process was killed before it was fetched."""

    def detach(self) -> int:
        raise ConnectionResetError(104, "Connection reset by peer")


def fetching() -> int:
    rebuild_storage_fd(torch.UntypedStorage, Gone(), 8)
    return 0


WORKER = """Caught RuntimeError in DataLoader worker process 0.
Traceback: ...
RuntimeError: [enforce fail] not enough memory: you tried to allocate 8 bytes"""


@pytest.mark.parametrize(
    ("work", "status", "said"),
    [
        (failing(InputError("a\nb\x1b[2J is wrong")), 1, "error: a b\\x1b[2J is wrong"),
        (interrupted, 130, "interrupted"),
        (failing(Stopped(signal.SIGTERM)), 143, "terminated"),
        (
            failing(MemoryError()),
            1,
            "error: memory ran out (MemoryError): give a smaller --batch_size or fewer --n_images, or another --device",
        ),
        (
            failing(RuntimeError(WORKER)),
            1,
            "error: a data worker ended unexpectedly (RuntimeError: [enforce fail] not enough memory: you tried to "
            "allocate 8 bytes): is memory short? Try fewer --num_workers",
        ),
        (
            fetching,
            1,
            "error: a data worker ended unexpectedly ([Errno 104] Connection reset by peer): is "
            "memory short? Try fewer --num_workers",
        ),
    ],
)
def test_one_line_says_what_ended_a_command(work: Callable[[], int], status: int, said: str, capsys: Capture) -> None:
    handlers = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)]
    assert ended("downstream", work) == status
    assert capsys.readouterr() == ("", f"saev downstream: {said}\n")
    assert [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_a_signal_is_said_by_the_first_process(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert ended("fit", interrupted) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("error", [SystemExit(0), SystemExit(1), ZeroDivisionError("a bug"), RuntimeError("a bug")])
def test_help_and_bugs_pass(error: BaseException, capsys: Capture) -> None:
    with pytest.raises(type(error)) as found:
        ended("fit", failing(error))
    assert found.value is error
    assert capsys.readouterr() == ("", "")


def test_a_second_signal_ends_at_once_whoever_puts_handlers_back(monkeypatch: pytest.MonkeyPatch) -> None:
    statuses: list[int] = []
    monkeypatch.setattr(os, "_exit", statuses.append)
    with stopping_on_signals():
        handler: Any = signal.getsignal(signal.SIGTERM)
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGINT)
        signal.signal(signal.SIGTERM, handler)  # as Lightning does
        with pytest.raises(Stopped):  # the process would have ended
            signal.raise_signal(signal.SIGTERM)
    assert statuses == [143]
