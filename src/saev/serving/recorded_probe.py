"""A linear probe on the final embeddings of recorded pictures, fitted once, in the background, when it is asked for.

Shape suffixes: n = pictures, e = width of the embedding.
"""

from collections.abc import Callable
from threading import Lock, Thread
from typing import Any, Final, final

import torch
from PIL import Image
from torch import Tensor

from saev.errors import InputError, one_line
from saev.latents.recorded_files import RecordedFiles
from saev.metrics.embeddings import probe_halves
from saev.probing.interventions.readouts import Readout, probe_readout
from saev.serving.turn import Turn
from saev.shards.format.examples import ExampleRecord
from saev.shards.reading.reader import ShardReader
from saev.shards.tokens import random_subset
from saev.vit.images.decode import decode

MAX_PICTURES: Final = 512
"""Recorded pictures that the probe sees, a random choice: half of each class teach it, the others test it."""
_AT_ONCE: Final = 8
"""Prepared pictures that pass the ViT together. Of files and decoded pictures one at a time is in memory."""
NOT_FITTED: Final = "no probe is fitted yet"


@final
class RecordedProbe:
    """The classes of recorded pictures as a readout of final embeddings.

    Args:
        reader: The recording, or why there is none.
        prepared: What the ViT takes of an RGB picture.
        embed: Final embeddings (n, e) of some of these.
        lock: Held while something is computed.
    """

    def __init__(
        self,
        reader: ShardReader | InputError,
        prepared: Callable[[Image.Image], Tensor],
        embed: Callable[[Tensor], Tensor],
        lock: Turn,
    ) -> None:
        self._reader, self._prepared, self._embed, self._lock = reader, prepared, embed, lock
        self._starting = Lock()
        self._thread: Thread | None = None
        self._done = self._n_missing = 0
        self._records: list[ExampleRecord] = []
        self._readout: Readout | None = None
        self._accuracy = 0.0
        self._fault: str | None = one_line(reader) if isinstance(reader, InputError) else None

    @property
    def readout(self) -> Readout | str:
        """The probe, or why there is none."""
        return self._readout or self._fault or NOT_FITTED

    def state(self) -> dict[str, Any]:
        """{"reason": why there can be none, or null, "isRunning", "done" and "total" pictures, "fitted": null or
        {"classes", "nMissing", "accuracy" on the pictures that it did not learn from}}.
        """
        fitted = self._readout and {
            "classes": list(self._readout.classes),
            "nMissing": self._n_missing,
            "accuracy": self._accuracy,
        }
        is_running = self._thread is not None and self._thread.is_alive()
        return {
            "reason": self._fault,
            "isRunning": is_running and fitted is None and self._fault is None,
            "done": self._done,
            "total": len(self._records),
            "fitted": fitted,
        }

    def start(self) -> dict[str, Any]:
        """Begin to fit it, unless that has begun or cannot be; gives the state."""
        with self._starting:
            if self._thread is None and self._fault is None:
                self._thread = Thread(target=self._run, name="recorded probe", daemon=True)
                self._thread.start()
        return self.state()

    def join(self, timeout: float) -> None:
        """Wait for its end, for so many seconds at most."""
        with self._starting:
            thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def _run(self) -> None:
        try:
            self._fit()
        except InputError as error:
            self._fault = one_line(error)
        except Exception as error:
            self._fault = f"{type(error).__name__}: {one_line(error)}"

    def _fit(self) -> None:
        assert isinstance(self._reader, ShardReader), "start looked at that"
        labelled = [record for record in self._reader.examples() if record.label is not None]
        self._records = [labelled[int(one)] for one in random_subset(len(labelled), MAX_PICTURES, 0)]
        files = RecordedFiles(self._reader)
        labels, embedded = list[str | None](), list[Tensor]()
        for start in range(0, len(self._records), _AT_ONCE):
            images = []
            for record in self._records[start : start + _AT_ONCE]:
                try:
                    images.append(self._prepared(decode(files.read(record), record.path)))
                    labels.append(record.label)
                except (InputError, OSError):
                    self._n_missing += 1
            if images:
                with self._lock:
                    embedded.append(self._embed(torch.stack(images)))
            self._done += len(images)
        learned, tested = probe_halves(labels)
        if not learned:
            raise InputError(
                f"of the recorded pictures {len(labels)} are there and have a label: too few of two classes"
            )
        all_ne = torch.cat(embedded)
        readout = probe_readout(all_ne[learned], [labels[one] for one in learned])
        assert readout is not None, "there are two classes"
        best = readout.outputs(all_ne[tested]).argmax(1).tolist()
        right = [readout.classes[c] == labels[one] for c, one in zip(best, tested, strict=True)]
        self._accuracy, self._readout = sum(right) / len(right), readout
