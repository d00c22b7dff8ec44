"""Work that comes after the SAEs are saved must not cost them, nor the work that follows."""

from collections.abc import Iterator
from contextlib import contextmanager

import lightning

from saev.errors import InputError, one_line


class NotesFaults(lightning.Callback):
    """A callback that notes faults at the end of a run, so that the work after them is still done."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []

    @contextmanager
    def noting(self, what: str) -> Iterator[None]:
        """Note a fault of the disk or of the input within this context, with what could not be done."""
        try:
            yield
        except (InputError, OSError) as error:
            self.faults.append(f"{what}: {error if isinstance(error, InputError) else one_line(error)}")


def noted(trainer: lightning.Trainer) -> list[str]:
    """What all of a trainer's callbacks have noted."""
    callbacks: list[lightning.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return [fault for one in callbacks if isinstance(one, NotesFaults) for fault in one.faults]
