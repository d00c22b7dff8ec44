"""What the places say of latents in a few numbers, and flags for those that go with places rather than with contents.

Shape suffixes: s = d_sae.
"""

from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from saev.latents.survey.survey import LatentSurvey

FLAGS: Final = ("edge", "position", "dense", "one picture", "boundary")
"""In the order of their bits."""
ODDS: Final = 3.0
"""Of the border, or of boundaries, against what is expected, from which on there is a flag."""
SMALL_EXTENT: Final = 0.35
DENSE: Final = 0.1
ONE_PICTURE: Final = 0.5
MIN_IMAGES: Final = 32
"""Of fewer pictures neither border nor boundaries say anything."""
MIN_IMAGES_OF_EXTENT: Final = 64

Floats = NDArray[np.float32]


class PlaceProfile(NamedTuple):
    """Where latents fire in pictures, (s,) each; what is not known is None, and what does not fire has 0."""

    flags: NDArray[np.uint8]  # uint8, bit i for `FLAGS[i]`.
    one_image: Floats  # Share of a latent's activation that comes from one picture.
    border: Floats | None = None  # Share of its activation on the outermost ring of patches.
    border_of_grid: float = 0.0  # Share of the patches that are there.
    extent: Floats | None = None  # Spatial extent, see `PlaceSums.extent`.
    patches: Floats | None = None  # Patches on which it fires in a picture, on average over the pictures where it does.
    boundary: Floats | None = None  # Share of the labelled patches on which it fires that are at a boundary of masks.
    boundary_expected: Floats | None = None  # That share of patches of the same labels, wherever the latent fires.

    @classmethod
    def of(cls, survey: LatentSurvey) -> Self:
        """Out of a survey."""
        moments, sums_s = survey.moments, survey.top["img"].values[:, 0].double()
        total_s = moments.mean_value.double() * moments.fires  # of all positions
        images_s = moments.image_fires.numpy()
        found: dict[str, Floats] = {}
        border_of_grid = 0.0
        if (places := survey.places) is not None:
            total_s = places.means.sum(1).double() * moments.n_images
            images_s = places.image_fires.numpy()
            border_of_grid = places.border_of_grid
            found |= {"border": places.border_share.numpy(), "extent": places.extent.numpy()}
            found["patches"] = places.patches_per_image.numpy()
        if survey.boundaries is not None and survey.patch_labels is not None:
            labels = survey.patch_labels
            shares = survey.boundaries.shares(labels.counts, labels.base_counts)
            found["boundary"], found["boundary_expected"] = (share_s.numpy() for share_s in shares)
        one_image = (sums_s / total_s.clamp_min(1e-300)).clamp(0, 1).float().numpy()
        is_flagged = {
            "dense": moments.frequency.numpy() >= DENSE,
            "one picture": one_image >= ONE_PICTURE,
        }
        if "border" in found:
            is_flagged["edge"] = exceeds(found["border"], border_of_grid) & (images_s >= MIN_IMAGES)
            small = found["extent"] <= SMALL_EXTENT
            is_flagged["position"] = small & (images_s >= MIN_IMAGES_OF_EXTENT)
        if "boundary" in found:
            is_flagged["boundary"] = exceeds(found["boundary"], found["boundary_expected"]) & (images_s >= MIN_IMAGES)
        flags = np.zeros(len(one_image), dtype=np.uint8)
        for name, flagged_s in is_flagged.items():
            flags |= np.where(flagged_s, np.uint8(1 << FLAGS.index(name)), np.uint8(0))
        return cls(flags, one_image, border_of_grid=border_of_grid, **found)


def exceeds(share: Floats, expected: Floats | float) -> NDArray[np.bool_]:
    """Whether the odds of a share are at least `ODDS` times those of what is expected, where both can be compared.

    >>> exceeds(np.array([0.5, 0.4], np.float32), 0.25).tolist()
    [True, False]
    """
    expected = np.asarray(expected, dtype=np.float64)
    return (expected > 0) & (expected < 1) & (share * (1 - expected) >= ODDS * expected * (1 - share))
