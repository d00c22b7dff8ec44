"""Refuses activations that cannot be stored as they are."""

from collections.abc import Sequence

import torch
from torch import Tensor

from saev.errors import InputError
from saev.shards.examples import ExampleRecord


def check_finite(acts_btd: Tensor, stored_btd: Tensor, examples: Sequence[ExampleRecord]) -> None:
    """Refuse NaN, infinities and what the stored dtype turns into them, naming the first picture.

    Args:
        acts_btd: (B examples, T tokens, D) as the model gave them, on any device; looked at in case of a fault.
        stored_btd: the same in the stored dtype, on the CPU.
        examples: their B pictures.

    Raises:
        InputError: naming picture, token, dimension and value.
    """
    # A NaN or an infinity never leaves a sum again; the sum alone may overflow, so then all are looked at.
    if bool(stored_btd.sum(dtype=torch.float32).isfinite()) or bool(stored_btd.isfinite().all()):
        return
    row = int((~stored_btd.isfinite()).flatten(1).any(1).nonzero()[0])
    place = int((~stored_btd[row].isfinite()).flatten().nonzero()[0])
    token, dim = divmod(place, stored_btd.shape[2])
    value = float(acts_btd[row, token, dim])
    where = f"{examples[row].path}: activation {value:g} at token {token}, dimension {dim}"
    if bool(acts_btd[row, token, dim].isfinite()):
        dtype = str(stored_btd.dtype).removeprefix("torch.")
        limit = torch.finfo(stored_btd.dtype).max
        raise InputError(f"{where} overflows {dtype} (at most {limit:g}): store bfloat16 or float32")
    raise InputError(f"{where} is not finite: check the picture, the weights and the precision of the model")
