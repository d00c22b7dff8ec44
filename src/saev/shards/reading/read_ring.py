"""Many reads at once in one call to the kernel: Linux's io_uring.

A thread that reads a hundred runs of tokens one by one gives the interpreter's lock away and waits for it again a
hundred times, which costs more than the reads. Layouts and numbers are those of <linux/io_uring.h>.
"""

import ctypes
import errno
import mmap
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from saev.ranges import Ints
from saev.shards.format.files import read_into

_SETUP, _ENTER = 425, 426  # numbers of system calls, the same on all architectures
_GET_EVENTS: Final = 1
_READ: Final = 22
_SUBMISSIONS: Final = 0x10000000  # where in the ring's file they are mapped
_FEATURES: Final = 1 | 1 << 3  # one mapping of both rings (Linux 5.4); what came with this kind of read (5.6)
_ENTRIES: Final = 256
_WORD: Final = 4

_SQE: Final = np.dtype(
    {
        "names": ["opcode", "fd", "off", "addr", "len", "user_data"],
        "formats": ["u1", "<i4", "<u8", "<u8", "<u4", "<u8"],
        "offsets": [0, 4, 8, 16, 24, 32],
        "itemsize": 64,
    }
)
_CQE: Final = np.dtype([("user_data", "<u8"), ("res", "<i4"), ("flags", "<u4")])


class _Params(ctypes.Structure):
    _fields_ = (
        ("sq_entries", ctypes.c_uint32),
        ("cq_entries", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("sq_thread_cpu", ctypes.c_uint32),
        ("sq_thread_idle", ctypes.c_uint32),
        ("features", ctypes.c_uint32),
        ("wq_fd", ctypes.c_uint32),
        ("resv", ctypes.c_uint32 * 3),
        # head, tail, ring_mask, ring_entries, flags, dropped, array, ...
        ("sq_off", ctypes.c_uint32 * 10),
        # head, tail, ring_mask, ring_entries, overflow, cqes, ...
        ("cq_off", ctypes.c_uint32 * 10),
    )


@final
class ReadRing:
    """One ring, for one thread at a time.

    Raises:
        OSError: Where the kernel has no io_uring, or doesn't let us have it.
    """

    def __init__(self) -> None:
        self._fd = -1
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.syscall.restype = ctypes.c_long
        params = _Params()
        self._fd = self._call(_SETUP, ctypes.c_uint(_ENTRIES), ctypes.byref(params))
        if params.features & _FEATURES != _FEATURES:
            raise OSError("io_uring of before Linux 5.6")
        n_bytes = max(
            params.sq_off[6] + _WORD * params.sq_entries, params.cq_off[5] + _CQE.itemsize * params.cq_entries
        )
        self._ring = mmap.mmap(self._fd, n_bytes, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE)
        entries = mmap.mmap(
            self._fd, _SQE.itemsize * params.sq_entries, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE, offset=_SUBMISSIONS
        )
        self._submissions = np.frombuffer(entries, dtype=_SQE, count=params.sq_entries)
        self._n = int(params.sq_entries)
        self._head, self._tail = self._word(params.sq_off[0]), self._word(params.sq_off[1])
        self._done_head, self._done_tail = self._word(params.cq_off[0]), self._word(params.cq_off[1])
        self._done = np.frombuffer(self._ring, dtype=_CQE, count=params.cq_entries, offset=params.cq_off[5])
        order = np.frombuffer(self._ring, dtype=np.uint32, count=self._n, offset=params.sq_off[6])
        order[:] = np.arange(self._n)

    def _word(self, offset: int) -> NDArray[np.uint32]:
        return np.frombuffer(self._ring, dtype=np.uint32, count=1, offset=offset)

    def _call(self, number: int, *arguments: object) -> int:
        result = int(self._libc.syscall(ctypes.c_long(number), *arguments))
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return result

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        # Bound as a default: when the interpreter ends, `os` may be gone before the last ring.
        if self._fd >= 0:
            close(self._fd)

    def read(self, fds: Ints, offsets: Ints, addresses: Ints, lengths: Ints) -> Ints:
        """Read from files into memory; for each read the number of bytes, or the negative number of its error.

        Args:
            fds: Descriptors of the files.
            offsets: First byte of each read.
            addresses: Where the bytes go; the memory must stay until this returns.
            lengths: Bytes to read, at least 1 and below 2 GiB each.

        Raises:
            OSError: If the kernel refuses; after this or any other exception no read is under way, but what was asked
                for may still be queued: throw the ring away.
        """
        results = np.empty(len(fds), dtype=np.int64)
        for start in range(0, len(fds), self._n):
            part = slice(start, start + self._n)
            self._submit(fds[part], offsets[part], addresses[part], lengths[part])
            self._wait()
            self._collect(results[part])
        return results

    def _submit(self, fds: Ints, offsets: Ints, addresses: Ints, lengths: Ints) -> None:
        # Each call begins with empty rings; the entries are used from wherever the last one ended.
        places = (int(self._tail[0]) + np.arange(len(fds))) % self._n
        entries = np.zeros(len(fds), dtype=_SQE)
        entries["opcode"] = _READ
        entries["fd"], entries["off"], entries["addr"], entries["len"] = fds, offsets, addresses, lengths
        entries["user_data"] = np.arange(len(fds))
        self._submissions[places] = entries
        self._tail[0] = (int(self._tail[0]) + len(fds)) & 0xFFFFFFFF

    def _wait(self) -> None:
        """Let the kernel do what is queued, and wait for all of it."""
        # Heads and tails only grow: the kernel's words alone say what is queued, under way and done.
        try:
            while left := _distance(self._done_tail, self._tail):
                with suppress(InterruptedError):
                    self._enter(_distance(self._head, self._tail), left)
        finally:
            # Whatever ended this, be it raised by a signal's handler: reads under way write to the caller's memory.
            while under_way := _distance(self._done_tail, self._head):
                with suppress(BaseException):
                    self._enter(0, under_way)

    def _enter(self, n_queued: int, n_awaited: int) -> None:
        numbers = (ctypes.c_uint(number) for number in (self._fd, n_queued, n_awaited, _GET_EVENTS))
        self._call(_ENTER, *numbers, None, ctypes.c_size_t(0))

    def _collect(self, results: Ints) -> None:
        # If a signal ended the wait, ARM may load results before the tail that counts them, though never across a
        # system call that depends on the tail. This one keeps the interpreter's lock.
        os.getppid()
        found = self._done[(int(self._done_head[0]) + np.arange(len(results))) % len(self._done)]
        results[found["user_data"].astype(np.int64)] = found["res"]
        self._done_head[0] = self._done_tail[0]


def _distance(begin: NDArray[np.uint32], end: NDArray[np.uint32]) -> int:
    return (int(end[0]) - int(begin[0])) & 0xFFFFFFFF


def _read_one_by_one(fds: Ints, offsets: Ints, addresses: Ints, lengths: Ints) -> Ints:
    """As `ReadRing.read`, on any system."""
    runs = list(zip(fds.tolist(), offsets.tolist(), addresses.tolist(), lengths.tolist(), strict=True))
    for fd, offset, _, length in runs:
        with suppress(OSError):
            os.posix_fadvise(fd, offset, length, os.POSIX_FADV_WILLNEED)
    results = []
    for fd, offset, address, length in runs:
        memory = (ctypes.c_char * length).from_address(address)
        try:
            results.append(read_into(fd, memoryview(memory).cast("B"), offset))
        except OSError as error:
            results.append(-(error.errno or 1))
    return np.asarray(results, dtype=np.int64)


_own = threading.local()
# A child must not use its parent's ring: it is the same memory.
os.register_at_fork(after_in_child=lambda: _own.__dict__.clear())


def read_all(fds: Ints, offsets: Ints, addresses: Ints, lengths: Ints) -> Ints:
    """As `ReadRing.read`, in the way that this system has; each thread has a ring of its own."""
    assert (lengths > 0).all(), lengths.min()
    if not hasattr(_own, "ring"):
        try:
            _own.ring = ReadRing()
        except (OSError, AttributeError, ValueError):
            _own.ring = None
    ring: ReadRing | None = _own.ring
    if ring is not None:
        # Whatever breaks this off leaves the thread without, and so does a kernel that takes no such reads.
        _own.ring = None
        with suppress(OSError):
            results = ring.read(fds, offsets, addresses, lengths)
            if not len(results) or (results != -errno.EINVAL).any():
                _own.ring = ring
                return results
    return _read_one_by_one(fds, offsets, addresses, lengths)
