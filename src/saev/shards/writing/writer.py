"""Records activations into the shards of an unfinished recording.

Shapes: B examples of a batch, T tokens of an example, D width of the model.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import final

import torch
from torch import Tensor

from saev.errors import InputError
from saev.host_copy import HostCopies
from saev.shards.format.dtypes import TORCH_DTYPES, decode, encode, scales, tensor_bytes
from saev.shards.format.examples import ExampleRecord, dump_examples
from saev.shards.writing.open_shard import OpenShard
from saev.shards.writing.partial import PartialRecording
from saev.threads import JobThread


@final
class ShardWriter:
    """Writes some shards of one layer, each from its first example to its last.

    Copying from the device, writing, hashing and bringing whole shards to the disk happen in the background; a
    few batches at most wait for them.

    Args:
        place: An unfinished recording that this process has claimed or joined.
        shards: The shards to write, ascending.
    """

    def __init__(self, place: PartialRecording, shards: Iterable[int]) -> None:
        self._place = place
        self._layout = place.layout
        self._todo = list(shards)
        self._next = 0
        self._copies = HostCopies()
        self._open: OpenShard | None = None
        name = place.recording.directory_name
        self._pool = ThreadPoolExecutor(1, f"hash {name}")
        self._commits = JobThread(f"commit {name}", depth=1)
        self._writes = JobThread(f"write {name}")

    def append(
        self, first: int, acts: Tensor, examples: Sequence[ExampleRecord], patch_labels: Tensor | None = None
    ) -> None:
        """Append the next examples of a shard; those of other shards are passed over.

        Args:
            first: Index of the first example in the recording; no batch crosses from one shard to another.
            acts: Activations (B, T, D) of any floating dtype on any device; they must not be changed any more.
            examples: Their B pictures.
            patch_labels: uint8 (B, n_content), if and only if the recording has labels.

        Raises:
            InputError: Naming the picture, for activations that are not finite or overflow the dtype; and
                for what the disk did not take. Found in the background, it may come with a later batch.
        """
        layout = self._layout
        shard, place = divmod(first, layout.examples_per_shard)
        if shard not in self._todo:
            return
        assert acts.shape == (len(examples), layout.tokens.n_tokens, layout.d_model), acts.shape
        assert place + len(examples) <= layout.n_examples_in(shard), "a batch crosses shards"
        assert place == self._next, f"example {place} of shard {shard} comes instead of {self._next}"
        assert (patch_labels is not None) == self._place.with_labels, "labels are all there or none"
        if patch_labels is not None:
            assert patch_labels.shape == (len(examples), layout.tokens.n_content), patch_labels.shape
            assert patch_labels.dtype == torch.uint8, patch_labels.dtype
        is_last = place + len(examples) == layout.n_examples_in(shard)
        self._next = 0 if is_last else place + len(examples)
        self._commits.check()
        copied = self._copies.start(encode(acts.detach(), layout.dtype))
        # Kept for the message of a fault, unless what is stored says the same.
        original = None if layout.dtype != "int8" and acts.dtype == TORCH_DTYPES[layout.dtype] else acts
        self._writes.put(partial(self._write, shard, copied, original, examples, patch_labels, is_last))

    def _write(
        self,
        shard: int,
        copied: Callable[[], Tensor],
        original: Tensor | None,
        examples: Sequence[ExampleRecord],
        patch_labels: Tensor | None,
        is_last: bool,
    ) -> None:
        stored = copied()
        dtype = self._layout.dtype
        check_finite(decode(stored, dtype) if original is None else original, stored, dtype, examples)
        labels = None if patch_labels is None else tensor_bytes(patch_labels.to("cpu").contiguous())
        with self._place.disk_faults():
            if self._open is None:
                self._open = OpenShard(
                    self._place.path,
                    self._place.recording,
                    shard,
                    with_labels=self._place.with_labels,
                    pool=self._pool,
                )
            self._open.write(tensor_bytes(stored), memoryview(dump_examples(examples)), labels)
        if is_last:
            self._commits.put(partial(self._commit, self._open))
            self._open = None
            self._todo.remove(shard)

    def _commit(self, shard: OpenShard) -> None:
        with self._place.disk_faults():
            shard.commit()

    def finish(self) -> None:
        """Wait until all shards are whole.

        Raises:
            InputError: For what the disk did not take.
        """
        self._writes.finish()
        self._commits.finish()
        self._pool.shutdown()
        assert not self._todo, f"the examples of the shards {self._todo} are missing"

    def abort(self) -> None:
        """Stop after what was appended; shards that are whole stay. Does nothing after `finish` or a second time."""
        for thread in (self._writes, self._commits):
            with suppress(Exception):  # it was raised before, or is not what ends this run
                thread.finish()
        self._pool.shutdown()
        if self._open is not None:
            self._open.close()
            self._open = None


def check_finite(acts_btd: Tensor, stored_btn: Tensor, dtype: str, examples: Sequence[ExampleRecord]) -> None:
    """Refuse NaN, infinities and what the stored dtype turns into them, naming the first picture.

    Args:
        acts_btd: (B examples, T tokens, D) as the model gave them, on any device; looked at in case of a fault.
        stored_btn: Their stored bytes on the CPU.
        examples: Their B pictures.

    Raises:
        InputError: Naming picture, token, dimension and value.
    """
    stored = scales(stored_btn) if dtype == "int8" else decode(stored_btn, dtype)
    # A NaN or an infinity never leaves a sum again; the sum alone may overflow, so then all are looked at.
    if bool(stored.sum(dtype=torch.float32).isfinite()) or bool(stored.isfinite().all()):
        return
    row = int((~stored.isfinite()).flatten(1).any(1).nonzero()[0])
    cast_td = acts_btd[row].to(TORCH_DTYPES[dtype])
    token, dim = (int(place) for place in (~cast_td.isfinite()).nonzero()[0])
    value = float(acts_btd[row, token, dim])
    where = f"{examples[row].path}: activation {value:g} at token {token}, dimension {dim}"
    if math.isfinite(value):
        limit = torch.finfo(cast_td.dtype).max
        wider = "bfloat16 or float32" if dtype == "float16" else "float32"
        raise InputError(f"{where} overflows {dtype} (at most {limit:g}): store {wider}")
    raise InputError(f"{where} is not finite: check the picture, the weights and the precision of the model")
