"""The device that an option names."""

import torch

from saev.errors import InputError


def chosen_device(name: str | None) -> torch.device:
    """The device of `--device`; by default a GPU if there is one.

    Raises:
        InputError: If there is no such device.
    """
    try:
        return torch.zeros((), device=name or ("cuda" if torch.cuda.is_available() else "cpu")).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(f"--device {name} cannot be used: {' '.join(str(error).split())[:160]}") from error
