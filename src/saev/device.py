"""The device that an option names."""

import warnings

import torch

from saev.errors import InputError, one_line


def chosen_device(name: str | torch.device | None, option: str = "device") -> torch.device:
    """The device that an option names; by default a GPU if there is one.

    Raises:
        InputError: If there is no such device, or it cannot compute.
    """
    wanted = name if name is not None else "cuda" if torch.cuda.is_available() else "cpu"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a kind of device is no longer one is said below
            zero = torch.zeros((), device=wanted)
        zero.cpu()  # the device "meta" makes tensors that hold nothing
    except Exception as error:  # each kind of device fails in its own way
        known = "cpu or cuda" if torch.cuda.is_available() else "cpu"
        raise InputError(f"{option} {wanted} cannot be used here, {known} can ({one_line(error)})") from error
    return zero.device
