"""The dtypes of shards as torch knows them, and the bytes of tensors."""

import math
from typing import Final

import numpy as np
import torch
from torch import Tensor

TORCH_DTYPES: Final = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "int8": torch.float32,  # what it is encoded from and decoded to
}


def empty_bytes(shape: tuple[int, ...]) -> Tensor:
    """Memory of any content, uint8 of this shape, to read into.

    numpy's, because it asks for huge pages: to touch torch's small ones for the first time takes several times as
    long as to read into them.
    """
    n = math.prod(shape)
    # An array without any byte has no strides that torch could view as another dtype.
    return torch.from_numpy(np.empty(max(n, 1), dtype=np.uint8))[:n].view(shape)


def tensor_bytes(tensor: Tensor) -> memoryview:
    """The bytes of a contiguous CPU tensor, not copied: writing to them changes the tensor."""
    view: memoryview = tensor.view(-1).view(torch.uint8).numpy().data
    return view
