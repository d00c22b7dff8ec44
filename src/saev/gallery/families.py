"""Families of latents as a gallery shows them, with the names that their members share.

Shape suffixes: s = d_sae, f = families, w = words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from saev.gallery.labels import MAX_Q
from saev.latents.families import families_of, links, map_of
from saev.latents.survey import Enrichment, QValues
from saev.metrics import Nearest
from saev.nn import SparseAutoencoder


@final
@dataclass(frozen=True)
class Families:
    """Families of latents, the largest first, and a map."""

    family: NDArray[np.int32]  # (s,) the number of each latent's family, -1 for none.
    names: Sequence[str | None]  # Of each family, what many of its members are about; None where that is chance.
    places: NDArray[np.float32]  # (s, 2) from 0 to 1 on the map; NaN where there is no place.

    @classmethod
    def of(
        cls,
        sae: SparseAutoencoder,
        latents: Sequence[int],
        decoders: Nearest,
        coactive: Nearest,
        words: Sequence[Mapping[int, str]],
        seed: int,
    ) -> "Families":
        """Find them.

        Args:
            latents: Those whose nearest are known.
            decoders: By decoder direction.
            coactive: By co-activation.
            words: Words for latents, of one kind after the other: the first kind that names a family gives its name.
            seed: Of the clusters and the map.
        """
        linked = links(np.asarray(latents), decoders, coactive, sae.d_sae, sae.d_in)
        family = families_of(linked, seed)
        kinds = [shared_words(family, own) for own in words]
        n = int(family.max(initial=-1)) + 1
        names = [next((kind[number] for kind in kinds if number in kind), None) for number in range(n)]
        return cls(family, names, map_of(linked, sae.W_dec.detach().float().cpu().numpy(), seed))

    def value(self) -> dict[str, object]:
        """For the overview: families, names, and places as two bytes each, 65535 for none."""
        known = np.nan_to_num(self.places * (2**16 - 2), nan=2**16 - 1).round().astype("<u2")
        return {"family": self.family.astype("<i4"), "names": list(self.names), "x": known[:, 0], "y": known[:, 1]}


def shared_words(family: NDArray[np.int32], words: Mapping[int, str]) -> dict[int, str]:
    """Of each family the word that most of its members have that have one, where so many are no chance.

    The test is the hypergeometric one of labels: among all latents with words. q is corrected for all families and
    words, and at most .05.

    >>> families = np.array([0] * 6 + [1] * 6 + [-1] * 30, dtype=np.int32)
    >>> words = {i: "eye" if i < 5 else "sky" for i in range(42)}
    >>> shared_words(families, words)
    {0: 'eye'}
    """
    known = sorted(set(words.values()))
    number = {word: place for place, word in enumerate(known)}
    members = [(family[latent], number[word]) for latent, word in words.items() if family[latent] >= 0]
    if not members:
        return {}
    counts_fw = np.zeros((int(family.max()) + 1, len(known)), dtype=np.int64)
    np.add.at(counts_fw, tuple(np.array(members).T), 1)
    base_w = np.bincount([number[word] for word in words.values()], minlength=len(known))
    labelled_f = counts_fw.sum(1)
    test, q = Enrichment(base_w, len(words)), QValues()
    log_p_fw = test.log_p(counts_fw, labelled_f)
    q.add(log_p_fw, int(np.count_nonzero(labelled_f)) * len(known))
    best_f = counts_fw.argmax(1)
    rows_f = np.arange(len(counts_fw))
    is_named_f = (q.of(log_p_fw)[rows_f, best_f] <= MAX_Q) & (2 * counts_fw[rows_f, best_f] > labelled_f)
    return {int(row): known[best_f[row]] for row in np.flatnonzero(is_named_f)}
