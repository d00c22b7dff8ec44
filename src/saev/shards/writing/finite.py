"""Refuses activations that cannot be stored as they are."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from saev.errors import InputError
from saev.shards.format.dtypes import TORCH_DTYPES
from saev.shards.format.examples import ExampleRecord
from saev.shards.format.quantization import decode, scales


def check_finite(acts_btd: Tensor, stored_btn: Tensor, dtype: str, examples: Sequence[ExampleRecord]) -> None:
    """Refuse NaN, infinities and what the stored dtype turns into them, naming the first picture.

    Args:
        acts_btd: (B examples, T tokens, D) as the model gave them, on any device; looked at in case of a fault.
        stored_btn: their stored bytes on the CPU.
        dtype: of what is stored.
        examples: their B pictures.

    Raises:
        InputError: naming picture, token, dimension and value.
    """
    stored = scales(stored_btn) if dtype == "int8" else decode(stored_btn, dtype)
    # A NaN or an infinity never leaves a sum again; the sum alone may overflow, so then all are looked at.
    if bool(stored.sum(dtype=torch.float32).isfinite()) or bool(stored.isfinite().all()):
        return
    row = int((~stored.isfinite()).flatten(1).any(1).nonzero()[0])
    cast_td = acts_btd[row].to(TORCH_DTYPES[dtype])
    token, dim = (int(place) for place in (~cast_td.isfinite()).nonzero()[0])
    value = float(acts_btd[row, token, dim])
    where = f"{examples[row].path}: activation {value:g} at token {token}, dimension {dim}"
    if math.isfinite(value):
        limit = torch.finfo(cast_td.dtype).max
        wider = "bfloat16 or float32" if dtype == "float16" else "float32"
        raise InputError(f"{where} overflows {dtype} (at most {limit:g}): store {wider}")
    raise InputError(f"{where} is not finite: check the picture, the weights and the precision of the model")
