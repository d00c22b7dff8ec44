"""What changes over the course of a run."""

import math
from typing import Literal

Decay = Literal["linear", "cosine"]


def warmup_hold_decay(step: int, n_steps: int, warmup: float, decay: float, shape: Decay = "linear") -> float:
    """Factor of the peak learning rate: rises linearly, holds, falls towards 0.

    Args:
        step: Steps already taken, from 0.
        warmup: Share of the steps on the way up.
        decay: Share of the steps on the way down.
        shape: The way down: a line, or half a cosine.

    >>> [warmup_hold_decay(step, 10, 0.2, 0.4) for step in (0, 1, 5, 8, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.25]
    """
    n_up, n_down = warmup * n_steps, decay * n_steps
    up = (step + 1) / n_up if n_up else 1.0
    down = max(0.0, min(1.0, (n_steps - step) / n_down)) if n_down else 1.0
    if shape == "cosine":
        down = (1 - math.cos(math.pi * down)) / 2
    return min(1.0, up, down)


def ramp(step: int, n_steps: int, share: float, start: float) -> float:
    """Goes linearly from `start` to 1 over this share of the steps, and stays.

    >>> [ramp(step, 10, 0.4, 3.0) for step in (0, 2, 4, 9)]
    [3.0, 2.0, 1.0, 1.0]
    """
    n = share * n_steps
    return 1.0 if step >= n else start + (1 - start) * step / n
