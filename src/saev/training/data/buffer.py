"""How much memory the training data may take, where the user does not say."""

from collections.abc import Sequence

from saev.byte_text import byte_text
from saev.errors import InputError
from saev.free_memory import BUFFER_SHARE, free_memory


def default_buffer(n_processes: int) -> tuple[int, str]:
    """Bytes for each of the processes of this machine, and in words where they come from.

    Raises:
        InputError: If the system does not say how much memory is available.
    """
    try:
        available, where = free_memory()
    except (OSError, ValueError) as error:
        raise InputError(f"the memory that is available is not known ({error}): give --data.buffer_gib") from error
    words = f"{BUFFER_SHARE:.0%} of the {byte_text(available)} of memory that {where} has left"
    if n_processes > 1:
        words += f", divided by {n_processes} processes"
    return int(available * BUFFER_SHARE) // n_processes, words


def report(n_bytes: int, source: str, lines: Sequence[str]) -> list[str]:
    """The lines that are printed before training."""
    first = f"buffer for shuffling: {byte_text(n_bytes)} a process, {source}"
    return [first, *(f"  {line}" for line in lines)]
