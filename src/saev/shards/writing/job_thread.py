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
    """

    def __init__(self, name: str, depth: int = 2) -> None:
        self._queue: queue.Queue[Job | None] = queue.Queue(depth)
        self._failure: BaseException | None = None
        # A daemon: an interpreter that ends without finish must not wait for it.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
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
        """Hand over a job; waits while the queue is full."""
        self.check()
        self._queue.put(job)

    def finish(self) -> None:
        """Wait until all jobs are done, and end the thread; again only raises what failed."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
        self.check()
