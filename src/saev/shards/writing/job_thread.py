"""One background thread that does jobs in order, so that writing and hashing overlap with the model."""

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import final

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
