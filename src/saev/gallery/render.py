"""Galleries out of surveys.

Shape suffixes: s = d_sae, l = latents that get a page.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor
from tqdm import tqdm

from saev.errors import InputError
from saev.gallery.data import Gallery, LatentPage, OtherSae
from saev.gallery.names import Namer
from saev.gallery.options import Range, RenderOptions
from saev.gallery.pages import Pages
from saev.gallery.write import write_gallery
from saev.latents.heatmaps import PatchCodes, codes_of_images, patch_codes, patch_positions
from saev.latents.labels import Labels
from saev.latents.pictures import Picture, RecordedPictures
from saev.latents.survey import EDGES, LatentSurvey
from saev.metrics import nearest_rows
from saev.nn import SparseAutoencoder
from saev.shards.tokens import TokenSelection, random_subset
from saev.vit.weights import weights_digest

COMMON_IMAGES = 4  # Latents of fewer are rare; a card shows as many.
N_KEPT, N_HEATMAPS_KEPT = 512, 16
"""Pages that are kept besides being written, and how many heatmaps of each."""


@dataclass(frozen=True)
class Rendered:
    """A gallery that was written.

    Args:
        name: The SAE's.
        index: Path of its `index.html`.
        gallery: What it says.
        pages: The first of its pages, `N_KEPT` at most, with the heatmaps of their first `N_HEATMAPS_KEPT` pictures.
        decoder_sd: Rows that the latents decode to, on the CPU.
    """

    name: str
    index: Path
    gallery: Gallery
    pages: Sequence[LatentPage]
    decoder_sd: Tensor


@dataclass(frozen=True)
class Source:
    """What SAEs are looked at on: the images, their pictures and labels."""

    tokens: TokenSelection
    pictures: RecordedPictures
    labels: Labels


def render_galleries(
    saes: Mapping[str, SparseAutoencoder],
    surveys: Mapping[str, LatentSurvey],
    source: Source,
    options: RenderOptions,
    out: Path,
    namer: Namer | None = None,
) -> Iterator[Rendered]:
    """Write `out/<name>/` for one SAE after the other; each may be compared with the others there.

    Args:
        saes: SAEs of one width, by name.
        surveys: What was found of each.
        source: What they were looked at on.
        options: What is shown.
        out: Directory of the galleries.
        namer: Finds names, if there is one.

    Raises:
        InputError: If a gallery's place is taken; after all others were written, if no latent of an SAE lies within
            the ranges that are asked for.
    """
    first: tuple[SparseAutoencoder, list[int]] | None = None
    without: list[str] = []
    for name, sae in saes.items():
        # What the first SAE shows is shown of the others, too, so that pairs can be compared.
        preferred = [] if first is None else nearest_rows(first[0].W_dec[first[1]], sae.W_dec)[0].tolist()
        try:
            latents = chosen_latents(surveys[name], options, preferred)
        except InputError as error:
            without.append(f"{name}: {error}")
            continue
        first = first or (sae, latents)
        yield _render(name, sae, surveys[name], latents, source, options, namer, out, _others(name, sae, saes))
    if without:
        raise InputError("; ".join(without))


def _render(
    name: str,
    sae: SparseAutoencoder,
    survey: LatentSurvey,
    latents: Sequence[int],
    source: Source,
    options: RenderOptions,
    namer: Namer | None,
    out: Path,
    others: Sequence[OtherSae],
) -> Rendered:
    tokens = source.tokens
    names = namer.by_pictures(sae, survey, latents, tokens, source.pictures, options.seed) if namer else {}
    directions = namer.by_directions(sae, latents, tokens, options.seed) if namer else {}
    pages = Pages(sae, survey, latents, tokens, source.labels, options, directions)
    gallery = Gallery(
        title=name,
        sae_id=sae_id(sae),
        facts=_facts(sae, survey, tokens),
        frequency=survey.moments.frequency.numpy(),
        image_frequency=survey.moments.image_frequency.numpy(),
        mean_value=survey.moments.mean_value.numpy(),
        max_value=survey.moments.max_value.numpy(),
        grid=tokens.reader.layout.tokens.grid,
        bin_edges=EDGES,
        rare_below=(COMMON_IMAGES - 0.5) / max(1, survey.moments.n_images),
        labels=pages.top_labels(),
        names=names,
        others=others,
    )
    kept: list[LatentPage] = []
    index = write_gallery(
        out / name, gallery, _keeping(pages, kept), lambda images: _pictures(images, sae, gallery, source, options)
    )
    return Rendered(name, index, gallery, kept, sae.W_dec.detach().cpu())


def chosen_latents(survey: LatentSurvey, options: RenderOptions, preferred: Sequence[int] = ()) -> list[int]:
    """The latents that get a page, ascending: the preferred ones among those that may, then a random choice.

    Raises:
        InputError: If there is none within the ranges; says how the latents lie.
    """
    frequency, mean = survey.moments.frequency.numpy(), survey.moments.mean_value.numpy()
    alive = np.flatnonzero(frequency > 0)
    log_frequency, log_mean = np.log10(frequency[alive]), np.log10(mean[alive])
    within = _within(log_frequency, options.log_freq_range) & _within(log_mean, options.log_value_range)
    found = alive[within]
    if len(alive) and not len(found) and not options.include_latents:
        raise InputError(
            f"none of {len(alive)} latents that fire has a log10 frequency within {options.log_freq_range} and a log10 "
            f"mean value within {options.log_value_range}: theirs are {log_frequency.min():.2f} to "
            f"{log_frequency.max():.2f} and {log_mean.min():.2f} to {log_mean.max():.2f}"
        )
    n = len(found) if options.n_latents < 0 else options.n_latents
    may = set(found.tolist())
    first = [latent for latent in dict.fromkeys(preferred) if latent in may][:n]
    others = np.setdiff1d(found, first)
    chosen = others[random_subset(len(others), n - len(first), options.seed)]
    return sorted({*first, *chosen.tolist(), *options.include_latents})


def sae_id(sae: SparseAutoencoder) -> str:
    """A digest of the weights: tells SAEs apart, whatever they are called and wherever they lie."""
    return weights_digest(sae)[:16]


def _within(values: np.ndarray, own: Range | None) -> np.ndarray:
    return np.ones(len(values), dtype=np.bool_) if own is None else (values >= own[0]) & (values <= own[1])


def _keeping(pages: Pages, kept: list[LatentPage]) -> Iterator[LatentPage]:
    for page in pages:
        if len(kept) < N_KEPT:
            first = next(iter(page.top.values()), [])[:N_HEATMAPS_KEPT]
            kept.append(replace(page, heatmaps={one.image_id: page.heatmaps[one.image_id] for one in first}))
        yield page


def _pictures(
    images: Sequence[int], sae: SparseAutoencoder, gallery: Gallery, source: Source, options: RenderOptions
) -> Iterator[tuple[Picture, PatchCodes | None]]:
    """The pictures, those that are opened together with what fires in them."""
    opened = {images[i] for i in random_subset(len(images), options.n_picture_pages, options.seed)}
    patches = patch_positions(source.tokens)
    if patches.start == patches.stop:
        opened = set()
    for image in tqdm([image for image in images if image not in opened], desc="drawing", unit=" images"):
        yield source.pictures[image], None
    for image, f_ts in codes_of_images(sae, source.tokens, sorted(opened), "drawing"):
        yield source.pictures[image], patch_codes(f_ts[patches], gallery.max_value)


def _others(name: str, sae: SparseAutoencoder, saes: Mapping[str, SparseAutoencoder]) -> list[OtherSae]:
    """The other galleries, and for each latent here the nearest of theirs."""
    found = []
    for other_name, other in saes.items():
        if other_name != name:
            matched_s, cosine_s = nearest_rows(sae.W_dec, other.W_dec)
            found.append(OtherSae(other_name, other_name, matched_s.cpu().numpy(), cosine_s.cpu().numpy()))
    return found


def _facts(sae: SparseAutoencoder, survey: LatentSurvey, tokens: TokenSelection) -> dict[str, str]:
    """What stands at the top of the page."""
    metadata = tokens.reader.metadata
    return {
        "model": f"{metadata.family} {metadata.ckpt}",
        "layer": " + ".join(str(reader.manifest.recording.layer) for reader in tokens.readers),
        "latents": f"{sae.d_sae:,}",
        "images": f"{survey.moments.n_images:,}",
        "tokens": f"{survey.moments.n_tokens:,}",
    }
