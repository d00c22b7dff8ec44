"""Records activations into a directory of shards.

Shapes: B examples of a batch, T tokens of an example, D width of the model.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from saev.errors import InputError
from saev.shards.directory import PARTIAL_SUFFIX, ShardDirectory
from saev.shards.dtypes import TORCH_DTYPES, tensor_bytes
from saev.shards.examples import ExampleRecord, dump_examples
from saev.shards.job_thread import JobThread
from saev.shards.lock import RecordingLock
from saev.shards.partial import Batch, PartialDirectory
from saev.shards.quantization import encode
from saev.shards.recording import Recording


def find_finished(root: Path, recording: Recording) -> Path | None:
    """The whole directory of a recording under `root`, or None if there is none.

    Raises:
        InputError: if there is one that is not whole; it must be moved away before recording.
    """
    path = root / recording.directory_name
    if not path.exists():
        return None
    try:
        found = ShardDirectory.open(path).manifest.content_id
    except InputError as error:
        raise InputError(f"{path} is there but not whole: move it away to record it again ({error})") from error
    if found != recording.content_id:
        raise InputError(f"{path}: holds content {found}, not {recording.content_id}: move it away")
    return path


def leftover_bytes(root: Path, recording: Recording) -> int:
    """Disk space of what a killed run left of this recording; a new `ShardWriter` frees it."""
    partial = root / f".{recording.directory_name}{PARTIAL_SUFFIX}"
    return sum(file.stat().st_blocks * 512 for file in partial.glob("*")) if partial.is_dir() else 0


def _check_finite(acts_btd: Tensor, stored_btd: Tensor, examples: Sequence[ExampleRecord]) -> None:
    """Refuse NaN, infinities and what the stored dtype turns into them, naming the first picture."""
    # A NaN or an infinity never leaves a sum again; the sum alone may overflow, so then all are looked at.
    if bool(stored_btd.sum(dtype=torch.float32).isfinite()) or bool(stored_btd.isfinite().all()):
        return
    row = int((~stored_btd.isfinite()).flatten(1).any(1).nonzero()[0])
    place = int((~stored_btd[row].isfinite()).flatten().nonzero()[0])
    token, dim = divmod(place, stored_btd.shape[2])
    value = float(acts_btd[row, token, dim])
    where = f"{examples[row].path}: activation {value:g} at token {token}, dimension {dim}"
    if bool(acts_btd[row, token, dim].isfinite()):
        dtype = str(stored_btd.dtype).removeprefix("torch.")
        limit = torch.finfo(stored_btd.dtype).max
        raise InputError(f"{where} overflows {dtype} (at most {limit:g}): store bfloat16 or float32")
    raise InputError(f"{where} is not finite: check the picture, the weights and the precision of the model")


@final
class ShardWriter:
    """Writes one layer's activations, example after example, under a temporary name until whole.

    The file system's space is reserved at once. Writing and hashing happen in one background thread; at
    most a few batches wait for it.

    Raises:
        InputError: if the directory exists, another run records the same thing, or the disk is too small.
    """

    def __init__(self, root: Path, recording: Recording, *, with_labels: bool = False) -> None:
        self._layout = recording.layout
        self._dtype = TORCH_DTYPES[recording.layout.dtype]
        self._with_labels = with_labels
        self._final = root / recording.directory_name
        self._n_examples = 0
        hidden = f".{recording.directory_name}"
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._lock = RecordingLock(root / f"{hidden}.lock")
        except OSError as error:
            raise InputError(f"{root}: cannot be written ({error.strerror}): choose another directory") from error
        try:
            if self._final.exists():
                raise InputError(f"{self._final}: already exists: move it away to record it again")
            self._partial = PartialDirectory(root / f"{hidden}{PARTIAL_SUFFIX}", recording, with_labels=with_labels)
        except BaseException:
            self._lock.release()
            raise
        self._thread = JobThread(f"write {recording.directory_name}")

    def append(self, acts: Tensor, examples: Sequence[ExampleRecord], patch_labels: Tensor | None = None) -> None:
        """Append the next examples, in order; the tensors may be changed afterwards.

        Args:
            acts: activations (B, T, D) of any floating dtype on any device; stored in the layout's dtype.
            examples: their B pictures.
            patch_labels: uint8 (B, n_content), if and only if the writer was made with labels.

        Raises:
            InputError: naming the picture, for activations that are not finite or overflow the dtype; and
                for what the disk did not take, in this batch or one before.
        """
        layout = self._layout
        assert acts.shape == (len(examples), layout.tokens.n_tokens, layout.d_model), acts.shape
        assert (patch_labels is not None) == self._with_labels, "labels are all there or none"
        self._n_examples += len(examples)
        assert self._n_examples <= layout.n_examples, "more examples than the layout has"
        stored_btd = acts.detach().to(self._dtype)
        _check_finite(acts, stored_btd, examples)
        # The caller may reuse its tensor before the thread has written it.
        encoded = encode(stored_btd, layout.dtype)
        encoded = encoded.to("cpu", copy=encoded.data_ptr() == acts.data_ptr())
        labels = memoryview(b"")
        if patch_labels is not None:
            assert patch_labels.shape == (len(examples), layout.tokens.n_content), patch_labels.shape
            assert patch_labels.dtype == torch.uint8, patch_labels.dtype
            labels = tensor_bytes(patch_labels.to("cpu", copy=True).contiguous())
        batch = Batch(tensor_bytes(encoded), memoryview(dump_examples(examples)), labels)
        self._thread.put(partial(self._partial.write, batch))

    def finish(self) -> Path:
        """Write what is left and give the directory its final name, which is returned.

        Raises:
            InputError: if the disk did not take it.
        """
        assert self._n_examples == self._layout.n_examples, (self._n_examples, self._layout.n_examples)
        self._thread.finish()
        self._partial.finish(self._final)
        self._lock.release()
        return self._final

    def abort(self) -> None:
        """Stop and delete what was written; does nothing after `finish` or a second time."""
        self._thread.cancel()
        self._partial.remove()
        self._lock.release()
