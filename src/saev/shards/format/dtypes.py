"""Encodes activations as the bytes that are stored, and decodes them: pure functions, on any device.

int8 has a scale for each token, so that a token of small activations keeps its digits beside one of large ones: a
token is D values q, int8, then its scale s, float32, and stands for x = q s with s = max|x| / 127.

Shapes: B examples, T tokens of an example, D width of the model, N bytes of a token.
"""

from typing import Final

import torch
from torch import Tensor

TORCH_DTYPES: Final = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "int8": torch.float32,  # what it is encoded from and decoded to
}
_LEVELS: Final = 127  # -128 is not used: the levels lie around 0 alike.
# For the largest of all floats alone max|x| / 127 is rounded up to a scale whose 127-fold is infinite.
_MAX_SCALE: Final = float.fromhex("0x1.020406p+121")


def encode(acts_btd: Tensor, dtype: str) -> Tensor:
    """The stored bytes, uint8 (B, T, N), contiguous, of activations of any floating dtype.

    It shares the memory of `acts_btd` where that has the stored dtype already. int8 rounds to the nearest level, half
    to even; a token of zeros has the scale 0, one that is not finite a scale that is not.

    >>> encode(torch.tensor([[[-1.0, 0.5, 127.0]]]), "int8").tolist()
    [[[255, 0, 127, 0, 0, 128, 63]]]
    """
    stored_btd = acts_btd.to(TORCH_DTYPES[dtype]).contiguous()
    return _quantize(stored_btd) if dtype == "int8" else stored_btd.view(torch.uint8)


def decode(stored_btn: Tensor, dtype: str) -> Tensor:
    """The activations (B, T, D) of contiguous stored bytes: a view of them, or float32 for int8."""
    return _dequantize(stored_btn) if dtype == "int8" else stored_btn.view(TORCH_DTYPES[dtype])


def _quantize(x_btd: Tensor) -> Tensor:
    # A tensor and not a number: on a GPU torch divides by a number through its reciprocal, which rounds twice.
    levels = x_btd.new_full((), _LEVELS)
    scale_bt = x_btd.abs().amax(dim=-1) / levels
    # What is not finite stays so, for the check that follows.
    scale_bt1 = scale_bt.where(scale_bt.isinf(), scale_bt.clamp_max(_MAX_SCALE)).unsqueeze(-1)
    q_btd = (x_btd / scale_bt1.where(scale_bt1 > 0, 1)).round_().clamp_(-_LEVELS, _LEVELS).to(torch.int8)
    return torch.cat([q_btd.view(torch.uint8), scale_bt1.view(torch.uint8)], dim=-1)


def scales(stored_btn: Tensor) -> Tensor:
    """The scales (B, T, 1) of tokens stored as int8."""
    # A copy: within the bytes a scale lies at any address, not only at multiples of four.
    n_scale = torch.float32.itemsize
    return stored_btn[..., -n_scale:].clone(memory_format=torch.contiguous_format).view(torch.float32)


def _dequantize(stored_btn: Tensor) -> Tensor:
    q_btd = stored_btn[..., : -torch.float32.itemsize].view(torch.int8)
    return q_btd.to(torch.float32).mul_(scales(stored_btn))


def tensor_bytes(tensor: Tensor) -> memoryview:
    """The bytes of a contiguous CPU tensor, not copied: writing to them changes the tensor."""
    view: memoryview = tensor.view(-1).view(torch.uint8).numpy().data
    return view
