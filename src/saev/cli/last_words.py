"""What a process says before it ends."""

import os
import sys
from typing import Final

from saev.errors import tell

# Numbers of a process among several: of torchrun, of Lightning, of Slurm.
_RANKS: Final = ("RANK", "LOCAL_RANK", "SLURM_PROCID")


def say_last(text: str) -> None:
    """Tell a line on a line of its own: progress bars are closed, and another process may have left one open."""
    tqdm = sys.modules.get("tqdm.std")
    if tqdm is not None:
        for bar in list(getattr(tqdm.tqdm, "_instances", ())):
            bar.close()
    if any(os.environ.get(name, "0") != "0" for name in _RANKS):
        tell("")  # of the other process's bar this one knows nothing
    tell(text)
