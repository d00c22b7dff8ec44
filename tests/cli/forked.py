"""Handles on forked processes, like those of `subprocess.Popen`."""

import io
import os
import select
import selectors
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod


class Process(ABC):
    """A process that can be waited for and sent signals."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    @abstractmethod
    def _ended(self, timeout: float | None) -> int | None:
        """Exit status (negative: the signal) of a process that has ended, or does so in this time."""

    def poll(self) -> int | None:
        """The exit status of a process that has ended."""
        if self.returncode is None:
            self.returncode = self._ended(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, when it has ended."""
        if self.returncode is None:
            self.returncode = self._ended(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return self.returncode

    def send_signal(self, signum: int) -> None:
        """Send a signal to a process that has not ended."""
        if self.poll() is None:
            os.kill(self.pid, signum)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


class Command(Process):
    """A process of a test.

    Args:
        told: Gives its pid, and at its end its exit status.
        stdout: Where its standard output is read.
        stderr: Where its standard error is read.
    """

    def __init__(self, told: socket.socket, stdout: int, stderr: int) -> None:
        first = told.recv(64)
        assert first, "the zygote has ended"
        super().__init__(int(first))
        self._told = told
        self.stdout = io.FileIO(stdout)
        self.stderr = io.FileIO(stderr)
        self._said = [b"", b""]

    def _ended(self, timeout: float | None) -> int | None:
        if not select.select([self._told], [], [], timeout)[0]:
            return None
        with self._told:
            return int(self._told.recv(64))

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it prints until its end, and what those print to whom it has left standard output and error.

        Nothing is lost where the time is too short: the next call gives it, too.
        """
        end = None if timeout is None else time.monotonic() + timeout
        streams = (self.stdout, self.stderr)
        with selectors.DefaultSelector() as selector:
            for number, stream in enumerate(streams):
                if not stream.closed:
                    selector.register(stream, selectors.EVENT_READ, number)
            while selector.get_map():
                ready = selector.select(None if end is None else max(0, end - time.monotonic()))
                if not ready:
                    raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
                for key, _ in ready:
                    data = os.read(key.fd, 2**16)
                    self._said[key.data] += data
                    if not data:
                        selector.unregister(key.fileobj)
                        streams[key.data].close()
        self.wait(None if end is None else max(0, end - time.monotonic()))
        return self._said[0].decode(), self._said[1].decode()


class Companion(Process):
    """A child of this process."""

    def _ended(self, timeout: float | None) -> int | None:
        descriptor = os.pidfd_open(self.pid)
        try:
            if not select.select([descriptor], [], [], timeout)[0]:
                return None
        finally:
            os.close(descriptor)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
