"""One background thread that does jobs in order, so that writing and hashing overlap with the model."""

import queue
import threading
from collections.abc import Callable
from typing import final

Job = Callable[[], None]


@final
class JobThread:
    """Does jobs one after the other; at most `depth` wait, so that memory stays bounded.

    After a job has failed the rest are dropped, and its error is raised by the next `put` or `check` or by `finish`.
    A signal may break into `put` anywhere; `finish` ends the thread all the same.
    """

    def __init__(self, name: str, depth: int = 2) -> None:
        # Not queue.Queue: a signal handler that raises inside of its `put` can leave its lock held for ever.
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._places: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(depth):
            self._places.put(None)
        self._failure: BaseException | None = None
        # A daemon: an interpreter that ends without finish must not wait for it.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._places.put(None)
            if self._failure is None:
                try:
                    job()
                except BaseException as error:
                    self._failure = error
            del job  # its memory, while this thread waits for the next one

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
        if self._thread.is_alive():
            self._jobs.put(None)  # takes no place: one may be lost to a signal
            self._thread.join()
        self.check()
