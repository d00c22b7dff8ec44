"""A thread for jobs ends whatever happens to the one who hands them over."""

import dis
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

import pytest

from saev.threads import JobThread

_SECONDS_TO_END = 10


class Signal(BaseException):
    """What a signal handler raises."""


class SignalAt:
    """Raises at the n-th instruction after `sys.settrace`, library code included."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        frame.f_trace_opcodes = True
        if event == "opcode":
            self.left -= 1
            if self.left < 0:
                raise Signal
        return self


def ends(jobs: JobThread) -> bool:
    waiting = threading.Thread(target=jobs.finish, daemon=True)
    waiting.start()
    waiting.join(_SECONDS_TO_END)
    return not waiting.is_alive()


def test_it_ends_when_a_signal_broke_into_put_at_any_instruction() -> None:
    n_instructions = len(list(dis.get_instructions(JobThread.put)))
    n_broken = 0
    for n in range(4 * n_instructions):
        jobs = JobThread("some jobs", depth=1)
        before = sys.gettrace()  # coverage or a debugger
        sys.settrace(SignalAt(n))
        try:
            jobs.put(lambda: None)
        except Signal:
            n_broken += 1
        finally:
            sys.settrace(before)
        assert ends(jobs), f"instruction {n}"
    assert n_instructions / 2 < n_broken < 4 * n_instructions


def test_it_is_waited_for_again_when_a_signal_broke_into_finish() -> None:
    go_on, done = threading.Event(), []

    def work() -> None:
        go_on.wait()
        time.sleep(0.2)
        done.append(1)

    def strike(signum: int, frame: FrameType | None) -> None:
        raise Signal

    jobs = JobThread("some jobs")
    jobs.put(work)
    before = signal.signal(signal.SIGALRM, strike)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(Signal):
            jobs.finish()
    finally:
        signal.signal(signal.SIGALRM, before)
    go_on.set()
    jobs.finish()
    assert done == [1]


def test_at_most_so_many_jobs_wait_and_they_are_done_in_order() -> None:
    go_on, done = threading.Event(), []
    jobs = JobThread("some jobs", depth=2)
    jobs.put(go_on.wait)
    jobs.put(lambda: done.append(1))
    jobs.put(lambda: done.append(2))
    fourth = threading.Thread(target=jobs.put, args=(lambda: done.append(3),), daemon=True)
    fourth.start()
    fourth.join(0.2)
    assert fourth.is_alive()
    go_on.set()
    fourth.join(_SECONDS_TO_END)
    jobs.finish()
    assert done == [1, 2, 3]


def test_the_jobs_after_a_failed_one_are_dropped() -> None:
    go_on, done = threading.Event(), []

    def fail() -> None:
        go_on.wait()
        raise OSError("full")

    jobs = JobThread("some jobs")
    jobs.put(fail)
    jobs.put(lambda: done.append(1))
    go_on.set()
    for _ in range(2):
        with pytest.raises(OSError, match="full"):
            jobs.finish()
    with pytest.raises(OSError, match="full"):
        jobs.put(lambda: None)
    assert not done
