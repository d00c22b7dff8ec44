"""How much memory a survey takes."""

from saev.latents import sparse
from saev.latents.survey import kept_images, token_sample
from saev.latents.survey.image_values import MAX_IMAGES
from saev.latents.survey.labels import LabelCounts, label_bytes
from saev.latents.survey.places import PlaceSums, place_bytes
from saev.latents.survey.strongest import MAX_PATCHES
from saev.latents.survey.survey import N_SAMPLE, pair_bounds
from saev.latents.survey.values import N_BINS, N_QUARTERS

MOMENTS_BYTES = 28  # Of a latent.
ENTRY_BYTES = 80  # Of an active code during an update, in all forms that it has at the same time.
ROW_BYTES = 16  # Of a token or an image of a sample, beside its entries.


def tables_bytes(
    d_sae: int,
    top_k: int = 128,
    n_image_labels: int = 0,
    n_patch_labels: int = 0,
    n_orders: int = 3,
    n_values: int = 0,
    grid: tuple[int, int] | None = None,
    n_images: int = MAX_IMAGES,
) -> int:
    """Upper bound of the bytes that a `LatentSurvey` takes on the CPU.

    Args:
        n_orders: Orders of top images: 3, or 2 without CLS tokens.
        n_values: Values of all columns together.
        grid: Patches of an image, where it is to be known where in pictures latents fire.
    """
    # Of each table of keys a quarter waits, and takes as much again when it is entered.
    strong = [MAX_PATCHES] if n_patch_labels else []
    keys = sum(8 * (k + 2) + 2 * 16 * k // kept_images.ASIDE for k in [top_k] * n_orders + [N_SAMPLE] + strong)
    tables = d_sae * (MOMENTS_BYTES + 8 * N_BINS + keys + 4)
    by_value = n_patch_labels * N_QUARTERS
    counted = [n for n in (n_image_labels, n_patch_labels, by_value, n_values) if LabelCounts.fits(d_sae, n)]
    tables += sum(label_bytes(d_sae, n) for n in counted)
    if grid is not None and PlaceSums.fits(d_sae, grid):
        tables += place_bytes(d_sae, grid)
    tables += 8 * d_sae  # on boundaries of masks
    tables += 4 * (ROW_BYTES * token_sample.MAX_TOKENS + 4 * token_sample.MAX_SAMPLE_ENTRIES)
    images, pairs = pair_bounds(d_sae, n_images)
    return tables + 4 * (ROW_BYTES * images + 8 * pairs)


def update_bytes(d_sae: int, n_positions: int) -> int:
    """Upper bound of what an update takes for a while, beside the codes given to it."""
    # A part ends with the slice that makes it large enough.
    in_slice = max(sparse.SLICE_CELLS, n_positions * d_sae)
    dense = 6 * max(sparse.SLICE_CELLS, n_positions * d_sae)  # Its mask twice, and its codes if they had to be cast.
    blocks = 4 * 8 * kept_images.KEY_CELLS
    return ENTRY_BYTES * (sparse.MAX_PART_ENTRIES + in_slice) + dense + blocks
