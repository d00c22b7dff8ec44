"""The SAEs of a run with all that answers for them, or the reasons why something cannot be had."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, final

import numpy as np
import torch

from saev.artifacts import Provenance, RunDirectory, load_sae, provenance_of
from saev.artifacts.comparable import completed_by
from saev.artifacts.sae_files import CONFIG_FILE
from saev.errors import InputError, one_line
from saev.files import UnreadableFile, read_regular
from saev.gallery.image_sets import OVERVIEW, ImageSet, folder_of, read_sets, sae_id
from saev.gallery.overview import Overview, read_overview
from saev.latents.codes import Codes, with_saved
from saev.latents.encoding import Encoding
from saev.nn import SparseAutoencoder
from saev.serving.effects import Words
from saev.serving.live_gallery import Behind, LiveGallery, Recorded
from saev.serving.live_sae import LiveSae
from saev.serving.recorded_means import chosen_images, recorded_means
from saev.serving.recorded_probe import RecordedProbe
from saev.serving.site import MAX_FILE_BYTES, gallery_names, takes_live_part
from saev.serving.turn import Turn
from saev.shards.reading.reader import ShardReader
from saev.shards.tokens import TokenSelection
from saev.splicing.recorded_backbone import load_recorded_backbone
from saev.vit.backbone import Backbone

T = TypeVar("T")


@final
@dataclass(frozen=True)
class OpenedSae:
    """The SAE of a gallery, and what the gallery says."""

    sae: SparseAutoencoder
    provenance: Provenance
    overview: Overview  # Of the first image set.
    others: Mapping[str, Overview | str] = field(default_factory=dict)
    """Those of further sets, by their folders, or why that cannot be known."""


def open_saes(run: RunDirectory, others: Mapping[str, Path] | None = None) -> dict[str, OpenedSae | str]:
    """The SAEs of a run's galleries by name; where one cannot be had, why not.

    Args:
        others: Directories of SAEs that lie elsewhere, by name.

    Raises:
        InputError: If the run has no galleries, or none of the name of another SAE.
    """
    names = gallery_names(run.features)
    if not names:
        raise InputError(f"{run.features} holds no gallery: `saev render --run_dir {run.path}` makes them")
    elsewhere = others or {}
    for name in elsewhere.keys() - set(names):
        raise InputError(
            f"--sae {elsewhere[name]}: {run.features} holds no gallery {name}, but {', '.join(names)}: "
            f"`saev render --sae {elsewhere[name]} --out {run.path} ...` makes it"
        )

    def opened(name: str) -> OpenedSae:
        return _opened(run, elsewhere.get(name, run.sae(name)), name)

    return {name: or_reason(partial(opened, name)) for name in names}


def open_galleries(
    saes: Mapping[str, OpenedSae | str],
    weights: str | None,
    device: torch.device,
    recorded: Mapping[str, Recorded | str],
    reader: ShardReader | InputError,
) -> dict[str, LiveGallery | str]:
    """What answers for each gallery, or why nothing does.

    Args:
        saes: From `open_saes`.
        weights: The ViT's weights, as for `load_recorded_backbone`.
        recorded: From `recorded_images`.
        reader: The recording, whose labelled pictures a probe learns from, or why there is none.

    Raises:
        InputError: If weights are given and the ViT cannot be had with them.
    """
    lock = Turn()
    backbones: dict[str, tuple[Backbone, Words]] = {}
    probes: dict[str, RecordedProbe] = {}

    def opened(name: str, one: OpenedSae) -> LiveGallery:
        vit = one.provenance.one_layer
        key = json.dumps(replace(vit, layer=None, more={}).to_json())
        if key not in backbones:
            backbones[key] = load_recorded_backbone(vit, weights), Words(vit, weights)
        backbone, words = backbones[key]
        live, overview = LiveSae(one.sae, one.provenance, backbone, device), one.overview
        probe = probes.setdefault(key, RecordedProbe(reader, live.prepared, live.embed, lock))
        return LiveGallery(
            Behind(live, overview.max_value, overview.image_frequency, recorded[name], words, probe), lock
        )

    found: dict[str, LiveGallery | str] = {}
    for name, one in saes.items():
        if isinstance(one, str):
            found[name] = one
        elif weights is not None:
            found[name] = opened(name, one)
        else:
            found[name] = or_reason(lambda name=name, one=one: opened(name, one))  # type: ignore[misc]
    return found


def recorded_images(
    saes: Mapping[str, OpenedSae | str],
    reader: ShardReader | InputError,
    n_images: int,
    device: torch.device,
    codes: Sequence[Codes | str | Path] = (),
) -> dict[str, Recorded | str]:
    """The images that live pictures are compared with, by gallery, or why there are none.

    Those with thumbnails come first, since they can be shown, and then a random choice of the others.

    Args:
        saes: From `open_saes`; which tokens each of them takes is known.
        reader: The shards, or why they cannot be had, which is raised if they are needed.
        n_images: Upper bound of the images.
        codes: Saved codes of some of the SAEs, or their directories; those of the others are computed.

    Raises:
        InputError: If the shards are missing, damaged, or of another ViT or layer than each of the SAEs, or the codes
            are of none of the SAEs or of other shards.
    """
    found: dict[str, Recorded | str] = {name: one for name, one in saes.items() if isinstance(one, str)}
    ready = {name: one for name, one in saes.items() if not isinstance(one, str)}
    if not n_images:
        return found | dict.fromkeys(ready, "neighbours are switched off: --n_images 0")
    # An SAE of several layers has no live inference either.
    single = {name: one for name, one in ready.items() if len(one.provenance.layers) <= 1}
    found |= dict.fromkeys(ready.keys() - single.keys(), "the SAE takes several layers at once")
    if not single:
        return found
    if isinstance(reader, InputError):
        raise reader
    fitting, faults = _fitting(single, reader)
    found |= {name: " ".join(str(error).split()) for name, error in faults.items()}
    names = [record.path for record in reader.examples()]
    shown = {
        image
        for one in fitting.values()
        for image, name in one.overview.thumbnails.items()
        if image < len(names) and names[image] == name
    }
    images = chosen_images(reader.n_examples, n_images, sorted(shown))
    encodings = {name: encoding_of(one, reader, device) for name, one in fitting.items()}
    all_codes = with_saved(encodings, codes)
    # SAEs that are read together take the same tokens.
    for kind in sorted({str(one.provenance.tokens) for one in fitting.values()}):
        own = {name: all_codes[name] for name, one in fitting.items() if one.provenance.tokens == kind}
        means = recorded_means({name: encodings[name].sae for name in own}, own, images)
        found |= {name: Recorded(one, names) for name, one in means.items()}
    return found


def _fitting(saes: Mapping[str, OpenedSae], reader: ShardReader) -> tuple[dict[str, OpenedSae], dict[str, InputError]]:
    """The SAEs that some shards belong to, at least one, and why they do not belong to the others."""
    fitting, faults = dict(saes), {}
    for name, one in saes.items():
        try:
            check_belongs(one, reader)
        except InputError as error:
            faults[name] = error
            del fitting[name]
    if not fitting:
        raise next(iter(faults.values()))
    return fitting, faults


def check_belongs(one: OpenedSae, reader: ShardReader) -> None:
    """Check that an SAE belongs to some shards.

    Raises:
        InputError: If it does not.
    """
    completed_by(one.provenance, [reader])
    if one.sae.d_in != reader.layout.d_model:
        raise InputError(f"the SAE takes width {one.sae.d_in}, {reader.path} has {reader.layout.d_model}")


def encoding_of(one: OpenedSae, reader: ShardReader, device: torch.device) -> Encoding:
    """What computes the codes of all images of some shards."""
    kind: Any = one.provenance.tokens  # checked there
    return Encoding(one.sae.to(device), TokenSelection.of([reader], np.arange(reader.n_examples), kind))


def _opened(run: RunDirectory, directory: Path, name: str) -> OpenedSae:
    gallery = run.gallery(name)
    if not (directory / CONFIG_FILE).is_file():
        raise InputError(f"there is no SAE {directory}: where it lies elsewhere, give --sae DIR")
    again = f"`saev render --run_dir {run.path}` makes the gallery anew"
    if not takes_live_part(read_regular(gallery / "index.html", MAX_FILE_BYTES)):
        raise InputError(f"the gallery's page is of another version of saev: {again}")
    first = _overview(gallery, again)
    sae = load_sae(directory)

    def checked(overview: Overview) -> Overview:
        sizes = {len(overview.max_value), len(overview.image_frequency), len(overview.scale)}
        if sae_id(sae) != overview.sae_id or sizes != {sae.d_sae}:
            raise InputError(f"the gallery is of another SAE than {directory}: {again}")
        return overview

    def further(one: ImageSet) -> Overview:
        return checked(_overview(gallery / folder_of(one), again))

    others = {one.name: or_reason(partial(further, one)) for one in read_sets(gallery)[1:]}
    return OpenedSae(sae, provenance_of(sae), checked(first), others)


def _overview(folder: Path, again: str) -> Overview:
    """What an image set says; `again` says what to do where that cannot be read."""
    try:
        return read_overview(read_regular(folder / OVERVIEW, MAX_FILE_BYTES).decode("ascii"))
    except UnreadableFile as error:
        raise InputError(f"{error}: {again}") from error
    except ValueError as error:
        raise InputError(f"{folder / OVERVIEW} cannot be read ({one_line(error)}): {again}") from error


def or_reason(get: Callable[[], T]) -> T | str:
    """What something gives, or why that cannot be had."""
    try:
        return get()
    except InputError as error:
        return " ".join(str(error).split())
