"""What TensorBoard gets of a run."""

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.core.saving import save_hparams_to_yaml
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.writer import FileWriter, SummaryWriter
from typing_extensions import override

from saev.errors import InputError, tell
from saev.files import replacing, unwritable


@final
class Tolerance:
    """A disk that fails ends the writing for TensorBoard, not the run; one line per run says so."""

    def __init__(self) -> None:
        self.is_spent = False

    @contextlib.contextmanager
    def tolerating(self, path: Path) -> Iterator[None]:
        """Write something there, and stop in the middle where the disk does not take it."""
        try:
            yield
        except OSError as error:
            self.spend(unwritable(path, error))
        except InputError as error:
            self.spend(str(error))

    def spend(self, fault: str) -> None:
        """Say why TensorBoard gets no more."""
        if not self.is_spent:
            tell(f"TensorBoard gets no more of this run, which goes on: {fault}")
        self.is_spent = True


class RunLogger(TensorBoardLogger):
    """A TensorBoardLogger whose disk faults do not end the run, because nothing depends on its files.

    Args:
        save_dir: The run directory.
        name: A directory in there.
        version: Another one in that.
        tolerance: What the loggers of a run have in common.
    """

    def __init__(self, save_dir: Path, name: str, version: str, tolerance: Tolerance) -> None:
        super().__init__(save_dir, name=name, version=version)
        self.tolerance = tolerance

    @property
    @rank_zero_experiment
    def experiment(self) -> SummaryWriter:
        """The writer."""
        if self._experiment is None:
            self._experiment = _Writer(self.log_dir, self.tolerance)
        return self._experiment

    @override
    @rank_zero_only
    def save(self) -> None:
        """Write hparams.yaml if it is not there yet."""
        path = Path(self.log_dir) / self.NAME_HPARAMS_FILE
        with self.tolerance.tolerating(path):
            if not self.tolerance.is_spent and not path.is_file():
                with replacing(path) as partial:
                    save_hparams_to_yaml(partial, self.hparams)


@final
class _Writer(SummaryWriter):
    """A SummaryWriter over our own file of events."""

    def __init__(self, log_dir: str, tolerance: Tolerance) -> None:
        self._tolerance = tolerance
        super().__init__(log_dir)

    @override
    def _get_file_writer(self) -> FileWriter:
        if self.all_writers is None:  # at the start, and after it was closed: then another file follows
            self._events = _Events(Path(self.log_dir), self._tolerance)
            self.all_writers = {self.log_dir: self._events}  # type: ignore[assignment]
        return self._events


@final
class _Events(FileWriter):
    """A FileWriter without tensorboard's thread, whose exceptions nobody catches: events are few and small."""

    def __init__(self, log_dir: Path, tolerance: Tolerance) -> None:
        self.event_writer = _EventFile(log_dir, tolerance)


@final
class _EventFile:
    """A file of events, which ends with a whole one also where the disk takes no more."""

    def __init__(self, log_dir: Path, tolerance: Tolerance) -> None:
        self._tolerance = tolerance
        self._n_bytes = 0  # of whole events
        self._path = log_dir / f"events.out.tfevents.{time.time_ns() / 1e9:.6f}.{socket.gethostname()}.{os.getpid()}"
        self._fd: int | None = None
        with tolerance.tolerating(self._path):
            log_dir.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        self.add_event(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def get_logdir(self) -> str:
        """Where the file is."""
        return str(self._path.parent)

    def add_event(self, event: Any) -> None:
        """Write an event."""
        if self._fd is None or self._tolerance.is_spent:
            return
        with self._tolerance.tolerating(self._path):
            try:
                RecordWriter(self).write(event.SerializeToString())
            except OSError:
                os.ftruncate(self._fd, self._n_bytes)
                raise

    def write(self, record: bytes) -> None:
        """Write what makes up an event."""
        assert self._fd is not None
        left = memoryview(record)
        while left:
            left = left[os.write(self._fd, left) :]
        self._n_bytes += len(record)

    def flush(self) -> None:
        """Nothing: no event waits."""

    def reopen(self) -> None:
        """Nothing: events go on into the same file."""

    def close(self) -> None:
        """Close the file."""
        if self._fd is not None:
            os.close(self._fd)
        self._fd = None
