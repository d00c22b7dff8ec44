"""Background threads that never keep the interpreter from ending, however long they wait for a disk."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any, Final, TypeVar, final

from saev.errors import InputError

T = TypeVar("T")
MAX_THREADS: Final = 1024
"""More than any machine has cores: a disk gives no more for it, and the system may start no more."""
_NoJob: Final = queue.Empty  # kept: when the interpreter ends, `queue` may be gone first
_PATIENCE: Final = 1.0


def check_threads(name: str, n: int, least: int = 1) -> None:
    """Raise InputError for a number of threads, or of processes that decode, that no machine can use.

    Args:
        least: 0 where no thread or process at all makes sense, too.
    """
    if not least <= n <= MAX_THREADS:
        raise InputError(f"{name}={n} must be from {least} to {MAX_THREADS}")


@final
class DaemonThreads:
    """Does jobs in the order in which they are given, some of them at once.

    Unlike concurrent.futures.ThreadPoolExecutor, whose threads the interpreter waits for at its end.

    Args:
        name: What debuggers show.
        places: Where they read, for the error when nothing comes any more.
        timeout: Seconds without a job done after which that is so.

    Raises:
        InputError: If the system does not start so many.
    """

    def __init__(self, n: int, name: str, *, places: str, timeout: float) -> None:
        self._places, self._timeout = places, timeout
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self.n_done = 0
        """About how many jobs are done; while it grows, something goes on."""
        self._threads = [threading.Thread(target=self._work, name=f"{name} {i}", daemon=True) for i in range(n)]
        try:
            for thread in self._threads:
                thread.start()
        except RuntimeError as error:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self.close()
            raise InputError(
                f"the system starts no more than {len(self._threads)} of {n} threads: give fewer"
            ) from error

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Do a job in the background; its result or error is in the future."""
        future: Future[T] = Future()
        self._jobs.put((future, job))
        return future

    def result(self, job: Future[T]) -> T:
        """The result of a job of these threads, or of one that waits for them.

        Raises:
            InputError: If these threads get nothing done for too long, and what the job raises.
        """
        done = -1
        while not job.done():
            if self.n_done == done:
                raise InputError(
                    f"nothing could be read for {self._timeout:g} seconds from {self._places}: look at the disk or the "
                    "network (a longer timeout waits longer)"
                )
            done = self.n_done
            wait([job], self._timeout)
        return job.result()

    def close(self) -> None:
        """End the threads after their present jobs; cancel what waits, and give up threads that hang for a second."""
        with suppress(_NoJob):
            while (waiting := self._jobs.get_nowait()) is not None:
                waiting[0].cancel()
        for _ in self._threads:
            self._jobs.put(None)
        # An interpreter that ends under a thread at work may abort.
        end = time.monotonic() + _PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _work(self) -> None:
        while (taken := self._jobs.get()) is not None:
            future, job = taken
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(job())
                except BaseException as error:  # whoever waits for the result gets it
                    future.set_exception(error)
            self.n_done += 1
            del taken, future, job  # their memory, while this thread waits for the next one


Job = Callable[[], None]


@final
class JobThread:
    """Does jobs one after the other; at most `depth` wait, so that memory stays bounded.

    After a job has failed the rest are dropped, and its error is raised by the next `put` or `check` or by `finish`.
    A signal may break into `put` or `finish` anywhere; the next `finish` waits for the end of the thread all the same.
    """

    def __init__(self, name: str, depth: int = 2) -> None:
        # Not queue.Queue: a signal handler that raises inside of its `put` can leave its lock held for ever.
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._places: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(depth):
            self._places.put(None)
        # Not Thread.join: before Python 3.13 one that a signal broke into takes a running thread for ended.
        self._end: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._has_ended = False
        self._failure: BaseException | None = None
        # A daemon: an interpreter that ends without finish must not wait for it.
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._places.put(None)
            if self._failure is None:
                try:
                    job()
                except BaseException as error:
                    self._failure = error
            del job  # its memory, while this thread waits for the next one
        self._has_ended = True
        self._end.put(None)

    def check(self) -> None:
        """Raise the error of a job that has failed."""
        if self._failure is not None:
            raise self._failure

    def put(self, job: Job) -> None:
        """Hand over a job; waits while there is no place."""
        self.check()
        self._places.get()
        self._jobs.put(job)

    def finish(self) -> None:
        """Wait until all jobs are done, and end the thread; again only raises what failed."""
        self._jobs.put(None)  # takes no place: one may be lost to a signal
        while not self._has_ended:
            with suppress(queue.Empty):
                self._end.get(timeout=0.1)  # it may be lost, too
        self.check()
