"""Whether SAEs of other seeds found the same latents.

Shape suffix: l = latents.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saev.errors import InputError
from saev.latents.seeds import check_seeds, matches
from saev.metrics import nearest
from saev.nn import SparseAutoencoder
from saev.probing.subject import loaded
from saev.vit.weights import weights_digest


def other_seeds(
    sae: SparseAutoencoder, seeds: Sequence[SparseAutoencoder | str | Path]
) -> dict[str, SparseAutoencoder]:
    """SAEs by the digest of their weights: those that are given twice count once.

    Args:
        sae: From which they differ.
        seeds: SAEs that differ from it in their seed alone, or their directories.

    Raises:
        InputError: If one cannot be loaded, is the SAE itself, or differs in more than its seed.
    """
    found = {weights_digest(one): one for one in map(loaded, seeds)}
    if weights_digest(sae) in found:
        raise InputError("one of seeds is the SAE itself, in which it finds all of its latents: give others")
    if found:
        check_seeds([*found.values()], {"sae": sae})
    return found


def in_other_seeds(
    sae: SparseAutoencoder, others: Mapping[str, SparseAutoencoder]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """In how many other SAEs a latent is found again (l,), and the mean of its largest cosines (l,) there.

    It is found as the gallery says it: matched one to one.

    Args:
        others: As `other_seeds` gives them; one or more.
    """
    found = np.stack([(matches(sae, one) >= 0).numpy() for one in others.values()])
    best = np.stack(
        [nearest(sae.W_dec, one.W_dec.to(sae.W_dec.device)).cosines[:, 0].numpy() for one in others.values()]
    )
    return found.sum(0).astype(np.int32), best.mean(0).astype(np.float32)
