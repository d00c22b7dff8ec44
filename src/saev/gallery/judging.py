"""What latents do on the pictures that the page judges them by.

Shape suffixes: i = pictures that are judged by, a = latents that get a page, c = pairs of a picture and a latent, p =
pictures on which a latent fires.
"""

from collections.abc import Callable, Sequence
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from saev.gallery.judged import MAX_FIRES, Ints, Judged, Known
from saev.gallery.label_counts import PATCHES, BestLabels, kind_of_column
from saev.gallery.near_misses import NearMisses, Pairs, pre_activations, silence
from saev.latents.labels import Labels
from saev.latents.sparse import Spots
from saev.latents.survey import LatentSurvey
from saev.nn import SparseAutoencoder
from saev.shards.tokens import TokenSelection

MAX_PAIRS: Final = 2**22
"""Silent pictures of all latents whose pre-activations are looked at."""
MAX_SILENT: Final = 256
"""Those of a latent, where not all of them are looked at."""
MAX_WHOLE: Final = 2**10
"""Of more pictures than these, not all silent ones of a latent that is looked at alone are read."""
N_SHOWN: Final = 12
"""Hits, false alarms and misses of a latent's best labels that are shown in any case."""


@final
class Judging:
    """What latents are judged by, and what they do there.

    Args:
        labels: What is known of all images of the recording.
        tokens: What the SAE takes, for pre-activations: those of all images.
        best: The labels that stand beside latents.
        seed: Of the choice of pictures where not all silent ones can be looked at.
    """

    def __init__(
        self,
        sae: SparseAutoencoder,
        spots: Spots,
        survey: LatentSurvey,
        labels: Labels,
        tokens: TokenSelection,
        best: Sequence[BestLabels],
        seed: int = 0,
    ) -> None:
        ids, values = survey.image_values.table()
        order = ids.argsort()
        self._values = csc_array(values.tocsr()[order].tocsc())
        self._sae, self._spots, self._tokens = sae, spots, tokens
        self._survey, self._labels, self._best, self._seed = survey, labels, best, seed
        base = None if survey.patch_labels is None else survey.patch_labels.base_counts.numpy()
        self.known = Known.of(labels, ids[order], survey.moments.n_images, base, silence(sae))
        self._near: dict[int, NearMisses] = {}

    def look_at_silent(self, latents: Sequence[int]) -> None:
        """Find the pre-activations of some latents on pictures on which they are silent; `of` then has these alone.

        Raises:
            InputError: If a shard is damaged.
        """
        self._look(latents, len(latents), "near misses")

    def look_alone(self, latent: int, n_latents: int, check: Callable[[], None] = lambda: None) -> None:
        """The same of one latent, on those pictures that it would have among `n_latents`, or on fewer, see `MAX_WHOLE`.

        Args:
            latent: The latent.
            n_latents: How many there are.
            check: Called before each batch; what it raises ends the look.

        Raises:
            InputError: If a shard is damaged.
        """
        self._look([latent], max(n_latents, MAX_PAIRS // MAX_WHOLE), None, check)

    def _look(
        self, latents: Sequence[int], n_latents: int, what: str | None, check: Callable[[], None] = lambda: None
    ) -> None:
        pairs = self._silent_pairs(np.array(latents, dtype=np.int64), n_latents)
        found = pre_activations(self._sae, self._tokens, self._spots, self.known.images, pairs, what, check)
        self._near = {latent: found.of(row) for row, latent in enumerate(latents)}

    def shown(self, latent: int) -> list[int]:
        """Ids of the strongest pictures with and without each label that stands beside a latent."""
        places_p, values_p = self._fires(latent)
        places_p = places_p[np.argsort(-values_p, kind="stable")]
        found = [_first(places_p, y_i == y) for y_i in self._best_labels(latent) for y in (1, 0)]
        return self._ids(found)

    def of(self, latent: int) -> Judged:
        """What a latent does."""
        places_p, values_p = self._fires(latent)
        n_fires = len(places_p)
        kept = np.sort(np.argsort(-values_p, kind="stable")[:MAX_FIRES])
        silent = self._near.get(latent)
        misses: list[list[int]] = []
        if silent is not None:
            nearest = silent.places_q[np.argsort(-silent.values_q, kind="stable")]
            misses = [_first(nearest, y_i == 1) for y_i in self._best_labels(latent)]
        shown, near = frozenset(self.shown(latent)), frozenset(self._ids(misses))
        n = len(self.known.images)
        return Judged(places_p[kept], values_p[kept], n_fires, n, silent, self._patches(latent), shown, near)

    def _fires(self, latent: int) -> tuple[Ints, NDArray[np.float32]]:
        own = slice(*self._values.indptr[latent : latent + 2].tolist())
        places_p, values_p = self._values.indices[own].astype(np.int64), self._values.data[own]
        order = places_p.argsort()
        return places_p[order], values_p[order]

    def _ids(self, places: Sequence[Sequence[int]]) -> list[int]:
        found: list[int] = self.known.images[sorted(set().union(*places))].tolist()
        return found

    def _best_labels(self, latent: int) -> list[NDArray[np.int8]]:
        """(i,) for each label that stands beside a latent which pictures have it: 1 yes, 0 no, -1 not known."""
        return [self._has(one.kind, one.labels[latent].label) for one in self._best if latent in one.labels]

    def _has(self, kind: str, name: str) -> NDArray[np.int8]:
        images, masks = self.known.images, self.known.masks
        if kind == PATCHES and masks is not None:
            has_i: NDArray[np.int8] = masks.has_ij[:, masks.names.index(name)].astype(np.int8)
            has_i[~masks.is_known_i] = -1
            return has_i
        names, numbers_i = self._labels.names, self._labels.numbers[images]
        for column in self._labels.counted:
            if kind_of_column(column.name) == kind:
                names, numbers_i = column.values, column.numbers_i[images]
        has_i = (numbers_i == names.index(name)).astype(np.int8)
        has_i[numbers_i < 0] = -1
        return has_i

    def _silent_pairs(self, latents_a: Ints, n_latents: int) -> Pairs:
        """All silent pictures of all latents, or of each a random choice of those that have one of its best labels."""
        n_images = len(self.known.images)
        if n_images * n_latents <= MAX_PAIRS:
            is_silent_ia = np.ones((n_images, len(latents_a)), dtype=np.bool_)
            fires = self._values[:, latents_a].tocoo()
            is_silent_ia[fires.row, fires.col] = False
            return Pairs(latents_a, *np.nonzero(is_silent_ia))
        most = min(MAX_SILENT, MAX_PAIRS // n_latents)
        places, rows = [], []
        for row, latent in enumerate(latents_a.tolist()):
            wanted_i = np.zeros(n_images, dtype=np.bool_)
            for y_i in self._best_labels(latent):
                wanted_i |= y_i == 1
            wanted_i[self._fires(latent)[0]] = False
            own = np.flatnonzero(wanted_i)
            rng = np.random.default_rng((self._seed, latent))  # the same ones, whichever others are looked at
            places.append(np.sort(rng.permutation(own)[:most]))
            rows.append(np.full(len(places[-1]), row))
        places_c, rows_c = np.concatenate(places), np.concatenate(rows)
        order = np.argsort(places_c, kind="stable")
        return Pairs(latents_a, places_c[order], rows_c[order])

    def _patches(self, latent: int) -> Ints | None:
        counted, masks = self._survey.patch_values, self.known.masks
        if counted is None or masks is None:
            return None
        counts: Ints = counted.counts[latent].numpy().reshape(len(masks.names), -1)
        return counts


def _first(places: Ints, wanted_i: NDArray[np.bool_]) -> list[int]:
    """The first of some pictures among those that are wanted."""
    found: list[int] = places[wanted_i[places]][:N_SHOWN].tolist()
    return found
