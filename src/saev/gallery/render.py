"""Galleries out of surveys.

Shape suffixes: s = d_sae, l = latents that get a page.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from saev.errors import InputError
from saev.gallery.alike import SeenCodes
from saev.gallery.by_picture import Masks, PictureLevels
from saev.gallery.data import Gallery, OtherSae, Seeds, ShownName
from saev.gallery.facts import Figures, facts_of
from saev.gallery.figures import spread, top_ratio
from saev.gallery.fitting import Budget, Pictures
from saev.gallery.image_sets import ImageSet, Place, find_places, sae_id, tell_of
from saev.gallery.interventions import interventions_for
from saev.gallery.judging import Judging
from saev.gallery.labels import LatentLabels
from saev.gallery.options import Range, RenderOptions
from saev.gallery.pages import Pages, Subject, scales
from saev.gallery.recipe import Recipe
from saev.gallery.seeds import seeds_of
from saev.gallery.table import latent_table
from saev.gallery.verdicts import Report, verdicts_for
from saev.gallery.write import write_gallery
from saev.latents.heatmaps import PatchCodes, patch_codes
from saev.latents.labels import Labels
from saev.latents.naming import LatentName
from saev.latents.naming.namer import Namer
from saev.latents.pictures import RecordedPictures
from saev.latents.survey import EDGES, LatentSurvey, PlaceProfile
from saev.metrics import nearest
from saev.nn import SparseAutoencoder
from saev.shards.tokens import TokenSelection, random_order
from saev.splicing.interventions_file import Interventions

COMMON_IMAGES = 4  # Latents of fewer are rare; a card shows as many.


@dataclass(frozen=True)
class Rendered:
    """A gallery that was written."""

    name: str  # The SAE's.
    index: Path  # Path of its `index.html`.
    gallery: Gallery  # What it says.
    pages: Pages
    decoder_sd: Tensor  # Rows that the latents decode to, on the CPU.


@dataclass(frozen=True)
class Source:
    """What SAEs are looked at on, images with pictures and labels, and what is known of latents from elsewhere."""

    tokens: TokenSelection
    pictures: RecordedPictures
    labels: Labels
    image_set: ImageSet
    reports: Sequence[Report] = ()  # Tests of hypotheses on latents, each of one of the SAEs.
    interventions: Sequence[Interventions] = ()  # Edits of latents inside the ViT, each of one of the SAEs.
    seeds: Sequence[SparseAutoencoder] = ()  # SAEs that are not rendered, and differ from one that is in their seed.
    figures: Mapping[str, Figures] = field(default_factory=dict)
    """What was measured of each SAE, by its name and by stage."""
    images: NDArray[np.int64] | None = None
    """Numbers of those of the images that were surveyed, where that is to be known later."""


def namer_of(options: RenderOptions) -> Namer | None:
    """What finds names for latents, if the options ask for one.

    Raises:
        InputError: If it cannot be had.
    """
    if options.namer is None:
        return None
    return Namer.load(options.namer, options.namer_weights, options.vocabulary)


def render_galleries(
    subjects: Mapping[str, Subject],
    source: Source,
    options: RenderOptions,
    out: Path,
    namer: Namer | None = None,
) -> Iterator[Rendered]:
    """Write `out/<name>/` for one SAE after the other; each may be compared with the others there.

    A gallery of the SAE that is there gets one more image set, of the same latents and on the same scale; its set of
    the same images is replaced.

    Args:
        subjects: SAEs of one width, by name.

    Raises:
        InputError: If a gallery's place is taken; after all others were written, if no latent of an SAE lies within
            the ranges that are asked for.
    """
    saes = {name: one.sae for name, one in subjects.items()}
    places = find_places(saes, source.image_set, out, is_named=options.image_set is not None)
    shown = {name: place.first.pages for name, place in places.items() if place.first and not place.is_first}
    chosen, without = latents_of_all(subjects, options, shown)
    seeds = seeds_of(saes, source.seeds)
    for name, latents in chosen.items():
        tell_of(places[name], out / name, latents, subjects[name].survey.moments.max_value.numpy())
        yield _render(name, latents, subjects, source, options, out, places[name], namer, seeds.get(name))
    if without:
        raise InputError("; ".join(f"{name}: {why}" for name, why in without.items()))


def latents_of_all(
    subjects: Mapping[str, Subject], options: RenderOptions, shown: Mapping[str, Sequence[int]]
) -> tuple[dict[str, list[int]], dict[str, str]]:
    """The latents of each SAE that get a page; and why there are none, where no latent lies within the ranges.

    What the first SAE that has such latents shows is shown of the others, too, so that pairs can be compared. Where
    other image sets show some already, `shown`, it is these.
    """
    found: dict[str, list[int]] = {}
    without: dict[str, str] = {}
    for name, subject in subjects.items():
        if name in shown:
            found[name] = list(dict.fromkeys([*(options.include_latents or ()), *shown[name]]))
            continue
        first = next(iter(found), None)
        preferred: list[int] = []
        if first is not None:
            preferred = nearest(subjects[first].sae.W_dec[found[first]], subject.sae.W_dec).numbers[:, 0].tolist()
        try:
            found[name] = chosen_latents(subject.survey, options, preferred)
        except InputError as error:
            without[name] = str(error)
    return found, without


def _render(
    name: str,
    latents: Sequence[int],
    subjects: Mapping[str, Subject],
    source: Source,
    options: RenderOptions,
    out: Path,
    place: Place,
    namer: Namer | None,
    seeds: Seeds | None,
) -> Rendered:
    sae, pictures = subjects[name].sae, source.pictures
    seen = SeenCodes(subjects[name].codes, sae, options.seed)
    subject = replace(subjects[name], codes=seen)
    moments = subject.survey.moments
    scale_s, p99_s = scales(subject.survey, place)
    names: dict[int, LatentName] = {}
    crops = None
    if namer:
        names, crops = namer.by_pictures(subject.codes, subject.survey, sorted(latents), pictures, options.seed)
    directions = namer.by_directions(sae, latents, source.tokens, options.seed) if namer else {}
    labels = LatentLabels(subject.survey, source.labels)
    best, spots = labels.best(), subject.codes.spots
    judging = Judging(sae, spots, subject.survey, source.labels, source.tokens, best, options.seed)
    pages = Pages(subject, latents, labels, options.sort_by, _shown(directions), judging, scale_s)
    levels = PictureLevels.of(*subject.survey.image_values.table(), scale_s)
    shown = _pictures(subject, pictures, options, levels.images_i.tolist(), scale_s)
    budget = Budget.of(options.max_mb * 10**6, len(pages), pages.first_images, shown)
    pages.make_small(budget.n_ready(pages.images))
    gallery = Gallery(
        title=name,
        sae_id=sae_id(sae),
        facts=facts_of(subject, source.tokens, place, source.figures.get(name, {}), options.seed),
        frequency=moments.frequency.numpy(),
        image_frequency=moments.image_frequency.numpy(),
        mean_value=moments.mean_value.numpy(),
        max_value=moments.max_value.numpy(),
        grid=subject.codes.grid,
        decoder_norm=_decoder_norm(sae),
        bin_edges=EDGES,
        rare_below=(COMMON_IMAGES - 0.5) / max(1, moments.n_images),
        labels=best,
        names=_shown(names) if namer or place.first is None else place.first.names,
        others=_others(name, subjects),
        metadata=source.labels.columns,
        masks=Masks.of(source.labels),
        known=judging.known,
        levels=levels,
        verdicts=verdicts_for(sae, source.reports, out / name),
        interventions=interventions_for(sae, source.interventions, out / name),
        half=place.image_set.half,
        seeds=seeds,
        scale=None if place.is_first else scale_s,
        p99=p99_s,
        recipe=None if source.images is None else Recipe.of(source.tokens, source.images, options),
        places=PlaceProfile.of(subject.survey),
        alike=seen.alike,
        top_ratio=top_ratio(subject.survey),
        spread=spread(subject.survey),
        families=pages.families(_shown(names), best, options.seed),
    )
    half = (one.seed, one.group) if (one := place.image_set.half) else None
    content_id = source.tokens.reader.recording.content_id
    file = namer.names_file(sae, content_id, names, half) if namer else None
    table = latent_table(gallery, subject.survey, sae)
    index = write_gallery(out / name, gallery, pages, shown, file, budget, table, crops, place)
    return Rendered(name, index, gallery, pages, sae.W_dec.detach().cpu())


def _shown(names: Mapping[int, LatentName]) -> dict[int, ShownName]:
    return {
        latent: ShownName(one.words[0].word, one.words[0].z, [(word.word, word.z) for word in one.runners_up])
        for latent, one in names.items()
    }


def chosen_latents(survey: LatentSurvey, options: RenderOptions, preferred: Sequence[int] = ()) -> list[int]:
    """The latents that get a page: those asked for, the preferred ones among those that may, then a random choice.

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
    others = random_order(np.setdiff1d(found, first), options.seed)[: n - len(first)]
    return list(dict.fromkeys([*(options.include_latents or ()), *first, *others.tolist()]))


def _within(values: np.ndarray, own: Range | None) -> np.ndarray:
    return np.ones(len(values), dtype=np.bool_) if own is None else (values >= own[0]) & (values <= own[1])


def _pictures(
    subject: Subject,
    pictures: RecordedPictures,
    options: RenderOptions,
    images: Sequence[int],
    scale_s: NDArray[np.float32],
) -> Pictures:
    """The pictures, of which the gallery has `images` in any case, and what fires in them."""
    patches = subject.codes.spots.patches

    def codes_of(images: Sequence[int]) -> Iterator[tuple[int, PatchCodes]]:
        for image, codes in subject.codes.each(images, "drawing"):
            yield image, patch_codes(codes.at(patches), scale_s)

    codes = codes_of if patches else None
    return Pictures(pictures.__getitem__, codes, options.n_picture_pages, options.seed, images, pictures.left_out)


def _others(name: str, subjects: Mapping[str, Subject]) -> list[OtherSae]:
    """The other galleries, and for each latent here the nearest of theirs."""
    found = []
    for other_name, other in subjects.items():
        if other_name != name:
            matched = nearest(subjects[name].sae.W_dec, other.sae.W_dec)
            numbers_s, cosines_s = matched.numbers[:, 0].numpy(), matched.cosines[:, 0].numpy()
            found.append(OtherSae(other_name, other_name, numbers_s, cosines_s))
    return found


def _decoder_norm(sae: SparseAutoencoder) -> np.ndarray | None:
    norms_s = sae.W_dec.detach().norm(dim=1).cpu().numpy()
    return None if np.allclose(norms_s, 1, atol=1e-4) else norms_s
