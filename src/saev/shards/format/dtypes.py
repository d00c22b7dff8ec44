"""The dtypes of shards as torch knows them, and the bytes of tensors."""

from typing import Final

import torch
from torch import Tensor

TORCH_DTYPES: Final = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "int8": torch.float32,  # what it is encoded from and decoded to
}


def tensor_bytes(tensor: Tensor) -> memoryview:
    """The bytes of a contiguous CPU tensor, not copied: writing to them changes the tensor."""
    view: memoryview = tensor.view(-1).view(torch.uint8).numpy().data
    return view
