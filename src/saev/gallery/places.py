"""Where in pictures latents fire, as parts of the data scripts."""

import numpy as np
import numpy.typing as npt

from saev.latents.heatmaps import quantise
from saev.latents.survey import FLAGS, PlaceProfile


def profile_value(profile: PlaceProfile) -> dict[str, object]:
    """Of all latents, for the overview: shares as bytes, patches of a picture in eighths."""
    shares = {
        "onePicture": profile.one_image,
        "border": profile.border,
        "extent": profile.extent,
        "boundary": profile.boundary,
        "boundaryExpected": profile.boundary_expected,
    }
    found: dict[str, object] = {name: quantise(one, 1.0) for name, one in shares.items() if one is not None}
    if profile.patches is not None:
        eighths = (8.0 * profile.patches).round().clip(0, 2**16 - 1).astype("<u2")
        found |= {"patches": eighths, "borderOfGrid": round(profile.border_of_grid, 4)}
    return {"names": FLAGS, "flags": profile.flags} | found


def mean_map(mean_p: npt.NDArray[np.floating]) -> dict[str, object]:
    """Of one latent: its largest mean activation at a patch position, and all as levels of that."""
    most = float(mean_p.max(initial=0.0))
    return {"most": float(f"{most:.4g}"), "levels": quantise(mean_p, most)}
