"""The learning rate over a run."""


def warmup_hold_decay(step: int, n_steps: int, warmup: float, decay: float) -> float:
    """Factor of the peak learning rate: rises linearly, holds, falls linearly towards 0.

    Args:
        step: Steps already taken, from 0.
        n_steps: Steps of the run.
        warmup: Share of the steps on the way up.
        decay: Share of the steps on the way down.

    >>> [warmup_hold_decay(step, 10, 0.2, 0.4) for step in (0, 1, 5, 8, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.25]
    """
    n_up, n_down = warmup * n_steps, decay * n_steps
    up = (step + 1) / n_up if n_up else 1.0
    down = (n_steps - step) / n_down if n_down else 1.0
    return max(0.0, min(1.0, up, down))
