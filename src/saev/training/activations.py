"""What can be trained on: raw activations in the form in which users and data loaders give them.

Shape suffixes: b = tokens of a batch, d = d_in.
"""

import warnings
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saev.errors import InputError, one_line

_DTYPES: Final = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_BLOCK: Final = 2**18
"""Rows that are looked at in one go."""


def activations(given: object, d_in: int = 0) -> Tensor:
    """A batch or a sample of raw activations as a tensor, without a copy where none is needed.

    Args:
        given: A tensor or an array (b, d_in), or a list or tuple of one, as a DataLoader of a TensorDataset has them.
        d_in: The width that it must have; 0 for any.

    Raises:
        InputError: If it is no tensor (b, d_in) of floating-point numbers.
    """
    x_bd = given[0] if isinstance(given, list | tuple) and len(given) == 1 else given
    if isinstance(x_bd, np.ndarray):
        x_bd = _tensor(x_bd)
    width = d_in or "d_in"
    if not isinstance(x_bd, Tensor):
        raise InputError(f"batches are {type(given).__name__}: give tensors (b, {width}) of raw activations")
    if x_bd.is_nested or x_bd.layout != torch.strided:
        layout = "nested" if x_bd.is_nested else str(x_bd.layout)
        raise InputError(f"activations are of the layout {layout}: give a dense tensor (b, {width})")
    if x_bd.dim() != 2 or not x_bd.shape[1] or (d_in and x_bd.shape[1] != d_in):
        expected = d_in or (x_bd.shape[-1] if x_bd.dim() else 0) or "d_in"
        raise InputError(f"activations of shape {tuple(x_bd.shape)}: give (b, {expected}), tokens by dimensions")
    if x_bd.dtype not in _DTYPES:
        name = str(x_bd.dtype).removeprefix("torch.")
        raise InputError(f"activations are {name}: give floating-point numbers of 16, 32 or 64 bits")
    if x_bd.is_meta:
        raise InputError("activations are on the device meta, which holds no values: give those of another device")
    return x_bd


def check_finite(x_nd: Tensor, what: str) -> None:
    """Check whether all values are finite in float32, in which they are trained on.

    Args:
        x_nd: Any number of activations.
        what: What they are, for the message.

    Raises:
        InputError: If not; names the first row.
    """
    for start in range(0, len(x_nd), _BLOCK):
        if not bool((finite := x_nd[start : start + _BLOCK].float().isfinite().all(1)).all()):
            row = start + int((~finite).nonzero()[0])
            raise InputError(f"row {row} of {what} has values that are not finite: leave it out")


def _tensor(array: NDArray[Any]) -> Tensor:
    """A tensor that shares the array's memory, unless its strides or byte order are none that torch knows."""
    if not array.dtype.isnative or any(stride < 0 for stride in array.strides):
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # nothing writes to it
            return torch.from_numpy(array)
    except (TypeError, ValueError) as error:
        raise InputError(f"activations are {array.dtype} of numpy: {one_line(error)}") from error
