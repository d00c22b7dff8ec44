"""Whether other SAEs found the same latents.

Shape suffix: l = latents.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from saev.artifacts import load_sae
from saev.metrics import nearest
from saev.nn import SparseAutoencoder

SAME: Final = 0.7
"""Cosine of decoder directions from which on two latents count as the same (Paulo and Belrose, 2025)."""


def in_other_seeds(
    sae: SparseAutoencoder, others: Sequence[SparseAutoencoder | str | Path]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """In how many other SAEs a latent has its like (l,), and the mean cosine (l,) of its best matches there.

    Args:
        sae: Whose latents.
        others: SAEs of the same layer, for instance trained with other seeds, or their directories; one or more.

    Raises:
        InputError: If one cannot be loaded or has another width.
    """
    loaded = (one if isinstance(one, SparseAutoencoder) else load_sae(one) for one in others)
    best = np.stack([nearest(sae.W_dec, one.W_dec).cosines[:, 0].numpy() for one in loaded])
    return (best >= SAME).sum(0).astype(np.int32), best.mean(0).astype(np.float32)
